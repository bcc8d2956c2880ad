// Proof is what make gpu-proof packs into a bundle: it shows on a machine with
// an NVIDIA GPU what holds there, and how fast it is.
//
//	proof expect FOLDER            where the bundle is made: the CPU's losses and gradients
//	proof photos PACK ZIP BYTES    where the bundle is made: a pack's images as JPEGs, of at most so many bytes
//	proof one BUNDLE               on the machine: agreement, determinism, resumption, memory, speed
//	proof three BUNDLE             on the machine: training on the photos, time to accuracy
//
// Part two, PyTorch on the same networks, is compiled.py. Each part writes one
// JSON and one Markdown file into the folder that OUT names, anew with each
// finding. PROOF_TINY=1 makes everything tiny, for a driver that stands in.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	switch arguments := os.Args[1:]; {
	case len(arguments) == 2 && arguments[0] == "expect":
		err = expect(arguments[1])
	case len(arguments) == 4 && arguments[0] == "photos":
		var most int
		if most, err = strconv.Atoi(arguments[3]); err == nil {
			err = packPhotos(arguments[1], arguments[2], most)
		}
	case len(arguments) == 2 && (arguments[0] == "one" || arguments[0] == "three"):
		err = prove(ctx, arguments[0], arguments[1])
	default:
		fmt.Fprintln(os.Stderr, "usage: proof expect FOLDER | photos PACK ZIP BYTES | one BUNDLE | three BUNDLE")
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "proof: %s\n", err)
		os.Exit(1)
	}
}

// limit is the time that a part takes at most, so that what it found is
// summed up before a borrowed machine ends it after nine minutes.
const limit = 8 * time.Minute

// A session is one part on one machine.
type session struct {
	*findings
	ctx     context.Context
	bundle  string // folder
	scratch string // folder, removed in the end
}

func prove(ctx context.Context, part, bundle string) (err error) {
	out := os.Getenv("OUT")
	if out == "" {
		out = "."
	}
	scratch, err := os.MkdirTemp("", "proof")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	ctx, stop := context.WithTimeout(ctx, limit)
	defer stop()
	s := &session{&findings{Part: part, folder: out}, ctx, bundle, scratch}
	if err := s.machine(); err != nil {
		return err
	}
	sections := []section{
		{"Agreement with the CPU", s.agreement},
		{"The same bytes again", s.determinism},
		{"Out of memory", s.shortage},
		{"Speed", s.speed},
	}
	if part == "three" {
		sections = []section{{"Photos", s.photos}}
	}
	for _, section := range sections {
		if err := s.run(section); err != nil {
			return err
		}
	}
	if s.Wrong > 0 {
		return fmt.Errorf("%d findings are not as they should be", s.Wrong)
	}
	return nil
}
