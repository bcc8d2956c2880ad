package cpu

/*
#include "convolution.h"
*/
import "C"

import (
	"fmt"
	"unsafe"

	"catdog/pipeline/device"
)

// A convolution is one of oneDNN's, or own kernels: Winograd's, or the first
// layer's.
//
// Weights lie in blocks: blocks of out, blocks of in, kernel's height, width,
// a block of in, a block of out (oneDNN's OIhw16i16o). Where the input is
// plain (see activation), they lie as height, width, in, out padded to blocks.
// The layout depends on in, out and kernel only, so that operations of other
// sizes share the weights.
type convolution struct {
	device                   *Device
	spec                     device.ConvolutionSpec
	outputHeight, outputWide int
	plain                    bool
	onednn                   *C.convolution               // of the three, the one
	winograd                 *C.struct_winograd_arguments // that is not nil
	image                    *C.struct_image_convolution_arguments
	padded                   *activation // whose values, of which version,
	paddedVersion            uint64      // the first layer's kernel has padded
	summed                   *activation // whose values' sums an own kernel holds
}

func (d *Device) NewConvolution(spec device.ConvolutionSpec) (device.Convolution, error) {
	if err := d.Err(); err != nil {
		return nil, err
	}
	h, w := spec.OutputSize()
	if spec.Batch < 1 || spec.In < 1 || spec.Out < 1 || spec.Kernel < 1 || spec.Padding < 0 || h < 1 || w < 1 {
		return nil, fmt.Errorf("new convolution: impossible %+v", spec)
	}
	c := &convolution{device: d, spec: spec, outputHeight: h, outputWide: w, plain: isPlain(spec.In)}
	needsGradient := !spec.NoInputGradient && !spec.Inference
	var err error
	switch {
	case spec.In == 3 && spec.Kernel == 3 && spec.Stride == 1 && spec.Padding == 1 && !needsGradient:
		err = c.makeImage()
	case d.chooseWinograd(spec):
		err = c.makeWinograd()
	default:
		err = c.makeOneDNN(needsGradient)
	}
	if err != nil {
		return nil, fmt.Errorf("new convolution %+v: %w", spec, err)
	}
	return c, nil
}

func (c *convolution) makeImage() error {
	d, s := c.device, c.spec
	padded, err := allocate[C.float](d, s.Batch*(s.Height+2)*(roundUp(s.Width, 8)+2)*s.In)
	if err != nil {
		return err
	}
	sums, err := allocate[C.double](d, 2*roundUp(s.Out, device.Alignment))
	if err != nil {
		return err
	}
	c.image = &C.struct_image_convolution_arguments{
		padded: padded, sums: sums, workspace: d.workspace,
		batch: C.int(s.Batch), height: C.int(s.Height), width: C.int(s.Width), out: C.int(roundUp(s.Out, d.block)),
		threads: C.int(d.threads),
	}
	return nil
}

func (c *convolution) makeOneDNN(inputGradient bool) error {
	d, s := c.device, c.spec
	handle, err := allocate[*C.convolution](d, 1)
	if err != nil {
		return err
	}
	arguments := C.struct_convolution_new_arguments{
		library: d.library, convolution: handle,
		batch: C.int(s.Batch), height: C.int(s.Height), width: C.int(s.Width), in: C.int(s.In), out: C.int(s.Out),
		kernel: C.int(s.Kernel), stride: C.int(s.Stride), padding: C.int(s.Padding),
		block: C.int(d.block), input_gradient: boolean(inputGradient), inference: boolean(s.Inference),
		plain: boolean(c.plain), direct: boolean(d.winograd != oneDNNs || d.bfloat16), bfloat16: boolean(d.bfloat16),
		add: d.kernels.add, threads: C.int(d.threads),
	}
	if err := d.wait(); err != nil {
		return err
	}
	d.submit(C.operation(C.convolution_new), unsafe.Pointer(&arguments), unsafe.Sizeof(arguments))
	if err := d.result(); err != nil {
		return err
	}
	c.onednn = *handle
	d.operations = append(d.operations, c.onednn)
	return nil
}

func boolean(b bool) C.int {
	if b {
		return 1
	}
	return 0
}

func (c *convolution) WeightsLen() int {
	s, block := c.spec, c.device.block
	in := roundUp(s.In, block)
	if c.plain {
		in = s.In
	}
	return roundUp(s.Kernel*s.Kernel*in*roundUp(s.Out, block), device.Alignment)
}

// places calls move with each weight's place in OIHW order and in the layout.
func (c *convolution) places(move func(oihw, own int)) {
	s, block := c.spec, c.device.block
	outs, ins, taps := roundUp(s.Out, block), roundUp(s.In, block)/block, s.Kernel*s.Kernel
	for o := range s.Out {
		for i := range s.In {
			for t := range taps {
				own := (t*s.In+i)*outs + o
				if !c.plain {
					own = (((o/block*ins+i/block)*taps+t)*block+i%block)*block + o%block
				}
				move((o*s.In+i)*taps+t, own)
			}
		}
	}
}

func (c *convolution) Import(oihw []float32, w device.Vector) {
	values, err := c.device.hostView("import a convolution's weights", w, c.WeightsLen(), len(oihw), c.count())
	if err != nil {
		c.device.failure.Add(err)
		return
	}
	clear(values)
	c.places(func(from, to int) { values[to] = oihw[from] })
}

func (c *convolution) Export(w device.Vector, oihw []float32) {
	values, err := c.device.hostView("export a convolution's weights", w, c.WeightsLen(), len(oihw), c.count())
	if err != nil {
		c.device.failure.Add(err)
		return
	}
	c.places(func(to, from int) { oihw[to] = values[from] })
}

func (c *convolution) count() int { return c.spec.Out * c.spec.In * c.spec.Kernel * c.spec.Kernel }

// hostView lets Go code at a vector's first length elements when all queued
// operations have run.
func (d *Device) hostView(what string, v device.Vector, length, given, expected int) ([]float32, error) {
	if given != expected {
		return nil, fmt.Errorf("%s: %d values, expected %d", what, given, expected)
	}
	p, err := d.elements("w", v, length)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	if err := d.wait(); err != nil {
		return nil, err
	}
	return floats(p, length), nil
}

// input reads x in the layout that the forward pass wants.
func (c *convolution) input(o *operands, x device.Activation) *C.float {
	s := c.spec
	if o.err != nil {
		return nil
	}
	a, err := c.device.take("x", x, s.Batch, s.Height, s.Width, s.In)
	if err != nil {
		o.err = err
		return nil
	}
	if !c.plain {
		p, err := a.readBlocked()
		o.err = err
		return p
	}
	return a.readPlain()
}

// pad notes that x is about to be padded; it returns whether that is needed.
func (c *convolution) pad(x device.Activation) C.int {
	a := x.(*activation)
	if c.padded == a && c.paddedVersion == a.version {
		return 0
	}
	c.padded, c.paddedVersion = a, a.version
	return 1
}

// sum notes that y is about to be written and its sums with it.
func (c *convolution) sum(y *activation, sums *C.double) {
	// The sums of an earlier output will be overwritten.
	if c.summed != nil {
		c.summed.sums = nil
	}
	c.summed = y
	y.sums, y.sumsVersion = sums, y.version
}

func (c *convolution) Forward(x device.Activation, w device.Vector, y device.Activation) error {
	d, s := c.device, c.spec
	o := d.operands()
	xp := c.input(&o, x)
	wp := o.vector("w", w, c.WeightsLen())
	yp := o.write("y", y, s.Batch, c.outputHeight, c.outputWide, s.Out)
	if o.err != nil {
		return fmt.Errorf("convolution forward: %w", o.err)
	}
	switch {
	case c.winograd != nil:
		c.winogradForward(xp, wp, yp, y.(*activation))
		return nil
	case c.image != nil:
		arguments := *c.image
		arguments.x, arguments.w, arguments.y, arguments.pad = xp, wp, yp, c.pad(x)
		c.sum(y.(*activation), arguments.sums)
		d.submit(d.kernels.image_forward, unsafe.Pointer(&arguments), unsafe.Sizeof(arguments))
		return nil
	}
	arguments := C.struct_convolution_arguments{convolution: c.onednn, x: xp, w: wp, y: yp}
	d.submit(C.operation(C.convolution_forward), unsafe.Pointer(&arguments), unsafe.Sizeof(arguments))
	return nil
}

func (c *convolution) BackwardInput(dy device.Activation, w device.Vector, addend, dx device.Activation) error {
	d, s := c.device, c.spec
	if s.NoInputGradient || s.Inference {
		return fmt.Errorf("convolution backward: it was made without an input gradient")
	}
	o := d.operands()
	dyp := o.read("dy", dy, s.Batch, c.outputHeight, c.outputWide, s.Out)
	wp := o.vector("w", w, c.WeightsLen())
	var addendp *C.float
	if addend != nil {
		addendp = o.read("addend", addend, s.Batch, s.Height, s.Width, s.In)
	}
	dxp := o.write("dx", dx, s.Batch, s.Height, s.Width, s.In)
	if o.err != nil {
		return fmt.Errorf("convolution backward: %w", o.err)
	}
	if c.winograd != nil {
		c.winogradBackwardInput(dyp, wp, addendp, dxp)
		return nil
	}
	arguments := C.struct_convolution_arguments{convolution: c.onednn, x: dxp, w: wp, y: dyp, addend: addendp}
	d.submit(C.operation(C.convolution_backward_input), unsafe.Pointer(&arguments), unsafe.Sizeof(arguments))
	return nil
}

func (c *convolution) BackwardWeights(x, dy device.Activation, dw device.Vector) error {
	d, s := c.device, c.spec
	if s.Inference {
		return fmt.Errorf("convolution backward: it was made for inference")
	}
	o := d.operands()
	xp := c.input(&o, x)
	dyp := o.read("dy", dy, s.Batch, c.outputHeight, c.outputWide, s.Out)
	dwp := o.vector("dw", dw, c.WeightsLen())
	if o.err != nil {
		return fmt.Errorf("convolution backward: %w", o.err)
	}
	switch {
	case c.winograd != nil:
		c.winogradBackwardWeights(xp, dyp, dwp)
		return nil
	case c.image != nil:
		arguments := *c.image
		arguments.x, arguments.dw, arguments.dy, arguments.pad = xp, dwp, dyp, c.pad(x)
		d.submit(d.kernels.image_backward_weights, unsafe.Pointer(&arguments), unsafe.Sizeof(arguments))
		return nil
	}
	arguments := C.struct_convolution_arguments{convolution: c.onednn, x: xp, w: dwp, y: dyp}
	d.submit(C.operation(C.convolution_backward_weights), unsafe.Pointer(&arguments), unsafe.Sizeof(arguments))
	return nil
}
