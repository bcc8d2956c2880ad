//go:build gpu

package gpu

import (
	"fmt"

	"gorgonia.org/cu"

	"catdog/pipeline/device"
)

// convolution keeps its weights in OHWI order.
type convolution struct {
	device.ConvolutionSpec
	device        *Device
	height, width int // of the output
}

func (d *Device) NewConvolution(spec device.ConvolutionSpec) (device.Convolution, error) {
	if spec.Batch < 1 || spec.In < 1 || spec.Out < 1 || spec.Kernel < 1 || spec.Stride < 1 || spec.Padding < 0 ||
		min(spec.Height, spec.Width)+2*spec.Padding < spec.Kernel {
		return nil, fmt.Errorf("new convolution: impossible %+v", spec)
	}
	h, w := spec.OutputSize()
	return convolution{spec, d, h, w}, nil
}

func (c convolution) weights() int { return c.Out * c.In * c.Kernel * c.Kernel }

func (c convolution) WeightsLen() int { return roundUp(c.weights(), device.Alignment) }

// places calls visit with each weight's index in OIHW order and in OHWI order.
func (c convolution) places(visit func(oihw, ohwi int)) {
	area := c.Kernel * c.Kernel
	for out := range c.Out {
		for in := range c.In {
			for k := range area {
				visit((out*c.In+in)*area+k, (out*area+k)*c.In+in)
			}
		}
	}
}

func (c convolution) Import(oihw []float32, w device.Vector) {
	values := make([]float32, c.WeightsLen())
	c.places(func(i, j int) { values[j] = oihw[i] })
	w.Slice(0, len(values)).Upload(values)
}

func (c convolution) Export(w device.Vector, oihw []float32) {
	values := make([]float32, c.weights())
	w.Slice(0, len(values)).Download(values)
	c.places(func(i, j int) { oihw[i] = values[j] })
}

func (c convolution) input(o *operands, name string, x device.Activation) cu.DevicePtr {
	return o.activation(name, x, c.Batch, c.Height, c.Width, c.In)
}

func (c convolution) output(o *operands, name string, y device.Activation) cu.DevicePtr {
	return o.activation(name, y, c.Batch, c.height, c.width, c.Out)
}

// launch adds the shape to a kernel's arguments.
func (c convolution) launch(count int, kernel string, arguments ...any) launch {
	return over(count, kernel, append(arguments, c.Batch, c.Height, c.Width, c.In, c.Out, c.height, c.width, c.Kernel, c.Stride, c.Padding)...)
}

func (c convolution) Forward(x device.Activation, w device.Vector, y device.Activation) error {
	o := c.device.operands("convolution forward")
	return o.submit(c.launch(c.Batch*c.height*c.width*c.Out, "convolution_forward",
		c.input(o, "input", x), o.vector("weights", w, c.WeightsLen()), c.output(o, "output", y)))
}

func (c convolution) BackwardInput(dy device.Activation, w device.Vector, addend, dx device.Activation) error {
	o := c.device.operands("convolution backward to the input")
	var added cu.DevicePtr
	if addend != nil {
		added = c.input(o, "addend", addend)
	}
	return o.submit(c.launch(c.Batch*c.Height*c.Width*c.In, "convolution_backward_input",
		c.output(o, "output's gradient", dy), o.vector("weights", w, c.WeightsLen()), added, c.input(o, "input's gradient", dx)))
}

func (c convolution) BackwardWeights(x, dy device.Activation, dw device.Vector) error {
	o := c.device.operands("convolution backward to the weights")
	l := c.launch(c.WeightsLen(), "convolution_backward_weights",
		c.input(o, "input", x), c.output(o, "output's gradient", dy), o.vector("weights' gradient", dw, c.WeightsLen()))
	l.arguments = append(l.arguments, c.WeightsLen())
	return o.submit(l)
}
