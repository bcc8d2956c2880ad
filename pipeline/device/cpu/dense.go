package cpu

/*
#include "kernels.h"
*/
import "C"

import (
	"fmt"
	"unsafe"

	"catdog/pipeline/device"
)

// A dense layer's weights lie as out, then the input's layout: blocks of
// channels, height, width, a block.
type dense struct {
	device   *Device
	spec     device.DenseSpec
	features int // channels padded
}

func (d *Device) NewDense(spec device.DenseSpec) (device.Dense, error) {
	if spec.Batch < 1 || spec.Height < 1 || spec.Width < 1 || spec.Channels < 1 || spec.Out < 1 {
		return nil, fmt.Errorf("new dense: impossible %+v", spec)
	}
	return &dense{d, spec, spec.Height * spec.Width * roundUp(spec.Channels, d.block)}, nil
}

func (l *dense) WeightsLen() int { return roundUp(l.spec.Out*l.features, device.Alignment) }

// places calls move with each weight's place in the plain order and in the layout.
func (l *dense) places(move func(plain, own int)) {
	s, block := l.spec, l.device.block
	for o := range s.Out {
		for p := range s.Height * s.Width {
			for c := range s.Channels {
				move((o*s.Height*s.Width+p)*s.Channels+c, o*l.features+(c/block*s.Height*s.Width+p)*block+c%block)
			}
		}
	}
}

func (l *dense) count() int { return l.spec.Out * l.spec.Height * l.spec.Width * l.spec.Channels }

func (l *dense) Import(rows []float32, w device.Vector) {
	values, err := l.device.hostView("import a dense layer's weights", w, l.WeightsLen(), len(rows), l.count())
	if err != nil {
		l.device.failure.Add(err)
		return
	}
	clear(values)
	l.places(func(from, to int) { values[to] = rows[from] })
}

func (l *dense) Export(w device.Vector, rows []float32) {
	values, err := l.device.hostView("export a dense layer's weights", w, l.WeightsLen(), len(rows), l.count())
	if err != nil {
		l.device.failure.Add(err)
		return
	}
	l.places(func(to, from int) { rows[to] = values[from] })
}

func (l *dense) Forward(x device.Activation, w, bias, y device.Vector) error {
	s := l.spec
	o := l.device.operands()
	a := l.arguments()
	a.x = o.read("x", x, s.Batch, s.Height, s.Width, s.Channels)
	a.w = o.vector("w", w, l.WeightsLen())
	a.bias = o.vector("bias", bias, s.Out)
	a.y = o.vector("y", y, s.Batch*s.Out)
	if o.err != nil {
		return fmt.Errorf("dense forward: %w", o.err)
	}
	l.device.submit(l.device.kernels.dense_forward, unsafe.Pointer(&a), unsafe.Sizeof(a))
	return nil
}

func (l *dense) Backward(x device.Activation, w, dy device.Vector, dx device.Activation, dw, dbias device.Vector) error {
	s := l.spec
	o := l.device.operands()
	a := l.arguments()
	a.x = o.read("x", x, s.Batch, s.Height, s.Width, s.Channels)
	a.w = o.vector("w", w, l.WeightsLen())
	a.dy = o.vector("dy", dy, s.Batch*s.Out)
	a.dw = o.vector("dw", dw, l.WeightsLen())
	a.dbias = o.vector("dbias", dbias, s.Out)
	a.dx = o.write("dx", dx, s.Batch, s.Height, s.Width, s.Channels)
	if o.err != nil {
		return fmt.Errorf("dense backward: %w", o.err)
	}
	l.device.submit(l.device.kernels.dense_backward, unsafe.Pointer(&a), unsafe.Sizeof(a))
	return nil
}

func (l *dense) arguments() C.struct_dense_arguments {
	return C.struct_dense_arguments{
		batch: C.int(l.spec.Batch), features: C.int(l.features), out: C.int(l.spec.Out), threads: C.int(l.device.threads),
	}
}
