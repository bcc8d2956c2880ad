package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/dustin/go-humanize"
	"golang.org/x/sync/errgroup"

	"catdog/pipeline/photo"
)

var (
	limits = photo.Limits{MinimumSide: 8, MaximumMegapixels: 4}
	target = photo.Target{Height: 24, Width: 24, Mode: photo.Stretch, Background: [3]byte{128, 128, 128}}
)

// A tally is what became of one format's mutated images.
type tally struct {
	images   int
	letIn    int
	problems map[photo.Problem]int
	narrow   int // let in, but too long and narrow to be resized
	crashes  int // of workers: in the check, or in resizing, which all go through
	refused  int // let in, but refused by the strict decoder
}

// mutations gives a pool of workers count mutated images of each format.
func (t *trial) mutations(ctx context.Context, count int, seedNumber uint64) error {
	list, err := t.seeds(ctx)
	if err != nil {
		return err
	}
	formats := map[string][]seed{}
	for _, s := range list {
		formats[s.format] = append(formats[s.format], s)
	}
	pool := photo.NewPool(0, limits)
	defer pool.Close()
	control := formats["jpeg"][0].data
	want, err := pool.Resize(ctx, control, target)
	if err != nil {
		return fmt.Errorf("resize a good photo: %w", err)
	}
	names := slices.Sorted(maps.Keys(formats))
	tallies := map[string]*tally{}
	task := t.reporter.Task("mutated images", int64(count*len(names)))
	for _, name := range names {
		result := &tally{problems: map[photo.Problem]int{}}
		tallies[name] = result
		var mutex sync.Mutex
		group, working := errgroup.WithContext(ctx)
		group.SetLimit(pool.Size() + 1)
		for i := range count {
			group.Go(func() error {
				random := rand.New(rand.NewPCG(seedNumber, uint64(i)))
				variants := formats[name]
				data := mutate(random, variants[i%len(variants)].data, variants[random.IntN(len(variants))].data)
				one, err := t.give(working, pool, data, control, want)
				if err != nil {
					return err
				}
				mutex.Lock()
				result.add(one)
				mutex.Unlock()
				task.Add(1)
				return nil
			})
		}
		if err := group.Wait(); err != nil {
			return err
		}
	}
	task.Done()
	t.reportMutations(formats, tallies)
	return nil
}

// give has one image checked and, whatever the check says, resized.
func (t *trial) give(ctx context.Context, pool *photo.Pool, data, control, want []byte) (tally, error) {
	one := tally{images: 1, problems: map[photo.Problem]int{}}
	info, err := pool.Check(ctx, data)
	if err != nil {
		return one, err
	}
	var rejection *photo.Rejection
	if _, err := pool.Resize(ctx, data, target); err != nil && !errors.As(err, &rejection) {
		return one, err
	}
	if info.Problem == photo.DecoderCrash || rejection != nil && rejection.Problem == photo.DecoderCrash {
		one.crashes++
		pixels, err := pool.Resize(ctx, control, target)
		if err != nil || !bytes.Equal(pixels, want) {
			t.say("a good photo after the crash on %s: %v", t.keep(data), err)
		}
	}
	if info.Problem != "" {
		one.problems[info.Problem]++
		return one, nil
	}
	one.letIn++
	switch {
	case rejection == nil:
	case rejection.Problem == photo.Unsupported:
		one.narrow++
	default:
		t.say("%s is let in, but not resized: %v", t.keep(data), rejection)
	}
	decoder := t.decoders[info.Format]
	if decoder == nil {
		return one, nil
	}
	refused, words, err := decoder.refused(ctx, t.scratch, data)
	if refused {
		one.refused++
		t.say("%s is let in; %s says %s", t.keep(data), decoder.program, words)
	}
	return one, err
}

// keep writes an image that went wrong where it stays.
func (t *trial) keep(data []byte) string {
	folder := filepath.Join(t.checkout, "build", "hostile")
	sum := sha256.Sum256(data)
	name := filepath.Join(folder, hex.EncodeToString(sum[:8]))
	if err := errors.Join(os.MkdirAll(folder, 0o777), os.WriteFile(name, data, 0o666)); err != nil {
		return err.Error()
	}
	return name
}

func (a *tally) add(b tally) {
	a.images += b.images
	a.letIn += b.letIn
	a.narrow += b.narrow
	a.crashes += b.crashes
	a.refused += b.refused
	for problem, n := range b.problems {
		a.problems[problem] += n
	}
}

func (t *trial) reportMutations(formats map[string][]seed, tallies map[string]*tally) {
	fmt.Fprintf(&t.report, `
## Mutated images

Small images made of a drawn photo, each changed in one to four places: bits, bytes, holes, pieces twice, missing, or of another
image of the format, numbers at their extremes, an end that is missing; half of the PNGs with their checksums made right again.
Every one is checked, and resized whatever the check says. After a crash a good photo is resized to the bytes that it always has.
Complaints of pngcheck about chunks that it does not know, the unit of the resolution and bytes behind the image are not counted:
they concern no pixel.

| format | variants | images | left out | let in | crashes | too long and narrow to be resized | strict decoder | let in, refused by it |
|---|---|--:|--:|--:|--:|--:|---|--:|
`)
	count := func(n int) string { return humanize.Comma(int64(n)) }
	var all tally
	all.problems = map[photo.Problem]int{}
	for _, name := range slices.Sorted(maps.Keys(tallies)) {
		result := tallies[name]
		all.add(*result)
		var variants []string
		for _, s := range formats[name] {
			variants = append(variants, s.name)
		}
		strict, refused := "–", "–"
		if decoder := t.decoders[name]; decoder != nil {
			strict, refused = "`"+decoder.String()+"`", count(result.refused)
		}
		fmt.Fprintf(&t.report, "| %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", name, strings.Join(variants, ", "), count(result.images),
			count(result.images-result.letIn), count(result.letIn), count(result.crashes), count(result.narrow), strict, refused)
	}
	fmt.Fprintf(&t.report, "\nOf all %s:", count(all.images))
	for _, problem := range slices.Sorted(maps.Keys(all.problems)) {
		fmt.Fprintf(&t.report, " %s `%s`,", count(all.problems[problem]), problem)
	}
	fmt.Fprintf(&t.report, " %s let in.\n", count(all.letIn))
}
