#!/bin/sh
# Installs Debian packages: install.sh PACKAGE… As root, in CI or with YES=1 it
# does so at once; on a terminal the command is shown and asked about; otherwise
# it is only named.
set -eu

say() { printf 'setup     %s\n' "$*" >&2; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

command -v apt-get >/dev/null ||
	fail "missing: $* (Debian's names); install them with your system's package manager"
install="apt-get install -y --no-install-recommends $*"
if [ "$(id -u)" != 0 ]; then
	command -v sudo >/dev/null || fail "missing: $*; as root, run: $install"
	install="sudo $install"
fi
if [ "$(id -u)" != 0 ] && [ -z "${CI:-}" ] && [ "${YES:-}" != 1 ]; then
	[ -t 0 ] || fail "missing: $*; run: $install (or make YES=1)"
	printf 'setup     missing: %s\n          run "%s"? [y/N] ' "$*" "$install" >&2
	read -r answer
	case $answer in [yY]*) ;; *) fail "missing: $*" ;; esac
fi
say "installs $*"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# The package lists of a fresh machine may be absent or old.
${install%%apt-get*}apt-get update -qq >"$log" 2>&1 || { cat "$log" >&2; fail "apt-get update failed"; }
DEBIAN_FRONTEND=noninteractive $install -qq >"$log" 2>&1 || { cat "$log" >&2; fail "$install failed"; }
