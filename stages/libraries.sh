#!/bin/sh
# Prints the versions of the C libraries that stages link, each behind the word
# that names it in cgo's flags.
set -eu
set -- $(pkg-config --modversion vips libjpeg)
printf 'vips %s\nlibjpeg %s\n' "$1" "$2"
printf '#include <oneapi/dnnl/dnnl_version.h>\nDNNL_VERSION_MAJOR DNNL_VERSION_MINOR DNNL_VERSION_PATCH\n' |
	cc -E -x c - | tail -n 1 | { read -r major minor patch; echo "dnnl $major.$minor.$patch"; }
