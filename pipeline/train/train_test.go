package train

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"catdog/pipeline/device/reference"
	"catdog/pipeline/model"
	"catdog/pipeline/pack"
	"catdog/pipeline/params"
	"catdog/pipeline/progress"
)

const side = 10 // of drawn images, in px

// writePack writes a small pack of noise in which one class is redder.
func writePack(t testing.TB, path string, training, validating int) {
	t.Helper()
	random := rand.New(rand.NewPCG(5, 6))
	table := pack.Table{Classes: classes, Height: side, Width: side, Origin: strings.Repeat("0", 64)}
	var pixels [][]byte
	for i := range training + validating + 2 {
		row := pack.Row{Path: "drawn/" + string(rune('a'+i/26)) + string(rune('a'+i%26)), Class: i % 2}
		switch {
		case i >= training+validating:
			row.Split = pack.Test
		case i >= training:
			row.Split = pack.Validation
		}
		table.Rows = append(table.Rows, row)
		image := make([]byte, side*side*3)
		for j := range image {
			image[j] = byte(random.IntN(120))
			if j%3 == 0 {
				image[j] += byte(row.Class * 100)
			}
		}
		pixels = append(pixels, image)
	}
	table.Pixels = func(row int) ([]byte, error) { return pixels[row], nil }
	if _, err := pack.Write(path, table); err != nil {
		t.Fatal(err)
	}
}

// drawnPack is such a pack.
func drawnPack(t testing.TB, training, validating int) *dataset {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pack.arrow")
	writePack(t, path, training, validating)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(content)
	p, err := pack.Open(path, hex.EncodeToString(sum[:]))
	if err != nil {
		t.Fatal(err)
	}
	return &dataset{p, model.Stored{Height: side, Width: side, Mode: "crop", Background: []int{128, 128, 128}}}
}

func smallParameters() params.Train {
	return params.Train{
		Epochs: 5, Batch: 8, AverageDecay: 0.8, View: params.Whole,
		Network:      params.Network{Height: 8, Width: 8, Channels: []int{4, 4}, Residuals: []int{0, 1}, Pools: []int{2, 2}, Head: "average", Dropout: 0.2},
		Optimizer:    params.Optimizer{Name: "adamw", Beta1: 0.9, Beta2: 0.99, Epsilon: 1e-8, WeightDecay: 0.01},
		LearningRate: params.LearningRate{Peak: 0.03, Warmup: 0.2, Schedule: "cosine"},
		Augment:      params.Augment{Flip: true, Scale: 0.8, Aspect: 1.1, Brightness: 0.1, Cutmix: 0.3},
	}
}

// A countdown is a context that ends when it has been asked often enough.
type countdown struct {
	context.Context
	mutex sync.Mutex
	left  int
	done  chan struct{}
}

func (c *countdown) Done() <-chan struct{} { return c.done }

func (c *countdown) Err() error {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.left--
	if c.left == 0 {
		close(c.done)
	}
	if c.left <= 0 {
		return context.Canceled
	}
	return nil
}

// TestRealNetwork trains a real network on the reference device, once
// undisturbed and once stopped over and over: the outputs are the same bytes,
// and the model can be used.
func TestRealNetwork(t *testing.T) {
	data := drawnPack(t, 35, 12)
	train := func(ctx context.Context, folder string) (string, error) {
		d := reference.New()
		defer d.Close()
		r := run{parameters: smallParameters(), folder: folder, reporter: progress.Discard()}
		return r.train(ctx, data, d)
	}
	whole := t.TempDir()
	summary, err := train(t.Context(), whole)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(summary, "best validation accuracy ") {
		t.Errorf("summary %q", summary)
	}

	parts, stops := t.TempDir(), 0
	random := rand.New(rand.NewPCG(1, 1))
	for {
		_, err := train(&countdown{Context: t.Context(), left: 8 + random.IntN(20), done: make(chan struct{})}, parts)
		if err == nil {
			break
		}
		if !errors.As(err, new(Interrupted)) {
			t.Fatal(err)
		}
		stops++
	}
	if stops < 2 {
		t.Errorf("stopped %d times", stops)
	}
	if diff := cmp.Diff(outputs(t, whole), outputs(t, parts)); diff != "" {
		t.Errorf("outputs differ (-undisturbed +interrupted):\n%.2000s", diff)
	}

	m, err := model.Read(parts)
	if err != nil {
		t.Fatal(err)
	}
	d := reference.New()
	defer d.Close()
	predictor, err := m.On(d, 5)
	if err != nil {
		t.Fatal(err)
	}
	defer predictor.Close()
	_, accuracy, err := validation(predictor, data.Images(pack.Validation))(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	history := strings.Split(strings.TrimSpace(outputs(t, parts)["history.csv"]), "\n")
	last := strings.Split(history[m.BestEpoch], ",")
	if want := last[len(last)-1]; accuracy < 0.6 || want != strconv.FormatFloat(accuracy, 'f', 6, 64) {
		t.Errorf("the best model has a validation accuracy of %s, the history says %s", strconv.FormatFloat(accuracy, 'f', 6, 64), want)
	}
}

// No epochs: the model is the weights of train.from, to the byte.
func TestTakesWeightsAsTheyAre(t *testing.T) {
	data := drawnPack(t, 35, 12)
	models := t.TempDir()
	known, again := filepath.Join(models, "pets", "known"), filepath.Join(models, "pets", "again")
	train := func(p params.Train, folder string) string {
		if err := os.MkdirAll(folder, 0o777); err != nil {
			t.Fatal(err)
		}
		d := reference.New()
		defer d.Close()
		summary, err := run{parameters: p, folder: folder, models: models, reporter: progress.Discard()}.train(t.Context(), data, d)
		if err != nil {
			t.Fatal(err)
		}
		return summary
	}
	p := smallParameters()
	p.Epochs = 1
	train(p, known)
	want := outputs(t, known)[bestName]
	p.Batch = 1000 // more than there are, but no step is made
	p.Epochs, p.From, p.View = 0, fmt.Sprintf("%x", sha256.Sum256([]byte(want))), params.Centre
	if summary := train(p, again); summary != "took the weights of train.from as they are" {
		t.Error(summary)
	}
	if outputs(t, again)[bestName] != want {
		t.Error("the weights are others")
	}
	m, err := model.Read(again)
	if err != nil {
		t.Fatal(err)
	}
	if m.BestEpoch != 0 || m.Input.Height != 8 {
		t.Errorf("epoch %d, input of %d px", m.BestEpoch, m.Input.Height)
	}
}

func TestTooFewImages(t *testing.T) {
	d := reference.New()
	defer d.Close()
	for want, data := range map[string]*dataset{
		"train.batch: 8 images a step, the training split has 7": drawnPack(t, 7, 2),
		"the validation split has no images":                     drawnPack(t, 9, 0),
	} {
		r := run{parameters: smallParameters(), folder: t.TempDir(), reporter: progress.Discard()}
		if _, err := r.train(t.Context(), data, d); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}
