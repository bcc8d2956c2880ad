package bench

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"

	"catdog/pipeline/artifact"
	"catdog/pipeline/augment"
	"catdog/pipeline/pack"
	"catdog/pipeline/params"
	"catdog/pipeline/progress"
	"catdog/pipeline/stage"
	"catdog/pipeline/train"
	"catdog/pipeline/train/record"
)

var epochsPart = part{
	name: "epochs", title: "Epochs",
	about: "Images a second of training beside those of bare steps with a batch that is ready in memory, by the residual network, batch 128. " +
		"*A run of the stage* is the stage `train` itself for an epoch of 7,680 images of 72×72, its time without validation, but with shuffling, augmentation, checkpoint and plots (which weigh more than in longer epochs). " +
		"*A pack* is steps of training, shuffling and augmentation included, on a synthetic one whose train split has so many rows of 36×36, cropped to 32×32 so that the largest fits here; five rows in a row show the same image.",
	measure: measureEpochs,
}

// smallResidual is the residual network for inputs of half the side.
const smallResidual = "residual-32"

func measureEpochs(s *session) (rows []Row, err error) {
	steps, batch, sizes := 60, workloads["residual"].batch, []int{2_000, 20_000, 200_000, 1_000_000}
	if s.Quick {
		steps, batch, sizes = 1, 4, []int{20}
	}
	const bare = "ours, batches ready"
	samples, err := s.onPack(syntheticPack{storedSide, steps * batch, batch}, assignment{Kind: "stage", Network: "residual", Batch: batch}, min(3, s.rounds()))
	if err != nil {
		return nil, err
	}
	rows = append(rows, more("residual, a run of the stage", "images/s", samples[0], bare, samples[1]))
	for _, size := range sizes {
		p := syntheticPack{36, size, 0}
		if have := availableMemory(); have > 0 && have < 3*p.bytes() {
			s.note("a pack of %s rows is left out: %s of memory are free", humanize.Comma(int64(size)), humanize.Bytes(uint64(have)))
			continue
		}
		s.Reporter.Say("measures training on a pack of %s rows", humanize.Comma(int64(size)))
		samples, err := s.onPack(p, assignment{Kind: "pack-training", Network: smallResidual, Batch: batch}, min(3, s.rounds()))
		if err != nil {
			return nil, err
		}
		rows = append(rows, more(fmt.Sprintf("residual, 32×32, a pack of %s rows", humanize.Comma(int64(size))), "images/s", samples[0], bare, samples[1]))
	}
	return rows, nil
}

// onPack writes a pack, has a contender train on it beside bare steps, and
// removes it.
func (s *session) onPack(p syntheticPack, a assignment, rounds int) (samples []sample, err error) {
	file := filepath.Join(s.folder, "pack.arrow")
	digest, err := p.write(file)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.Remove(file)) }()
	var all []*contender
	defer func() { s.closeAll(all) }()
	a.Folder, a.File, a.SHA256 = s.folder, file, digest
	for _, a := range []assignment{a, {Kind: "train", Network: a.Network, Batch: a.Batch}} {
		c, err := ours(s, a.Kind, a)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return rates(s, all, rounds, s.longTurn())
}

// A syntheticPack is noise with so many images in each split.
type syntheticPack struct {
	side              int // px
	training, holdout int
}

func (p syntheticPack) bytes() int { return p.side * p.side * 3 * (p.training + 2*p.holdout) }

// write writes the pack and returns its digest.
func (p syntheticPack) write(name string) (string, error) {
	size := p.side * p.side * 3
	count := p.training + 2*p.holdout
	// Images begin at other bytes of one stretch of noise.
	stretch := noise(size + count/5)
	table := pack.Table{
		Classes: classes, Height: p.side, Width: p.side, Mode: "stretch", Background: []int{0, 0, 0}, Origin: "noise",
		Rows:   make([]pack.Row, count),
		Pixels: func(row int) ([]byte, error) { return stretch[row/5:][:size], nil },
	}
	for i := range table.Rows {
		row := pack.Row{Path: fmt.Sprintf("%08d.jpg", i), Class: i % len(classes)}
		switch {
		case i >= p.training+p.holdout:
			row.Split = pack.Test
		case i >= p.training:
			row.Split = pack.Validation
		}
		table.Rows[i] = row
	}
	if _, err := pack.Write(name, table); err != nil {
		return "", err
	}
	return digestOf(name)
}

// availableMemory is how many bytes of memory programs can still have; 0 where
// that is not known.
func availableMemory() int {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	words := strings.Fields(field(string(text), "MemAvailable", ":"))
	if len(words) == 0 {
		return 0
	}
	kibibytes, _ := strconv.Atoi(words[0])
	return kibibytes << 10
}

// usualAugmentation is that of the reference recipe.
var usualAugmentation = params.Augment{Flip: true, Scale: 0.55, Aspect: 1.33, Brightness: 0.2}

// newPackTraining trains on a pack, epoch after epoch; its unit is a step.
func newPackTraining(a assignment) (*work, error) {
	data, err := pack.Open(a.File, a.SHA256)
	if err != nil {
		return nil, err
	}
	trainer, load, _, closeAll, err := newTrainer(a)
	if err != nil {
		return nil, err
	}
	source, err := augment.New(data.Images(pack.Train), augment.Options{
		Height: data.Height, Width: data.Width, InputHeight: load.network.Height, InputWidth: load.network.Width,
		Classes: len(classes), Batch: load.batch, Mean: data.Mean, Std: data.Std, Augment: usualAugmentation,
	})
	if err != nil {
		return nil, errors.Join(err, closeAll())
	}
	enough := errors.New("no more steps are wanted")
	next, stop := iter.Pull(func(yield func(error) bool) {
		number := 0
		for epoch := 1; ; epoch++ {
			err := source.Epoch(context.Background(), epoch, 0, func(_ int, images, targets []float32) error {
				number++
				_, _, err := trainer.Step(number, uint64(number), learningRate, images, targets)
				if !yield(err) {
					return enough
				}
				return nil
			})
			if err != nil {
				return
			}
		}
	})
	w := &work{
		unit:  func() (float64, error) { err, _ := next(); return float64(load.batch), err },
		close: func() error { stop(); return closeAll() },
	}
	return w, w.warm(3)
}

// newStageTraining runs the stage train on a pack for one epoch. Its time is
// what runtime.json says, without validation.
func newStageTraining(a assignment) (*work, error) {
	information, err := os.Stat(a.File)
	if err != nil {
		return nil, err
	}
	load, err := a.workload()
	if err != nil {
		return nil, err
	}
	parameters := params.Train{
		Device: "cpu", Precision: "float32", Epochs: 1, Batch: load.batch, AverageDecay: 0.998, Network: load.network,
		Optimizer:    params.Optimizer{Name: "sgd", Momentum: momentum},
		LearningRate: params.LearningRate{Peak: learningRate, Schedule: "constant"},
		Augment:      usualAugmentation,
	}
	spent := 0.0
	unit := func() (images float64, err error) {
		folder, err := os.MkdirTemp(a.Folder, "stage")
		if err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
		file := artifact.File{Path: filepath.Base(a.File), Size: information.Size(), SHA256: a.SHA256}
		_, err = train.Run(context.Background(), &stage.Job{
			Params:   &params.Params{Sections: params.Sections{Train: parameters}},
			Progress: progress.Discard(), Folder: folder,
			Inputs: map[string]*stage.Input{"pack": {Folder: filepath.Dir(a.File), Manifest: &artifact.Manifest{Files: []artifact.File{file}}}},
		})
		if err != nil {
			return 0, err
		}
		_, epochs, err := readEpochTimes(folder)
		if err != nil {
			return 0, err
		}
		for _, epoch := range epochs {
			images += float64(epoch.Images)
			for phase, seconds := range epoch.Seconds {
				if phase != record.Validation {
					spent += seconds
				}
			}
		}
		return images, nil
	}
	return &work{unit: unit, clock: func() float64 { return spent }, close: func() error { return nil }}, nil
}
