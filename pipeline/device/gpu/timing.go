//go:build gpu

package gpu

import (
	"errors"
	"fmt"

	"gorgonia.org/cu"

	"catdog/pipeline/device/gpu/driver"
)

// A timing takes the time on the GPU of everything that is queued, piece by
// piece, each between two events. A nil timing takes none.
type timing struct {
	events []cu.Event
	bytes  int64 // that the operations read and write, each of their operands once
}

// moves counts bytes.
func (t *timing) moves(bytes int) {
	if t != nil {
		t.bytes += int64(bytes)
	}
}

// around queues a piece.
func (t *timing) around(stream cu.Stream, queue func() error) error {
	if t == nil {
		return queue()
	}
	if err := t.record(stream); err != nil {
		return err
	}
	if err := queue(); err != nil {
		return err
	}
	return t.record(stream)
}

func (t *timing) record(stream cu.Stream) error {
	event, err := cu.MakeEvent(cu.DefaultEvent)
	if err != nil {
		return fmt.Errorf("make an event: %w", driver.Named("cuEventCreate", err))
	}
	t.events = append(t.events, event)
	return record(event, stream)
}

// each is the pieces' times in seconds. All of them must have ended.
func (t *timing) each() ([]float64, error) {
	times := make([]float64, len(t.events)/2)
	for i := range times {
		milliseconds, err := t.events[2*i].Elapsed(t.events[2*i+1])
		if err != nil {
			return nil, fmt.Errorf("read an event: %w", driver.Named("cuEventElapsedTime", err))
		}
		times[i] = milliseconds / 1000
	}
	return times, nil
}

// close frees the events.
func (t *timing) close() error {
	var errs []error
	for i := range t.events {
		errs = append(errs, driver.Named("cuEventDestroy", cu.DestroyEvent(&t.events[i])))
	}
	t.events = nil
	return errors.Join(errs...)
}
