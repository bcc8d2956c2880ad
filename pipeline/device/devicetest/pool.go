package devicetest

import (
	"fmt"
	"math"
	"testing"

	"catdog/pipeline/device"
)

func (c conformance) globalPool(t *testing.T) {
	for _, s := range []device.GlobalPoolSpec{
		{Batch: 3, Height: 3, Width: 5, Channels: 17},
		{Batch: 1, Height: 4, Width: 4, Channels: 16, Average: true},
		{Batch: 3, Height: 1, Width: 1, Channels: 5, Average: true},
	} {
		c.compare(t, fmt.Sprintf("%dx%dx%dx%d average %t", s.Batch, s.Height, s.Width, s.Channels, s.Average), func(l *lab) {
			op, err := l.NewGlobalPool(s)
			l.check(err)
			x := l.activation(s.Batch, s.Height, s.Width, s.Channels)
			// Rounding makes equal maxima likely.
			values := contents(x)
			for i := range values {
				values[i] = float32(math.Round(float64(values[i])))
			}
			x.Upload(values)
			y, dy := l.activation(s.Batch, 1, 1, s.Channels), l.activation(s.Batch, 1, 1, s.Channels)
			dx := l.activation(s.Batch, s.Height, s.Width, s.Channels)
			l.check(op.Forward(x, y))
			l.record("output", contents(y))
			l.check(op.Backward(x, y, dy, dx))
			l.record("input's gradient", contents(dx))
		})
	}
}
