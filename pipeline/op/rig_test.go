package op

import (
	"math/rand/v2"
	"testing"

	"gorgonia.org/gorgonia"

	"catdog/pipeline/device"
	"catdog/pipeline/device/cpu"
	"catdog/pipeline/device/reference"
)

// Every test builds the same computation twice, from this package's Ops and
// from gorgonia's own in float64, differentiates both with gorgonia.Grad and
// compares results and gradients. tolerance is of the Euclidean norm.
const tolerance = 1e-5

func onDevices(t *testing.T, test func(t *testing.T, d device.Device)) {
	processor, err := cpu.New(cpu.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer processor.Close()
	for name, d := range map[string]device.Device{"reference": reference.New(), "cpu": processor} {
		t.Run(name, func(t *testing.T) { test(t, d) })
	}
}

func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func numbers(seed uint64, count int) []float32 {
	random := rand.New(rand.NewPCG(seed, 1))
	values := make([]float32, count)
	for i := range values {
		values[i] = float32(random.NormFloat64())
	}
	return values
}

// A rig is a graph of this package's Ops on a device.
type rig struct {
	*Graph
	t      *testing.T
	device device.Device
}

func newRig(t *testing.T, d device.Device) *rig {
	return &rig{&Graph{ExprGraph: gorgonia.NewGraph(), Buffers: NewBuffers(d)}, t, d}
}

func (r *rig) activation(name string, values []float32, n, h, w, c int) *gorgonia.Node {
	r.t.Helper()
	a := must[device.Activation](r.t)(r.device.NewActivation(n, h, w, c))
	a.Upload(values)
	return r.Input(name, NewActivation(a))
}

func (r *rig) vector(length int) device.Vector {
	r.t.Helper()
	return must[device.Vector](r.t)(r.device.NewVector((length + device.Alignment - 1) / device.Alignment * device.Alignment))
}

// plain makes a one-dimensional parameter.
func (r *rig) plain(name string, values []float32) Parameter {
	r.t.Helper()
	v := r.vector(len(values))
	padded := make([]float32, v.Len())
	copy(padded, values)
	v.Upload(padded)
	return Parameter{r.Input(name, NewVector(v, len(values))), r.vector(len(values))}
}

// imported makes a parameter whose layout is the device's.
func (r *rig) imported(name string, values []float32, length int, layout interface {
	Import([]float32, device.Vector)
}, shape ...int) Parameter {
	r.t.Helper()
	v := r.vector(length)
	layout.Import(values, v)
	return Parameter{r.Input(name, NewVector(v, shape...)), r.vector(length)}
}

// weighted is the cost Σ y·weights: its gradient by y is weights.
type weighted struct{ operation }

func (weighted) DiffWRT(int) []bool { return []bool{true, false} }

func (weighted) SymDiff(inputs gorgonia.Nodes, output, gradient *gorgonia.Node) (gorgonia.Nodes, error) {
	return gorgonia.Nodes{inputs[1], nil}, nil
}

// gradients differentiates Σ y·weights, runs the graph and returns what y was
// before the backward pass used its buffer.
func (r *rig) gradients(y *gorgonia.Node, weights []float32, by ...*gorgonia.Node) (result []float32, gradients gorgonia.Nodes) {
	r.t.Helper()
	s := y.Shape()
	upstream := r.activation("upstream", weights, s[0], s[1], s[2], s[3])
	cost := must[*gorgonia.Node](r.t)(gorgonia.ApplyOp(&weighted{operation{
		graph: r.Graph, name: "weighted", inputs: []input{floats(s...), floats(s...)}, result: gorgonia.NewF32(0),
		run: func(in []gorgonia.Value) error {
			result = data(in[0])
			return nil
		},
	}}, y, upstream))
	gradients = must[gorgonia.Nodes](r.t)(gorgonia.Grad(cost, by...))
	r.run()
	return result, gradients
}

func (r *rig) run() {
	r.t.Helper()
	vm := gorgonia.NewTapeMachine(r.ExprGraph)
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		r.t.Fatal(err)
	}
}

func data(v gorgonia.Value) []float32 { return v.Data().([]float32) }
