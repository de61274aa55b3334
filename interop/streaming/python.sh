#!/bin/sh
# Prints the path of a Python with torch and the pinned loaders. The environment is
# made on first use, outside the source tree, in $TRIBUTARY_CACHE (default: tributary
# in the user's cache directory).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cache=${TRIBUTARY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tributary}
env=$cache/streaming-$(cat "$here/requirements.txt" "$here/python.sh" | cksum | cut -d' ' -f1)
if [ ! -e "$env/complete" ]; then
	system=${TRIBUTARY_PYTHON:-/usr/bin/python3}
	if ! "$system" -c 'import torch, ensurepip' >/dev/null 2>&1; then
		if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
			apt-get update >&2
			apt-get install --yes --no-install-recommends python3-torch python3-venv >&2
		else
			echo "python.sh: $system has no torch or no venv; install Debian's python3-torch and python3-venv," >&2
			echo "python.sh: or set TRIBUTARY_PYTHON to a Python that has them" >&2
			exit 1
		fi
	fi
	rm -rf "$env"
	mkdir -p "$cache"
	"$system" -m venv --system-site-packages "$env" >&2
	"$env/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt" >&2
	"$env/bin/pip" install --quiet --disable-pip-version-check --no-deps mosaicml-streaming==0.13.0 megatron-core==0.6.0 >&2
	# Streaming imports torchvision for data sets of images, which are not read here.
	site=$("$env/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
	mkdir -p "$site/torchvision/transforms"
	: >"$site/torchvision/__init__.py"
	: >"$site/torchvision/transforms/__init__.py"
	echo 'def to_tensor(x): raise NotImplementedError' >"$site/torchvision/transforms/functional.py"
	echo 'class VisionDataset: pass' >"$site/torchvision/datasets.py"
	touch "$env/complete"
fi
echo "$env/bin/python"
