// Command bench measures the pipeline beside its peers and writes
// reports/benchmarks.md and benchmarks.json. The environment says what: ONLY
// (one part), PHOTOS (JPEGs to resize), DATASET and EXPERIMENT (whose accuracy),
// QUICK=1 (once and briefly, into build/, to see that everything works).
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"catdog/pipeline/bench"
	"catdog/pipeline/photo"
	"catdog/pipeline/progress"
	"catdog/pipeline/stage"
)

func main() {
	photo.ServeIfWorker()
	bench.ServeIfContender()
	if len(os.Args) > 1 {
		fmt.Fprintln(os.Stderr, "usage: bench  (no arguments; ONLY, PHOTOS and QUICK come from the environment)")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process at once
	options := bench.Options{
		Only:     os.Getenv("ONLY"),
		Photos:   stage.Paths(os.Getenv("PHOTOS")),
		Reports:  "reports",
		Build:    "build",
		Reporter: progress.New("bench", os.Stderr),
	}
	if os.Getenv("QUICK") == "1" {
		options.Quick, options.Reports = true, "build/bench-quick"
	}
	if err := bench.Measure(ctx, options); err != nil {
		fmt.Fprintf(os.Stderr, "bench: %s\n", strings.ReplaceAll(err.Error(), "\n", "; "))
		os.Exit(1)
	}
}
