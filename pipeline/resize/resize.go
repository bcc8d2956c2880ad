// Package resize is the stage that brings all good photos to one size. It finds
// them in the catalogue, keeps their pixels in the segment store, and writes an
// index of them.
package resize

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/dustin/go-humanize"
	"golang.org/x/sync/errgroup"

	"catdog/pipeline/artifact"
	"catdog/pipeline/catalogue"
	"catdog/pipeline/photo"
	"catdog/pipeline/segment"
	"catdog/pipeline/stage"
)

// result is what became of one photo: pixels in the store, or a rejection.
type result struct {
	Pixels    string           `json:"pixels,omitempty"` // their SHA-256
	Rejection *photo.Rejection `json:"rejection,omitempty"`
}

// settings is resize.json.
type settings struct {
	Height     int        `json:"height"`
	Width      int        `json:"width"`
	Mode       photo.Mode `json:"mode"`
	Background []int      `json:"background"`
}

// Run is the stage resize. It writes index.csv, rejected.csv (what explore left
// out and what could not be decoded) and resize.json; the pixels are in the
// store under their segment.ContentKey. Beside them the store has what became
// of each photo, under the photo's SHA-256, "/" and the step's key.
func Run(ctx context.Context, job *stage.Job) (summary string, err error) {
	explored := job.Input("explore")
	rows, err := catalogue.Read(explored.Path("catalogue.csv"))
	if err != nil {
		return "", err
	}
	rejected, err := catalogue.ReadCSV(explored.Path("rejected.csv"), catalogue.RejectedColumns)
	if err != nil {
		return "", err
	}
	var good []catalogue.Row
	for _, row := range rows {
		if row.Good() {
			good = append(good, row)
		}
	}
	results, fresh, err := resizeAll(ctx, job, good)
	if err != nil {
		return "", err
	}

	inFolder := func(name string) string { return filepath.Join(job.Folder, name) }
	err = catalogue.WriteCSV(inFolder("index.csv"), []string{"path", "class", "photo", "pixels"}, func(write func(...string)) {
		for _, row := range good {
			if result := results[row.SHA256]; result.Rejection == nil {
				write(artifact.EscapePath(row.Path), artifact.EscapePath(row.Class), row.SHA256, result.Pixels)
			}
		}
	})
	if err != nil {
		return "", err
	}
	failed := 0
	err = catalogue.WriteCSV(inFolder("rejected.csv"), catalogue.RejectedColumns, func(write func(...string)) {
		for _, record := range rejected {
			write(record...)
		}
		for _, row := range good {
			if rejection := results[row.SHA256].Rejection; rejection != nil {
				write(artifact.EscapePath(row.Path), string(rejection.Problem), rejection.Detail)
				failed++
			}
		}
	})
	if err != nil {
		return "", err
	}
	section := job.Params.Resize
	text, err := json.MarshalIndent(settings{section.Height, section.Width, photo.Mode(section.Mode), section.Background}, "", "  ")
	if err != nil {
		return "", fmt.Errorf("write resize.json: %w", err)
	}
	if err := os.WriteFile(inFolder("resize.json"), append(text, '\n'), 0o666); err != nil {
		return "", fmt.Errorf("write settings: %w", err)
	}
	summary = fmt.Sprintf("%s photos at %d×%d (%s), %s resized now", humanize.Comma(int64(len(good)-failed)),
		section.Width, section.Height, section.Mode, humanize.Comma(int64(fresh)))
	if failed > 0 {
		summary += fmt.Sprintf(", %d could not be decoded", failed)
	}
	return summary, nil
}

// resizeAll makes sure that the pixels of all photos are in the store, and
// returns the results by the photos' digests and how many were resized for it.
func resizeAll(ctx context.Context, job *stage.Job, rows []catalogue.Row) (results map[string]result, fresh int, err error) {
	store, err := segment.Open(job.Store)
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	target := photo.Target{Height: job.Params.Resize.Height, Width: job.Params.Resize.Width, Mode: photo.Mode(job.Params.Resize.Mode)}
	for i, value := range job.Params.Resize.Background {
		target.Background[i] = byte(value)
	}

	results, missing, err := lookUpAll(store, rows, job.StepKey, target)
	if err != nil || len(missing) == 0 {
		return results, 0, err
	}

	pool := photo.NewPool(0, limits(rows))
	defer pool.Close()
	task := job.Progress.Task("photos", int64(len(missing)))
	defer task.Done()
	var mutex sync.Mutex
	err = pool.Each(ctx, missing, func(working context.Context, file artifact.File) error {
		made, err := resizeFile(working, pool, store, job, file, target)
		if err != nil {
			return fmt.Errorf("resize %q: %w", file.Path, err)
		}
		mutex.Lock()
		results[file.SHA256] = made
		mutex.Unlock()
		task.Add(1)
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	return results, len(missing), nil
}

// limits let in all of the photos. They have been checked, so what matters is
// how much memory the largest needs.
func limits(rows []catalogue.Row) photo.Limits {
	largest := 0
	for _, row := range rows {
		largest = max(largest, row.Width*row.Height)
	}
	return photo.Limits{MinimumSide: 1, MaximumMegapixels: 1 + largest/1e6}
}

// lookUpAll is what the store has of the photos, by their digests, and a file of
// each content that it has nothing of. All pixels are read and digested for it,
// which keeps all cores busy.
func lookUpAll(store *segment.Store, rows []catalogue.Row, stepKey string, target photo.Target) (results map[string]result, missing []artifact.File, err error) {
	var distinct []catalogue.Row
	results = map[string]result{}
	for _, row := range rows {
		if _, ok := results[row.SHA256]; !ok {
			results[row.SHA256] = result{}
			distinct = append(distinct, row)
		}
	}
	known, there := make([]result, len(distinct)), make([]bool, len(distinct))
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, row := range distinct {
		group.Go(func() (err error) {
			known[i], there[i], err = lookUp(store, resultKey(row.SHA256, stepKey), target)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, nil, err
	}
	for i, row := range distinct {
		results[row.SHA256] = known[i]
		if !there[i] {
			missing = append(missing, artifact.File{Path: row.Path, Size: row.Bytes, SHA256: row.SHA256})
		}
	}
	return results, missing, nil
}

// lookUp is what the store has of a photo. Pixels that are damaged, or of
// another length, are not there.
func lookUp(store *segment.Store, key string, target photo.Target) (known result, ok bool, err error) {
	text, ok, err := get(store, key)
	if err != nil || !ok || json.Unmarshal(text, &known) != nil {
		return result{}, false, err
	}
	if known.Rejection != nil {
		return known, true, nil
	}
	pixels, ok, err := get(store, segment.ContentKey(known.Pixels))
	if err != nil || !ok || len(pixels) != 3*target.Height*target.Width || digestOf(pixels) != known.Pixels {
		return result{}, false, err
	}
	return known, true, nil
}

// get is a value of the store; a damaged one is not there.
func get(store *segment.Store, key string) ([]byte, bool, error) {
	value, ok, err := store.Get(key)
	if errors.Is(err, segment.ErrDamaged) {
		return nil, false, nil
	}
	return value, ok, err
}

func digestOf(pixels []byte) string {
	digest := sha256.Sum256(pixels)
	return hex.EncodeToString(digest[:])
}

// resizeFile resizes one photo and puts the pixels, or why there are none, into
// the store.
func resizeFile(ctx context.Context, pool *photo.Pool, store *segment.Store, job *stage.Job, file artifact.File, target photo.Target) (result, error) {
	data, err := photo.Read(job.Raw, file)
	if err != nil {
		return result{}, err
	}
	pixels, err := pool.Resize(ctx, data, target)
	var made result
	switch {
	case errors.As(err, &made.Rejection):
		if made.Rejection.Problem == photo.DecoderCrash {
			// It may have been the machine's fault: the next time another try is
			// made.
			return made, nil
		}
	case err != nil:
		return result{}, err
	default:
		made.Pixels = digestOf(pixels)
		if err := store.Put(segment.ContentKey(made.Pixels), pixels); err != nil {
			return result{}, err
		}
	}
	text, err := json.Marshal(made)
	if err != nil {
		return result{}, err
	}
	return made, store.Put(resultKey(file.SHA256, job.StepKey), text)
}

func resultKey(digest, stepKey string) string { return digest + "/" + stepKey }
