package train

import (
	"time"

	"catdog/pipeline/engine"
	"catdog/pipeline/train/record"
	"catdog/pipeline/weights"
)

// keepBest keeps the state as it is now, on the device: weights that are soon
// outdone by better ones never leave it.
func (h *held) keepBest() (err error) {
	if h.best != nil {
		h.best.Release()
	}
	h.best, err = h.holder.Snapshot()
	return err
}

// written is what came of writing.
type written struct {
	best              []weights.Tensor // of the best epoch then, nil if they were written before
	epochs            int              // that are complete in the checkpoint
	plots, checkpoint time.Duration
	release           []engine.Snapshot
	err               error
}

// writeBeside writes records and checkpoint while the device goes on. Epochs
// that end meanwhile are written together, once that is done.
func (l *loop) writeBeside() error {
	h := l.held
	h.unwritten = true
	if h.writing != nil && len(h.writing) == 0 {
		return nil
	}
	if err := l.collect(); err != nil {
		return err
	}
	state, err := h.holder.Snapshot()
	if err != nil {
		return err
	}
	at, best, bestState, records := l.at, l.best, h.best, l.recorder.Copy()
	h.best, h.unwritten = nil, false
	h.writing = make(chan written, 1)
	go func(done chan<- written) {
		w := written{release: []engine.Snapshot{state}, epochs: at.Epoch - 1}
		if bestState != nil {
			w.release = append(w.release, bestState)
			w.best, w.err = bestState.Weights(kept(l.parameters))
			best = w.best
		}
		started := time.Now()
		if w.err == nil {
			w.err = records.Write()
		}
		drawn := time.Now()
		if w.err == nil {
			at.Records = records.State()
			w.err = saveState(state, at, best, l.checkpoint)
		}
		w.plots, w.checkpoint = drawn.Sub(started), time.Since(drawn)
		done <- w
	}(h.writing)
	return nil
}

// collect waits until nothing is being written, and says how that went.
func (l *loop) collect() error {
	h := l.held
	if h == nil || h.writing == nil {
		return nil
	}
	w := <-h.writing
	h.writing = nil
	if w.best != nil {
		l.best = w.best
	}
	if w.err == nil {
		h.saved = w.epochs
	}
	l.recorder.Spent(record.Plots, w.plots)
	l.recorder.Spent(record.Checkpoint, w.checkpoint)
	for _, snapshot := range w.release {
		snapshot.Release()
	}
	return w.err
}

// concluded writes what is not written yet, and waits for it; the state, too,
// if it is one in the middle of an epoch.
func (l *loop) concluded(within bool) error {
	if l.held == nil {
		if within {
			return l.save()
		}
		return nil
	}
	if err := l.collect(); err != nil || !(l.held.unwritten || within) {
		return err
	}
	if err := l.writeBeside(); err != nil {
		return err
	}
	return l.collect()
}
