package engine

import (
	"fmt"

	"catdog/pipeline/device"
	"catdog/pipeline/network"
)

// check says what of a description the engine cannot compute.
func check(description *network.Description) error {
	if len(description.Layers) == 0 {
		return fmt.Errorf("the network has no layers")
	}
	in := description.Input
	skips := map[int]string{}
	for i, l := range description.Layers {
		if l.In != in {
			return fmt.Errorf("layer %s takes %v, but gets %v", l.Name, l.In, in)
		}
		in = l.Out
		if l.Kind != network.Normalization || l.Skip < 0 {
			continue
		}
		switch other, twice := skips[l.Skip]; {
		case l.Skip+1 >= i || description.Layers[l.Skip+1].Kind != network.Convolution:
			return fmt.Errorf("layer %s: what its skip goes around must begin with a convolution", l.Name)
		case description.Layers[l.Skip].Out != l.Out:
			return fmt.Errorf("layer %s adds %v to %v", l.Name, description.Layers[l.Skip].Out, l.Out)
		case twice:
			return fmt.Errorf("layers %s and %s both add the output of %s", other, l.Name, description.Layers[l.Skip].Name)
		}
		skips[l.Skip] = l.Name
	}
	last := description.Layers[len(description.Layers)-1]
	if want := (network.Shape{Height: 1, Width: 1, Channels: len(description.Classes)}); last.Kind != network.Dense || last.Out != want {
		return fmt.Errorf("the last layer, %s, is a %s with output %v, want a dense one with %v", last.Name, last.Kind, last.Out, want)
	}
	return nil
}

// A layer is a network's layer with its device's operation, one of these.
type layer struct {
	network.Layer
	convolution   device.Convolution
	normalization device.Normalization
	globalPool    device.GlobalPool
	dropout       device.Dropout
	dense         device.Dense
	// folded is, for inference, this convolution with the next layer, a
	// normalisation; nil where the device computes them one after the other.
	folded device.Folded
	// joined is the same for training, of the network's first two layers only.
	joined device.Joined
}

// adds says whether the layer adds an earlier one's output to its own.
func (l layer) adds() bool { return l.Kind == network.Normalization && l.Skip >= 0 }

func (o Options) convolutionSpec(l network.Layer, first, inference bool) device.ConvolutionSpec {
	return device.ConvolutionSpec{
		Batch: o.Batch, Height: l.In.Height, Width: l.In.Width, In: l.In.Channels, Out: l.Out.Channels,
		Kernel: l.Kernel, Stride: l.Stride, Padding: l.Padding,
		NoInputGradient: first, Inference: inference,
	}
}

func (o Options) normalizationSpec(l network.Layer, inference bool) device.NormalizationSpec {
	spec := device.NormalizationSpec{
		Batch: o.Batch, Height: l.In.Height, Width: l.In.Width, Channels: l.In.Channels,
		ReLU: l.ReLU, Pool: l.Pool, Skip: l.Skip >= 0,
		Epsilon: 1e-5, Momentum: 0.9, Inference: inference,
	}
	if o.NormEpsilon != 0 {
		spec.Epsilon = o.NormEpsilon
	}
	if o.NormMomentum != 0 {
		spec.Momentum = o.NormMomentum
	}
	return spec
}

func (o Options) globalPoolSpec(l network.Layer) device.GlobalPoolSpec {
	return device.GlobalPoolSpec{Batch: o.Batch, Height: l.In.Height, Width: l.In.Width, Channels: l.In.Channels, Average: l.Average}
}

func (o Options) dropoutSpec(l network.Layer) device.DropoutSpec {
	return device.DropoutSpec{Batch: o.Batch, Height: l.In.Height, Width: l.In.Width, Channels: l.In.Channels, Rate: l.Rate}
}

func (o Options) denseSpec(l network.Layer) device.DenseSpec {
	return device.DenseSpec{Batch: o.Batch, Height: l.In.Height, Width: l.In.Width, Channels: l.In.Channels, Out: l.Out.Channels}
}

// makeLayers makes the device's operations.
func makeLayers(description *network.Description, o Options, d device.Device, inference bool) ([]layer, error) {
	layers := make([]layer, len(description.Layers))
	for i, described := range description.Layers {
		l := layer{Layer: described}
		var err error
		switch described.Kind {
		case network.Convolution:
			spec := o.convolutionSpec(described, i == 0, inference)
			if h, w := spec.OutputSize(); h != described.Out.Height || w != described.Out.Width {
				return nil, fmt.Errorf("layer %s: output is %d×%d, described as %v", described.Name, h, w, described.Out)
			}
			l.convolution, err = d.NewConvolution(spec)
		case network.Normalization:
			l.normalization, err = d.NewNormalization(o.normalizationSpec(described, inference))
		case network.GlobalPool:
			l.globalPool, err = d.NewGlobalPool(o.globalPoolSpec(described))
		case network.Dropout:
			l.dropout, err = d.NewDropout(o.dropoutSpec(described))
		case network.Dense:
			l.dense, err = d.NewDense(o.denseSpec(described))
		default:
			err = fmt.Errorf("unknown kind %q", described.Kind)
		}
		if err != nil {
			return nil, fmt.Errorf("layer %s: %w", described.Name, err)
		}
		layers[i] = l
	}
	if folder, ok := d.(device.Folder); ok && inference {
		return layers, fold(folder, layers)
	}
	if joiner, ok := d.(device.Joiner); ok && !inference {
		return layers, join(joiner, layers)
	}
	return layers, nil
}

// fold folds normalisations into the convolutions before them, where the device
// does so.
func fold(d device.Folder, layers []layer) (err error) {
	for i := range len(layers) - 1 {
		l, next := &layers[i], &layers[i+1]
		if l.Kind != network.Convolution || next.Kind != network.Normalization {
			continue
		}
		if l.folded, err = d.Fold(l.convolution, next.normalization); err != nil {
			return fmt.Errorf("layers %s and %s: %w", l.Name, next.Name, err)
		}
	}
	return nil
}

// join joins the first two layers, where they are a convolution and a
// normalisation and the device does so. No skip reads what is between them or
// ends there: check wants a convolution right behind the layer it comes from.
func join(d device.Joiner, layers []layer) (err error) {
	if layers[0].Kind != network.Convolution || layers[1].Kind != network.Normalization {
		return nil
	}
	if layers[0].joined, err = d.Join(layers[0].convolution, layers[1].normalization); err != nil {
		return fmt.Errorf("layers %s and %s: %w", layers[0].Name, layers[1].Name, err)
	}
	return nil
}

// lastReaders finds, for each layer, the last one that reads its output in
// inference, where a dropout's output is its input.
func lastReaders(layers []layer) []int {
	readers := make([]int, len(layers))
	for i, l := range layers {
		readers[i] = i + 1
		if l.adds() {
			readers[l.Skip] = i
		}
	}
	for i := len(layers) - 1; i > 0; i-- {
		if layers[i].Kind == network.Dropout {
			readers[i-1] = max(readers[i-1], readers[i])
		}
	}
	return readers
}
