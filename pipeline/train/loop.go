package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"time"

	"catdog/pipeline/device"
	"catdog/pipeline/engine"
	"catdog/pipeline/model"
	"catdog/pipeline/params"
	"catdog/pipeline/progress"
	"catdog/pipeline/train/record"
	"catdog/pipeline/weights"
)

// batches is what the loop asks of package augment's Source.
type batches interface {
	Steps() int
	Epoch(ctx context.Context, epoch, first int, work func(index int, images, targets []float32) error) error
}

// A loop trains a network epoch by epoch. All that its next step depends on is
// in its checkpoint and its parameters.
type loop struct {
	parameters params.Train
	classes    int
	trainer    engine.Trainer
	source     batches
	held       *held // where the trainer's device holds the data, else nil
	// validate measures the weights that would be kept, see kept; nil where the
	// trainer's device holds the data.
	validate   func(context.Context) (loss, accuracy float64, err error)
	recorder   *record.Recorder
	reporter   *progress.Reporter
	checkpoint string // file

	at   progressState    // its Records stay in recorder
	best []weights.Tensor // of the best epoch so far; in the end those of the first step where no epoch was asked for
}

// kept is the set of weights that are validated and become the model: the
// moving average where there is one.
func kept(p params.Train) engine.Weights {
	if float32(p.AverageDecay) > 0 { // as the optimizer has it
		return engine.Average
	}
	return engine.Raw
}

// Interrupted is the error of a run that was asked to stop. It has saved a
// checkpoint.
type Interrupted struct{ Epoch, Epochs int }

func (e Interrupted) Error() string {
	return fmt.Sprintf("interrupted in epoch %d of %d; run make again to go on", e.Epoch, e.Epochs)
}

// Unwrap is context.Canceled.
func (e Interrupted) Unwrap() error { return context.Canceled }

// run trains to the end, from the start or from where resume left off.
func (l *loop) run(ctx context.Context) (err error) {
	if l.parameters.Epochs == 0 {
		l.best, err = l.trainer.Weights(kept(l.parameters))
		return errors.Join(err, ctx.Err())
	}
	steps := l.source.Steps()
	left := (l.parameters.Epochs-l.at.Epoch+1)*steps - l.at.Step
	task := l.reporter.Task("images", int64(left*l.parameters.Batch))
	defer task.Done()
	for !l.finished() {
		err := l.epoch(ctx, task)
		if ctx.Err() != nil && (err == nil || errors.Is(err, ctx.Err())) {
			if err := l.concluded(err != nil); err != nil {
				return err
			}
			if l.finished() {
				return nil
			}
			return Interrupted{l.at.Epoch, l.parameters.Epochs}
		}
		if err != nil {
			return errors.Join(err, l.collect()) // the state may be of no use any more
		}
	}
	return l.concluded(false)
}

// finished says whether no epoch is left or patience is at its end.
func (l *loop) finished() bool {
	return l.at.Epoch > l.parameters.Epochs || l.stoppedEarly()
}

func (l *loop) stoppedEarly() bool {
	return l.parameters.Patience > 0 && l.at.Step == 0 && l.recorder.Stalled() >= l.parameters.Patience
}

// epoch trains what is left of the current epoch and validates after it.
func (l *loop) epoch(ctx context.Context, task *progress.Task) error {
	if l.held != nil {
		return l.heldEpoch(ctx, task)
	}
	if l.at.Step < l.source.Steps() {
		if err := l.batches(ctx, task); err != nil {
			return err
		}
	}
	started := time.Now()
	loss, accuracy, err := l.validate(ctx)
	if err != nil {
		return err
	}
	l.recorder.Spent(record.Validation, time.Since(started))
	if err := l.record(l.at, loss, accuracy, l.recorder.Add); err != nil {
		return err
	}
	l.at = progressState{Epoch: l.at.Epoch + 1}
	return l.save()
}

// record adds an epoch that is over to the records, and says how it went.
func (l *loop) record(over progressState, loss, accuracy float64, add func(record.Row) error) error {
	if math.IsNaN(loss) || math.IsInf(loss, 0) {
		return fmt.Errorf("the validation loss is %v after epoch %d of %d%s", loss, over.Epoch, l.parameters.Epochs, l.lastGood())
	}
	steps := l.source.Steps()
	images := float64(steps * l.parameters.Batch)
	row := record.Row{
		Epoch:              over.Epoch,
		LearningRate:       learningRate(l.parameters.LearningRate, over.Epoch*steps, l.parameters.Epochs*steps),
		TrainLoss:          over.Loss / images,
		TrainAccuracy:      float64(over.Correct) / images,
		ValidationLoss:     loss,
		ValidationAccuracy: accuracy,
	}
	pace := l.recorder.Pace().ImagesPerSecond()
	if err := add(row); err != nil {
		return err
	}
	l.say(row, pace)
	return nil
}

// keepBest keeps the weights as they are now.
func (l *loop) keepBest() (err error) {
	if l.held != nil {
		l.held.keepBest()
		return nil
	}
	l.best, err = l.trainer.Weights(kept(l.parameters))
	return err
}

// writeFinal writes the weights as they are now.
func (l *loop) writeFinal(folder string) error {
	final, err := l.trainer.Weights(kept(l.parameters))
	if err != nil {
		return err
	}
	return weights.Write(filepath.Join(folder, finalName), final, nil)
}

// batches trains on what is left of the current epoch, batch by batch as the
// source prepares them.
func (l *loop) batches(ctx context.Context, task *progress.Task) error {
	waiting := time.Now()
	return l.source.Epoch(ctx, l.at.Epoch, l.at.Step, func(index int, images, targets []float32) error {
		started := time.Now()
		l.recorder.Spent(record.DataWait, started.Sub(waiting))
		if err := l.step(index, images, targets); err != nil {
			return err
		}
		l.note(task)
		waiting = time.Now()
		l.recorder.Spent(record.Step, waiting.Sub(started))
		return ctx.Err()
	})
}

// step makes one update with batch index (from 0) of the current epoch.
func (l *loop) step(index int, images, targets []float32) error {
	steps := l.source.Steps()
	now := l.schedule(l.at.Epoch, index)
	loss, logits, err := l.trainer.Step(now.Step, now.Seed, now.LearningRate, images, targets)
	if err != nil {
		return fmt.Errorf("train epoch %d of %d: %w", l.at.Epoch, l.parameters.Epochs, err)
	}
	sum, correct := score(logits, targets, l.classes)
	if bad := float64(loss) + sum; math.IsNaN(bad) || math.IsInf(bad, 0) {
		return fmt.Errorf("the loss is %v in epoch %d of %d, step %d of %d%s; a lower train.learning_rate.peak may help",
			loss, l.at.Epoch, l.parameters.Epochs, index+1, steps, l.lastGood())
	}
	l.at.Step++
	l.at.Loss += sum
	l.at.Correct += correct
	l.recorder.Trained(len(targets) / l.classes)
	return nil
}

// schedule is what changes with each step, for batch index (from 0) of an epoch.
func (l *loop) schedule(epoch, index int) device.Schedule {
	steps := l.source.Steps()
	step := (epoch-1)*steps + index + 1
	rate := learningRate(l.parameters.LearningRate, step, l.parameters.Epochs*steps)
	return device.Schedule{Step: step, Seed: dropoutSeed(l.parameters.Seed, step), LearningRate: float32(rate)}
}

// dropoutSeed is different for each step of a run and for each seed below 2³².
func dropoutSeed(seed, step int) uint64 { return uint64(seed)<<32 + uint64(step) }

// score compares a batch's logits with its labels, the classes with the
// highest target (the first of equals): the sum of the cross-entropies and how
// often the highest logit is the label's.
func score(logits, targets []float32, classes int) (loss float64, correct int) {
	for first := 0; first < len(targets); first += classes {
		row := logits[first : first+classes]
		label := highest(targets[first : first+classes])
		loss += model.CrossEntropy(row, label)
		if highest(row) == label {
			correct++
		}
	}
	return loss, correct
}

func highest(values []float32) int {
	best := 0
	for i, v := range values {
		if v > values[best] {
			best = i
		}
	}
	return best
}

// lastGood says in an error what is left of a run that went wrong.
func (l *loop) lastGood() string {
	if _, err := os.Stat(l.checkpoint); err != nil {
		return "; no state was saved before"
	}
	return "; the state that was saved last is kept in " + l.checkpoint
}

// note shows the epoch so far behind the progress bar.
func (l *loop) note(task *progress.Task) {
	images := l.at.Step * l.parameters.Batch
	text := fmt.Sprintf("epoch %d/%d  loss %.3f", l.at.Epoch, l.parameters.Epochs, l.at.Loss/float64(images))
	if rows := l.recorder.Rows(); len(rows) > 0 {
		text += fmt.Sprintf("  validation %.1f %%", 100*rows[len(rows)-1].ValidationAccuracy)
	}
	task.Note("%s", text)
	task.Add(l.parameters.Batch)
}

// say prints an epoch's line.
func (l *loop) say(row record.Row, imagesPerSecond float64) {
	best, _ := l.recorder.Best()
	width := len(fmt.Sprint(l.parameters.Epochs))
	l.reporter.Say("epoch %*d/%d  train %.3f %.1f %%  validation %.3f %.1f %%  (best %.1f %%, epoch %d)  %.0f images/s",
		width, row.Epoch, l.parameters.Epochs, row.TrainLoss, 100*row.TrainAccuracy, row.ValidationLoss, 100*row.ValidationAccuracy,
		100*best.ValidationAccuracy, best.Epoch, imagesPerSecond)
}

// save writes the checkpoint.
func (l *loop) save() error {
	started := time.Now()
	at := l.at
	at.Records = l.recorder.State()
	if err := saveState(l.trainer, at, l.best, l.checkpoint); err != nil {
		return err
	}
	l.recorder.Spent(record.Checkpoint, time.Since(started))
	return nil
}

// resume goes on from a checkpoint. After an error nothing of it is in use but
// the trainer's weights, which must then be set anew.
func (l *loop) resume(c *checkpoint) error {
	rows := len(c.Records.Rows)
	switch {
	case c.Epoch != rows+1 || c.Epoch > l.parameters.Epochs+1 || c.Step < 0 || c.Step > l.source.Steps():
		return fmt.Errorf("it stands in epoch %d, step %d, with %d epochs recorded", c.Epoch, c.Step, rows)
	case (len(c.best) > 0) != (rows > 0):
		return fmt.Errorf("%d arrays of best weights after %d epochs", len(c.best), rows)
	}
	if err := l.trainer.SetState(c.trainer); err != nil {
		return err
	}
	if err := l.recorder.Restore(c.Records); err != nil {
		return err
	}
	l.at, l.best = c.progressState, c.best
	l.at.Records = record.State{}
	return nil
}
