package train

import (
	"context"
	"fmt"
	"math"
	"time"

	"catdog/pipeline/augment"
	"catdog/pipeline/device"
	"catdog/pipeline/engine"
	"catdog/pipeline/model"
	"catdog/pipeline/pack"
	"catdog/pipeline/progress"
	"catdog/pipeline/train/record"
)

// held is the data set on the trainer's device, which goes through an epoch by
// itself: the host decides how images are varied, and reads the score.
type held struct {
	holder               engine.Holder
	training, validation device.Loop
	plan                 func(epoch int) ([]device.Sample, []device.Mix)
	next                 chan planned    // the plan of the epoch to come, under way
	best                 engine.Snapshot // of the best epoch, if the loop does not have its weights yet
	writing              chan written    // under way, nil otherwise
	unwritten            bool            // something is recorded that no writing under way writes
	saved                int             // epochs that are complete in the checkpoint
	validated            device.Pass
	images               int // of the validation split
	begun                time.Time
	steps, predictions   int // batches so far
}

// planned is the plan of an epoch.
type planned struct {
	epoch int
	pass  device.Pass
	err   error
}

// hold copies training and validation split to the device.
func hold(holder engine.Holder, weights engine.Weights, data *pack.Pack, source *augment.Source, view model.View, batch int) (*held, error) {
	training, validating := data.Images(pack.Train), data.Images(pack.Validation)
	h := &held{begun: time.Now(), holder: holder, plan: source.Plan, images: len(validating)}
	var err error
	if h.training, err = holder.TrainingLoop(onDevice(data, training)); err != nil {
		return nil, fmt.Errorf("hold the training split: %w", err)
	}
	if h.validation, err = holder.PredictionLoop(weights, onDevice(data, validating)); err != nil {
		return nil, fmt.Errorf("hold the validation split: %w", err)
	}
	for i, image := range validating {
		sample := augment.CentreSample(view.Height, view.Width, view.InputHeight, view.InputWidth, view.Mean, view.Std)
		sample.Image, sample.Class = int32(i), int32(image.Class)
		h.validated.Samples = append(h.validated.Samples, sample)
	}
	for len(h.validated.Samples)%batch > 0 {
		h.validated.Samples = append(h.validated.Samples, device.Sample{Image: -1})
	}
	batches := len(h.validated.Samples) / batch
	h.validated.Mixes, h.validated.Schedule = make([]device.Mix, batches), make([]device.Schedule, batches)
	return h, nil
}

func onDevice(data *pack.Pack, images []pack.Image) engine.Data {
	pixels := make([][]byte, len(images))
	for i, image := range images {
		pixels[i] = image.Pixels
	}
	return engine.Data{Images: pixels, Height: data.Height, Width: data.Width}
}

// passOf is an epoch's plan.
func (l *loop) passOf(epoch int) device.Pass {
	samples, mixes := l.held.plan(epoch)
	pass := device.Pass{Samples: samples, Mixes: mixes}
	for index := range mixes {
		pass.Schedule = append(pass.Schedule, l.schedule(epoch, index))
	}
	return pass
}

// planNext plans an epoch, if there is one, while the one before is under way.
func (l *loop) planNext(epoch int) {
	h := l.held
	if h.next != nil || epoch > l.parameters.Epochs {
		return
	}
	h.next = make(chan planned, 1)
	go func(next chan<- planned) {
		pass := l.passOf(epoch)
		next <- planned{epoch, pass, h.training.Prepare(pass)}
	}(h.next)
}

// planned is the current epoch's plan.
func (l *loop) planned() (device.Pass, error) {
	if l.held.next != nil {
		next := <-l.held.next
		l.held.next = nil
		if next.epoch == l.at.Epoch || next.err != nil {
			return next.pass, next.err
		}
	}
	return l.passOf(l.at.Epoch), nil
}

// close waits for what is under way, which a run that failed may have left.
func (h *held) close() {
	if h.next != nil {
		<-h.next
		h.next = nil
	}
}

// heldBatches is batches where the device holds the data.
func (l *loop) heldBatches(ctx context.Context, task *progress.Task) error {
	waiting := time.Now()
	pass, err := l.planned()
	if err != nil {
		return fmt.Errorf("prepare epoch %d of %d: %w", l.at.Epoch, l.parameters.Epochs, err)
	}
	started := time.Now()
	shown := 0
	show := func(batches int) {
		task.Note("epoch %d/%d", l.at.Epoch, l.parameters.Epochs)
		task.Add((batches - shown) * l.parameters.Batch)
		shown = batches
		l.planNext(l.at.Epoch + 1)
	}
	score, batches, err := l.held.training.Run(ctx, pass, l.at.Step, device.Score{Loss: l.at.Loss, Correct: l.at.Correct}, show)
	if err != nil {
		return fmt.Errorf("train epoch %d of %d: %w", l.at.Epoch, l.parameters.Epochs, err)
	}
	ended := time.Now()
	show(batches)
	if math.IsNaN(score.Loss) || math.IsInf(score.Loss, 0) {
		return fmt.Errorf("the loss is %v in epoch %d of %d%s; a lower train.learning_rate.peak may help",
			score.Loss, l.at.Epoch, l.parameters.Epochs, l.lastGood())
	}
	l.recorder.Spent(record.DataWait, started.Sub(waiting))
	l.recorder.Spent(record.Step, ended.Sub(started))
	l.recorder.Trained(batches * l.parameters.Batch)
	l.held.steps += batches
	l.at.Step += batches
	l.at.Loss, l.at.Correct = score.Loss, score.Correct
	return ctx.Err()
}

// validate is validation where the device holds the data.
func (h *held) validate(ctx context.Context) (loss, accuracy float64, err error) {
	score, batches, err := h.validation.Run(ctx, h.validated, 0, device.Score{}, func(int) {})
	h.predictions += batches
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return 0, 0, fmt.Errorf("validate: %w", err)
	}
	return score.Loss / float64(h.images), float64(score.Correct) / float64(h.images), nil
}
