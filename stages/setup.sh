#!/bin/sh
# Brings what the build needs: a C and C++ compiler, libvips, oneDNN and Go's
# modules. As root, in CI or with YES=1 the packages are installed at once; on
# a terminal the command is shown and asked about; otherwise it is only named.
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

if [ -n "$missing" ]; then
	command -v apt-get >/dev/null ||
		fail "missing:$missing (Debian's names); install a C++ compiler, pkg-config, libvips ≥ 8.10 and oneDNN 2.x or 3.x with your system's package manager"
	install="apt-get install -y --no-install-recommends$missing"
	if [ "$(id -u)" != 0 ]; then
		command -v sudo >/dev/null || fail "missing:$missing; as root, run: $install"
		install="sudo $install"
	fi
	if [ "$(id -u)" != 0 ] && [ -z "${CI:-}" ] && [ "${YES:-}" != 1 ]; then
		[ -t 0 ] || fail "missing:$missing; run: $install (or make YES=1)"
		printf 'setup     missing:%s\n          run "%s"? [y/N] ' "$missing" "$install" >&2
		read -r answer
		case $answer in [yY]*) ;; *) fail "missing:$missing" ;; esac
	fi
	say "installs$missing"
	log=$(mktemp)
	# The package lists of a fresh machine may be absent or old.
	${install%%apt-get*}apt-get update -qq >"$log" 2>&1 || { cat "$log" >&2; fail "apt-get update failed"; }
	DEBIAN_FRONTEND=noninteractive $install -qq >"$log" 2>&1 || { cat "$log" >&2; fail "$install failed"; }
	rm -f "$log"
fi

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
