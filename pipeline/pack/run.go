package pack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"catdog/pipeline/artifact"
	"catdog/pipeline/segment"
	"catdog/pipeline/stage"
)

// Run is the pack stage: it divides the resized images into splits and writes
// them as one file, pack.arrow. pack.json says what is in it, conflicts.csv
// lists images that were left out because their copies have two labels.
func Run(ctx context.Context, job *stage.Job) (summary string, err error) {
	input := job.Input("resize")
	index, err := readIndex(input.Path("index.csv"))
	if err != nil {
		return "", err
	}
	resized, err := readResized(input.Path("resize.json"))
	if err != nil {
		return "", err
	}
	plan, err := divide(index.entries, job.Params.Pack)
	if err != nil {
		return "", fmt.Errorf("divide into splits: %w", err)
	}
	store, err := segment.Open(job.Store)
	if err != nil {
		return "", err
	}
	defer store.Close()

	var trained int64
	for _, row := range plan.rows {
		if row.Split == Train {
			trained++
		}
	}
	// Images of the train split are read once to be measured, and again.
	task := job.Progress.Task("images", int64(len(plan.rows))+trained)
	defer task.Done()
	written, err := Write(filepath.Join(job.Folder, "pack.arrow"), Table{
		Classes: plan.classes,
		Height:  resized.Height,
		Width:   resized.Width,
		Mode:    resized.Mode, Background: resized.Background,
		Origin: index.digest,
		Rows:   plan.rows,
		Pixels: func(row int) ([]byte, error) {
			task.Add(1)
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			return stored(store, plan.entries[row])
		},
	})
	if err != nil {
		return "", err
	}
	text, err := json.MarshalIndent(struct {
		*Summary
		LeftOut int `json:"left_out"`
	}{written, len(plan.conflicts)}, "", "  ")
	if err != nil {
		return "", fmt.Errorf("write pack.json: %w", err)
	}
	if err := os.WriteFile(filepath.Join(job.Folder, "pack.json"), append(text, '\n'), 0o644); err != nil {
		return "", err
	}
	if err := writeEntries(filepath.Join(job.Folder, "conflicts.csv"), plan.conflicts); err != nil {
		return "", err
	}
	return plan.summary(), nil
}

// stored is the pixels of an entry, from the store, checked.
func stored(store *segment.Store, e entry) ([]byte, error) {
	pixels, found, err := store.Get(segment.ContentKey(e.pixels))
	switch {
	case errors.Is(err, segment.ErrDamaged), err == nil && !found:
		return nil, fmt.Errorf("its resized pixels are %w or missing in the store", artifact.ErrDamaged)
	case err != nil:
		return nil, fmt.Errorf("look up resized pixels: %w", err)
	}
	if sum := sha256.Sum256(pixels); hex.EncodeToString(sum[:]) != e.pixels {
		return nil, fmt.Errorf("its resized pixels in the store are %w", artifact.ErrDamaged)
	}
	return pixels, nil
}

func (p *plan) summary() string {
	var counts [splits]int
	for _, row := range p.rows {
		counts[row.Split]++
	}
	text := fmt.Sprintf("%d images of %d classes: %d to train, %d to validate, %d to test",
		len(p.rows), len(p.classes), counts[Train], counts[Validation], counts[Test])
	if len(p.conflicts) > 0 {
		text += fmt.Sprintf("; %d copies with two labels left out", len(p.conflicts))
	}
	return text
}
