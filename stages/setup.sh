#!/bin/sh
# Brings what the build needs: a C and C++ compiler, libvips, oneDNN and Go's
# modules.
#
# Where there is an NVIDIA driver, or with GPU=1, what a build for the GPU needs
# is brought too; GPU=0 leaves it out.
set -eu

say() { printf 'setup     %s\n' "$*" >&2; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

has_header() { printf '#include <%s>\n' "$1" | cc -E -x c - >/dev/null 2>&1; }

missing=''
need() { missing="$missing $1"; }
command -v cc >/dev/null && command -v c++ >/dev/null || need build-essential
command -v pkg-config >/dev/null || need pkg-config
{ command -v pkg-config && pkg-config --exists vips; } >/dev/null 2>&1 || need libvips-dev
{ command -v cc && has_header oneapi/dnnl/dnnl.h; } >/dev/null 2>&1 || need libdnnl-dev

[ -z "$missing" ] || sh "$(dirname "$0")/install.sh" $missing

command -v go >/dev/null || fail "Go is missing; install the version that go.mod names or a newer one"
vips=$(pkg-config --modversion vips)
case $vips in
[0-7].* | 8.[0-9].*) fail "libvips $vips is too old; 8.10 or newer is needed" ;;
esac
onednn=$(printf '#include <oneapi/dnnl/dnnl_version.h>\nDNNL_VERSION_MAJOR\n' | cc -E -x c - | tail -n 1)
case $onednn in
2 | 3) ;;
*) fail "oneDNN $onednn is not supported; 2.x or 3.x is needed" ;;
esac
go mod download -x 2>/dev/null || go mod download

driver() {
	[ -e /dev/nvidia0 ] || command -v nvidia-smi >/dev/null || ldconfig -p 2>/dev/null | grep -q 'libcuda\.so\.1 '
}
rm -f build/gpu/environment
if [ "${GPU:-}" = 1 ] || { [ "${GPU:-}" != 0 ] && driver; }; then
	mkdir -p build/gpu
	if sh pipeline/device/gpu/toolkit.sh >build/gpu/environment.new; then
		mv build/gpu/environment.new build/gpu/environment
		say "builds for the GPU too"
	else
		rm -f build/gpu/environment.new
		[ "${GPU:-}" != 1 ] || fail "a build for the GPU is not possible"
		say "finds an NVIDIA driver, but builds for the CPU alone"
	fi
fi
say "has libvips $vips, oneDNN $onednn.x, $(go version | cut -d' ' -f3)"
