// Track answers questions about the pipeline without running it: which stages
// are stale and why. It links neither libvips nor gorgonia nor Arrow and
// starts in milliseconds.
package main

import (
	"fmt"
	"maps"
	"os"
	"runtime/debug"
	"slices"
	"strings"

	"catdog/pipeline/track"
)

func main() {
	// Answers take a fraction of a second: collecting garbage would be a good
	// part of it.
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(1 << 30)
	if len(os.Args) < 2 {
		usage()
	}
	command, ok := track.Commands[os.Args[1]]
	if !ok {
		usage()
	}
	if err := command(os.Args[2:], os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %s\n", os.Args[1], err)
		os.Exit(1)
	}
}

func usage() {
	names := slices.Sorted(maps.Keys(track.Commands))
	fmt.Fprintln(os.Stderr, "usage: track "+strings.Join(names, "|"))
	os.Exit(2)
}
