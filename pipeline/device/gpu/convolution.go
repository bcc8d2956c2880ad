//go:build gpu

package gpu

import (
	"fmt"

	"gorgonia.org/cu"

	"catdog/pipeline/device"
	"catdog/pipeline/device/gpu/cudnn"
	"catdog/pipeline/device/gpu/driver"
)

// convolution keeps its weights in OHWI order, both kinds of channels padded to
// their pitch with zeros. Where activations are not float32, its operations
// work with a copy of the weights in elements, which Forward makes: what goes
// backward comes after it, with the same weights.
type convolution struct {
	device.ConvolutionSpec
	device        *Device
	height, width int // of the output
	in, out       int // pitches
	elements      cu.DevicePtr
	cudnn         *cudnn.Convolution // nil for our own kernels
	plans         map[cudnn.Operation]plan
	// addsApart says that cuDNN does not add to what is there, which is then
	// saved.
	addsApart bool
	saved     cu.DevicePtr
}

// A plan is how cuDNN computes an operation.
type plan struct{ algorithm, bytes int }

func (d *Device) NewConvolution(spec device.ConvolutionSpec) (device.Convolution, error) {
	h, w := spec.OutputSize()
	if spec.Batch < 1 || spec.In < 1 || spec.Out < 1 || spec.Kernel < 1 || spec.Padding < 0 || h < 1 || w < 1 {
		return nil, fmt.Errorf("new convolution: impossible %+v", spec)
	}
	c := &convolution{ConvolutionSpec: spec, device: d, height: h, width: w, in: pitch(spec.In), out: pitch(spec.Out),
		plans: map[cudnn.Operation]plan{}}
	var err error
	if d.element() != 4 {
		if c.elements, err = d.allocate(d.element() * c.WeightsLen()); err != nil {
			return nil, fmt.Errorf("new convolution: %w", err)
		}
	}
	if d.cudnn != nil {
		err = d.do(c.plan)
	}
	if err != nil {
		return nil, fmt.Errorf("new convolution: %w", err)
	}
	return c, nil
}

// shape is the convolution as cuDNN sees it.
func (c *convolution) shape() cudnn.Shape {
	return cudnn.Shape{
		Batch: c.Batch, Height: c.Height, Width: c.Width, In: c.in, Out: c.out, Rows: c.height, Columns: c.width,
		Kernel: c.Kernel, Stride: c.Stride, Padding: c.Padding, BFloat16: c.device.element() == 2,
	}
}

// plan describes the convolution to cuDNN and reserves the workspace that its
// operations need, behind a place for the weights' gradient in elements.
func (c *convolution) plan() (err error) {
	d := c.device
	if places := float64(c.Batch) * max(float64(c.Height*c.Width*c.in), float64(c.height*c.width*c.out)); places >= cudnn.Most {
		return fmt.Errorf("%v: %.0f elements are more than cuDNN takes (a smaller train.batch has fewer)", c.shape(), places)
	}
	if c.cudnn, err = d.cudnn.NewConvolution(c.shape()); err != nil {
		return err
	}
	d.described = append(d.described, c.cudnn)
	for _, o := range cudnn.Operations {
		if c.Inference && o != cudnn.Forward || c.NoInputGradient && o == cudnn.BackwardInput {
			continue
		}
		var p plan
		if p.algorithm, err = cudnn.Algorithm(d.capability, c.shape(), o); err != nil {
			return err
		}
		if p.bytes, err = c.cudnn.Workspace(o, p.algorithm); err != nil {
			return err
		}
		c.plans[o] = p
		c.workspace(o).reserve(c.gradientBytes() + p.bytes)
	}
	return nil
}

// workspace is where an operation works.
func (c *convolution) workspace(o cudnn.Operation) *workspace {
	if c.aside(o) {
		return &c.device.beside.workspace
	}
	return &c.device.workspace
}

// aside says whether an operation runs beside the next one.
func (c *convolution) aside(o cudnn.Operation) bool {
	return o == cudnn.BackwardWeights && !c.NoInputGradient
}

// gradientBytes is the size of the weights' gradient in elements, 0 where those
// are float32.
func (c *convolution) gradientBytes() int {
	if c.elements == 0 {
		return 0
	}
	return roundUp(c.device.element()*c.WeightsLen(), 256)
}

// WeightsLen is a multiple of octet², and so of device.Alignment.
func (c *convolution) WeightsLen() int { return c.out * c.in * c.Kernel * c.Kernel }

// places calls visit with each weight's index in OIHW order and in padded OHWI
// order.
func (c *convolution) places(visit func(oihw, ohwi int)) {
	area := c.Kernel * c.Kernel
	for out := range c.Out {
		for in := range c.In {
			for k := range area {
				visit((out*c.In+in)*area+k, (out*area+k)*c.in+in)
			}
		}
	}
}

func (c *convolution) Import(oihw []float32, w device.Vector) {
	values := make([]float32, c.WeightsLen())
	c.places(func(i, j int) { values[j] = oihw[i] })
	w.Slice(0, len(values)).Upload(values)
}

func (c *convolution) Export(w device.Vector, oihw []float32) {
	values := make([]float32, c.WeightsLen())
	w.Slice(0, len(values)).Download(values)
	c.places(func(i, j int) { oihw[i] = values[j] })
}

func (c *convolution) input(o *operands, name string, x device.Activation) cu.DevicePtr {
	return o.activation(name, x, c.Batch, c.Height, c.Width, c.In)
}

func (c *convolution) output(o *operands, name string, y device.Activation) cu.DevicePtr {
	return o.activation(name, y, c.Batch, c.height, c.width, c.Out)
}

// own is a launch of our own kernel, with the shape behind its arguments.
func (c *convolution) own(count int, kernel string, arguments ...any) launch {
	return c.device.over(count, kernel, append(arguments, c.Batch, c.Height, c.Width, c.in, c.out, c.height, c.width, c.Kernel, c.Stride, c.Padding)...)
}

// call is a call of cuDNN's for what is not computed aside.
func (c *convolution) call(o cudnn.Operation, a, b, result cu.DevicePtr, keep float32) launch {
	return launch{call: func() error { return c.run(c.device.cudnn, o, a, b, result, keep) }, overlaps: o == cudnn.BackwardInput}
}

// run calls cuDNN on a stream's handle. The weights' gradient in elements, for
// which result is 0, is at the workspace's beginning.
func (c *convolution) run(h *cudnn.Handle, o cudnn.Operation, a, b, result cu.DevicePtr, keep float32) error {
	scratch, err := c.device.scratch(c.workspace(o))
	if err != nil {
		return err
	}
	if result == 0 {
		result = scratch
	}
	p := c.plans[o]
	return c.cudnn.Run(h, o, p.algorithm, a, b, result, keep, scratch+cu.DevicePtr(c.gradientBytes()), p.bytes)
}

func (c *convolution) Forward(x device.Activation, w device.Vector, y device.Activation) error {
	o := c.device.operands("convolution forward")
	in, weights, out := c.input(o, "input", x), o.vector("weights", w, c.WeightsLen()), c.output(o, "output", y)
	var launches []launch
	if c.elements != 0 {
		launches = append(launches, c.device.over(c.WeightsLen()/octet, "convolution_weights", weights, c.elements, c.WeightsLen()))
		weights = c.elements
	}
	if c.cudnn != nil {
		return o.submit(append(launches, c.call(cudnn.Forward, in, weights, out, 0))...)
	}
	return o.submit(append(launches, c.own(c.Batch*c.height*c.width*c.out, "convolution_forward", in, weights, out))...)
}

func (c *convolution) BackwardInput(dy device.Activation, w device.Vector, addend, dx device.Activation) error {
	o := c.device.operands("convolution backward to the input")
	dout, weights, din := c.output(o, "output's gradient", dy), o.vector("weights", w, c.WeightsLen()), c.input(o, "input's gradient", dx)
	if c.elements != 0 {
		weights = c.elements
	}
	var added cu.DevicePtr
	if addend != nil {
		added = c.input(o, "addend", addend)
	}
	size := c.Batch * c.Height * c.Width * c.in
	if c.cudnn == nil {
		return o.submit(c.own(size, "convolution_backward_input", dout, weights, added, din))
	}
	plain := c.call(cudnn.BackwardInput, weights, dout, din, 0)
	switch {
	case added == 0:
		return o.submit(plain)
	case added != din:
		return o.submit(plain, c.device.over(size/octet, "convolution_add", added, din, uint64(size)))
	}
	// What is there is kept and added to, if cuDNN can do that. Where it says
	// no, which it does before it computes, the sum is a kernel of ours.
	adding := c.call(cudnn.BackwardInput, weights, dout, din, 1)
	return o.submit(launch{overlaps: true, call: func() error {
		if !c.addsApart {
			err := adding.call()
			if !cudnn.NotSupported(err) {
				return err
			}
			c.addsApart = true
		}
		return c.addApart(plain, din, size)
	}})
}

// addApart saves what is at din, computes there, and adds the two.
func (c *convolution) addApart(plain launch, din cu.DevicePtr, size int) error {
	d := c.device
	if c.saved == 0 {
		var err error
		if c.saved, err = d.allocateHere(d.element() * size); err != nil {
			return err
		}
	}
	if err := cu.MemcpyDtoDAsync(c.saved, din, int64(d.element()*size), d.stream); err != nil {
		return fmt.Errorf("copy %d bytes: %w", d.element()*size, driver.Named("cuMemcpyDtoDAsync", err))
	}
	if err := plain.call(); err != nil {
		return err
	}
	return d.start(d.over(size/octet, "convolution_add", c.saved, din, uint64(size)), d.stream)
}

func (c *convolution) BackwardWeights(x, dy device.Activation, dw device.Vector) error {
	o := c.device.operands("convolution backward to the weights")
	in, dout, gradient := c.input(o, "input", x), c.output(o, "output's gradient", dy), o.vector("weights' gradient", dw, c.WeightsLen())
	if c.cudnn == nil {
		return o.submit(c.own(c.WeightsLen(), "convolution_backward_weights", in, dout, gradient))
	}
	d := c.device
	compute := func(h *cudnn.Handle, stream cu.Stream) error {
		if c.elements == 0 {
			return c.run(h, cudnn.BackwardWeights, in, dout, gradient, 0)
		}
		if err := c.run(h, cudnn.BackwardWeights, in, dout, 0, 0); err != nil {
			return err
		}
		return d.start(d.over(c.WeightsLen()/octet, "convolution_gradient", c.workspace(cudnn.BackwardWeights).data, gradient, c.WeightsLen()), stream)
	}
	return o.submit(launch{call: func() error {
		if c.aside(cudnn.BackwardWeights) {
			return d.aside(compute)
		}
		return compute(d.cudnn, d.stream)
	}})
}
