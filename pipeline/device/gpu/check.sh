#!/bin/sh
# What can be proven of the GPU's part without a GPU: the PTX is its source's,
# assembles and spills nothing; a build with the tag gpu starts without a
# driver; on a driver that stands in, operations and whole trainings agree with
# the other devices; and so do operations under AddressSanitizer.
set -eu
cd "$(dirname "$0")/../../.."
root=$PWD
sh pipeline/device/gpu/kernels/check.sh
environment=$(sh pipeline/device/gpu/toolkit.sh)
include=$(printf '%s\n' "$environment" | sed 's/.*CGO_CFLAGS="[^"]*-I\([^"]*\)".*/\1/')
eval "$environment"
tests=$root/build/gpu/tests
mkdir -p "$tests"

go vet -tags gpu ./pipeline/device/gpu/... ./pipeline/model ./pipeline/stage ./pipeline/engine ./pipeline/train
go build -tags gpu -o "$tests/" ./stages/train
for package in device/gpu engine train; do go test -tags gpu -c -o "$tests/$(basename $package).test" "./pipeline/$package"; done

on() { (cd "pipeline/$2" && LD_LIBRARY_PATH=$1 "$tests/$(basename "$2").test" -test.run "$3"); }
echo 'gpu-check  without a driver'
on "$tests" device/gpu .
sh pipeline/device/gpu/standin/make.sh "$include" build/gpu/standin
echo 'gpu-check  on the stand-in: operations, then trainings'
on "$root/build/gpu/standin" device/gpu .
on "$root/build/gpu/standin" engine GPU
on "$root/build/gpu/standin" train GPU
FLAGS='-fsanitize=address,undefined -fno-sanitize=vptr -fno-sanitize-recover=undefined' \
	sh pipeline/device/gpu/standin/make.sh "$include" build/gpu/standin-address
echo 'gpu-check  on the stand-in under AddressSanitizer: operations'
export ASAN_OPTIONS=detect_stack_use_after_return=0:detect_leaks=0:handle_segv=0:protect_shadow_gap=0
LD_PRELOAD="$(c++ -print-file-name=libasan.so) $(c++ -print-file-name=libubsan.so)" \
	LD_LIBRARY_PATH=$root/build/gpu/standin-address sh -c "cd pipeline/device/gpu && exec '$tests/gpu.test'"
