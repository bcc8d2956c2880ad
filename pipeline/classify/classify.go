// Package classify lets a trained model say what is in people's own photos.
package classify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sync/errgroup"

	"catdog/pipeline/artifact"
	"catdog/pipeline/model"
	"catdog/pipeline/photo"
	"catdog/pipeline/progress"
	"catdog/pipeline/stage"
)

const (
	batch = 64   // images the network is given at a time, at most
	chunk = 1024 // photos whose pixels are in memory at a time
)

// Options say what to classify, and how.
type Options struct {
	Photos []string // files, folders and zips
	Model  string   // a model's folder, "" to look for one
	CSV    string   // file to write, "" for none
	// Dataset says that a data set was named, so that its own model comes
	// before published ones.
	Dataset bool
	Project *stage.Project
}

// errUsage is an error of whoever started the program.
var errUsage = errors.New("usage: PHOTOS=path [MODEL=folder] [DATASET=name] [EXPERIMENT=name] [CSV=file] in the environment; PHOTOS are files, folders and zips, one a line")

// Main is the main function of the command classify, which is told by the
// environment what to do. It returns the exit status: 0, 1 (failed, or no photo
// could be classified) or 2 (used wrongly).
func Main() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process at once
	err := fromEnvironment(ctx)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errUsage):
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	fmt.Fprintf(os.Stderr, "classify: %s\n", strings.ReplaceAll(err.Error(), "\n", "; "))
	return 1
}

func fromEnvironment(ctx context.Context) error {
	photos := stage.Paths(os.Getenv("PHOTOS"))
	if len(photos) == 0 || len(os.Args) > 1 {
		return errUsage
	}
	project, err := stage.OpenProject(nil)
	if err != nil {
		return err
	}
	return Run(ctx, Options{
		Photos:  photos,
		Model:   os.Getenv("MODEL"),
		CSV:     os.Getenv("CSV"),
		Dataset: os.Getenv("DATASET") != "",
		Project: project,
	}, os.Stdout, progress.New("classify", os.Stderr))
}

// Run classifies photos: it prints which model it uses and how good that is,
// and a row for each photo, those that cannot be used with the reason. The
// photos are checked (but for HEIF, which the stages do not let in) and resized
// as those that the model learnt from were, and predicted as the test split was.
func Run(ctx context.Context, o Options, out io.Writer, reporter *progress.Reporter) (err error) {
	folder, err := Locate(o.Model, o.Dataset, o.Project)
	if err != nil {
		return err
	}
	m, err := model.Read(folder)
	if err != nil {
		return err
	}
	photos, closePhotos, err := files(o.Photos, o.Project.Params.Fetch.Limits.Ratio)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closePhotos()) }()
	if len(photos) == 0 {
		return fmt.Errorf("no photos in %s", strings.Join(o.Photos, ", "))
	}
	results, err := predictAll(ctx, o.Project, m, photos, reporter)
	if err != nil {
		return err
	}

	if _, err := fmt.Fprintf(out, "%s\n\n", describe(folder, m, measured(folder, m))); err != nil {
		return fmt.Errorf("print the table: %w", err)
	}
	if err := printTable(out, results, m.Classes); err != nil {
		return err
	}
	if o.CSV != "" {
		if err := os.MkdirAll(filepath.Dir(o.CSV), 0o777); err != nil {
			return fmt.Errorf("write %s: %w", o.CSV, err)
		}
		if err := artifact.WriteOutput(o.CSV, encodeTable(results, m.Classes)); err != nil {
			return err
		}
	}
	if !slices.ContainsFunc(results, func(r result) bool { return r.reason == "" }) {
		return errors.New("none of the photos could be classified")
	}
	return nil
}

// predictAll returns a result for each photo, in their order.
func predictAll(ctx context.Context, project *stage.Project, m *model.Model, photos []file, reporter *progress.Reporter) (results []result, err error) {
	target, err := storedAs(m.Stored)
	if err != nil {
		return nil, err
	}
	device, err := model.Device(project.Params.Train)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, device.Close()) }()
	predictor, err := m.On(device, min(batch, len(photos)))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, predictor.Close()) }()

	explore := project.Params.Explore
	// People see the photos that they ask about, so that HEIF can be let in here.
	pool := photo.NewPool(0, photo.Limits{MinimumSide: explore.MinimumSide, MaximumMegapixels: explore.MaximumMegapixels, Unverified: true})
	defer pool.Close()
	task := reporter.Task("photos", int64(len(photos)))
	defer task.Done()
	for part := range slices.Chunk(photos, chunk) {
		images, reasons, err := resizeAll(ctx, pool, target, part, task)
		if err != nil {
			return nil, err
		}
		var good [][]byte
		for i := range part {
			if reasons[i] == "" {
				good = append(good, images[i])
			}
		}
		rows, err := predictor.Probabilities(ctx, good, project.Params.Evaluate.Mirror)
		if err != nil {
			return nil, err
		}
		for i, photo := range part {
			r := result{name: photo.name, reason: reasons[i]}
			if r.reason == "" {
				r.prediction.Probabilities, rows = rows[0], rows[1:]
				if slices.ContainsFunc(r.prediction.Probabilities, math.IsNaN) {
					r.reason = "the network's output is not a number"
				}
			}
			results = append(results, r)
		}
	}
	return results, nil
}

// storedAs is how the photos that the model learnt from were resized.
func storedAs(stored model.Stored) (photo.Target, error) {
	target := photo.Target{Height: stored.Height, Width: stored.Width, Mode: photo.Mode(stored.Mode)}
	if !slices.Contains([]photo.Mode{photo.Stretch, photo.Crop, photo.Pad}, target.Mode) {
		return target, fmt.Errorf("the model's images were resized by %q, which is none of stretch, crop, pad", stored.Mode)
	}
	for i, value := range stored.Background {
		if value < 0 || value > 255 {
			return target, fmt.Errorf("the model's background %v is not of 0–255", stored.Background)
		}
		target.Background[i] = byte(value)
	}
	return target, nil
}

// resizeAll returns each photo's pixels, or the reason why there are none. An
// error concerns them all.
func resizeAll(ctx context.Context, pool *photo.Pool, target photo.Target, photos []file, task *progress.Task) (images [][]byte, reasons []string, err error) {
	images, reasons = make([][]byte, len(photos)), make([]string, len(photos))
	group, working := errgroup.WithContext(ctx)
	group.SetLimit(pool.Size() + 1) // one reads while the workers work
	for i, f := range photos {
		if working.Err() != nil {
			break
		}
		group.Go(func() error {
			pixels, reason, err := resize(working, pool, target, f)
			images[i], reasons[i] = pixels, reason
			task.Add(1)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, nil, err
	}
	return images, reasons, ctx.Err()
}

func resize(ctx context.Context, pool *photo.Pool, target photo.Target, f file) (pixels []byte, reason string, err error) {
	data, err := f.read(pool)
	if err != nil {
		return nil, err.Error(), nil
	}
	info, err := pool.Check(ctx, data)
	if err != nil {
		return nil, "", fmt.Errorf("check %s: %w", f.name, err)
	}
	if info.Problem != "" {
		return nil, (&photo.Rejection{Problem: info.Problem, Detail: info.Detail}).Error(), nil
	}
	pixels, err = pool.Resize(ctx, data, target)
	var rejection *photo.Rejection
	if errors.As(err, &rejection) {
		return nil, rejection.Error(), nil
	} else if err != nil {
		return nil, "", fmt.Errorf("resize %s: %w", f.name, err)
	}
	return pixels, "", nil
}
