// Package catalogue is what is in a folder of raw photos: a row for every file,
// also those that are left out and why; statistics, outliers and exact copies.
package catalogue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	"github.com/dustin/go-humanize"

	"catdog/pipeline/artifact"
	"catdog/pipeline/photo"
	"catdog/pipeline/segment"
	"catdog/pipeline/source"
	"catdog/pipeline/stage"
)

// Run is the stage explore. It writes catalogue.csv, rejected.csv, copies.csv,
// outliers.csv, exploration.json and figures.
func Run(ctx context.Context, job *stage.Job) (summary string, err error) {
	rows, err := inspect(ctx, job)
	if err != nil {
		return "", err
	}
	inFolder := func(name string) string { return filepath.Join(job.Folder, name) }
	if err := writeRows(inFolder("catalogue.csv"), rows); err != nil {
		return "", err
	}
	if err := writeRejected(inFolder("rejected.csv"), rows); err != nil {
		return "", err
	}
	copies := findCopies(rows)
	if err := writeCopies(inFolder("copies.csv"), copies); err != nil {
		return "", err
	}
	outliers := findOutliers(rows, job.Params.Explore.OutlierThreshold)
	if err := writeOutliers(inFolder("outliers.csv"), outliers); err != nil {
		return "", err
	}
	exploration := explore(rows, copies, outliers, job.Params.Explore.OutlierThreshold)
	if err := exploration.write(inFolder("exploration.json")); err != nil {
		return "", err
	}
	if err := drawFigures(inFolder("figures"), rows, exploration); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s photos of %d classes, %s of %s files rejected, %s copies, %s outliers",
		humanize.Comma(int64(exploration.Photos)), len(exploration.Classes),
		humanize.Comma(int64(exploration.Files-exploration.Photos)), humanize.Comma(int64(exploration.Files)),
		humanize.Comma(int64(exploration.Copies.Files)), humanize.Comma(int64(len(outliers)))), nil
}

// inspect makes the rows. Each content that has not been looked at before is
// checked once, however many files have it.
func inspect(ctx context.Context, job *stage.Job) (rows []Row, err error) {
	store, err := segment.Open(job.Store)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()

	known := map[string]photo.Info{}
	var unknown []artifact.File
	for _, file := range job.Photos {
		if _, ok := known[file.SHA256]; ok {
			continue
		}
		info, ok, err := lookUp(store, file, job.StepKey)
		if err != nil {
			return nil, err
		}
		known[file.SHA256] = info
		if !ok {
			unknown = append(unknown, file)
		}
	}
	if err := check(ctx, job, store, unknown, known); err != nil {
		return nil, err
	}

	rows = make([]Row, len(job.Photos))
	for i, file := range job.Photos {
		info := known[file.SHA256]
		class, ok := source.Class(file.Path)
		if info.Problem == "" && !ok {
			info.Problem, info.Detail = photo.NoClass, "its path names no class"
		}
		rows[i] = Row{
			Path: file.Path, Class: class, Bytes: file.Size, SHA256: file.SHA256,
			Format: info.Format, Width: info.Width, Height: info.Height,
			Problem: info.Problem, Detail: info.Detail,
		}
	}
	return rows, nil
}

// lookUp is what the store knows of a file; damaged entries are not known.
func lookUp(store *segment.Store, file artifact.File, stepKey string) (info photo.Info, ok bool, err error) {
	text, ok, err := store.Get(file.SHA256 + "/" + stepKey)
	if err != nil && !errors.Is(err, segment.ErrDamaged) {
		return info, false, err
	}
	if ok && json.Unmarshal(text, &info) != nil {
		ok = false
	}
	return info, ok, nil
}

// check has files checked by workers and adds what they are to known and to the
// store.
func check(ctx context.Context, job *stage.Job, store *segment.Store, files []artifact.File, known map[string]photo.Info) error {
	if len(files) == 0 {
		return nil
	}
	explore := job.Params.Explore
	pool := photo.NewPool(0, photo.Limits{MinimumSide: explore.MinimumSide, MaximumMegapixels: explore.MaximumMegapixels})
	defer pool.Close()
	task := job.Progress.Task("photos", int64(len(files)))
	defer task.Done()
	var mutex sync.Mutex
	return pool.Each(ctx, files, func(working context.Context, file artifact.File) error {
		info, err := checkFile(working, pool, job.Raw, file)
		if err != nil {
			return fmt.Errorf("check %q: %w", file.Path, err)
		}
		// A crash may have been the machine's fault: the next time another
		// try is made.
		if info.Problem != photo.DecoderCrash {
			text, err := json.Marshal(info)
			if err != nil {
				return err
			}
			if err := store.Put(file.SHA256+"/"+job.StepKey, text); err != nil {
				return err
			}
		}
		mutex.Lock()
		known[file.SHA256] = info
		mutex.Unlock()
		task.Add(1)
		return nil
	})
}

func checkFile(ctx context.Context, pool *photo.Pool, folder string, file artifact.File) (photo.Info, error) {
	if rejection := pool.TooLong(file.Size); rejection != nil {
		return photo.Info{Problem: rejection.Problem, Detail: rejection.Detail}, nil
	}
	data, err := photo.Read(folder, file)
	if err != nil {
		return photo.Info{}, err
	}
	return pool.Check(ctx, data)
}

// writeRejected writes rejected.csv: the files that are left out and why.
func writeRejected(path string, rows []Row) error {
	return WriteCSV(path, RejectedColumns, func(write func(...string)) {
		for _, row := range rows {
			if !row.Good() {
				write(artifact.EscapePath(row.Path), string(row.Problem), row.Detail)
			}
		}
	})
}

// RejectedColumns are the columns of rejected.csv, explore's and resize's.
var RejectedColumns = []string{"path", "problem", "detail"}
