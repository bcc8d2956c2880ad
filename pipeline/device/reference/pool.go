package reference

import (
	"errors"

	"catdog/pipeline/device"
)

type globalPool struct{ device.GlobalPoolSpec }

func (reference) NewGlobalPool(spec device.GlobalPoolSpec) (device.GlobalPool, error) {
	return globalPool{spec}, nil
}

func (p globalPool) check(x, y device.Activation) error {
	return errors.Join(
		checkShape("global pool: input", x, p.Batch, p.Height, p.Width, p.Channels),
		checkShape("global pool: output", y, p.Batch, 1, 1, p.Channels))
}

func (p globalPool) Forward(x, y device.Activation) error {
	if err := p.check(x, y); err != nil {
		return err
	}
	for k := range data(y) {
		if p.Average {
			sum := 0.0
			p.window(k, func(i int) { sum += float64(data(x)[i]) })
			data(y)[k] = float32(sum / float64(p.Height*p.Width))
		} else {
			data(y)[k] = data(x)[p.largest(data(x), k)]
		}
	}
	return nil
}

func (p globalPool) Backward(x, y, dy, dx device.Activation) error {
	if err := errors.Join(p.check(x, y), p.check(dx, dy)); err != nil {
		return err
	}
	for k, gradient := range data(dy) {
		if p.Average {
			p.window(k, func(i int) { data(dx)[i] = gradient / float32(p.Height*p.Width) })
		} else {
			largest := p.largest(data(x), k)
			p.window(k, func(i int) { data(dx)[i] = 0 })
			data(dx)[largest] = gradient
		}
	}
	return nil
}

// window calls visit for the index of every input element that is pooled into
// output element k.
func (p globalPool) window(k int, visit func(i int)) {
	n, channel := k/p.Channels, k%p.Channels
	for position := range p.Height * p.Width {
		visit((n*p.Height*p.Width+position)*p.Channels + channel)
	}
}

// largest is the index of the first largest element of a window.
func (p globalPool) largest(x []float32, k int) int {
	largest := -1
	p.window(k, func(i int) {
		if largest < 0 || x[i] > x[largest] {
			largest = i
		}
	})
	return largest
}
