// Track looks at the pipeline from outside: it builds the stages, says which are
// stale and why, compares, tidies up and publishes. It links neither libvips nor
// gorgonia nor Arrow and starts in milliseconds.
package main

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"

	"catdog/pipeline/track"
)

func main() {
	// Answers take a fraction of a second: collecting garbage would be a good
	// part of it.
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(1 << 30)
	err := track.Run(os.Args[1:], os.Stdout)
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, err)
	if errors.As(err, new(track.WrongUsage)) {
		os.Exit(2)
	}
	os.Exit(1)
}
