#!/bin/sh
# Prints the path of a Python with the libraries that shards are exchanged with.
# The environment is made on first use, outside the source tree, in
# $TRIBUTARY_CACHE (default: tributary in the user's cache directory).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cache=${TRIBUTARY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tributary}
env=$cache/shards-$(cat "$here"/requirements*.txt | cksum | cut -d' ' -f1)
if [ ! -e "$env/complete" ]; then
	rm -rf "$env"
	mkdir -p "$cache"
	python3 -m venv "$env" >&2
	"$env/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt" >&2
	# These two ask for all of PyTorch, which their file formats do not need.
	"$env/bin/pip" install --quiet --disable-pip-version-check --no-deps --requirement "$here/requirements-alone.txt" >&2
	touch "$env/complete"
fi
echo "$env/bin/python"
