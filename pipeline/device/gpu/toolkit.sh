#!/bin/sh
# Makes what a build with the tag gpu needs and prints the environment for it:
#
#	eval "$(sh pipeline/device/gpu/toolkit.sh)" && go build -tags gpu ./...
#
# It needs one header, cuda.h of 11.8 to 12.x: an installed toolkit's, or else
# that of the package nvidia-cuda-runtime-cu11 (0.9 MB). Against it a libcuda.a
# is made whose functions jump through a table. cuda_start() fills it from the
# machine's libcuda.so.1: only programs that ask for a GPU spend the time to
# start the driver. Where there is no such library, or it refuses, programs run
# all the same and find no device.
set -eu
cd "$(dirname "$0")/../../.."
root=$PWD/build/gpu
fail() { printf 'gpu toolkit: %s\n' "$*" >&2; exit 1; }

version() { sed -n 's/^#define CUDA_VERSION \([0-9]*\).*/\1/p' "$1/cuda.h" 2>/dev/null | head -n 1; }

include=''
for folder in "${CUDA_HOME:-/usr/local/cuda}/include" /usr/include; do
	found=$(version "$folder")
	if [ -n "$found" ] && [ "$found" -ge 11080 ] && [ "$found" -lt 13000 ]; then
		include=$folder
		break
	fi
done
if [ -z "$include" ]; then
	include=$root/runtime/nvidia/cuda_runtime/include
	if [ ! -f "$include/cuda.h" ]; then
		download=$(mktemp -d)
		trap 'rm -rf "$download"' EXIT
		python3 -m pip download -q --no-deps --only-binary=:all: -d "$download" nvidia-cuda-runtime-cu11==11.8.89 >&2 ||
			fail "nvidia-cuda-runtime-cu11 11.8.89 cannot be had from PyPI"
		mkdir -p "$root"
		rm -rf "$root/runtime.partial"
		python3 -m zipfile -e "$download"/nvidia_cuda_runtime_cu11-*.whl "$root/runtime.partial"
		mv "$root/runtime.partial" "$root/runtime"
	fi
fi

# Go's build cache does not see that an archive changed: its folder's name does.
name=$(cat "$include/cuda.h" "$0" 2>/dev/null | cksum | cut -d' ' -f1)
library=$root/libcuda-$name
if [ ! -f "$library/libcuda.a" ]; then
	mkdir -p "$root"
	new=$(mktemp -d "$root/libcuda.XXXXXX")
	printf '#include <cuda.h>\n' | cc -I"$include" -E -P -x c - | tr '\n' ' ' |
		grep -oE '\bcu[A-Z][A-Za-z0-9_]*[[:space:]]*\(' | tr -d '( ' | sort -u | grep -vx cuInit >"$new/names"
	{
		printf '#include <dlfcn.h>\n#include <string.h>\nstatic const char *const names[] = {\n'
		sed 's/.*/"&",/' "$new/names"
		printf '0};\n__attribute__((visibility("hidden"))) void *cuda_table[%d];\n' "$(wc -l <"$new/names")"
		cat <<'C'
static int no_device(void) { return 100; }
static int not_found(void) { return 500; }
__attribute__((constructor(101))) static void empty(void) {
	for (int i = 0; names[i]; i++) cuda_table[i] = (void *)no_device;
}
/* -1 without a library, else what its cuInit answers. To be called once. */
int cuda_start(void) {
	void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_GLOBAL);
	int (*init)(unsigned) = library ? (int (*)(unsigned))dlsym(library, "cuInit") : 0;
	if (!init) return -1;
	for (int i = 0; names[i]; i++) {
		void *found = dlsym(library, names[i]);
		cuda_table[i] = found ? found : (void *)not_found;
	}
	int status = init(0);
	if (status)
		for (int i = 0; names[i]; i++)
			if (strcmp(names[i], "cuGetErrorName")) cuda_table[i] = (void *)no_device;
	return status;
}
/* What package cu calls when a program starts. */
int cuInit(unsigned flags) { return 0; }
C
		awk '{printf "__asm__(\".text\\n.globl %s\\n.type %s,@function\\n%s: jmp *cuda_table+%d(%%rip)\\n\");\n", $1, $1, $1, 8*(NR-1)}' "$new/names"
	} >"$new/libcuda.c"
	cc -O1 -fPIC -c -o "$new/libcuda.o" "$new/libcuda.c"
	ar cr "$new/libcuda.a" "$new/libcuda.o"
	mv -T "$new" "$library" 2>/dev/null || rm -rf "$new" # another one was faster
fi
printf 'export TAGS=gpu CGO_ENABLED=1 CGO_CFLAGS="-O2 -g -I%s" CGO_LDFLAGS="-O2 -g -L%s -ldl"\n' "$include" "$library"
