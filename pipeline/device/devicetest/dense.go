package devicetest

import (
	"fmt"
	"testing"

	"catdog/pipeline/device"
)

func (c conformance) dense(t *testing.T) {
	for _, s := range []device.DenseSpec{
		{Batch: 3, Height: 1, Width: 1, Channels: 17, Out: 2},
		{Batch: 1, Height: 3, Width: 2, Channels: 5, Out: 3},
		{Batch: 3, Height: 2, Width: 2, Channels: 32, Out: 16},
		{Batch: 600, Height: 1, Width: 1, Channels: 48, Out: 3},
	} {
		c.compare(t, fmt.Sprintf("%dx%dx%dx%d to %d", s.Batch, s.Height, s.Width, s.Channels, s.Out), func(l *lab) {
			op, err := l.NewDense(s)
			l.check(err)
			count := s.Out * s.Height * s.Width * s.Channels
			weights := l.weights(op, count)
			biasLen := (s.Out + device.Alignment - 1) / device.Alignment * device.Alignment
			bias := l.vector(l.numbers(s.Out), biasLen)
			x := l.activation(s.Batch, s.Height, s.Width, s.Channels)
			y := l.vector(nil, s.Batch*s.Out)
			l.check(op.Forward(x, weights, bias, y))
			l.record("output", elements(y))

			dy := l.vector(l.numbers(s.Batch*s.Out), s.Batch*s.Out)
			dx := l.activation(s.Batch, s.Height, s.Width, s.Channels)
			dw, dbias := l.vector(leftovers(op.WeightsLen()), op.WeightsLen()), l.vector(nil, biasLen)
			l.check(op.Backward(x, weights, dy, dx, dw, dbias))
			l.record("input's gradient", contents(dx))
			l.record("weights' gradient", l.plain(op, dw, count))
			l.record("bias' gradient", elements(dbias))
		})
	}
}

func (c conformance) crossEntropy(t *testing.T) {
	for _, s := range []device.CrossEntropySpec{{Batch: 3, Classes: 2}, {Batch: 1, Classes: 5}, {Batch: 17, Classes: 3}} {
		c.compare(t, fmt.Sprintf("%d of %d classes", s.Batch, s.Classes), func(l *lab) {
			op, err := l.NewCrossEntropy(s)
			l.check(err)
			count := s.Batch * s.Classes
			values, targets := l.numbers(count), make([]float32, count)
			for i := range values {
				// Logits whose exponentials overflow float32.
				values[i] *= 60
				targets[i] = 0.1 / float32(s.Classes)
			}
			for n := range s.Batch {
				targets[n*s.Classes+n%s.Classes] += 0.9
			}
			logits, target, dlogits := l.vector(values, count), l.vector(targets, count), l.vector(nil, count)
			loss, err := op.Loss(logits, target)
			l.check(err)
			l.record("loss", []float32{loss})
			l.check(op.Backward(logits, target, dlogits))
			l.record("gradient", elements(dlogits))
		})
	}
}
