package tracer

import "golang.org/x/sys/unix"

const architecture = unix.AUDIT_ARCH_AARCH64

// openCalls are the calls that open a file, with the position of their flags.
var openCalls = map[uint64]int{unix.SYS_OPENAT: 2}

// oldCalls are those that later ones do the work of.
var oldCalls = []uint64{unix.SYS_RENAMEAT}

// modern is the call that does the work of an old one.
func modern(number uint64, a [6]uint64) (uint64, [6]uint64) {
	if number == unix.SYS_RENAMEAT {
		return unix.SYS_RENAMEAT2, [6]uint64{a[0], a[1], a[2], a[3]}
	}
	return number, a
}
