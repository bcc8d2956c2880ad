// Package tracer runs a program with all its threads and children, sees each
// system call that changes files before it happens, and can kill the program
// right there. It needs Linux on amd64 or arm64 and the right to trace one's own
// children.
package tracer

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// A Verdict is what is to be done about an operation.
type Verdict int

const (
	// Proceed lets it happen.
	Proceed Verdict = iota
	// Kill ends the program and its children with SIGKILL before it happens.
	Kill
	// Tear does so when the first half of a write has happened.
	Tear
)

// Options say what to run and what to do about operations.
type Options struct {
	Program string // its path
	Words   []string
	Folder  string // to run it in
	Env     []string
	Stderr  io.Writer // where standard output and errors go, nil for nowhere

	// Root is the folder, without links in its path, whose operations are told,
	// with paths within it.
	Root string
	// Before is told each operation before it happens. With send, the program and
	// its children can be sent a signal, also later and from any goroutine.
	Before func(operation Operation, send func(unix.Signal)) Verdict
	// Done, if not nil, is told each operation that succeeded, with what was
	// written, in the order in which they ended.
	Done func(operation Operation)
	// Outside is told, once it is about to happen, of each operation on a file
	// that is not within Root. May be nil.
	Outside func(operation Operation)
}

// Run runs a program and returns its exit status, -1 if it was killed.
func Run(o Options) (status int, err error) {
	// A process is traced by a thread, not by a process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	output, err := os.CreateTemp("", "traced")
	if err != nil {
		return 0, err
	}
	defer output.Close()
	if err := os.Remove(output.Name()); err != nil {
		return 0, err
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return 0, err
	}
	defer null.Close()
	process, err := os.StartProcess(self, append([]string{self, o.Program}, o.Words...), &os.ProcAttr{
		Dir: o.Folder, Env: append(o.Env, traceeVariable+"=1"), Files: []*os.File{null, output, output},
		Sys: &syscall.SysProcAttr{Ptrace: true, Setpgid: true},
	})
	if err != nil {
		return 0, fmt.Errorf("trace %s: %w", o.Program, err)
	}
	t := &tracing{Options: o, process: process.Pid, seen: map[int]bool{}, pending: map[int]*pending{}}
	process.Release() // it is waited for here
	status, err = t.follow()
	if err != nil {
		t.send(unix.SIGKILL)
		err = fmt.Errorf("trace %s: %w", o.Program, err)
		for t.reap() {
		}
	}
	if o.Stderr != nil {
		if _, failed := output.Seek(0, io.SeekStart); failed == nil {
			io.Copy(o.Stderr, output)
		}
	}
	return status, err
}

// tracing is the state of a run.
type tracing struct {
	Options
	process int
	seen    map[int]bool     // threads that have had their first stop
	pending map[int]*pending // calls under way whose result is wanted, by thread
}

// pending is a call between its entry and its end.
type pending struct {
	call      *call
	operation *Operation
}

func (t *tracing) send(signal unix.Signal) { unix.Kill(-t.process, signal) }

// wait waits for any traced thread; false when there is none left. They are told
// from this process's other children by their process group.
func (t *tracing) wait() (thread int, status unix.WaitStatus, ok bool, err error) {
	for {
		thread, err := unix.Wait4(-t.process, &status, unix.WALL|unix.WNOTHREAD, nil)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.ECHILD:
			return 0, 0, false, nil
		}
		return thread, status, true, err
	}
}

func (t *tracing) reap() bool {
	_, _, ok, err := t.wait()
	return ok && err == nil
}

// follow runs the program to its end.
func (t *tracing) follow() (exit int, err error) {
	if _, status, ok, err := t.wait(); err != nil || !ok || !status.Stopped() {
		return 0, fmt.Errorf("it did not start: status %x, %w", status, err)
	}
	t.seen[t.process] = true
	const options = unix.PTRACE_O_TRACESECCOMP | unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_EXITKILL | unix.PTRACE_O_TRACEEXEC |
		unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEFORK | unix.PTRACE_O_TRACEVFORK
	if err := unix.PtraceSetOptions(t.process, options); err != nil {
		return 0, err
	}
	if err := unix.PtraceCont(t.process, 0); err != nil {
		return 0, err
	}
	for {
		thread, status, ok, err := t.wait()
		switch {
		case err != nil || !ok:
			return exit, err
		case status.Exited() || status.Signaled():
			if thread == t.process {
				exit = status.ExitStatus() // -1 where it was a signal
			}
			delete(t.seen, thread)
			continue
		}
		if err := t.stopped(thread, status); err != nil && !errors.Is(err, unix.ESRCH) { // killed meanwhile
			return 0, err
		}
	}
}

// stopped deals with a thread that has stopped, and has it go on.
func (t *tracing) stopped(thread int, status unix.WaitStatus) error {
	signal := status.StopSignal()
	switch {
	case status.TrapCause() == unix.PTRACE_EVENT_SECCOMP:
		return t.enter(thread)
	case signal == unix.SIGTRAP|0x80:
		return errors.Join(t.leave(thread), unix.PtraceCont(thread, 0))
	case status.TrapCause() > 0:
		return unix.PtraceCont(thread, 0)
	case signal == unix.SIGSTOP && !t.seen[thread]:
		t.seen[thread] = true // how the tracing of a new thread begins
		return unix.PtraceCont(thread, 0)
	}
	return unix.PtraceCont(thread, int(signal))
}

// enter deals with a call that is about to happen.
func (t *tracing) enter(thread int) error {
	c, err := entered(thread)
	if err != nil {
		return err
	}
	operation, err := c.operation()
	var unfollowed *Unfollowed
	if operation == nil && err == nil {
		return unix.PtraceCont(thread, 0)
	}
	if err != nil && !errors.As(err, &unfollowed) {
		if _, gone := os.Lstat(fmt.Sprintf("/proc/%d/fd", thread)); gone != nil {
			return nil // killed meanwhile
		}
		return err
	}
	inside := t.within(&operation.Path)
	if moves := operation.Kind == Rename; moves && t.within(&operation.To) != inside {
		return &Unfollowed{"a rename across the folder's border", operation.Path}
	}
	if !inside {
		if t.Outside != nil && isFile(operation.Path) && operation.Kind != SyncAll {
			t.Outside(*operation)
		}
		return unix.PtraceCont(thread, 0)
	}
	if unfollowed != nil {
		return unfollowed
	}
	switch t.Before(*operation, t.send) {
	case Tear:
		if operation.Kind == Write {
			if err := c.tear(operation); err != nil {
				return err
			}
		}
		fallthrough
	case Kill:
		t.send(unix.SIGKILL)
		return nil
	}
	if t.Done == nil {
		return unix.PtraceCont(thread, 0)
	}
	t.pending[thread] = &pending{c, operation}
	return unix.PtraceSyscall(thread, 0)
}

// leave deals with a call that has happened.
func (t *tracing) leave(thread int) error {
	p := t.pending[thread]
	if p == nil {
		return nil
	}
	delete(t.pending, thread)
	info, err := information(thread)
	if err != nil {
		return err
	}
	result := int64(info.number)
	if result < 0 && result > -4096 {
		return nil // it failed
	}
	if p.operation.Kind == Write {
		if err := p.call.written(p.operation, result); err != nil {
			return err
		}
	}
	t.Done(*p.operation)
	return nil
}

// isFile says whether a path is that of a file or a folder, rather than of a
// pipe, a terminal or something that the kernel shows.
func isFile(path string) bool {
	return strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "/dev/") && !strings.HasPrefix(path, "/proc/")
}

// within makes an absolute path one within the root, and says whether it is.
func (t *tracing) within(path *string) bool {
	relative, err := filepath.Rel(t.Root, *path)
	if err != nil || relative == ".." || strings.HasPrefix(relative, "../") {
		return false
	}
	*path = filepath.ToSlash(relative)
	return true
}
