package devicetest

import (
	"fmt"
	"testing"

	"catdog/pipeline/device"
)

func (c conformance) convolution(t *testing.T) {
	for _, s := range []device.ConvolutionSpec{
		{Batch: 1, Height: 5, Width: 7, In: 3, Out: 16, Kernel: 3, Stride: 1, Padding: 1, NoInputGradient: true},
		{Batch: 3, Height: 8, Width: 8, In: 3, Out: 32, Kernel: 3, Stride: 1, Padding: 1, NoInputGradient: true},
		{Batch: 3, Height: 9, Width: 6, In: 16, Out: 16, Kernel: 3, Stride: 1, Padding: 1},
		{Batch: 1, Height: 7, Width: 7, In: 5, Out: 19, Kernel: 3, Stride: 2, Padding: 1},
		{Batch: 3, Height: 6, Width: 5, In: 17, Out: 3, Kernel: 1, Stride: 1, Padding: 0},
		{Batch: 1, Height: 6, Width: 7, In: 32, Out: 16, Kernel: 1, Stride: 2, Padding: 0},
		{Batch: 3, Height: 11, Width: 8, In: 4, Out: 6, Kernel: 5, Stride: 1, Padding: 2},
		{Batch: 1, Height: 11, Width: 9, In: 16, Out: 8, Kernel: 5, Stride: 2, Padding: 2},
		{Batch: 3, Height: 13, Width: 13, In: 32, Out: 48, Kernel: 3, Stride: 1, Padding: 1},
		{Batch: 1, Height: 4, Width: 4, In: 16, Out: 32, Kernel: 3, Stride: 1, Padding: 0},
	} {
		name := fmt.Sprintf("%dx%dx%dx%d to %d kernel %d stride %d padding %d",
			s.Batch, s.Height, s.Width, s.In, s.Out, s.Kernel, s.Stride, s.Padding)
		c.compare(t, name, func(l *lab) {
			op, err := l.NewConvolution(s)
			l.check(err)
			count := s.Out * s.In * s.Kernel * s.Kernel
			h, w := s.OutputSize()
			weights := l.weights(op, count)
			x, y := l.activation(s.Batch, s.Height, s.Width, s.In), l.activation(s.Batch, h, w, s.Out)
			l.check(op.Forward(x, weights, y))
			l.record("output", contents(y))

			dy, dw := l.activation(s.Batch, h, w, s.Out), l.vector(leftovers(op.WeightsLen()), op.WeightsLen())
			l.check(op.BackwardWeights(x, dy, dw))
			l.record("weights' gradient", l.plain(op, dw, count))
			if s.NoInputGradient {
				return
			}
			dx, addend := l.activation(s.Batch, s.Height, s.Width, s.In), l.activation(s.Batch, s.Height, s.Width, s.In)
			l.check(op.BackwardInput(dy, weights, nil, dx))
			l.record("input's gradient", contents(dx))
			l.check(op.BackwardInput(dy, weights, addend, dx))
			l.record("input's gradient with an addend", contents(dx))
			l.check(op.BackwardInput(dy, weights, addend, addend))
			l.record("input's gradient added in place", contents(addend))

			forInference := s
			forInference.Inference = true
			inference, err := l.NewConvolution(forInference)
			l.check(err)
			if inference.WeightsLen() != op.WeightsLen() {
				l.t.Fatalf("WeightsLen is %d for inference, %d for training", inference.WeightsLen(), op.WeightsLen())
			}
			l.check(inference.Forward(x, weights, y))
			l.record("output for inference", contents(y))
		})
	}
}
