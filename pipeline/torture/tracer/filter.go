package tracer

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// traceeVariable makes a program one that is about to be traced; see
// ExecIfTracee.
const traceeVariable = "CATDOG_TRACEE"

// ExecIfTracee must come first in the main function of every program that uses
// Run: it replaces a process that Run has started by the program to be traced,
// of whose system calls a seccomp filter then reports those that change files.
// All others cost nothing.
func ExecIfTracee() {
	if os.Getenv(traceeVariable) == "" {
		return
	}
	os.Unsetenv(traceeVariable)
	runtime.LockOSThread() // the filter is the thread's, and what it becomes inherits it
	err := installFilter()
	if err == nil {
		err = syscall.Exec(os.Args[1], os.Args[1:], os.Environ())
	}
	fmt.Fprintf(os.Stderr, "trace %s: %s\n", os.Args[1], err)
	os.Exit(1)
}

// changing are the calls that change files, but for those that open them.
var changing = append([]uint64{
	unix.SYS_WRITE, unix.SYS_PWRITE64, unix.SYS_WRITEV, unix.SYS_PWRITEV, unix.SYS_PWRITEV2,
	unix.SYS_COPY_FILE_RANGE, unix.SYS_SENDFILE, unix.SYS_SPLICE, unix.SYS_FALLOCATE,
	unix.SYS_TRUNCATE, unix.SYS_FTRUNCATE, unix.SYS_MKDIRAT, unix.SYS_RENAMEAT2, unix.SYS_UNLINKAT, unix.SYS_LINKAT, unix.SYS_SYMLINKAT,
	unix.SYS_FSYNC, unix.SYS_FDATASYNC, unix.SYS_SYNC, unix.SYS_SYNCFS,
}, oldCalls...)

// installFilter has the kernel report the calls to the tracer. The offsets are
// those of struct seccomp_data.
func installFilter() error {
	const (
		load   = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		equal  = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		anyBit = unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K
		give   = unix.BPF_RET | unix.BPF_K
		trace  = unix.SECCOMP_RET_TRACE
		allow  = unix.SECCOMP_RET_ALLOW
	)
	program := []unix.SockFilter{
		{Code: load, K: 4},
		{Code: equal, K: architecture, Jt: 1},
		{Code: give, K: allow},
		{Code: load, K: 0},
	}
	for call, flags := range openCalls {
		program = append(program,
			unix.SockFilter{Code: equal, K: uint32(call), Jf: 4},
			unix.SockFilter{Code: load, K: uint32(16 + 8*flags)},
			unix.SockFilter{Code: anyBit, K: unix.O_CREAT | unix.O_TRUNC, Jf: 1},
			unix.SockFilter{Code: give, K: trace},
			unix.SockFilter{Code: give, K: allow})
	}
	for _, call := range changing {
		program = append(program,
			unix.SockFilter{Code: equal, K: uint32(call), Jf: 1},
			unix.SockFilter{Code: give, K: trace})
	}
	program = append(program, unix.SockFilter{Code: give, K: allow})
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("give up new privileges: %w", err)
	}
	compiled := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&compiled)), 0, 0); err != nil {
		return fmt.Errorf("install a filter of system calls: %w", err)
	}
	return nil
}
