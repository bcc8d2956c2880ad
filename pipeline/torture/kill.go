package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// kills ends every stage, and make itself, at random moments with SIGKILL.
func (t *torturer) kills() (string, error) {
	count := number("KILLS", 100)
	rows, err := t.eachSubject(func(s subject) (string, error) {
		counts, err := t.killMany(s, count)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("| %s | %d | %d | %d | %d |\n", s.name, count, counts.of("killed"), counts.of("resumable"), counts.of("recovered")), nil
	})
	return "## Killed at random moments\n\nkill -9 of a stage with all its processes, and of make with all of its, at a random moment of its run.\n\n" +
		"| what | kills | while it ran | left a checkpoint to go on from | recovered to the same bytes |\n|---|---:|---:|---:|---:|\n" + rows + "\n", err
}

func (t *torturer) killMany(s subject, count int) (*tally, error) {
	counts := newTally()
	var length time.Duration
	err := t.alone(func(p *place) error {
		started := time.Now()
		if output, err := s.run(p); err != nil {
			return fmt.Errorf("%s: %w: %s", s.name, err, output)
		}
		length = time.Since(started)
		_, _, err := p.recovers(s.name+", undisturbed", s.dataset, s.recover...)
		return err
	})
	if err != nil {
		return nil, err
	}
	return counts, t.each("kills of "+s.name, count, func(p *place, random *rand.Rand, i int) error {
		moment := time.Duration(random.Float64() * float64(length))
		what := fmt.Sprintf("%s, killed after %s", s.name, moment)
		killed, err := s.kill(p, moment)
		if err != nil {
			return err
		}
		counts.addIf(killed, "killed")
		counts.addIf(p.resumable(), "resumable")
		if left, err := s.leftOver(p); err != nil || left != "" {
			p.say("%s: left over: %s %v", what, left, err)
		}
		_, ok, err := p.recovers(what, s.dataset, s.recover...)
		counts.addIf(ok, "recovered")
		return err
	})
}

// kill starts the subject and kills it, with all of its children, after a
// while. It says whether it still ran.
func (s subject) kill(p *place, after time.Duration) (bool, error) {
	if err := p.remove(s.forget...); err != nil {
		return false, err
	}
	command := s.command(p)
	var output strings.Builder
	command.Stderr = &output
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := command.Start(); err != nil {
		return false, err
	}
	timer := time.AfterFunc(after, func() { syscall.Kill(-command.Process.Pid, syscall.SIGKILL) })
	err := command.Wait()
	timer.Stop()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return false, nil
	case errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signaled():
		// Children may outlive their parent by a moment; where nobody waits for
		// orphans they stay, dead.
		for until := time.Now().Add(10 * time.Second); syscall.Kill(-command.Process.Pid, 0) == nil && time.Now().Before(until); {
			time.Sleep(time.Millisecond)
		}
		return true, nil
	}
	return false, fmt.Errorf("%s failed by itself: %w: %s", s.name, err, output.String())
}
