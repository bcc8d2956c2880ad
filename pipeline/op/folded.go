package op

import (
	"gorgonia.org/gorgonia"

	"catdog/pipeline/device"
)

// Folded adds, for inference, a convolution with the normalisation behind it
// as one operation, whose inputs are those of both: see Convolution and
// Normalization. The parameters are folded anew in runs that begin with
// Graph.Changed.
func (g *Graph) Folded(name string, convolution device.ConvolutionSpec, normalization device.NormalizationSpec, d device.Folded, x *gorgonia.Node, weight, scale, shift Parameter, statistics Statistics, source *gorgonia.Node) (*gorgonia.Node, error) {
	h, w := normalization.Height/normalization.Pool, normalization.Width/normalization.Pool
	y, err := g.lend(normalization.Batch, h, w, normalization.Channels)
	if err != nil {
		return nil, err
	}
	channels := floats(convolution.Out)
	o := &operation{
		graph: g,
		name:  "folded convolution " + name,
		inputs: []input{
			floats(convolution.Batch, convolution.Height, convolution.Width, convolution.In),
			floats(convolution.Out, convolution.In, convolution.Kernel, convolution.Kernel),
			channels, channels, channels, channels,
		},
		result: y,
	}
	children := gorgonia.Nodes{x, weight.Node, scale.Node, shift.Node, statistics.Mean, statistics.Variance}
	if source != nil {
		o.inputs = append(o.inputs, floats(normalization.Batch, h, w, normalization.Channels))
		children = append(children, source)
	}
	o.run = func(in []gorgonia.Value) error {
		if g.Changed {
			if err := d.Set(vector(in[1]), vector(in[2]), vector(in[3]), vector(in[4]), vector(in[5])); err != nil {
				return err
			}
		}
		var skip device.Activation
		if len(in) > 6 {
			skip = activation(in[6])
		}
		return d.Infer(activation(in[0]), skip, y.On)
	}
	return gorgonia.ApplyOp(o, children...)
}
