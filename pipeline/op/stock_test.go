package op

import (
	"math"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// same compares float32 values with those of a stock tensor; order maps an
// index of the former to one of the latter, nil is the identity.
func same(t *testing.T, what string, got []float32, stock gorgonia.Value, order func(i int) int) {
	t.Helper()
	want := stock.Data().([]float64)
	difference, norm := 0.0, 0.0
	for i, v := range got {
		j := i
		if order != nil {
			j = order(i)
		}
		difference += (float64(v) - want[j]) * (float64(v) - want[j])
		norm += want[j] * want[j]
	}
	if e := math.Sqrt(difference / norm); !(e <= tolerance) {
		t.Errorf("%s: differs from gorgonia's own by %.2g of its norm", what, e)
	}
}

// A stock graph is of gorgonia's own Ops, in float64 and NCHW.
type stock struct {
	*gorgonia.ExprGraph
	t *testing.T
}

func newStock(t *testing.T) *stock { return &stock{gorgonia.NewGraph(), t} }

func (s *stock) input(name string, values []float32, order func(i int) int, shape ...int) *gorgonia.Node {
	backing := make([]float64, len(values))
	for i, v := range values {
		j := i
		if order != nil {
			j = order(i)
		}
		backing[j] = float64(v)
	}
	v := tensor.New(tensor.WithShape(shape...), tensor.WithBacking(backing))
	return gorgonia.NewTensor(s.ExprGraph, tensor.Float64, len(shape), gorgonia.WithShape(shape...), gorgonia.WithName(name), gorgonia.WithValue(v))
}

func (s *stock) image(name string, values []float32, n, h, w, c int) *gorgonia.Node {
	return s.input(name, values, nchw(h, w, c), n, c, h, w)
}

// nchw maps an index in NHWC order to one in NCHW order.
func nchw(h, w, c int) func(i int) int {
	return func(i int) int {
		channel, column, row, n := i%c, i/c%w, i/c/w%h, i/c/w/h
		return ((n*c+channel)*h+row)*w + column
	}
}

// gradients is rig.gradients for y in NCHW, which is read before gorgonia
// computes the product with it in its place.
func (s *stock) gradients(y *gorgonia.Node, weights []float32, by ...*gorgonia.Node) (result gorgonia.Value, gradients gorgonia.Nodes) {
	s.t.Helper()
	node := must[*gorgonia.Node](s.t)
	shape := y.Shape()
	upstream := s.image("upstream", weights, shape[0], shape[2], shape[3], shape[1])
	cost := node(gorgonia.Sum(node(gorgonia.HadamardProd(y, upstream))))
	gradients = must[gorgonia.Nodes](s.t)(gorgonia.Grad(cost, by...))
	gorgonia.Read(y, &result)
	vm := gorgonia.NewTapeMachine(s.ExprGraph)
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		s.t.Fatal(err)
	}
	return result, gradients
}
