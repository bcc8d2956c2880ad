package train

import (
	"errors"
	"fmt"
	"time"

	"catdog/pipeline/engine"
	"catdog/pipeline/train/record"
	"catdog/pipeline/weights"
)

// A shared snapshot is released by the last that holds it.
type shared struct {
	engine.Snapshot
	holders int
}

// snapshot is the state as the device has it when all that is queued is done.
func (h *held) snapshot() (*shared, error) {
	s, err := h.holder.Snapshot()
	if err != nil {
		return nil, err
	}
	return &shared{s, 1}, nil
}

// reserveSnapshots makes room for as many as there are at once, so that no epoch
// allocates: after the queued epoch, after the best, and two being written.
func (h *held) reserveSnapshots() error {
	for range 4 {
		s, err := h.snapshot()
		if err != nil {
			return fmt.Errorf("make room for snapshots: %w", err)
		}
		defer s.release()
	}
	return nil
}

func (s *shared) hold() *shared {
	s.holders++
	return s
}

func (s *shared) release() {
	if s.holders--; s.holders == 0 {
		s.Release()
	}
}

// keepBest keeps the state after the last epoch, on the device: weights that are
// soon outdone by better ones never leave it.
func (h *held) keepBest() {
	if h.best != nil {
		h.best.release()
	}
	h.best = h.last.hold()
}

// written is what came of writing.
type written struct {
	best              []weights.Tensor // of the best epoch then, nil if they were written before
	plots, checkpoint time.Duration
	took              time.Duration // in all
	release           []*shared
	err               error
}

// writeBeside writes records and checkpoint while the device goes on. Epochs
// that end meanwhile are written together, once that is done. It releases state.
func (l *loop) writeBeside(at progressState, state *shared) error {
	h := l.held
	h.unwritten = true
	if h.writing != nil && len(h.writing) == 0 {
		state.release()
		return nil
	}
	if err := l.collect(); err != nil {
		return err
	}
	best, bestState, records := l.best, h.best, l.recorder.Copy()
	h.best, h.unwritten = nil, false
	h.writing = make(chan written, 1)
	go func(done chan<- written) {
		began := time.Now()
		w := written{release: []*shared{state}}
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
		w.plots, w.checkpoint, w.took = drawn.Sub(started), time.Since(drawn), time.Since(began)
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
	h.writing, h.writeTook = nil, w.took
	if w.best != nil {
		l.best = w.best
	}
	l.recorder.Spent(record.Plots, w.plots)
	l.recorder.Spent(record.Checkpoint, w.checkpoint)
	for _, snapshot := range w.release {
		snapshot.release()
	}
	return w.err
}

// concluded ends a run, within an epoch or after one: it records what is queued
// and saves the state. At the end of the training that need not be done, since
// all is written then.
func (l *loop) concluded(within bool) (err error) {
	h := l.held
	if h == nil {
		if within {
			return l.save()
		}
		return nil
	}
	if err := l.conclude(); err != nil {
		return errors.Join(err, l.collect())
	}
	if err := l.collect(); err != nil {
		return err
	}
	h.ended = time.Now()
	switch {
	case l.finished() && h.best != nil:
		l.best, err = h.best.Weights(kept(l.parameters))
		return err
	case !l.finished() && (within || h.unwritten):
		state, err := h.snapshot()
		if err != nil {
			return err
		}
		if err := l.writeBeside(l.at, state); err != nil {
			return err
		}
	}
	return l.collect()
}
