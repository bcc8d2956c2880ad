#!/bin/sh
# Compiles the kernels to PTX (NVRTC 11.8, compute_80), assembles it for sm_80
# and sm_90, and compares PTX and register counts with what is committed; no
# kernel may spill. WRITE=1 replaces the committed files instead. No GPU is
# needed; the compilers (43 MB) come from PyPI, once.
set -eu
cd "$(dirname "$0")"
tools=$(cd ../../../.. && pwd)/build/gpu/compilers
fail() { printf 'gpu-check: %s\n' "$*" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [ ! -d "$tools" ]; then
	for package in nvidia-cuda-nvrtc-cu11 nvidia-cuda-nvcc-cu11; do
		python3 -m pip download -q --no-deps --only-binary=:all: -d "$work" "$package==11.8.89" >&2 ||
			fail "$package 11.8.89 cannot be had from PyPI"
	done
	mkdir -p "$(dirname "$tools")"
	rm -rf "$tools.partial"
	for wheel in "$work"/*.whl; do python3 -m zipfile -e "$wheel" "$tools.partial"; done
	chmod +x "$tools.partial/nvidia/cuda_nvcc/bin/ptxas"
	mv "$tools.partial" "$tools"
fi

cc -O1 -o "$work/nvrtc" nvrtc.c -ldl
libraries=$tools/nvidia/cuda_nvrtc/lib
LD_LIBRARY_PATH=$libraries "$work/nvrtc" "$libraries/libnvrtc.so.11.2" kernels.cu "$work/kernels.ptx" \
	--gpu-architecture=compute_80 --std=c++17 --fmad=false -I.

for architecture in sm_80 sm_90; do
	"$tools/nvidia/cuda_nvcc/bin/ptxas" -v -arch=$architecture -o /dev/null "$work/kernels.ptx" 2>"$work/log" ||
		{ cat "$work/log" >&2; fail "the PTX does not assemble for $architecture"; }
	awk -v architecture=$architecture '
		/Compiling entry function/ { split($0, parts, "\047"); name = parts[2] }
		/spill/ { spills = $(NF-7) + $(NF-3) }
		/Used [0-9]* registers/ { match($0, /Used [0-9]*/); print architecture, name, substr($0, RSTART + 5, RLENGTH - 5), "registers", spills, "bytes spilled" }
	' "$work/log" | LC_ALL=C sort
done >"$work/registers.txt"
if grep -v ' 0 bytes spilled' "$work/registers.txt" >&2; then fail "kernels spill"; fi

if [ "${WRITE:-}" = 1 ]; then
	cp "$work/kernels.ptx" "$work/registers.txt" .
	exit
fi
cmp "$work/kernels.ptx" kernels.ptx || fail "kernels.ptx is not what its source compiles to; WRITE=1 sh $0"
diff -u registers.txt "$work/registers.txt" >&2 || fail "register counts differ; WRITE=1 sh $0 if that is meant"
printf 'gpu-check  %s kernels assemble for sm_80 and sm_90 without spills; the PTX is its source'"'"'s\n' \
	"$(grep -c '^sm_80' registers.txt)"
