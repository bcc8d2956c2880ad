// Torture tries to make the pipeline lose or mix something: it kills stages at
// random moments and before each operation that changes a file, cuts the power,
// takes disk space, memory, rights and file descriptors away, and flips bytes of
// what is stored, each time on a miniature of the project, and compares what the
// next make gives with an undisturbed run. It writes reports/reliability.md.
//
// How much of it is said by the environment: KILLS (100; at random moments, of
// each stage), OPERATIONS (400; kills before an operation, at most, of each
// stage), STATES (700; makes after a loss of power), FLIPS (10000), MENDS (200),
// SEED, and PLACES, how many trials run at a time (one a core). ONLY names one
// part, whose figures are then printed and not kept.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"catdog/pipeline/artifact"
	"catdog/pipeline/miniature"
	"catdog/pipeline/torture/tracer"
)

func main() {
	tracer.ExecIfTracee()
	if err := run(); err != nil {
		fmt.Fprintf(os.Stderr, "torture: %s\n", err)
		os.Exit(1)
	}
}

func run() error {
	checkout, err := miniature.Checkout()
	if err != nil {
		return err
	}
	t, err := newTorturer(checkout)
	if err != nil {
		return err
	}
	started := time.Now()
	defer t.count()()
	report, err := t.all(os.Getenv("ONLY"))
	if err != nil {
		return fmt.Errorf("%w (see %s)", err, t.scratch)
	}
	report = fmt.Sprintf("%s%s\nOf all trials, %d went wrong.\n", introduction, report, t.wrong)
	if err := keep(checkout, report, os.Getenv("ONLY") != ""); err != nil {
		return err
	}
	if t.wrong > 0 {
		return fmt.Errorf("%d trials went wrong; what the first ones left is in %s", t.wrong, t.scratch)
	}
	t.progress.Say("nothing went wrong (%s)", time.Since(started).Round(time.Second))
	return os.RemoveAll(t.scratch)
}

// A part is one kind of torture; it returns its section of the report.
type part struct {
	name string
	run  func() (section string, err error)
}

// all runs the parts, or only one, and returns their sections. Parts that leave
// all places as they find them share them.
func (t *torturer) all(only string) (string, error) {
	var report strings.Builder
	known := only == ""
	for _, phase := range [][]part{
		{{"kills", t.kills}, {"operations", t.operations}, {"trainings", t.trainings}, {"flips", t.flips}, {"mends", t.mends}},
		{{"power", t.power}},
		{{"shortages", t.shortages}},
	} {
		sections := make([]string, len(phase))
		var group errgroup.Group
		for i, part := range phase {
			if only != "" && only != part.name {
				continue
			}
			known = true
			group.Go(func() (err error) {
				sections[i], err = part.run()
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return "", err
		}
		report.WriteString(strings.Join(sections, ""))
	}
	if !known {
		return "", fmt.Errorf("ONLY=%s: there is no such part", only)
	}
	return report.String(), nil
}

// keep writes the report, or, of a part, prints it.
func keep(checkout, report string, part bool) error {
	if part {
		_, err := os.Stdout.WriteString(report)
		return err
	}
	path := filepath.Join(checkout, "reports/reliability.md")
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	return artifact.WriteFile(path, []byte(report))
}

const introduction = `# Reliability

What ` + "`make torture`" + ` did to a miniature of the project (80 drawn photos, 8 epochs of a tiny network), and what came of it. Every
trial but a flip ends with a plain ` + "`make`" + ` (of the zip, ` + "`make fetch`" + `), whose files are compared with those of an undisturbed run: the same
paths, nothing left over, and the same bytes in all but what holds times (runtime.json), caches, and the store; of a manifest its
key and its digest, which is that of all files' content.

`

// number is a whole number from the environment.
func number(name string, otherwise int) int {
	if value, err := strconv.Atoi(os.Getenv(name)); err == nil && value >= 0 {
		return value
	}
	return otherwise
}
