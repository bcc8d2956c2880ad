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

type normalization struct {
	device       *Device
	spec         device.NormalizationSpec
	height, wide int // of the output
	arguments    C.struct_normalization_arguments
}

func (d *Device) NewNormalization(spec device.NormalizationSpec) (device.Normalization, error) {
	if spec.Batch < 1 || spec.Channels < 1 || spec.Pool < 1 || spec.Height < spec.Pool || spec.Width < spec.Pool {
		return nil, fmt.Errorf("new normalization: impossible %+v", spec)
	}
	if spec.Skip && spec.Pool > 1 {
		return nil, errors.New("new normalization: a skip connection cannot follow pooling")
	}
	channels := roundUp(spec.Channels, device.Alignment)
	statistics, err := allocate[C.float](d, 6*channels)
	if err != nil {
		return nil, fmt.Errorf("new normalization: %w", err)
	}
	row := func(i int) *C.float {
		return (*C.float)(unsafe.Add(unsafe.Pointer(statistics), 4*i*channels))
	}
	return &normalization{
		device: d, spec: spec, height: spec.Height / spec.Pool, wide: spec.Width / spec.Pool,
		arguments: C.struct_normalization_arguments{
			mean: row(0), inverse: row(1), slope: row(2), offset: row(3), tilt: row(4), constant: row(5), workspace: d.workspace,
			parameters: C.int(channels),
			batch:      C.int(spec.Batch), height: C.int(spec.Height), width: C.int(spec.Width), channels: C.int(spec.Channels),
			pool: C.int(spec.Pool), relu: boolean(spec.ReLU),
			epsilon: C.float(spec.Epsilon), momentum: C.float(spec.Momentum),
			threads: C.int(d.threads),
		},
	}, nil
}

func (n *normalization) ParameterLen() int { return int(n.arguments.parameters) }

func (n *normalization) Forward(x device.Activation, scale, shift, runningMean, runningVariance device.Vector, skip, y device.Activation) error {
	if n.spec.Inference {
		return errors.New("normalization forward: it was made for inference")
	}
	return n.output(n.device.kernels.normalization_forward, x, scale, shift, runningMean, runningVariance, skip, y)
}

func (n *normalization) Infer(x device.Activation, scale, shift, runningMean, runningVariance device.Vector, skip, y device.Activation) error {
	return n.output(n.device.kernels.normalization_infer, x, scale, shift, runningMean, runningVariance, skip, y)
}

func (n *normalization) output(run C.operation, x device.Activation, scale, shift, runningMean, runningVariance device.Vector, skip, y device.Activation) error {
	s := n.spec
	o := n.device.operands()
	a := n.arguments
	a.x = o.read("x", x, s.Batch, s.Height, s.Width, s.Channels)
	if o.err == nil {
		a.sums = x.(*activation).statistics()
	}
	a.scale = o.vector("scale", scale, n.ParameterLen())
	a.shift = o.vector("shift", shift, n.ParameterLen())
	a.running_mean = o.vector("running mean", runningMean, n.ParameterLen())
	a.running_variance = o.vector("running variance", runningVariance, n.ParameterLen())
	if s.Skip {
		a.skip = o.read("skip", skip, s.Batch, n.height, n.wide, s.Channels)
	}
	a.y = o.write("y", y, s.Batch, n.height, n.wide, s.Channels)
	if o.err != nil {
		return fmt.Errorf("normalization forward: %w", o.err)
	}
	n.device.submit(run, unsafe.Pointer(&a), unsafe.Sizeof(a))
	return nil
}

func (n *normalization) Backward(x, y, dy device.Activation, scale, shift device.Vector, dx device.Activation, dscale, dshift device.Vector) error {
	s := n.spec
	if s.Inference {
		return errors.New("normalization backward: it was made for inference")
	}
	o := n.device.operands()
	a := n.arguments
	a.x = o.read("x", x, s.Batch, s.Height, s.Width, s.Channels)
	a.y = o.read("y", y, s.Batch, n.height, n.wide, s.Channels)
	a.dy = o.read("dy", dy, s.Batch, n.height, n.wide, s.Channels)
	a.scale = o.vector("scale", scale, n.ParameterLen())
	a.shift = o.vector("shift", shift, n.ParameterLen())
	a.dscale = o.vector("dscale", dscale, n.ParameterLen())
	a.dshift = o.vector("dshift", dshift, n.ParameterLen())
	a.dx = o.write("dx", dx, s.Batch, s.Height, s.Width, s.Channels)
	if o.err != nil {
		return fmt.Errorf("normalization backward: %w", o.err)
	}
	n.device.submit(n.device.kernels.normalization_backward, unsafe.Pointer(&a), unsafe.Sizeof(a))
	return nil
}
