// Proof is what make gpu-proof packs into a bundle: it shows on a machine with
// an NVIDIA GPU what holds there, and how fast it is.
//
//	proof expect FOLDER            where the bundle is made: the CPU's losses and gradients
//	proof photos PACK ZIP BYTES    where the bundle is made: a pack's images as JPEGs, of at most so many bytes
//	proof one BUNDLE [NAME...]     on the machine: agreement, determinism, memory, speed; or the
//	                               named of these, on the named of the networks
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
	"slices"
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
	case len(arguments) >= 2 && arguments[0] == "one" || len(arguments) == 2 && arguments[0] == "three":
		err = prove(ctx, arguments[0], arguments[1], arguments[2:])
	default:
		fmt.Fprintln(os.Stderr, "usage: proof expect FOLDER | photos PACK ZIP BYTES | one BUNDLE [NAME...] | three BUNDLE")
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
	only    []string
}

// wants says whether a section or a network is among those that were named; of
// those that none was named of, all are wanted.
func (s *session) wants(name string, all []string) bool {
	named := func(other string) bool { return slices.Contains(s.only, other) }
	return named(name) || !slices.ContainsFunc(all, named)
}

func prove(ctx context.Context, part, bundle string, only []string) (err error) {
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
	s := &session{&findings{Part: part, folder: out}, ctx, bundle, scratch, only}
	if err := s.machine(); err != nil {
		return err
	}
	sections := []section{
		{"agreement", "Agreement with the CPU", s.agreement},
		{"determinism", "The same bytes again", s.determinism},
		{"memory", "Short of memory", s.memory},
		{"speed", "Speed", s.speed},
	}
	if part == "three" {
		sections = []section{{"photos", "Photos", s.photos}}
	}
	var keys []string
	for _, section := range sections {
		keys = append(keys, section.key)
	}
	for _, section := range sections {
		if !s.wants(section.key, keys) {
			continue
		}
		if err := s.run(section); err != nil {
			return err
		}
	}
	return s.verdict()
}
