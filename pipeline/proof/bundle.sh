#!/bin/sh
# Makes build/gpu-proof/bundle.tar.gz, which shows on a machine with an NVIDIA GPU
# what holds there: copy it, unpack it and run prove.sh one, then two. With
# PHOTOS=pack.arrow it makes photos.tar.gz for prove.sh three instead: the photos
# of a pack of the experiment 64px, as sheets of its stored size in JPEGs of the highest
# quality that keeps the archive below 60 MiB. PROOF_TINY=1 makes tiny ones for a
# driver that stands in.
set -eu
cd "$(dirname "$0")/../.."
kind=bundle
[ -z "${PHOTOS:-}" ] || kind=photos
bundle=$PWD/build/gpu-proof/${PROOF_TINY:+tiny-}$kind
fail() { printf 'gpu-proof: %s\n' "$*" >&2; exit 1; }
[ "$(uname -m)" = x86_64 ] || fail "the bundle is for x86-64"

new=$bundle.partial
rm -rf "$new"
mkdir -p "$new/bin" "$new/lib" "$new/libc"
eval "$(sh pipeline/device/gpu/toolkit.sh)"
go build -tags gpu -trimpath -ldflags=-s -o "$new/bin/proof" ./pipeline/proof
# What it links: all but the C library's own parts into lib.
ldd "$new/bin/proof" | awk '$2 == "=>" { print $3 } $1 ~ /^\// { print $1 }' | while read -r library; do
	case ${library##*/} in
	ld-linux-* | libc.so.* | libm.so.* | libpthread.so.* | libdl.so.* | librt.so.*) cp -L "$library" "$new/libc/" ;;
	libvips*) fail "the program of the proof links libvips, which it must not need" ;;
	*) cp -L "$library" "$new/lib/" ;;
	esac
done
cp pipeline/proof/prove.sh pipeline/proof/compiled.py pipeline/bench/peers/networks.py params.yaml "$new/"

if [ $kind = photos ]; then
	taken=$(tar -C "$new" -czf - . | wc -c)
	"$new/bin/proof" photos "$PHOTOS" "$new/photos.zip" $((58 * 1024 * 1024 - taken))
else
	# The drawn sample's pack, by its pointer.
	make pack DATASET=sample EXPERIMENT=quick SET= FROM= >&2
	key=$(sed -n 's/^ *"key": "\([0-9a-f]*\)",*$/\1/p' data/processed/sample/quick.json)
	cp "data/processed/sample/$key/pack.arrow" "$new/"
	"$new/bin/proof" expect "$new"
fi
rm -rf "$bundle"
mv "$new" "$bundle"
tar -C "$bundle" -czf "$bundle.tar.gz" .
size=$(wc -c <"$bundle.tar.gz")
[ "$size" -le $((60 * 1024 * 1024)) ] || fail "the bundle has $size bytes, more than 60 MiB"
printf 'gpu-proof  %s, %s bytes as %s\n' "$bundle" "$size" "${bundle##*/}.tar.gz" >&2
