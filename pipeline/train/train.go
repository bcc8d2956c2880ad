// Package train is the stage that trains the network: the loop over epochs and
// steps, the learning rate's schedule, validation, checkpoints, and what is
// left behind.
package train

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"catdog/pipeline/artifact"
	"catdog/pipeline/augment"
	"catdog/pipeline/device"
	"catdog/pipeline/engine"
	"catdog/pipeline/model"
	"catdog/pipeline/network"
	"catdog/pipeline/network/present"
	"catdog/pipeline/pack"
	"catdog/pipeline/params"
	"catdog/pipeline/progress"
	"catdog/pipeline/stage"
	"catdog/pipeline/train/record"
	"catdog/pipeline/weights"
)

// The files of weights, see package weights.
const (
	bestName  = "best.safetensors"
	finalName = "final.safetensors"
)

// Run is the stage's work: it trains on the pack and writes best.safetensors,
// final.safetensors, model.json, hyperparameters.json, history.csv,
// summary.txt, network.svg, loss.png, accuracy.png and runtime.json. A
// checkpoint that an earlier attempt left in job.Folder is gone on with, to
// the same bytes.
func Run(ctx context.Context, job *stage.Job) (summary string, err error) {
	data, err := openPack(job)
	if err != nil {
		return "", err
	}
	d, err := model.DeviceFor(job)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	r := run{
		parameters: job.Params.Train,
		folder:     job.Folder,
		models:     filepath.Dir(filepath.Dir(job.Folder)),
		reporter:   job.Progress,
	}
	return r.train(ctx, data, d)
}

// dataset is what a run reads.
type dataset struct {
	*pack.Pack
	stored model.Stored
}

// openPack reads the pack and how its images were stored.
func openPack(job *stage.Job) (*dataset, error) {
	input := job.Input("pack")
	file := input.Manifest.Find("pack.arrow")
	if file == nil {
		return nil, errors.New("the output of pack lists no pack.arrow")
	}
	p, err := pack.Open(input.Path(file.Path), file.SHA256)
	if err != nil {
		return nil, err
	}
	return &dataset{p, model.Stored{Height: p.Height, Width: p.Width, Mode: p.Mode, Background: p.Background}}, nil
}

// A run is one training of a network.
type run struct {
	parameters params.Train
	folder     string // to write into
	models     string // where weights to start from are looked for
	reporter   *progress.Reporter
}

func (r run) train(ctx context.Context, data *dataset, d device.Device) (summary string, err error) {
	p := r.parameters
	training, validating := data.Images(pack.Train), data.Images(pack.Validation)
	if p.Epochs == 0 { // no step is made
		p.Batch = min(p.Batch, max(len(training), 1))
	}
	if len(training) < p.Batch {
		return "", fmt.Errorf("train.batch: %d images a step, the training split has %d", p.Batch, len(training))
	}
	if len(validating) == 0 {
		return "", errors.New("the validation split has no images; a larger pack.validation gives it some")
	}
	description, err := network.New(p.Network, data.Classes)
	if err != nil {
		return "", err
	}
	info := model.Info{
		Classes: data.Classes,
		Stored:  data.stored,
		Input:   model.Input{Height: p.Network.Height, Width: p.Network.Width, Mean: data.Mean, Std: data.Std},
		Network: model.Network(p.Network),
		Weights: bestName,
		Average: kept(p) == engine.Average,
	}
	if p.View == params.Whole {
		info.Input.Height, info.Input.Width = data.Height, data.Width
	}
	predicting, err := info.Predicting()
	if err != nil {
		return "", err
	}
	options := engine.Options{
		Batch:        p.Batch,
		Optimizer:    p.Optimizer.Name,
		Momentum:     float32(p.Optimizer.Momentum),
		Beta1:        float32(p.Optimizer.Beta1),
		Beta2:        float32(p.Optimizer.Beta2),
		Epsilon:      float32(p.Optimizer.Epsilon),
		WeightDecay:  float32(p.Optimizer.WeightDecay),
		AverageDecay: float32(p.AverageDecay),
		Predicting:   predicting,
	}
	trainer, err := engine.New(description, d, options)
	if err != nil {
		return "", fmt.Errorf("build the network: %w", explainMemory(err, d, description, options))
	}
	defer func() { err = errors.Join(err, trainer.Close()) }()
	source, err := augment.New(training, augment.Options{
		Height: data.Height, Width: data.Width,
		InputHeight: p.Network.Height, InputWidth: p.Network.Width,
		Classes: len(data.Classes), Batch: p.Batch, Seed: p.Seed,
		Mean: data.Mean, Std: data.Std,
		Augment: p.Augment,
	})
	if err != nil {
		return "", err
	}

	l := &loop{
		parameters: p,
		classes:    len(data.Classes),
		trainer:    trainer,
		source:     source,
		reporter:   r.reporter,
		checkpoint: filepath.Join(r.folder, checkpointName),
		at:         progressState{Epoch: 1},
	}
	threads := 0
	if processor, ok := d.(interface{ Threads() int }); ok {
		threads = processor.Threads()
	}
	l.recorder = record.New(record.Options{
		Folder:  r.folder,
		Device:  d.Describe(),
		Threads: threads,
		Best:    func(record.Row) error { return l.keepBest() },
		Final:   func() error { return l.writeFinal(r.folder) },
	})
	if err := r.begin(l, description); err != nil {
		return "", err
	}
	if holder, ok := trainer.(engine.Holder); ok && holder.Holds() && p.Epochs > 0 {
		l.held, err = hold(holder, kept(p), data.Pack, source, info.View(), p.Batch)
		if errors.As(err, new(*device.OutOfMemory)) {
			r.reporter.Say("feeds the GPU from the host, more slowly: %s", err)
		} else if err != nil {
			return "", err
		} else {
			defer l.held.close()
		}
	}
	if l.held == nil {
		l.validate = validation(model.NewPredictor(trainer, kept(p), info.View(), len(data.Classes), p.Batch), validating)
	}
	if err := l.run(ctx); err != nil {
		return "", err
	}
	if err := r.finish(l, description, info, d.Describe()); err != nil {
		return "", err
	}
	if measurer, can := d.(device.Measurer); can && l.held != nil && l.held.steps > 0 && l.held.predictions > 0 {
		// Forward, and backward to weights and to all inputs but the images.
		multiplyAdds := 3*description.MultiplyAdds() - description.Layers[0].MultiplyAdds()
		a, err := l.held.measure(measurer, p.Batch*multiplyAdds)
		if err != nil {
			return "", err
		}
		if err := l.recorder.Accelerated(a); err != nil {
			return "", err
		}
	}
	return l.summary(), nil
}

// explainMemory adds to a device's lack of memory how much the network needs
// in all, and which batch would fit.
func explainMemory(lack error, d device.Device, description *network.Description, options engine.Options) error {
	measurer, can := d.(device.Measurer)
	if !can || !errors.As(lack, new(*device.OutOfMemory)) {
		return lack
	}
	var whole int64
	for batch := options.Batch; batch > 0; batch /= 2 {
		asked := options
		asked.Batch = batch
		need, available, err := measurer.Measure(func(d device.Device) error {
			trainer, err := engine.New(description, d, asked)
			if err != nil {
				return err
			}
			return trainer.Close()
		})
		if err != nil {
			return errors.Join(lack, err)
		}
		whole = max(whole, need)
		if batch < options.Batch && need+need/8 <= available { // an eighth for what cuDNN works in
			return fmt.Errorf("train.batch: %d images a step need %.1f GB, the GPU has %.1f GB free; %d would fit (%w)",
				options.Batch, float64(whole)/1e9, float64(available)/1e9, batch, lack)
		}
	}
	return fmt.Errorf("one image a step is too much for the GPU's memory, train.batch images need %.1f GB (%w)", float64(whole)/1e9, lack)
}

// begin sets the first weights, or goes on from the checkpoint of an earlier
// attempt. Whatever else that left is removed.
func (r run) begin(l *loop, description *network.Description) error {
	entries, err := os.ReadDir(r.folder)
	if err != nil {
		return fmt.Errorf("look for a checkpoint: %w", err)
	}
	for _, entry := range entries {
		if entry.Name() != checkpointName {
			if err := os.RemoveAll(filepath.Join(r.folder, entry.Name())); err != nil {
				return fmt.Errorf("remove what an earlier attempt left: %w", err)
			}
		}
	}
	c, err := loadCheckpoint(l.checkpoint)
	if errors.As(err, new(unreadable)) {
		return err
	}
	if c != nil {
		if err = l.resume(c); err == nil {
			if l.finished() {
				r.reporter.Say("goes on behind its last epoch")
			} else {
				r.reporter.Say("goes on in epoch %d of %d, after %d of its %d steps", l.at.Epoch, l.parameters.Epochs, l.at.Step, l.source.Steps())
			}
			return nil
		}
	}
	if err != nil {
		r.reporter.Say("starts anew, since the checkpoint is damaged: %s", err)
		if err := os.RemoveAll(l.checkpoint); err != nil {
			return fmt.Errorf("remove the damaged checkpoint: %w", err)
		}
	}

	first := description.Initial(r.parameters.Seed)
	if r.parameters.From != "" {
		path, found, err := findWeights(r.models, r.parameters.From)
		if err != nil {
			return err
		}
		if err := model.Fits(description, found); err != nil {
			return fmt.Errorf("train.from: %s: %w", path, err)
		}
		r.reporter.Say("starts from the weights of %s", path)
		first = found
	}
	if err := l.trainer.SetWeights(first); err != nil {
		return fmt.Errorf("set the first weights: %w", err)
	}
	return nil
}

// finish writes what training leaves behind. The checkpoint stays: it is needed
// until all of that is on the disk under its name, see stage.Definition.Scratch.
func (r run) finish(l *loop, description *network.Description, info model.Info, device string) error {
	if err := l.recorder.Finish(); err != nil {
		return err
	}
	if err := weights.Write(filepath.Join(r.folder, bestName), l.best, nil); err != nil {
		return err
	}
	best, _ := l.recorder.Best()
	info.BestEpoch = best.Epoch
	if err := model.Write(r.folder, info); err != nil {
		return err
	}
	hyperparameters, err := encodeHyperparameters(r.parameters, description, l.source.Steps(), device)
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{
		"hyperparameters.json": hyperparameters,
		"summary.txt":          []byte(present.Summary(description)),
		"network.svg":          present.SVG(description),
	} {
		if err := artifact.WriteFile(filepath.Join(r.folder, name), content); err != nil {
			return err
		}
	}
	return nil
}

// summary is the stage's closing line.
func (l *loop) summary() string {
	if l.parameters.Epochs == 0 {
		return "took the weights of train.from as they are"
	}
	best, _ := l.recorder.Best()
	epochs := len(l.recorder.Rows())
	text := fmt.Sprintf("best validation accuracy %.2f %% in epoch %d of %d", 100*best.ValidationAccuracy, best.Epoch, epochs)
	if epochs < l.parameters.Epochs {
		text += fmt.Sprintf(" (stopped early, %d were planned)", l.parameters.Epochs)
	}
	return text + fmt.Sprintf(", %.0f images/s", l.recorder.ImagesPerSecond())
}
