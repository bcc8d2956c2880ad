// Torture tries to make the pipeline lose or mix something: it kills stages at
// random moments, fills the disk, takes rights and file descriptors away and
// flips bytes of what is stored, each time on a miniature of the project, and
// compares what the next make gives with an undisturbed run. It writes
// reports/reliability.md.
//
// KILLS (100 for each stage), FLIPS (10000), MENDS (200) and SEED say how much.
package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"

	"catdog/pipeline/artifact"
	"catdog/pipeline/miniature"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintf(os.Stderr, "torture: %s\n", err)
		os.Exit(1)
	}
}

// A torturer holds what the trials share.
type torturer struct {
	project   *miniature.Project
	reference *state
	random    *rand.Rand
	scratch   string
	report    bytes.Buffer
	// wrong is how many trials did not end as they should.
	wrong int
}

func run() error {
	checkout, err := miniature.Checkout()
	if err != nil {
		return err
	}
	scratch, err := os.MkdirTemp("", "torture")
	if err != nil {
		return err
	}
	project, err := miniature.New(checkout, filepath.Join(scratch, "project"))
	if err != nil {
		return err
	}
	// Several epochs, so that a killed training has checkpoints to go on from.
	if err := project.Set("train.epochs", "8"); err != nil {
		return err
	}
	if made := project.Make(); made.Status != 0 {
		return fmt.Errorf("the undisturbed make: %s", made.Errors)
	}
	t := &torturer{project: project, scratch: scratch, random: rand.New(rand.NewPCG(uint64(number("SEED", 1)), 0))}
	if t.reference, err = stateOf(project); err != nil {
		return err
	}
	t.report.WriteString(introduction)
	for _, part := range []func() error{t.kills, t.shortages, t.flips, t.mends} {
		if err := part(); err != nil {
			return fmt.Errorf("%w (see %s)", err, project.Folder)
		}
	}
	path := filepath.Join(checkout, "reports/reliability.md")
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	if err := artifact.WriteFile(path, t.report.Bytes()); err != nil {
		return err
	}
	if t.wrong > 0 {
		return fmt.Errorf("%d trials went wrong: %s; the last state is in %s", t.wrong, path, scratch)
	}
	fmt.Println(path)
	return os.RemoveAll(scratch)
}

const introduction = `# Reliability

What ` + "`make torture`" + ` did to a miniature of the project (80 drawn photos, 8 epochs of a tiny network), and what came of it. Every
trial ends with a plain ` + "`make`" + `, whose files are compared with those of an undisturbed run: the same paths, nothing left over, and
the same bytes in all but what holds times (runtime.json and its line in the manifest), caches, and the order within the store.

`

// number is a whole number from the environment.
func number(name string, otherwise int) int {
	if value, err := strconv.Atoi(os.Getenv(name)); err == nil && value >= 0 {
		return value
	}
	return otherwise
}

// say notes a trial that went wrong.
func (t *torturer) say(format string, values ...any) {
	t.wrong++
	fmt.Fprintf(os.Stderr, "torture   WRONG: "+format+"\n", values...)
}

// recovers runs make and compares what it leaves with the undisturbed run.
func (t *torturer) recovers(what string) (miniature.Result, bool, error) {
	made := t.project.Make()
	if made.Status != 0 {
		t.say("%s: make: status %d\n%s", what, made.Status, made.Errors)
		return made, false, t.restore()
	}
	now, err := stateOf(t.project)
	if err != nil {
		return made, false, err
	}
	if difference := t.reference.difference(now); difference != "" {
		t.say("%s: %s\n%s", what, difference, made.Errors)
		return made, false, t.restore()
	}
	return made, true, nil
}

// restore makes all from nothing, so that one wrong trial does not spoil the
// next ones.
func (t *torturer) restore() error {
	for _, folder := range []string{"data", "models", "reports"} {
		if err := os.RemoveAll(t.project.Path(folder)); err != nil {
			return err
		}
	}
	if made := t.project.Make(); made.Status != 0 {
		return fmt.Errorf("a make from nothing: %s", made.Errors)
	}
	return nil
}
