package stage

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
)

// A stage is two processes: a worker, and a supervisor that does nothing but
// wait for it. A worker that is killed, or that Go's runtime or a library ends
// since memory ran out, cannot say so in one line and exit with status 1; the
// supervisor can. Whoever wants to see where a worker failed sets GOTRACEBACK:
// then there is no supervisor.
const workerVariable = "CATDOG_STAGE_WORKER"

// workerStderr is the descriptor under which a worker has the real standard
// error. Its own, 2, is a pipe to the supervisor: the runtime and libraries write
// their last words there.
const workerStderr = 3

// superviseUnlessWorker returns in the process that is to do the work.
func superviseUnlessWorker(name string) {
	switch {
	case os.Getenv(workerVariable) != "":
		os.Unsetenv(workerVariable)
		syscall.CloseOnExec(workerStderr)
		os.Stderr = os.NewFile(workerStderr, "/dev/stderr")
	case os.Getenv("GOTRACEBACK") == "":
		os.Exit(supervise(name))
	}
}

// supervise runs this program again as a worker and returns the exit status.
func supervise(name string) int {
	fail := func(err error) int {
		fmt.Fprintf(os.Stderr, "%s: %s\n", name, err)
		return 1
	}
	self, err := os.Executable()
	if err != nil {
		return fail(err)
	}
	var words lastWords
	worker := exec.Command(self)
	worker.Env = append(os.Environ(), workerVariable+"=1")
	worker.Stdin, worker.Stdout, worker.Stderr = os.Stdin, os.Stdout, &words
	worker.ExtraFiles = []*os.File{os.Stderr}
	// A killed supervisor takes the worker with it. That is bound to the thread
	// which starts the worker.
	worker.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread()
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if err := worker.Start(); err != nil {
		return fail(err)
	}
	go func() {
		for received := range signals {
			worker.Process.Signal(received)
		}
	}()
	err = worker.Wait()
	if status := worker.ProcessState.ExitCode(); status == 0 || status == 1 {
		io.Copy(os.Stderr, &words.Buffer) // warnings of libraries
		return status
	}
	return fail(epitaph(err, words.String()))
}

// epitaph says in a line why a worker is no more, from how it ended and what was
// written last.
func epitaph(end error, words string) error {
	var exit *exec.ExitError
	if !errors.As(end, &exit) {
		return end
	}
	if status := exit.Sys().(syscall.WaitStatus); status.Signaled() {
		switch status.Signal() {
		case syscall.SIGINT, syscall.SIGTERM:
			return errors.New("was stopped; run make again to go on")
		case syscall.SIGKILL:
			return errors.New("was killed: by someone, or by the system since memory ran out; run make again to go on")
		}
	}
	var cause string
	for line := range strings.Lines(words) {
		line = strings.TrimSpace(line)
		lower := strings.ToLower(line)
		for _, sign := range []string{"out of memory", "cannot allocate memory", "failed to allocate", "bad_alloc", "failed to create new os thread"} {
			if strings.Contains(lower, sign) {
				return fmt.Errorf("ran out of memory (%s); run make again to go on", line)
			}
		}
		if cause == "" && (strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") || strings.HasPrefix(line, "SIG")) {
			cause = line
		}
	}
	return fmt.Errorf("crashed (%s); GOTRACEBACK=all shows where", cmp.Or(cause, exit.String()))
}

// lastWords keeps the first part of what is written to it.
type lastWords struct{ bytes.Buffer }

const mostWords = 1 << 16

func (w *lastWords) Write(text []byte) (int, error) {
	w.Buffer.Write(text[:min(len(text), max(mostWords-w.Len(), 0))])
	return len(text), nil
}
