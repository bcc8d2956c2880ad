package op

import (
	"fmt"

	"github.com/chewxy/hm"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"catdog/pipeline/device"
)

// logical is the part of a gorgonia Value that does not depend on where and
// how the numbers lie: a shape of float32.
type logical struct{ shape tensor.Shape }

func (l logical) Shape() tensor.Shape { return l.shape }
func (l logical) Size() int           { return l.shape.TotalSize() }
func (l logical) Dtype() tensor.Dtype { return tensor.Float32 }
func (l logical) Type() hm.Type       { return typeOf(l.shape, tensor.Float32) }

// Uintptr is 0: the memory belongs to the device and has no address here.
func (l logical) Uintptr() uintptr { return 0 }

// MemSize is the size of the plain form, in bytes.
func (l logical) MemSize() uintptr { return uintptr(4 * l.Size()) }

// Format writes the shape; the numbers stay on the device.
func (l logical) Format(s fmt.State, verb rune) { fmt.Fprintf(s, "float32 %v", l.shape) }

// An Activation is a device's activation as a gorgonia Value of shape
// batch, height, width, channels.
type Activation struct {
	logical
	On device.Activation
}

// NewActivation wraps a device's activation.
func NewActivation(a device.Activation) *Activation {
	n, h, w, c := a.Shape()
	return &Activation{logical{tensor.Shape{n, h, w, c}}, a}
}

// Data returns a copy in NHWC order.
func (a *Activation) Data() interface{} {
	values := make([]float32, a.Size())
	a.On.Download(values)
	return values
}

// A Vector is a device's vector as a gorgonia Value. Its logical shape is what
// the numbers mean, e.g. out, in, kernel, kernel; their order and padding are
// the device's.
type Vector struct {
	logical
	On device.Vector
}

// NewVector wraps a device's vector.
func NewVector(v device.Vector, shape ...int) *Vector {
	return &Vector{logical{tensor.Shape(shape)}, v}
}

// Data returns a copy of the elements in the device's order, with padding.
func (v *Vector) Data() interface{} {
	values := make([]float32, v.On.Len())
	v.On.Download(values)
	return values
}

var (
	_ gorgonia.Value = &Activation{}
	_ gorgonia.Typer = &Activation{}
	_ gorgonia.Value = &Vector{}
	_ gorgonia.Typer = &Vector{}
)

// typeOf is gorgonia's type of a shape: a bare data type for scalars.
func typeOf(shape tensor.Shape, dtype tensor.Dtype) hm.Type {
	if len(shape) == 0 {
		return dtype
	}
	return gorgonia.TensorType{Dims: len(shape), Of: dtype}
}
