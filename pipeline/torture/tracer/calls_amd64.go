package tracer

import "golang.org/x/sys/unix"

const architecture = unix.AUDIT_ARCH_X86_64

// openCalls are the calls that open a file, with the position of their flags.
var openCalls = map[uint64]int{unix.SYS_OPEN: 1, unix.SYS_OPENAT: 2}

// oldCalls are those that later ones do the work of.
var oldCalls = []uint64{
	unix.SYS_CREAT, unix.SYS_MKDIR, unix.SYS_RENAME, unix.SYS_RENAMEAT, unix.SYS_UNLINK, unix.SYS_RMDIR, unix.SYS_LINK, unix.SYS_SYMLINK,
}

// modern is the call that does the work of an old one.
func modern(number uint64, a [6]uint64) (uint64, [6]uint64) {
	switch number {
	case unix.SYS_OPEN:
		return unix.SYS_OPENAT, [6]uint64{workingFolder, a[0], a[1], a[2]}
	case unix.SYS_CREAT:
		return unix.SYS_OPENAT, [6]uint64{workingFolder, a[0], unix.O_CREAT | unix.O_WRONLY | unix.O_TRUNC, a[1]}
	case unix.SYS_MKDIR:
		return unix.SYS_MKDIRAT, [6]uint64{workingFolder, a[0], a[1]}
	case unix.SYS_RENAME:
		return unix.SYS_RENAMEAT2, [6]uint64{workingFolder, a[0], workingFolder, a[1]}
	case unix.SYS_RENAMEAT:
		return unix.SYS_RENAMEAT2, [6]uint64{a[0], a[1], a[2], a[3]}
	case unix.SYS_UNLINK:
		return unix.SYS_UNLINKAT, [6]uint64{workingFolder, a[0]}
	case unix.SYS_RMDIR:
		return unix.SYS_UNLINKAT, [6]uint64{workingFolder, a[0], unix.AT_REMOVEDIR}
	case unix.SYS_LINK:
		return unix.SYS_LINKAT, [6]uint64{workingFolder, a[0], workingFolder, a[1]}
	case unix.SYS_SYMLINK:
		return unix.SYS_SYMLINKAT, [6]uint64{a[0], workingFolder, a[1]}
	}
	return number, a
}
