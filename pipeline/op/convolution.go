package op

import (
	"gorgonia.org/gorgonia"

	"catdog/pipeline/device"
)

// A Skip hands the gradient of a skip connection from the Normalization that
// adds it, at the end of a residual block, to the Convolution that begins the
// block, while gorgonia differentiates the graph from its end to its
// beginning.
type Skip struct{ gradient *gorgonia.Node }

type convolution struct {
	operation
	spec   device.ConvolutionSpec
	device device.Convolution
	weight Parameter
	skip   *Skip
}

// Convolution adds y = x ⋆ weight; the weight's shape is out, in, kernel,
// kernel. skip is nil unless the convolution begins a residual block.
func (g *Graph) Convolution(name string, spec device.ConvolutionSpec, d device.Convolution, x *gorgonia.Node, weight Parameter, skip *Skip) (*gorgonia.Node, error) {
	h, w := spec.OutputSize()
	y, err := g.lend(spec.Batch, h, w, spec.Out)
	if err != nil {
		return nil, err
	}
	c := &convolution{
		operation: operation{
			graph: g,
			name:  "convolution " + name,
			inputs: []input{
				floats(spec.Batch, spec.Height, spec.Width, spec.In),
				floats(spec.Out, spec.In, spec.Kernel, spec.Kernel),
			},
			result: y,
		},
		spec: spec, device: d, weight: weight, skip: skip,
	}
	c.run = func(in []gorgonia.Value) error {
		return d.Forward(activation(in[0]), vector(in[1]), y.On)
	}
	return gorgonia.ApplyOp(c, x, weight.Node)
}

func (c *convolution) DiffWRT(int) []bool { return []bool{!c.spec.NoInputGradient, true} }

func (c *convolution) SymDiff(inputs gorgonia.Nodes, output, gradient *gorgonia.Node) (gorgonia.Nodes, error) {
	var gradients gorgonia.Nodes
	var err error
	if c.spec.NoInputGradient {
		gradients, err = c.weightGradient(inputs[0], gradient)
	} else {
		gradients, err = c.bothGradients(inputs[0], gradient)
	}
	c.graph.Retire(output, gradient)
	return gradients, err
}

// weightGradient is the derivative of the first layer.
func (c *convolution) weightGradient(x, gradient *gorgonia.Node) (gorgonia.Nodes, error) {
	dw, err := gorgonia.ApplyOp(&operation{
		graph:  c.graph,
		name:   "gradient of " + c.weight.Name(),
		inputs: []input{c.inputs[0], floats(c.result.Shape()...)},
		result: NewVector(c.weight.Gradient, c.inputs[1].shape...),
		run: func(in []gorgonia.Value) error {
			return c.device.BackwardWeights(activation(in[0]), activation(in[1]), c.weight.Gradient)
		},
	}, x, gradient)
	return gorgonia.Nodes{nil, dw}, err
}

func (c *convolution) bothGradients(x, gradient *gorgonia.Node) (gorgonia.Nodes, error) {
	children := gorgonia.Nodes{x, c.weight.Node, gradient}
	expected := []input{c.inputs[0], c.inputs[1], floats(c.result.Shape()...)}

	var dx *Activation
	var err error
	if c.skip != nil {
		addend := c.skip.gradient
		children, expected = append(children, addend), append(expected, c.inputs[0])
		if o, ok := addend.Op().(Result); ok {
			dx = o.Value().(*Activation) // the sum takes the addend's place
		}
	}
	if dx == nil {
		if dx, err = c.graph.lend(c.spec.Batch, c.spec.Height, c.spec.Width, c.spec.In); err != nil {
			return nil, err
		}
	}

	node, err := gorgonia.ApplyOp(&operation{
		graph:  c.graph,
		name:   "gradient of " + c.name,
		inputs: expected,
		result: dx,
		run: func(in []gorgonia.Value) error {
			x, w, dy := activation(in[0]), vector(in[1]), activation(in[2])
			var addend device.Activation
			if len(in) > 3 {
				addend = activation(in[3])
			}
			if err := c.device.BackwardWeights(x, dy, c.weight.Gradient); err != nil {
				return err
			}
			return c.device.BackwardInput(dy, w, addend, dx.On)
		},
	}, children...)
	if err != nil {
		return nil, err
	}
	side, err := c.graph.sideGradients(node, c.weight)
	return append(gorgonia.Nodes{node}, side...), err
}
