package reference

import (
	"errors"
	"fmt"

	"catdog/pipeline/device"
)

// convolution keeps its weights in OIHW order.
type convolution struct {
	device.ConvolutionSpec
	outHeight, outWidth int
}

func (reference) NewConvolution(spec device.ConvolutionSpec) (device.Convolution, error) {
	if spec.Kernel < 1 || spec.Stride < 1 || spec.Padding < 0 {
		return nil, fmt.Errorf("convolution: kernel %d, stride %d, padding %d", spec.Kernel, spec.Stride, spec.Padding)
	}
	h, w := spec.OutputSize()
	if h < 1 || w < 1 {
		return nil, fmt.Errorf("convolution: kernel %d does not fit into %d×%d", spec.Kernel, spec.Height, spec.Width)
	}
	return convolution{spec, h, w}, nil
}

func (c convolution) weights() int { return c.Out * c.In * c.Kernel * c.Kernel }

func (c convolution) WeightsLen() int { return aligned(c.weights()) }

func (c convolution) Import(oihw []float32, w device.Vector) {
	values := w.(vector)
	clear(values[copy(values, oihw[:c.weights()]):c.WeightsLen()])
}

func (c convolution) Export(w device.Vector, oihw []float32) {
	copy(oihw[:c.weights()], w.(vector))
}

func (c convolution) check(x, y device.Activation) error {
	return errors.Join(
		checkShape("convolution: input", x, c.Batch, c.Height, c.Width, c.In),
		checkShape("convolution: output", y, c.Batch, c.outHeight, c.outWidth, c.Out))
}

// products calls visit for every product x[i]·w[j] that is summed into y[k].
func (c convolution) products(visit func(i, j, k int)) {
	for n := range c.Batch {
		for outRow := range c.outHeight {
			for outColumn := range c.outWidth {
				for kernelRow := range c.Kernel {
					row := outRow*c.Stride + kernelRow - c.Padding
					if row < 0 || row >= c.Height {
						continue
					}
					for kernelColumn := range c.Kernel {
						column := outColumn*c.Stride + kernelColumn - c.Padding
						if column < 0 || column >= c.Width {
							continue
						}
						x := ((n*c.Height+row)*c.Width + column) * c.In
						y := ((n*c.outHeight+outRow)*c.outWidth + outColumn) * c.Out
						for out := range c.Out {
							for in := range c.In {
								visit(x+in, ((out*c.In+in)*c.Kernel+kernelRow)*c.Kernel+kernelColumn, y+out)
							}
						}
					}
				}
			}
		}
	}
}

func (c convolution) Forward(x device.Activation, w device.Vector, y device.Activation) error {
	if err := c.check(x, y); err != nil {
		return err
	}
	in, weights, out := data(x), w.(vector), data(y)
	sums := make([]float64, len(out))
	c.products(func(i, j, k int) { sums[k] += float64(in[i]) * float64(weights[j]) })
	round(sums, out)
	return nil
}

func (c convolution) BackwardInput(dy device.Activation, w device.Vector, addend, dx device.Activation) error {
	if err := c.check(dx, dy); err != nil {
		return err
	}
	weights, dout, din := w.(vector), data(dy), data(dx)
	sums := make([]float64, len(din))
	if addend != nil {
		for i, v := range data(addend) {
			sums[i] = float64(v)
		}
	}
	c.products(func(i, j, k int) { sums[i] += float64(dout[k]) * float64(weights[j]) })
	round(sums, din)
	return nil
}

func (c convolution) BackwardWeights(x, dy device.Activation, dw device.Vector) error {
	if err := c.check(x, dy); err != nil {
		return err
	}
	in, dout := data(x), data(dy)
	sums := make([]float64, c.WeightsLen())
	c.products(func(i, j, k int) { sums[j] += float64(in[i]) * float64(dout[k]) })
	round(sums, dw.(vector))
	return nil
}

// round stores float64 sums as float32.
func round(sums []float64, into []float32) {
	for i, v := range sums {
		into[i] = float32(v)
	}
}
