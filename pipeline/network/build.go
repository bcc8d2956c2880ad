package network

import (
	"fmt"
	"math"

	"catdog/pipeline/params"
)

const (
	kernel = 3 // side of every convolution's window
	// maximumLayers and maximumElements keep a description that was not checked
	// by package params, such as a model from elsewhere, within reason.
	maximumLayers   = 10_000
	maximumElements = math.MaxInt32 // of one feature map or one weight tensor
)

// New is the network that input asks for, with an output for each class.
//
// Block i is a 3×3 convolution to Channels[i] with batch normalisation, ReLU
// and max pooling by Pools[i], then Residuals[i] residual pairs
//
//	y = x + relu(bn(conv(relu(bn(conv(x))))))
//
// of the same width. The head flattens the last feature map, or takes the
// average or the maximum over its positions, and ends in a dense layer.
//
// The error names the key at fault, e.g. where a feature map would be empty.
func New(input params.Network, classes []string) (*Description, error) {
	switch {
	case len(classes) < 2:
		return nil, fmt.Errorf("network: %d classes, at least 2 are needed", len(classes))
	case input.Height < 1 || input.Width < 1:
		return nil, fmt.Errorf("network: an input of %d×%d", input.Height, input.Width)
	case len(input.Channels) == 0:
		return nil, fmt.Errorf("network.channels: at least one block is needed")
	case len(input.Residuals) != len(input.Channels):
		return nil, fmt.Errorf("network.residuals: %d numbers for %d blocks", len(input.Residuals), len(input.Channels))
	case len(input.Pools) != len(input.Channels):
		return nil, fmt.Errorf("network.pools: %d numbers for %d blocks", len(input.Pools), len(input.Channels))
	case !(input.Dropout >= 0 && input.Dropout < 1):
		return nil, fmt.Errorf("network.dropout: %g is not in 0…1", input.Dropout)
	}

	d := &Description{Input: Shape{input.Height, input.Width, 3}, Classes: classes}
	for i, channels := range input.Channels {
		block := fmt.Sprintf("block%d", i+1)
		pool, residuals := input.Pools[i], input.Residuals[i]
		shape := d.Output()
		switch {
		case channels < 1:
			return nil, fmt.Errorf("network.channels: %s has %d", block, channels)
		case residuals < 0 || residuals > maximumLayers:
			return nil, fmt.Errorf("network.residuals: %s has %d", block, residuals)
		case pool < 1:
			return nil, fmt.Errorf("network.pools: %s pools by %d", block, pool)
		case shape.Height/pool < 1 || shape.Width/pool < 1:
			return nil, fmt.Errorf("network.pools: %s pools a feature map of %d×%d by %d, which leaves nothing", block, shape.Height, shape.Width, pool)
		case tooMany(shape.Height, shape.Width, channels) || tooMany(shape.Channels, channels, kernel*kernel):
			return nil, fmt.Errorf("network.channels: %s is too large with %d of %d×%d", block, channels, shape.Height, shape.Width)
		}
		d.convolve(block+".conv", block+".norm", channels, pool, -1)
		for j := range residuals {
			skip, pair := len(d.Layers)-1, fmt.Sprintf("%s.res%d", block, j+1)
			d.convolve(pair+".conv1", pair+".norm1", channels, 1, -1)
			d.convolve(pair+".conv2", pair+".norm2", channels, 1, skip)
		}
		if len(d.Layers) > maximumLayers {
			return nil, fmt.Errorf("network: more than %d layers", maximumLayers)
		}
	}

	switch input.Head {
	case "average", "maximum":
		d.add(Layer{Name: "head.pool", Kind: GlobalPool, Out: Shape{1, 1, d.Output().Channels}, Average: input.Head == "average"})
	case "flatten":
	default:
		return nil, fmt.Errorf("network.head: %q is none of flatten, average, maximum", input.Head)
	}
	if input.Dropout > 0 {
		d.add(Layer{Name: "head.dropout", Kind: Dropout, Out: d.Output(), Rate: float32(input.Dropout)})
	}
	if tooMany(d.Output().Elements(), len(classes), 1) {
		return nil, fmt.Errorf("network.head: flattening %v for %d classes is too large", d.Output(), len(classes))
	}
	d.add(Layer{Name: "head.dense", Kind: Dense, Out: Shape{1, 1, len(classes)}})
	return d, nil
}

// convolve adds a convolution that keeps height and width, and its
// normalisation with ReLU, pooling and addition of an earlier layer's output.
func (d *Description) convolve(convolution, normalization string, channels, pool, skip int) {
	in := d.Output()
	full := Shape{in.Height, in.Width, channels}
	d.add(Layer{Name: convolution, Kind: Convolution, Out: full, Kernel: kernel, Stride: 1, Padding: kernel / 2})
	d.add(Layer{Name: normalization, Kind: Normalization, Out: Shape{full.Height / pool, full.Width / pool, channels}, ReLU: true, Pool: pool, Skip: skip})
}

// add appends a layer; only a Normalization has a Skip to set.
func (d *Description) add(layer Layer) {
	layer.In = d.Output()
	if layer.Kind != Normalization {
		layer.Skip = -1
	}
	d.Layers = append(d.Layers, layer)
}

func tooMany(a, b, c int) bool {
	return float64(a)*float64(b)*float64(c) > maximumElements
}
