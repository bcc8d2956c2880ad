package augment

import (
	"context"
	"fmt"
)

// ahead is how many batches are prepared before they are asked for.
const ahead = 2

// A batch is a buffer for one.
type batch struct{ images, targets []float32 }

// A ring is the buffers of an epoch: one at work and those prepared ahead.
type ring [ahead + 1]batch

// Epoch calls work for the batches of an epoch from first on, in order, on the
// caller's goroutine, while another one prepares the next batches. What work is
// given is valid until it returns. It stops at work's first error, which it
// returns, or when ctx ends, with its error; when it returns nothing is left
// running.
func (s *Source) Epoch(ctx context.Context, epoch, first int, work func(index int, images, targets []float32) error) error {
	if first < 0 || first > s.Steps() {
		return fmt.Errorf("augment: an epoch of %d batches cannot begin at batch %d", s.Steps(), first)
	}
	buffers := s.ring()
	free, ready := make(chan *batch, len(buffers)), make(chan *batch, len(buffers))
	for i := range buffers {
		free <- &buffers[i]
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	defer func() {
		close(stop)
		<-stopped
		s.giveBack(buffers)
	}()
	go func() {
		defer close(stopped)
		for index := first; index < s.Steps(); index++ {
			select {
			case <-stop:
				return
			case b := <-free:
				s.Batch(epoch, index, b.images, b.targets)
				ready <- b
			}
		}
	}()
	for index := first; index < s.Steps(); index++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case b := <-ready:
			if err := work(index, b.images, b.targets); err != nil {
				return err
			}
			free <- b
		}
	}
	return nil
}

// ring is the buffers that the last epoch left, or new ones.
func (s *Source) ring() *ring {
	select {
	case r := <-s.spare:
		return r
	default:
	}
	r := new(ring)
	o := &s.options
	for i := range r {
		r[i].images = make([]float32, o.Batch*o.InputHeight*o.InputWidth*3)
		r[i].targets = make([]float32, o.Batch*o.Classes)
	}
	return r
}

func (s *Source) giveBack(r *ring) {
	select {
	case s.spare <- r:
	default:
	}
}
