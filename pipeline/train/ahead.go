package train

import (
	"context"
	"fmt"
	"math"
	"time"

	"catdog/pipeline/device"
	"catdog/pipeline/progress"
	"catdog/pipeline/train/record"
)

// A queuedEpoch is one whose batches and validation the device has been given.
// What came of them is asked for when it has been given more, so that it never
// waits for the host.
type queuedEpoch struct {
	at                 progressState // after the epoch, but for the score
	batches            int           // trained on since at's score was known
	planning           time.Duration // that the host waited for the epoch's plan
	trained, validated func() (device.Result, error)
	took               float64 // seconds of the device for both
	state              *shared // after the epoch
}

// heldEpoch is epoch where the device holds the data. The epoch before may be
// concluded meanwhile, and this one is later on.
func (l *loop) heldEpoch(ctx context.Context, task *progress.Task) (err error) {
	h := l.held
	now := &queuedEpoch{at: l.at}
	if l.at.Step < l.source.Steps() {
		if err := l.queue(ctx, now, task); err != nil {
			return err
		}
	}
	var batches int
	now.validated, batches, err = h.validation.Run(context.WithoutCancel(ctx), h.validated, 0, device.Score{}, func(int) error { return nil })
	if err != nil {
		return fmt.Errorf("validate: %w", err)
	}
	h.predictions += batches
	if now.state, err = h.snapshot(); err != nil {
		return err
	}
	h.queued = now
	l.at = progressState{Epoch: l.at.Epoch + 1}
	if l.parameters.Patience > 0 { // what came of it may end the training
		return l.conclude()
	}
	return nil
}

// queue gives the device what is left of the current epoch.
func (l *loop) queue(ctx context.Context, now *queuedEpoch, task *progress.Task) error {
	waiting := time.Now()
	pass, err := l.planned()
	if err != nil {
		return fmt.Errorf("prepare epoch %d of %d: %w", l.at.Epoch, l.parameters.Epochs, err)
	}
	now.planning = time.Since(waiting)
	shown := 0
	var concluded error
	queued := func(batches int) error {
		task.Note("epoch %d/%d", l.at.Epoch, l.parameters.Epochs)
		task.Add((batches - shown) * l.parameters.Batch)
		shown = batches
		if concluded = l.conclude(); concluded == nil {
			l.planNext(l.at.Epoch + 1)
		}
		return concluded
	}
	now.trained, now.batches, err = l.held.training.Run(ctx, pass, l.at.Step, device.Score{Loss: l.at.Loss, Correct: l.at.Correct}, queued)
	if err == nil {
		err = queued(now.batches)
	}
	if concluded != nil {
		return concluded
	}
	if err != nil {
		return fmt.Errorf("train epoch %d of %d: %w", l.at.Epoch, l.parameters.Epochs, err)
	}
	l.held.steps += now.batches
	now.at.Step += now.batches
	if ctx.Err() == nil {
		return nil
	}
	if err := l.trained(now); err != nil {
		return err
	}
	l.at = now.at
	return ctx.Err()
}

// conclude records the queued epoch, if there is one, once the device is through
// with it.
func (l *loop) conclude() error {
	h := l.held
	over := h.queued
	if over == nil {
		return nil
	}
	h.queued = nil
	if over.trained != nil {
		if err := l.trained(over); err != nil {
			return err
		}
	}
	validated, err := over.validated()
	if err != nil {
		return fmt.Errorf("validate: %w", err)
	}
	l.recorder.Spent(record.Validation, seconds(validated.Seconds))
	over.took += validated.Seconds
	images := float64(h.images)
	h.last = over.state
	if err := l.record(over.at, validated.Loss/images, float64(validated.Correct)/images, l.recorder.Append); err != nil {
		return err
	}
	if left := l.parameters.Epochs - over.at.Epoch; seconds(float64(left)*over.took) < 2*h.writeTook {
		// The training's end, which writes everything, might have to wait for it.
		h.unwritten = true
		over.state.release()
		return nil
	}
	return l.writeBeside(progressState{Epoch: over.at.Epoch + 1}, over.state)
}

// trained waits for an epoch's score.
func (l *loop) trained(e *queuedEpoch) error {
	result, err := e.trained()
	if err != nil {
		return fmt.Errorf("train epoch %d of %d: %w", e.at.Epoch, l.parameters.Epochs, err)
	}
	if math.IsNaN(result.Loss) || math.IsInf(result.Loss, 0) {
		return fmt.Errorf("the loss is %v in epoch %d of %d%s; a lower train.learning_rate.peak may help",
			result.Loss, e.at.Epoch, l.parameters.Epochs, l.lastGood())
	}
	l.recorder.Spent(record.DataWait, e.planning)
	l.recorder.Spent(record.Step, seconds(result.Seconds))
	l.recorder.Trained(e.batches * l.parameters.Batch)
	e.took = result.Seconds
	e.at.Loss, e.at.Correct = result.Loss, result.Correct
	return nil
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
