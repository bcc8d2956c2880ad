#!/bin/sh
# Brings the strict decoders that this program asks: djpeg, pngcheck, dwebp,
# giftext and tiffinfo.
set -eu

missing=''
need() { command -v "$1" >/dev/null || missing="$missing $2"; }
need djpeg libjpeg-turbo-progs
need pngcheck pngcheck
need dwebp webp
need giftext giflib-tools
need tiffinfo libtiff-tools
[ -z "$missing" ] || sh stages/install.sh $missing
