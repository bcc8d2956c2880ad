package op

import (
	"errors"
	"strings"
	"testing"

	"gorgonia.org/gorgonia"

	"catdog/pipeline/device"
	"catdog/pipeline/device/reference"
)

// A node of the wrong shape is refused when the graph is built.
func TestShapesAreChecked(t *testing.T) {
	d := reference.New()
	r := newRig(t, d)
	spec := device.ConvolutionSpec{Batch: 2, Height: 5, Width: 5, In: 3, Out: 4, Kernel: 3, Stride: 1, Padding: 1}
	op := must[device.Convolution](t)(d.NewConvolution(spec))
	x := r.activation("x", make([]float32, 2*5*6*3), 2, 5, 6, 3)
	w := r.imported("w", make([]float32, 4*3*9), op.WeightsLen(), op, 4, 3, 3, 3)
	_, err := r.Convolution("c", spec, op, x, w, nil)
	if err == nil || !strings.Contains(err.Error(), "convolution c: input 0 has shape (2, 5, 6, 3), want (2, 5, 5, 3)") {
		t.Errorf("got error %v", err)
	}
}

// failing is a device's operation that reports an error.
type failing struct{ device.GlobalPool }

func (failing) Forward(x, y device.Activation) error { return errors.New("out of order") }

// A device's error comes out of the tape machine, and in plain words of Err.
func TestErrorsOfTheDevice(t *testing.T) {
	r := newRig(t, reference.New())
	spec := device.GlobalPoolSpec{Batch: 1, Height: 2, Width: 2, Channels: 3}
	x := r.activation("x", make([]float32, 12), 1, 2, 2, 3)
	must[*gorgonia.Node](t)(r.GlobalPool("p", spec, failing{}, x))
	vm := gorgonia.NewTapeMachine(r.ExprGraph)
	defer vm.Close()
	if err := vm.RunAll(); err == nil {
		t.Error("the tape machine reports no error")
	}
	if want := "global pool p: out of order"; r.Err == nil || r.Err.Error() != want {
		t.Errorf("got error %v, want %s", r.Err, want)
	}
}
