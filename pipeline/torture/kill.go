package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"catdog/pipeline/miniature"
	"catdog/pipeline/stage"
)

// kills ends every stage, and make itself, at random moments with SIGKILL.
func (t *torturer) kills() error {
	count := number("KILLS", 100)
	fmt.Fprintf(&t.report, "## Killed\n\nkill -9 of a stage with all its processes, and of make with all of its, at a random moment of its run.\n\n")
	fmt.Fprintf(&t.report, "| what | kills | while it ran | left a folder to go on in | recovered to the same bytes |\n|---|---:|---:|---:|---:|\n")
	for _, definition := range stage.All {
		program := filepath.Join("bin", definition.Name)
		forget := func() error { return t.forget(&definition) }
		if err := t.killMany(definition.Name, count, forget, program); err != nil {
			return err
		}
	}
	forgetAll := func() error {
		for _, folder := range []string{"data", "models", "reports"} {
			if err := os.RemoveAll(t.project.Path(folder)); err != nil {
				return err
			}
		}
		return nil
	}
	if err := t.killMany("make, from nothing", count, forgetAll, "make"); err != nil {
		return err
	}
	t.report.WriteString("\n")
	return nil
}

// forget removes what a stage made, so that it has to run.
func (t *torturer) forget(definition *stage.Definition) error {
	remove := []string{definition.Root("sample"), definition.Pointer("sample", miniature.Experiment)}
	switch definition.Name {
	case "fetch":
		remove[0] = "data/raw/sample"
	case "explore", "resize":
		remove = append(remove, "data/interim/sample/store")
	}
	for _, name := range remove {
		if err := os.RemoveAll(t.project.Path(name)); err != nil {
			return err
		}
	}
	return nil
}

func (t *torturer) killMany(name string, count int, forget func() error, program string) error {
	if err := forget(); err != nil {
		return err
	}
	started := time.Now()
	if undisturbed := t.project.Run(t.programPath(program)); undisturbed.Status != 0 {
		return fmt.Errorf("%s: %s", program, undisturbed.Errors)
	}
	length := time.Since(started)
	if _, _, err := t.recovers(name + ", undisturbed"); err != nil {
		return err
	}
	var running, resumable, recovered int
	for i := range count {
		if err := forget(); err != nil {
			return err
		}
		moment := time.Duration(t.random.Float64() * float64(length))
		killed, err := t.killOne(program, moment)
		if err != nil {
			return err
		}
		if killed {
			running++
		}
		if left, _ := filepath.Glob(t.project.Path("models/sample/*.partial")); len(left) > 0 {
			resumable++
		}
		_, ok, err := t.recovers(fmt.Sprintf("%s, kill %d after %s", name, i+1, moment))
		if err != nil {
			return err
		}
		if ok {
			recovered++
		}
	}
	fmt.Fprintf(os.Stderr, "torture   %s: %d kills, %d while it ran, %d recovered\n", name, count, running, recovered)
	fmt.Fprintf(&t.report, "| %s | %d | %d | %d | %d |\n", name, count, running, resumable, recovered)
	return nil
}

// programPath is a program of the project's bin, or of the system.
func (t *torturer) programPath(program string) string {
	if filepath.Dir(program) == "bin" {
		return t.project.Path(program)
	}
	return program
}

// killOne starts a program and kills it, with all of its children, after a
// while. It says whether it still ran.
func (t *torturer) killOne(program string, after time.Duration) (bool, error) {
	command := t.project.Command(t.programPath(program))
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
		// Children may outlive their parent by a moment.
		for syscall.Kill(-command.Process.Pid, 0) == nil {
			time.Sleep(time.Millisecond)
		}
		return true, nil
	}
	return false, fmt.Errorf("%s failed by itself: %w", program, err)
}
