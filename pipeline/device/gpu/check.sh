#!/bin/sh
# What can be proven of the GPU's part without a GPU: the PTX is its source's,
# assembles and spills nothing; a build with the tag gpu trains on the CPU where
# there is no driver; on a driver that stands in, operations and whole trainings
# agree with the other devices, do just what is listed, order what touches the
# same memory and leave nothing, and every status that a call may answer ends the
# run with its name (each status at each call with STANDIN_EVERY=1, which takes
# hours); and operations agree under AddressSanitizer. Threads run in another
# order with each STANDIN_SEED.
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
go build -tags gpu -ldflags '-X catdog/pipeline/stage.Code=standin' -o "$tests/" ./stages/train
for package in device/gpu device/gpu/cudnn engine model train; do go test -tags gpu -c -o "$tests/$(basename $package).test" "./pipeline/$package"; done

# What the stand-in finds fault with fails, whether or not a test asks.
on() {
	said=$tests/$(basename "$2").said
	(cd "pipeline/$2" && LD_LIBRARY_PATH=$1 "$tests/$(basename "$2").test" -test.run "$3") >"$said" 2>&1 || { cat "$said"; exit 1; }
	cat "$said"
	! grep -q '^stand-in driver:' "$said"
}
sh pipeline/device/gpu/standin/make.sh "$include" build/gpu/standin
echo 'gpu-check  on the stand-in: operations'
for seed in 1 2; do STANDIN_SEED=$seed on "$root/build/gpu/standin" device/gpu .; done
on "$root/build/gpu/standin" device/gpu/cudnn .
echo 'gpu-check  on the stand-in: trainings'
on "$root/build/gpu/standin" engine GPU
echo 'gpu-check  which device is taken, also without a driver; every status'
export STANDIN_TRAIN=$tests/train STANDIN_STATUSES=$root/build/gpu/standin/statuses.h
on "$root/build/gpu/standin" model GPU
on "$root/build/gpu/standin" train 'GPU|Status'
echo 'gpu-check  the bundle for a machine with a GPU'
sh pipeline/proof/check.sh build/gpu/standin
FLAGS='-fsanitize=address,undefined -fno-sanitize=vptr -fno-sanitize-recover=undefined' \
	sh pipeline/device/gpu/standin/make.sh "$include" build/gpu/standin-address
echo 'gpu-check  on the stand-in under AddressSanitizer: operations'
export ASAN_OPTIONS=detect_stack_use_after_return=0:detect_leaks=0:handle_segv=0:protect_shadow_gap=0
LD_PRELOAD="$(c++ -print-file-name=libasan.so) $(c++ -print-file-name=libubsan.so)" \
	LD_LIBRARY_PATH=$root/build/gpu/standin-address sh -c "cd pipeline/device/gpu && exec '$tests/gpu.test'"
