package onnx

import (
	"fmt"
	"math"

	"catdog/pipeline/augment"
	"catdog/pipeline/model"
	"catdog/pipeline/network"
	"catdog/pipeline/weights"
)

// epsilon is what the engine adds to variances.
const epsilon = 1e-5

// A graph is a GraphProto under construction.
type graph struct {
	message
	tensors map[string]weights.Tensor
}

// node adds an operation with one output, which has the node's name.
func (g *graph) node(operation, name string, inputs []string, attributes ...message) string {
	var m message
	for _, input := range inputs {
		m.text(1, input)
	}
	m.text(2, name)
	m.text(3, name)
	m.text(4, operation)
	for _, attribute := range attributes {
		m.bytes(5, attribute)
	}
	g.bytes(1, m)
	return name
}

// constant adds a tensor that nodes read by its name.
func (g *graph) constant(name string, m message) string {
	g.bytes(5, m)
	return name
}

// input adds what leads from stored pixels to the network's input: cut out the
// centre, bring channels to the front, normalise.
func (g *graph) input(info model.Info) (string, error) {
	top, exactly := augment.CentreOffset(info.Stored.Height, info.Input.Height)
	left, too := augment.CentreOffset(info.Stored.Width, info.Input.Width)
	if !exactly || !too {
		return "", fmt.Errorf("its input of %d×%d is resampled from stored images of %d×%d, which has no counterpart in ONNX",
			info.Input.Height, info.Input.Width, info.Stored.Height, info.Stored.Width)
	}
	first := g.constant("crop.first", integers("crop.first", int64(top), int64(left)))
	end := g.constant("crop.end", integers("crop.end", int64(top+info.Input.Height), int64(left+info.Input.Width)))
	axes := g.constant("crop.axes", integers("crop.axes", 1, 2))
	x := g.node("Slice", "crop", []string{"images", first, end, axes})
	x = g.node("Cast", "cast", []string{x}, integerAttribute("to", float32Type))
	x = g.node("Transpose", "transpose", []string{x}, integersAttribute("perm", 0, 3, 1, 2))
	var mean, std []float32 // of values in 0…255
	for i := range 3 {
		mean = append(mean, 255*info.Input.Mean[i])
		std = append(std, 255*info.Input.Std[i])
	}
	x = g.node("Sub", "centred", []string{x, g.constant("input.mean", floats("input.mean", []int{1, 3, 1, 1}, mean))})
	return g.node("Div", "normalised", []string{x, g.constant("input.std", floats("input.std", []int{1, 3, 1, 1}, std))}), nil
}

// layers adds the network and returns its logits.
func (g *graph) layers(d *network.Description, x string) (string, error) {
	outputs := make([]string, len(d.Layers))
	for i, l := range d.Layers {
		switch l.Kind {
		case network.Convolution:
			if i+1 == len(d.Layers) || d.Layers[i+1].Kind != network.Normalization {
				return "", fmt.Errorf("layer %s: no normalisation follows", l.Name)
			}
			x = g.convolution(l, d.Layers[i+1].Name, x)
		case network.Normalization: // its arithmetic is in the convolution
			if l.ReLU {
				x = g.node("Relu", l.Name+".relu", []string{x})
			}
			if l.Pool > 1 {
				side := int64(l.Pool)
				x = g.node("MaxPool", l.Name+".pool", []string{x},
					integersAttribute("kernel_shape", side, side), integersAttribute("strides", side, side))
			}
			if l.Skip >= 0 {
				x = g.node("Add", l.Name+".add", []string{x, outputs[l.Skip]})
			}
		case network.GlobalPool:
			operation := "GlobalMaxPool"
			if l.Average {
				operation = "GlobalAveragePool"
			}
			x = g.node(operation, l.Name, []string{x})
		case network.Dropout: // leaves everything as it is once training is over
		case network.Dense:
			x = g.dense(l, x)
		default:
			return "", fmt.Errorf("layer %s: unknown kind %q", l.Name, l.Kind)
		}
		outputs[i] = x
	}
	return x, nil
}

// convolution adds a convolution with the normalisation behind it folded in:
//
//	scale·(w⋆x − mean)/√(variance+ε) + shift = (slope·w)⋆x + (shift − slope·mean)
func (g *graph) convolution(l network.Layer, normalization, x string) string {
	w := g.tensors[l.Name+".weight"]
	scale, shift := g.tensors[normalization+".scale"].Values, g.tensors[normalization+".shift"].Values
	mean, variance := g.tensors[normalization+".mean"].Values, g.tensors[normalization+".variance"].Values
	folded, bias := make([]float32, len(w.Values)), make([]float32, len(scale))
	taps := len(w.Values) / len(scale)
	for o := range scale {
		slope := float64(scale[o]) / math.Sqrt(float64(variance[o])+epsilon)
		bias[o] = float32(float64(shift[o]) - slope*float64(mean[o]))
		for i := o * taps; i < (o+1)*taps; i++ {
			folded[i] = float32(slope * float64(w.Values[i]))
		}
	}
	weight := g.constant(l.Name+".weight", floats(l.Name+".weight", w.Shape, folded))
	shifts := g.constant(l.Name+".bias", floats(l.Name+".bias", []int{len(bias)}, bias))
	kernel, stride, padding := int64(l.Kernel), int64(l.Stride), int64(l.Padding)
	return g.node("Conv", l.Name, []string{x, weight, shifts},
		integersAttribute("kernel_shape", kernel, kernel), integersAttribute("strides", stride, stride),
		integersAttribute("pads", padding, padding, padding, padding))
}

// dense adds the last layer. Its weights take feature maps flattened as
// height, width, channels; ONNX's are channels, height, width.
func (g *graph) dense(l network.Layer, x string) string {
	w, bias := g.tensors[l.Name+".weight"], g.tensors[l.Name+".bias"]
	channels, positions := l.In.Channels, l.In.Height*l.In.Width
	turned := make([]float32, len(w.Values))
	for row := 0; row < len(turned); row += channels * positions {
		for p := range positions {
			for c := range channels {
				turned[row+c*positions+p] = w.Values[row+p*channels+c]
			}
		}
	}
	x = g.node("Flatten", l.Name+".flat", []string{x})
	weight := g.constant(l.Name+".weight", floats(l.Name+".weight", w.Shape, turned))
	shifts := g.constant(l.Name+".bias", floats(l.Name+".bias", bias.Shape, bias.Values))
	return g.node("Gemm", "logits", []string{x, weight, shifts}, integerAttribute("transB", 1))
}
