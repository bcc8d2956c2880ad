#!/bin/sh
# make.sh INCLUDE OUT: OUT/libcuda.so.1, the stand-in driver, from cuda.h's
# folder, and OUT/libcudnn.so.9, a stand-in for cuDNN's convolutions. What the
# driver does not know answers CUDA_ERROR_NOT_SUPPORTED (801). OUT/statuses.h
# lists CUDA's statuses. FLAGS are added to the compiler's, e.g. -fsanitize=address.
set -eu
include=$1 out=$2
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$out"
sed -n 's/^ *\(CUDA_[A-Z0-9_]*\) *= *\([0-9]*\),*$/{\1, \2, "\1"},/p' "$include/cuda.h" >"$out/statuses.h"
compile() {
	# shellcheck disable=SC2086
	c++ -std=c++17 -O2 -g -fPIC -ffp-contract=off -I"$include" -I"$out" ${FLAGS:-} -c -o "$out/$1.o" "$here/$1.cpp"
}
set --
for part in context queue device memory launch streams graphs kernels; do
	compile $part
	set -- "$@" "$out/$part.o"
done
compile cudnn
nm --defined-only "$@" | awk '/ T cu[A-Z]/ { print $3 }' | LC_ALL=C sort >"$out/known"
printf '#include <cuda.h>\n' | cc -I"$include" -E -P -x c - | tr '\n' ' ' |
	grep -oE '\bcu[A-Z][A-Za-z0-9_]*[[:space:]]*\(' | tr -d '( ' | LC_ALL=C sort -u | LC_ALL=C comm -23 - "$out/known" |
	sed 's/.*/int &(void) { return 801; }/' >"$out/unknown.c"
cc -fPIC -c -o "$out/unknown.o" "$out/unknown.c"
c++ -shared ${FLAGS:-} -Wl,-soname,libcuda.so.1 -o "$out/libcuda.so.1" "$@" "$out/unknown.o" -ldl
c++ -shared ${FLAGS:-} -Wl,-soname,libcudnn.so.9 -o "$out/libcudnn.so.9" "$out/cudnn.o" -L"$out" -l:libcuda.so.1
