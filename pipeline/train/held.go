package train

import (
	"fmt"
	"time"

	"catdog/pipeline/augment"
	"catdog/pipeline/device"
	"catdog/pipeline/engine"
	"catdog/pipeline/model"
	"catdog/pipeline/pack"
)

// held is the data set on the trainer's device, which goes through an epoch by
// itself: the host decides how images are varied, and reads the score.
type held struct {
	holder               engine.Holder
	training, validation device.Loop
	plan                 func(epoch int) ([]device.Sample, []device.Cut)
	next                 chan planned // the plan of the epoch to come, under way
	queued               *queuedEpoch // whose results are not known yet
	last, best           *shared      // after the last epoch whose results are known, and after the best if the loop does not have its weights yet
	writing              chan written // under way, nil otherwise
	writeTook            time.Duration
	unwritten            bool // something is recorded that no writing under way writes
	validated            device.Pass
	images               int // of the validation split
	begun, ended         time.Time
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
	batches := (len(validating) + batch - 1) / batch
	var err error
	if h.training, err = holder.TrainingLoop(engine.Data{Height: data.Height, Width: data.Width, Batches: source.Steps()}); err != nil {
		return nil, fmt.Errorf("make room for training: %w", err)
	}
	if h.validation, err = holder.PredictionLoop(weights, engine.Data{Height: data.Height, Width: data.Width, Batches: batches}); err != nil {
		return nil, fmt.Errorf("make room for validation: %w", err)
	}
	if err := h.reserveSnapshots(); err != nil {
		return nil, err
	}
	// Images last, since a device may do with ones that the host has.
	if err := h.training.Hold(pixels(training)); err != nil {
		return nil, fmt.Errorf("hold the training split: %w", err)
	}
	if err := h.validation.Hold(pixels(validating)); err != nil {
		return nil, fmt.Errorf("hold the validation split: %w", err)
	}
	sample := augment.CentreSample(view.Height, view.Width, view.InputHeight, view.InputWidth, view.Mean, view.Std)
	for i, image := range validating {
		sample.Image, sample.Class = int32(i), int32(image.Class)
		h.validated.Samples = append(h.validated.Samples, sample)
	}
	for len(h.validated.Samples)%batch > 0 {
		h.validated.Samples = append(h.validated.Samples, device.Sample{Image: -1})
	}
	h.validated.Cuts, h.validated.Schedule = make([]device.Cut, batches), make([]device.Schedule, batches)
	return h, nil
}

func pixels(images []pack.Image) [][]byte {
	all := make([][]byte, len(images))
	for i, image := range images {
		all[i] = image.Pixels
	}
	return all
}

// passOf is an epoch's plan.
func (l *loop) passOf(epoch int) device.Pass {
	samples, cuts := l.held.plan(epoch)
	pass := device.Pass{Samples: samples, Cuts: cuts}
	for index := range cuts {
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
