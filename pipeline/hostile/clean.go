package main

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"sync"

	"github.com/dustin/go-humanize"
	"golang.org/x/sync/errgroup"

	"catdog/pipeline/artifact"
	"catdog/pipeline/catalogue"
	"catdog/pipeline/miniature"
	"catdog/pipeline/photo"
	"catdog/pipeline/stage"
)

// clean explores photos of people's own through a real make and reports how many
// are left out, and why; the strict decoder is asked about every JPEG.
func (t *trial) clean(ctx context.Context, photos string) error {
	p, err := miniature.New(t.checkout, filepath.Join(t.scratch, "project"))
	if err != nil {
		return err
	}
	if photos, err = filepath.Abs(photos); err != nil {
		return err
	}
	p.Env = []string{"DATASET=clean", "FROM=" + photos}
	t.reporter.Say("explores %s", photos)
	if made := p.Make("explore"); made.Status != 0 {
		return fmt.Errorf("make explore: %s", made.Errors)
	}
	explore := stage.Find("explore")
	manifest, err := artifact.ReadManifest(p.Path(explore.Pointer("clean", miniature.Experiment)))
	if err != nil {
		return err
	}
	rows, err := catalogue.Read(p.Path(filepath.Join(explore.Root("clean"), manifest.Key, "catalogue.csv")))
	if err != nil {
		return err
	}
	problems := map[photo.Problem]int{}
	good, judged, refused, lost := 0, 0, 0, 0
	var mutex sync.Mutex
	group, working := errgroup.WithContext(ctx)
	group.SetLimit(2)
	task := t.reporter.Task("photos", int64(len(rows)))
	decoder := t.decoders["jpeg"]
	for _, row := range rows {
		if row.Good() {
			good++
		} else {
			problems[row.Problem]++
		}
		if row.Format != "jpeg" {
			task.Add(1)
			continue
		}
		group.Go(func() error {
			bad, words, err := decoder.refusedFile(working, p.Path(filepath.Join("data/raw/clean", filepath.FromSlash(row.Path))))
			mutex.Lock()
			defer mutex.Unlock()
			task.Add(1)
			judged++
			switch {
			case bad && row.Good():
				refused++
				t.say("%s is let in; djpeg says %s", row.Path, words)
			case !bad && !row.Good():
				lost++
				t.say("%s is left out (%s); djpeg finds nothing wrong with it", row.Path, row.Problem)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	task.Done()
	count := func(n int) string { return humanize.Comma(int64(n)) }
	fmt.Fprintf(&t.report, "\n## Clean photos\n\nOf %s files of real photos, explored by `make explore`, %s are let in", count(len(rows)), count(good))
	for _, problem := range slices.Sorted(maps.Keys(problems)) {
		fmt.Fprintf(&t.report, ", %s left out as `%s`", count(problems[problem]), problem)
	}
	fmt.Fprintf(&t.report, ". `%s` was asked about the %s JPEGs among them: it refuses %s that are let in, and accepts %s that are left out.\n",
		decoder, count(judged), count(refused), count(lost))
	return nil
}
