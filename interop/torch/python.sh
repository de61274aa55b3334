#!/bin/sh
# Prints the path of a Python with the PyTorch that speeds are compared with. The
# environment is made on first use, outside the source tree, in $TRIBUTARY_CACHE
# (default: tributary in the user's cache directory); it takes some gigabytes.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cache=${TRIBUTARY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tributary}
env=$cache/torch-$(cksum <"$here/requirements.txt" | cut -d' ' -f1)
if [ ! -e "$env/complete" ]; then
	rm -rf "$env"
	mkdir -p "$cache"
	python3 -m venv "$env" >&2
	"$env/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt" >&2
	touch "$env/complete"
fi
echo "$env/bin/python"
