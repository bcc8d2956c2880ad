package op

import (
	"fmt"
	"runtime"
	"time"

	"gorgonia.org/gorgonia"
)

// A Stream runs a device's work in order on one operating-system thread, while
// whoever issues the work goes on. gorgonia's tape machine starts a goroutine
// for every run, so that without a stream the work would wander over threads,
// and libraries that keep a team of threads or a context for each calling
// thread (OpenMP, CUDA) would keep many.
//
// After an error, what was issued behind it is skipped until Wait has reported
// the error.
type Stream struct {
	work chan job
	done chan error
	busy time.Duration
}

// A job with a nil run is a request of Wait.
type job struct {
	name   fmt.Stringer
	run    func(inputs []gorgonia.Value) error
	inputs []gorgonia.Value
}

// queued jobs do not block whoever issues them. A step of a deep network has a
// few hundred.
const queued = 1024

// NewStream starts a stream's thread; Close ends it.
func NewStream() *Stream {
	s := &Stream{work: make(chan job, queued), done: make(chan error)}
	go s.loop()
	return s
}

func (s *Stream) loop() {
	runtime.LockOSThread()
	var failed error
	for j := range s.work {
		switch {
		case j.run == nil:
			s.done <- failed
			failed = nil
		case failed == nil:
			start := time.Now()
			if err := j.run(j.inputs); err != nil {
				failed = fmt.Errorf("%v: %w", j.name, err)
			}
			s.busy += time.Since(start)
		}
	}
	close(s.done)
}

// issue appends a job to the stream.
func (s *Stream) issue(name fmt.Stringer, run func([]gorgonia.Value) error, inputs []gorgonia.Value) {
	s.work <- job{name, run, inputs}
}

// Wait returns when everything issued so far has run, with the first error.
func (s *Stream) Wait() error {
	s.work <- job{}
	return <-s.done
}

// Do issues one function and waits.
func (s *Stream) Do(what string, run func() error) error {
	s.Issue(what, run)
	return s.Wait()
}

// Issue appends a function to the stream; what names it in an error.
func (s *Stream) Issue(what string, run func() error) {
	s.issue(label(what), func([]gorgonia.Value) error { return run() }, nil)
}

// Busy is the time spent inside of jobs so far. The stream must be idle.
func (s *Stream) Busy() time.Duration { return s.busy }

// Close ends the thread after what was issued. The stream must not be used
// any more.
func (s *Stream) Close() {
	close(s.work)
	<-s.done
}

type label string

func (l label) String() string { return string(l) }
