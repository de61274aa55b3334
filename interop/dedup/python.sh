#!/bin/sh
# Prints the path of a Python with the pinned peers of deduplication. The environment
# is made on first use, outside the source tree, in $TRIBUTARY_CACHE (default:
# tributary in the user's cache directory).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cache=${TRIBUTARY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tributary}
env=$cache/dedup-$(cksum <"$here/requirements.txt" | cut -d' ' -f1)
if [ ! -e "$env/complete" ]; then
	rm -rf "$env"
	mkdir -p "$cache"
	"${TRIBUTARY_PYTHON:-python3}" -m venv "$env" >&2
	"$env/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt" >&2
	touch "$env/complete"
fi
echo "$env/bin/python"
