// Package network describes the network that params.yaml asks for: its layers
// with their shapes, parameters and cost, its first weights, and how it is
// shown to people. What computes it is package engine.
package network

import "fmt"

// Kind says what a layer computes.
type Kind string

// The kinds of layer. A convolution has no bias and is followed by a
// Normalization, which holds the ReLU, the max pooling and the skip addition
// that come after it.
const (
	Convolution   Kind = "convolution"
	Normalization Kind = "normalization"
	GlobalPool    Kind = "global pool"
	Dropout       Kind = "dropout"
	Dense         Kind = "dense"
)

// A Shape is height, width, channels.
type Shape struct{ Height, Width, Channels int }

// String is e.g. 64×64×3.
func (s Shape) String() string { return fmt.Sprintf("%d×%d×%d", s.Height, s.Width, s.Channels) }

// Elements is Height·Width·Channels.
func (s Shape) Elements() int { return s.Height * s.Width * s.Channels }

// A Layer is one step of the network. Layers are a chain: each takes the
// output of the one before it, and Skip adds a second, earlier one.
type Layer struct {
	Name    string // unique, e.g. "block2.res1.conv1"; parameters are Name.weight and so on
	Kind    Kind
	In, Out Shape

	Kernel, Stride, Padding int // Convolution

	ReLU bool // Normalization
	Pool int  // Normalization: side and stride of the max pooling, 1 is none
	// Skip is the index of the layer whose output is added to this
	// Normalization's, -1 for none.
	Skip int

	Average bool    // GlobalPool: mean instead of maximum
	Rate    float32 // Dropout
}

// A Description is a network: image in, logits out.
type Description struct {
	Input   Shape
	Classes []string
	Layers  []Layer
}

// Output is the shape of what the last layer gives; the input's where there is
// none yet.
func (d *Description) Output() Shape {
	if len(d.Layers) == 0 {
		return d.Input
	}
	return d.Layers[len(d.Layers)-1].Out
}
