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
	saved                int  // epochs that are complete in the checkpoint
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
	sample := augment.CentreSample(view.Height, view.Width, view.InputHeight, view.InputWidth, view.Mean, view.Std)
	for i, image := range validating {
		sample.Image, sample.Class = int32(i), int32(image.Class)
		h.validated.Samples = append(h.validated.Samples, sample)
	}
	for len(h.validated.Samples)%batch > 0 {
		h.validated.Samples = append(h.validated.Samples, device.Sample{Image: -1})
	}
	if err := h.reserveSnapshots(); err != nil {
		return nil, err
	}
	batches := len(h.validated.Samples) / batch
	h.validated.Cuts, h.validated.Schedule = make([]device.Cut, batches), make([]device.Schedule, batches)
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
