package evaluate

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"

	"github.com/dustin/go-humanize"

	"catdog/pipeline/artifact"
	"catdog/pipeline/model"
	"catdog/pipeline/pack"
	"catdog/pipeline/stage"
)

const (
	batch = 128  // images the network is given at a time, at most
	chunk = 1024 // images between two looks at the progress bar
)

// Run is the stage's work: it lets the model of job's input train predict all
// images of its input pack and writes metrics.json, predictions.csv and
// mistakes.csv of the test split, and figures.
//
// With evaluate.mirror an image's probabilities are the mean of those for the
// image and for its mirror image; otherwise those for the image alone.
func Run(ctx context.Context, job *stage.Job) (summary string, err error) {
	data, err := openPack(job.Input("pack"))
	if err != nil {
		return "", err
	}
	m, err := model.Read(job.Input("train").Folder)
	if err != nil {
		return "", err
	}
	if !slices.Equal(m.Classes, data.Classes) || m.Stored.Height != data.Height || m.Stored.Width != data.Width {
		return "", fmt.Errorf("the model is for %v in images of %d×%d, the pack has %v in %d×%d",
			m.Classes, m.Stored.Height, m.Stored.Width, data.Classes, data.Height, data.Width)
	}
	device, err := model.DeviceFor(job)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, device.Close()) }()
	predictor, err := m.On(device, batch)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, predictor.Close()) }()

	predictions, err := predictAll(ctx, job, predictor, data)
	if err != nil {
		return "", err
	}
	options := job.Params.Evaluate
	metrics := &Metrics{
		Dataset:    job.Params.Dataset,
		Experiment: job.Params.Experiment,
		Classes:    data.Classes,
		Splits:     MeasureAll(predictions, len(data.Classes), options.Bins),
		Model:      Model{m.SHA256, m.BestEpoch, m.Description.ParameterCount()},
	}
	test := predictions[pack.Test]
	mistakes := Mistakes(test, options.Mistakes)
	if err := write(job.Folder, metrics, test, mistakes, options.Bins); err != nil {
		return "", err
	}
	measures := metrics.Splits.Test
	return fmt.Sprintf("test accuracy %.2f %% (95 %% interval %.2f–%.2f) on %s images, AUC %.4f, calibration error %.3f",
		100*measures.Accuracy, 100*measures.AccuracyLow, 100*measures.AccuracyHigh, humanize.Comma(int64(measures.N)), measures.AUC, measures.ECE), nil
}

func openPack(input *stage.Input) (*pack.Pack, error) {
	file := input.Manifest.Find("pack.arrow")
	if file == nil {
		return nil, errors.New("the output of pack lists no pack.arrow")
	}
	return pack.Open(input.Path(file.Path), file.SHA256)
}

// predictAll predicts the images of all splits.
func predictAll(ctx context.Context, job *stage.Job, predictor *model.Predictor, data *pack.Pack) (map[pack.Split][]Prediction, error) {
	splits := []pack.Split{pack.Train, pack.Validation, pack.Test}
	total := 0
	for _, split := range splits {
		total += len(data.Images(split))
	}
	task := job.Progress.Task("images", int64(total))
	defer task.Done()
	predictions := map[pack.Split][]Prediction{}
	for _, split := range splits {
		images := data.Images(split)
		if len(images) == 0 {
			return nil, fmt.Errorf("the %s split has no images", split)
		}
		for part := range slices.Chunk(images, chunk) {
			pixels := make([][]byte, len(part))
			for i, image := range part {
				pixels[i] = image.Pixels
			}
			rows, err := predictor.Probabilities(ctx, pixels, job.Params.Evaluate.Mirror)
			if err != nil {
				return nil, err
			}
			for i, image := range part {
				if slices.ContainsFunc(rows[i], math.IsNaN) {
					return nil, fmt.Errorf("predict %s: the network's output is not a number", image.Path)
				}
				predictions[split] = append(predictions[split], Prediction{image.Path, image.Class, rows[i]})
			}
			task.Add(len(part))
		}
	}
	return predictions, nil
}

// write writes all that the stage leaves.
func write(folder string, metrics *Metrics, test, mistakes []Prediction, bins int) error {
	encoded, err := metrics.Encode()
	if err != nil {
		return fmt.Errorf("write metrics.json: %w", err)
	}
	for _, file := range []struct {
		name    string
		content []byte
	}{
		{"metrics.json", encoded},
		{"predictions.csv", predictionsTable(test, metrics.Classes)},
		{"mistakes.csv", mistakesTable(mistakes, metrics.Classes)},
	} {
		if err := artifact.WriteFile(filepath.Join(folder, file.name), file.content); err != nil {
			return err
		}
	}
	return drawFigures(filepath.Join(folder, "figures"), metrics, test, bins)
}
