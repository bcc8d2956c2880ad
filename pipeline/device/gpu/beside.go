//go:build gpu

package gpu

import (
	"errors"
	"fmt"

	"gorgonia.org/cu"

	"catdog/pipeline/device/gpu/cudnn"
	"catdog/pipeline/device/gpu/driver"
)

// beside is a second stream, for the gradient of a convolution's weights: it is
// computed beside that of the input, since either alone leaves a part of a large
// GPU idle. What is queued on the device's own stream next waits for both.
type beside struct {
	stream       cu.Stream
	cudnn        *cudnn.Handle
	workspace    workspace
	begun, ended cu.Event
	pending      bool // the device's stream does not wait for it yet
}

func (d *Device) openBeside() (err error) {
	b := &d.beside
	if b.stream, err = cu.MakeStream(cu.NonBlocking); err != nil {
		return fmt.Errorf("make a stream: %w", driver.Named("cuStreamCreate", err))
	}
	for _, event := range []*cu.Event{&b.begun, &b.ended} {
		if *event, err = cu.MakeEvent(cu.DisableTiming); err != nil {
			return fmt.Errorf("make an event: %w", driver.Named("cuEventCreate", err))
		}
	}
	b.cudnn, err = cudnn.Open(b.stream)
	return err
}

func (b *beside) close() error {
	if b.cudnn == nil {
		return nil
	}
	return errors.Join(b.cudnn.Close(),
		driver.Named("cuEventDestroy", cu.DestroyEvent(&b.begun)), driver.Named("cuEventDestroy", cu.DestroyEvent(&b.ended)),
		driver.Named("cuStreamDestroy", b.stream.Destroy()))
}

// aside queues work behind all that is queued, beside what comes next and is
// marked so. It runs on the device's own stream while single pieces are timed.
func (d *Device) aside(work func(*cudnn.Handle, cu.Stream) error) error {
	b := &d.beside
	if d.timed != nil {
		return work(d.cudnn, d.stream)
	}
	// A workspace that is new is cleared on the device's stream: before what
	// computes beside begins.
	if _, err := d.scratch(&b.workspace); err != nil {
		return err
	}
	if err := b.begun.Record(d.stream); err != nil {
		return fmt.Errorf("begin beside: %w", driver.Named("cuEventRecord", err))
	}
	if err := b.stream.Wait(b.begun, 0); err != nil {
		return fmt.Errorf("begin beside: %w", driver.Named("cuStreamWaitEvent", err))
	}
	if err := work(b.cudnn, b.stream); err != nil {
		return err
	}
	if err := b.ended.Record(b.stream); err != nil {
		return fmt.Errorf("end beside: %w", driver.Named("cuEventRecord", err))
	}
	b.pending = true
	return nil
}

// join lets what is queued next wait for what runs beside.
func (d *Device) join() error {
	if !d.beside.pending {
		return nil
	}
	d.beside.pending = false
	if err := d.stream.Wait(d.beside.ended, 0); err != nil {
		return fmt.Errorf("wait for what runs beside: %w", driver.Named("cuStreamWaitEvent", err))
	}
	return nil
}
