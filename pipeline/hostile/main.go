// Hostile gives the photo workers mutated images of every format and holds that
// each costs itself alone, that nothing is let in that a strict decoder other
// than our own finds truncated or corrupt, and, with PHOTOS, that of clean photos
// none is left out. It writes reports/hostile-input.md.
//
// MUTATIONS (10000 for each format), PHOTOS (a zip or a folder of photos) and SEED
// say what.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"

	"catdog/pipeline/artifact"
	"catdog/pipeline/miniature"
	"catdog/pipeline/photo"
	"catdog/pipeline/progress"
)

func main() {
	photo.ServeIfWorker()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "hostile: %s\n", err)
		os.Exit(1)
	}
}

// A trial is what all parts share.
type trial struct {
	checkout string
	scratch  string
	reporter *progress.Reporter
	decoders map[string]*decoder
	report   bytes.Buffer
	// wrong is how many inputs did not come to what they should.
	wrong atomic.Int64
}

func run(ctx context.Context) (err error) {
	checkout, err := miniature.Checkout()
	if err != nil {
		return err
	}
	scratch, err := os.MkdirTemp("", "hostile")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	decoders, err := strictDecoders()
	if err != nil {
		return err
	}
	t := &trial{checkout: checkout, scratch: scratch, reporter: progress.New("hostile", os.Stderr), decoders: decoders}
	t.report.WriteString(introduction)
	if err := t.mutations(ctx, number("MUTATIONS", 10000), uint64(number("SEED", 1))); err != nil {
		return err
	}
	if photos := os.Getenv("PHOTOS"); photos != "" {
		if err := t.clean(ctx, photos); err != nil {
			return err
		}
	}
	path := filepath.Join(checkout, "reports/hostile-input.md")
	if err := artifact.WriteFile(path, t.report.Bytes()); err != nil {
		return err
	}
	if wrong := t.wrong.Load(); wrong > 0 {
		return fmt.Errorf("%d inputs did not come to what they should: %s", wrong, path)
	}
	fmt.Println(path)
	return nil
}

const introduction = `# Hostile input

What ` + "`make hostile`" + ` gave the photo workers, and what came of it. A worker is a process: what crashes it, hangs it or floods its
memory costs one image. An image is *let in* when explore's check accepts it.
`

// number is a whole number from the environment.
func number(name string, otherwise int) int {
	if value, err := strconv.Atoi(os.Getenv(name)); err == nil && value >= 0 {
		return value
	}
	return otherwise
}

// say notes an input that went wrong.
func (t *trial) say(format string, values ...any) {
	t.wrong.Add(1)
	t.reporter.Say("WRONG: "+format, values...)
}
