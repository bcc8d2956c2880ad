#!/bin/sh
# check.sh LIBRARIES: makes a tiny bundle, unpacks it elsewhere and runs all its
# parts against the driver and cuDNN that stand in and lie in LIBRARIES. What
# is measured means nothing; everything else must be as on a GPU.
set -eu
libraries=$(cd "$1" && pwd)
cd "$(dirname "$0")/../.."
fail() { printf 'gpu-proof check: %s\n' "$*" >&2; exit 1; }
export PROOF_TINY=1 STANDIN_MEMORY=100000000
sh pipeline/proof/bundle.sh
key=$(sed -n 's/^ *"key": "\([0-9a-f]*\)",*$/\1/p' data/processed/sample/quick.json)
PHOTOS=data/processed/sample/$key/pack.arrow sh pipeline/proof/bundle.sh

away=$(mktemp -d)
trap 'rm -rf "$away"' EXIT
for kind in bundle photos; do
	mkdir "$away/$kind"
	tar -C "$away/$kind" -xzf "build/gpu-proof/tiny-$kind.tar.gz"
done
for part in one two three; do
	kind=bundle
	[ $part != three ] || kind=photos
	(cd / && OUT=$away/out LD_LIBRARY_PATH=$libraries sh "$away/$kind/prove.sh" $part) >"$away/log" 2>&1 || {
		cat "$away/log" >&2
		fail "part $part fails"
	}
	for file in json md; do [ -s "$away/out/part-$part.$file" ] || fail "part $part leaves no part-$part.$file"; done
done
[ "$(ls "$away/out" | wc -l)" -le 8 ] || fail "the parts leave more than 8 files"
for words in 'interrupted after' 'the same bytes' 'CUDA_ERROR_OUT_OF_MEMORY' 'relative error of the loss' 'images/s'; do
	grep -q "$words" "$away/out/part-one.md" || fail "part one says nothing of: $words"
done
grep -q 'test accuracy' "$away/out/part-three.md" || fail "part three says no test accuracy"
echo 'gpu-proof  a tiny bundle passes on what stands in'
