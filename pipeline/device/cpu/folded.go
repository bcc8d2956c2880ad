package cpu

/*
#include "kernels.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"unsafe"

	"catdog/pipeline/device"
)

// A folded is a convolution by an own kernel that does the normalisation's work
// as well, while an output is in registers.
type folded struct {
	convolution   *convolution
	normalization *normalization
	// Normalisation as slope·x + offset, and the convolution's weights times
	// slope, in the form that the kernel wants.
	coefficients C.struct_normalization_arguments
	weights      *C.float
	known        bool // Set has been called
}

var _ device.Folder = (*Device)(nil)

// folds says whether the own kernels can do a normalisation's work: their
// tiles of 4×4 outputs must hold whole windows of the pooling.
func (c *convolution) folds(n device.NormalizationSpec) bool {
	switch {
	case n.Batch != c.spec.Batch || n.Height != c.outputHeight || n.Width != c.outputWide || n.Channels != c.spec.Out:
		return false
	case c.winograd != nil:
		return n.Pool == 1 || n.Pool == 2 || n.Pool == 4
	}
	return c.image != nil && !n.Skip
}

func (d *Device) Fold(convolutionOperation device.Convolution, normalizationOperation device.Normalization) (device.Folded, error) {
	c, isConvolution := convolutionOperation.(*convolution)
	n, isNormalization := normalizationOperation.(*normalization)
	switch {
	case !isConvolution || !isNormalization || c.device != d || n.device != d:
		return nil, errors.New("fold: not a convolution and a normalization of this cpu device")
	case !c.spec.Inference || !n.spec.Inference:
		return nil, errors.New("fold: the operations were not made for inference")
	case !c.folds(n.spec):
		return nil, nil
	}
	f := &folded{convolution: c, normalization: n, coefficients: n.arguments}
	length := c.WeightsLen()
	if c.winograd != nil {
		length = 36 * roundUp(c.spec.In, d.block) * roundUp(c.spec.Out, d.block)
	}
	var err error
	if f.weights, err = allocate[C.float](d, length); err != nil {
		return nil, fmt.Errorf("fold: %w", err)
	}
	coefficients, err := allocate[C.float](d, 2*n.ParameterLen())
	if err != nil {
		return nil, fmt.Errorf("fold: %w", err)
	}
	f.coefficients.slope = coefficients
	f.coefficients.offset = (*C.float)(unsafe.Add(unsafe.Pointer(coefficients), 4*n.ParameterLen()))
	return f, nil
}

func (f *folded) Set(w, scale, shift, runningMean, runningVariance device.Vector) error {
	c, length := f.convolution, f.normalization.ParameterLen()
	d := c.device
	o := d.operands()
	a := f.coefficients
	wp := o.vector("w", w, c.WeightsLen())
	a.scale = o.vector("scale", scale, length)
	a.shift = o.vector("shift", shift, length)
	a.running_mean = o.vector("running mean", runningMean, length)
	a.running_variance = o.vector("running variance", runningVariance, length)
	if o.err != nil {
		return fmt.Errorf("fold: %w", o.err)
	}
	d.submit(d.kernels.normalization_fold, unsafe.Pointer(&a), unsafe.Sizeof(a))
	if c.winograd != nil {
		arguments := *c.winograd
		arguments.w, arguments.slope, arguments.u = wp, a.slope, f.weights
		d.submit(d.kernels.winograd_fold, unsafe.Pointer(&arguments), unsafe.Sizeof(arguments))
	} else {
		arguments := *c.image
		arguments.w, arguments.slope, arguments.dw = wp, a.slope, f.weights
		d.submit(d.kernels.image_fold, unsafe.Pointer(&arguments), unsafe.Sizeof(arguments))
	}
	f.known = true
	return nil
}

func (f *folded) Infer(x, skip, y device.Activation) error {
	c, n := f.convolution, f.normalization
	if !f.known {
		return errors.New("folded convolution: its weights have not been set")
	}
	o := c.device.operands()
	xp := c.input(&o, x)
	var skipp *C.float
	if n.spec.Skip {
		skipp = o.read("skip", skip, n.spec.Batch, n.height, n.wide, n.spec.Channels)
	}
	yp := o.write("y", y, n.spec.Batch, n.height, n.wide, n.spec.Channels)
	if o.err != nil {
		return fmt.Errorf("folded convolution: %w", o.err)
	}
	pool, relu := C.int(n.spec.Pool), boolean(n.spec.ReLU)
	if c.winograd != nil {
		arguments := *c.winograd
		arguments.x, arguments.u, arguments.offset, arguments.addend, arguments.y = xp, f.weights, f.coefficients.offset, skipp, yp
		arguments.pool, arguments.relu = pool, relu
		c.device.submit(c.device.kernels.winograd_infer, unsafe.Pointer(&arguments), unsafe.Sizeof(arguments))
		return nil
	}
	arguments := *c.image
	arguments.x, arguments.w, arguments.offset, arguments.y, arguments.pad = xp, f.weights, f.coefficients.offset, yp, c.pad(x)
	arguments.pool, arguments.relu = pool, relu
	c.device.submit(c.device.kernels.image_infer, unsafe.Pointer(&arguments), unsafe.Sizeof(arguments))
	return nil
}
