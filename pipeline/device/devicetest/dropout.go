package devicetest

import (
	"fmt"
	"testing"

	"catdog/pipeline/device"
)

func (c conformance) dropout(t *testing.T) {
	for _, s := range []device.DropoutSpec{
		{Batch: 3, Height: 3, Width: 5, Channels: 17, Rate: 0.3},
		{Batch: 1, Height: 1, Width: 1, Channels: 64, Rate: 0.5},
		{Batch: 3, Height: 2, Width: 2, Channels: 16, Rate: 0},
	} {
		c.compare(t, fmt.Sprintf("%dx%dx%dx%d rate %g", s.Batch, s.Height, s.Width, s.Channels, s.Rate), func(l *lab) {
			op, err := l.NewDropout(s)
			l.check(err)
			x, y := l.activation(s.Batch, s.Height, s.Width, s.Channels), l.activation(s.Batch, s.Height, s.Width, s.Channels)
			l.check(op.Forward(7, x, y))
			l.record("output", contents(y))
			l.check(op.Backward(1<<63+5, x, y))
			l.record("input's gradient", contents(y))
		})
	}
}
