package classify

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"catdog/pipeline/artifact"
	"catdog/pipeline/evaluate"
	"catdog/pipeline/model"
	"catdog/pipeline/stage"
)

// Locate is the folder of the model to use: the one that is named, if any;
// else the current one of the data set and experiment, else the one published
// for the data set, else the best one published. Where no data set is named
// published models come first.
func Locate(named string, dataset bool, project *stage.Project) (folder string, err error) {
	if named != "" {
		if filepath.Base(named) == model.FileName {
			named = filepath.Dir(named)
		}
		return filepath.Clean(named), nil
	}
	if !dataset {
		if folder, err := bestPublished(); folder != "" || err != nil {
			return folder, err
		}
	}
	if folder, err := current(project); folder != "" || err != nil {
		return folder, err
	}
	own := filepath.Join(stage.PublishedFolder, project.Params.PublishedName())
	if _, err := os.Stat(filepath.Join(own, model.FileName)); err == nil {
		return own, nil
	}
	if folder, err = bestPublished(); folder != "" || err != nil {
		return folder, err
	}
	return "", fmt.Errorf("there is no model of %s yet and none in %s: train one with make, or name one: MODEL=folder", project.Params.Dataset, stage.PublishedFolder)
}

// current is the data set's and experiment's model, "" if there is none.
func current(project *stage.Project) (folder string, err error) {
	train := stage.Find("train")
	manifest, err := artifact.ReadManifest(project.Pointer(train))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	} else if err != nil {
		return "", err
	}
	folder = train.Folder(project.Params.Dataset, manifest.Key)
	// What model.json says of the weights is checked when they are read.
	name := filepath.Join(folder, model.FileName)
	content, err := os.ReadFile(name)
	if err != nil {
		return "", fmt.Errorf("read the current model: %w", err)
	}
	sum := sha256.Sum256(content)
	if want := manifest.Find(model.FileName); want == nil || hex.EncodeToString(sum[:]) != want.SHA256 {
		return "", fmt.Errorf("%s is %w: not the bytes that its manifest lists", name, artifact.ErrDamaged)
	}
	return folder, nil
}

// bestPublished is the published model with the highest test accuracy, as the
// metrics beside it say (the first by name of equals and of those that have
// none); "" if there is none.
func bestPublished() (string, error) {
	found, err := filepath.Glob(filepath.Join(stage.PublishedFolder, "*", model.FileName))
	best, highest := "", -1.0
	for _, name := range found {
		folder := filepath.Dir(name)
		metrics, err := readMetrics(filepath.Join(folder, "metrics.json"))
		if errors.Is(err, fs.ErrNotExist) {
			metrics = &evaluate.Metrics{}
		} else if err != nil {
			return "", err
		}
		if accuracy := float64(metrics.Splits.Test.Accuracy); accuracy > highest {
			best, highest = folder, accuracy
		}
	}
	return best, err
}

func readMetrics(name string) (*evaluate.Metrics, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	metrics := new(evaluate.Metrics)
	if err := json.Unmarshal(text, metrics); err != nil {
		return nil, fmt.Errorf("read metrics %s: %w", name, err)
	}
	return metrics, nil
}

// measured is what is known of how good a model is: metrics that lie beside it
// or in reports/ and are of the same weights, or of those that they were
// rounded from. nil if there are none.
func measured(folder string, m *model.Model) *evaluate.Metrics {
	candidates := []string{filepath.Join(folder, "metrics.json")}
	if reports, err := filepath.Glob(stage.Reports("*", "*") + "/metrics.json"); err == nil {
		candidates = append(candidates, reports...)
	}
	for _, name := range candidates {
		metrics, err := readMetrics(name)
		if err == nil && (metrics.Model.Digest == m.SHA256 || m.RoundedFrom != "" && metrics.Model.Digest == m.RoundedFrom) {
			return metrics
		}
	}
	return nil
}
