// Package op holds the network's gorgonia Ops: shapes and derivatives here, the
// arithmetic in a device.Device.
//
// The Ops differ from gorgonia's own in three ways.
//
//   - Their values live on the device (Activation, Vector) and belong to the
//     Op: a run allocates nothing.
//   - The derivative of an Op with several inputs is one Op that computes all
//     gradients. Its value is the gradient of the activation; small Ops that
//     take it as their child stand for the others. So forward and backward
//     Ops form one chain, there is one order in which they can run, and a
//     buffer is free for another value as soon as its last reader in the chain
//     has run. Buffers relies on that.
//   - Where a residual block's input feeds both the block and its skip
//     connection, gorgonia would sum the two gradients with its own addition,
//     which knows its own tensors only. Instead the Op that adds the skip
//     declares itself not differentiable by it and leaves its gradient's node
//     in a Skip, from which the block's first convolution takes it as one more
//     input and adds it to its own result.
package op

import (
	"fmt"
	"hash"
	"hash/fnv"

	"github.com/chewxy/hm"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"catdog/pipeline/device"
)

// A Graph is a gorgonia graph under construction, with what its Ops run on.
type Graph struct {
	*gorgonia.ExprGraph
	Buffers *Buffers
	// Changed says that parameters have changed since the last run: operations
	// that keep a form of their own of them make it anew.
	Changed bool
	// Err is what made the last run fail, without the tape machine's words.
	Err       error
	recording bool
	calls     []call // recorded
}

// A call is an Op with its inputs' values.
type call struct {
	*operation
	inputs []gorgonia.Value
}

// Record lets the next run of the tape machine be repeated.
func (g *Graph) Record() { g.recording, g.calls, g.Err = true, nil, nil }

// Repeat runs again what the tape machine ran since Record, in its order. Since
// all values are always the same objects, that is what the machine would do;
// but it allocates for every instruction, and this does not. Values that were
// bound to the graph's inputs meanwhile are not seen.
func (g *Graph) Repeat() error {
	g.recording = false
	for _, c := range g.calls {
		if err := c.run(c.inputs); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	return nil
}

// Input adds a variable that is bound to a value.
func (g *Graph) Input(name string, v gorgonia.Value) *gorgonia.Node {
	return gorgonia.NewTensor(g.ExprGraph, v.Dtype(), v.Shape().Dims(),
		gorgonia.WithShape(v.Shape()...), gorgonia.WithName(name), gorgonia.WithValue(v))
}

// A Parameter is a variable with the place of its gradient.
type Parameter struct {
	*gorgonia.Node
	Gradient device.Vector
}

// input is what an Op expects of one child.
type input struct {
	dtype tensor.Dtype
	shape tensor.Shape
}

func floats(shape ...int) input { return input{tensor.Float32, shape} }

// operation is what all Ops of this package have in common; they embed it.
type operation struct {
	graph  *Graph
	name   string // unique in its graph: Ops with equal hashes are merged
	inputs []input
	result gorgonia.Value // the same at every run
	run    func(inputs []gorgonia.Value) error
}

func (o *operation) Arity() int { return len(o.inputs) }

func (o *operation) Type() hm.Type {
	types := make([]hm.Type, 0, len(o.inputs)+1)
	for _, in := range o.inputs {
		types = append(types, typeOf(in.shape, in.dtype))
	}
	return hm.NewFnType(append(types, gorgonia.TypeOf(o.result))...)
}

func (o *operation) InferShape(shapes ...gorgonia.DimSizer) (tensor.Shape, error) {
	for i, in := range o.inputs {
		if s, ok := shapes[i].(tensor.Shape); !ok || !s.Eq(in.shape) {
			return nil, fmt.Errorf("%s: input %d has shape %v, want %v", o.name, i, shapes[i], in.shape)
		}
	}
	return o.result.Shape().Clone(), nil
}

func (o *operation) Do(inputs ...gorgonia.Value) (gorgonia.Value, error) {
	if err := o.run(inputs); err != nil {
		o.graph.Err = fmt.Errorf("%s: %w", o.name, err)
		return nil, o.graph.Err
	}
	if o.graph.recording {
		o.graph.calls = append(o.graph.calls, call{o, inputs})
	}
	return o.result, nil
}

// ReturnsPtr: the result is the Op's own value, not a copy.
func (o *operation) ReturnsPtr() bool { return true }

// CallsExtern is false, or the tape machine would allocate outputs.
func (o *operation) CallsExtern() bool { return false }

// OverwritesInput concerns the machine's registers, which hold references
// only; where buffers are shared is decided by Buffers.
func (o *operation) OverwritesInput() int { return -1 }

func (o *operation) WriteHash(h hash.Hash) { fmt.Fprint(h, o.name) }

func (o *operation) Hashcode() uint32 {
	h := fnv.New32a()
	o.WriteHash(h)
	return h.Sum32()
}

func (o *operation) String() string { return o.name }

// A Result is an Op of this package.
type Result interface {
	gorgonia.Op
	// Value is what the Op computes, the same object at every run.
	Value() gorgonia.Value
}

func (o *operation) Value() gorgonia.Value { return o.result }

func activation(v gorgonia.Value) device.Activation { return v.(*Activation).On }

func vector(v gorgonia.Value) device.Vector { return v.(*Vector).On }

// lend makes a value in a buffer for an activation.
func (g *Graph) lend(n, h, w, c int) (*Activation, error) {
	a, err := g.Buffers.Get(n, h, w, c)
	if err != nil {
		return nil, err
	}
	return NewActivation(a), nil
}

// Retire takes back the buffers of nodes that nothing added later reads.
func (g *Graph) Retire(nodes ...*gorgonia.Node) {
	for _, n := range nodes {
		if o, ok := n.Op().(Result); ok {
			if a, ok := o.Value().(*Activation); ok {
				g.Buffers.Put(a.On)
			}
		}
	}
}

// sideGradient stands for a parameter's gradient, which the Op of its child
// has written.
type sideGradient struct{ operation }

// Do computes nothing: the child did the work.
func (s *sideGradient) Do(...gorgonia.Value) (gorgonia.Value, error) { return s.result, nil }

// sideGradients makes a node for the gradient of each parameter, all written
// by the Op of node.
func (g *Graph) sideGradients(node *gorgonia.Node, parameters ...Parameter) (gorgonia.Nodes, error) {
	var gradients gorgonia.Nodes
	for _, p := range parameters {
		gradient, err := gorgonia.ApplyOp(&sideGradient{operation{
			graph:  g,
			name:   "gradient of " + p.Name(),
			inputs: []input{floats(node.Shape()...)},
			result: NewVector(p.Gradient, p.Shape()...),
		}}, node)
		if err != nil {
			return nil, err
		}
		gradients = append(gradients, gradient)
	}
	return gradients, nil
}
