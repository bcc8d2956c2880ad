package op

import (
	"gorgonia.org/gorgonia"

	"catdog/pipeline/device"
)

// Statistics are the running mean and variance of a normalisation, variables
// that training updates in place.
type Statistics struct{ Mean, Variance *gorgonia.Node }

type normalization struct {
	operation
	spec         device.NormalizationSpec
	device       device.Normalization
	scale, shift Parameter
	skip         *Skip
}

// Normalization adds y = pool(relu(normalise(x))) + skip as in
// device.NormalizationSpec. With spec.Inference it uses the running
// statistics, otherwise those of the batch, and updates the running ones.
// source is the node that is added, nil without; skip then connects to the
// block's first Convolution.
func (g *Graph) Normalization(name string, spec device.NormalizationSpec, d device.Normalization, x *gorgonia.Node, scale, shift Parameter, statistics Statistics, source *gorgonia.Node, skip *Skip) (*gorgonia.Node, error) {
	h, w := spec.Height/spec.Pool, spec.Width/spec.Pool
	y, err := g.lend(spec.Batch, h, w, spec.Channels)
	if err != nil {
		return nil, err
	}
	channels := floats(spec.Channels)
	b := &normalization{
		operation: operation{
			graph: g,
			name:  "normalization " + name,
			inputs: []input{
				floats(spec.Batch, spec.Height, spec.Width, spec.Channels),
				channels, channels, channels, channels,
			},
			result: y,
		},
		spec: spec, device: d, scale: scale, shift: shift, skip: skip,
	}
	children := gorgonia.Nodes{x, scale.Node, shift.Node, statistics.Mean, statistics.Variance}
	if source != nil {
		b.inputs = append(b.inputs, floats(spec.Batch, h, w, spec.Channels))
		children = append(children, source)
	}
	compute := d.Forward
	if spec.Inference {
		compute = d.Infer
	}
	b.run = func(in []gorgonia.Value) error {
		var added device.Activation
		if len(in) > 5 {
			added = activation(in[5])
		}
		return compute(activation(in[0]), vector(in[1]), vector(in[2]), vector(in[3]), vector(in[4]), added, y.On)
	}
	return gorgonia.ApplyOp(b, children...)
}

// DiffWRT leaves out the statistics and the skip, see the package's comment.
func (b *normalization) DiffWRT(inputs int) []bool {
	return []bool{true, true, true, false, false, false}[:inputs]
}

func (b *normalization) SymDiff(inputs gorgonia.Nodes, output, gradient *gorgonia.Node) (gorgonia.Nodes, error) {
	x, scale, shift := inputs[0], inputs[1], inputs[2]

	// A convolution's output is not read again by its own gradient, so that dx
	// can take its place.
	var dx *Activation
	var err error
	if c, ok := x.Op().(*convolution); ok {
		dx = c.result.(*Activation)
	} else if dx, err = b.graph.lend(b.spec.Batch, b.spec.Height, b.spec.Width, b.spec.Channels); err != nil {
		return nil, err
	}

	out := floats(b.result.Shape()...)
	node, err := gorgonia.ApplyOp(&operation{
		graph:  b.graph,
		name:   "gradient of " + b.name,
		inputs: []input{b.inputs[0], out, out, b.inputs[1], b.inputs[2]},
		result: dx,
		run: func(in []gorgonia.Value) error {
			return b.device.Backward(activation(in[0]), activation(in[1]), activation(in[2]), vector(in[3]), vector(in[4]),
				dx.On, b.scale.Gradient, b.shift.Gradient)
		},
	}, x, output, gradient, scale, shift)
	if err != nil {
		return nil, err
	}
	side, err := b.graph.sideGradients(node, b.scale, b.shift)
	if err != nil {
		return nil, err
	}

	b.graph.Retire(output)
	if b.skip == nil {
		b.graph.Retire(gradient)
	} else {
		b.skip.gradient = gradient
	}
	gradients := make(gorgonia.Nodes, len(inputs))
	gradients[0], gradients[1], gradients[2] = node, side[0], side[1]
	return gradients, nil
}
