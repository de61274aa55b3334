#!/bin/sh
# Prints the path of a Python with the Bochs emulator. The environment is made on
# first use, outside the source tree, in $TRIBUTARY_CACHE (default: tributary in the
# user's cache directory). It needs a C compiler, for shim.c.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cache=${TRIBUTARY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tributary}
env=$cache/kernels-$(cat "$here/requirements.txt" "$here/shim.c" | cksum | cut -d' ' -f1)
if [ ! -e "$env/complete" ]; then
	rm -rf "$env"
	mkdir -p "$cache"
	python3 -m venv "$env" >&2
	"$env/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt" >&2
	"${CC:-cc}" -O1 -Wall -shared -fPIC -o "$env/shim.so" "$here/shim.c" -ldl
	printf '#!/bin/sh\nLD_PRELOAD=%s exec %s "$@"\n' "$env/shim.so" "$env/bin/python" >"$env/emulator"
	chmod +x "$env/emulator"
	touch "$env/complete"
fi
echo "$env/emulator"
