// Package engine runs a network on a device: it builds the gorgonia graph of a
// network.Description, lets gorgonia differentiate it, and drives training and
// prediction one batch at a time.
package engine

import (
	"catdog/pipeline/network"
	"catdog/pipeline/weights"
)

// Options fix a Machine.
type Options struct {
	Batch int
	// NormEpsilon and NormMomentum are of every normalisation, as in
	// device.NormalizationSpec; 0 is the usual 1e-5 and 0.9.
	NormEpsilon, NormMomentum float32
	// Optimizer as in device.OptimizerSpec: "sgd" or "adamw".
	Optimizer    string
	Momentum     float32
	Beta1, Beta2 float32
	Epsilon      float32
	WeightDecay  float32 // applied to weights of convolutions and dense layers only
	AverageDecay float32 // exponential moving average of weights and running statistics; 0 keeps none
	// Inference builds no training graph: only Predict may be called.
	Inference bool
	// Predicting is the network that Predict computes, with the same parameters
	// but an input of another size; nil is the one that is trained.
	Predicting *network.Description
}

// A Tensor is a named array, see package weights.
type Tensor = weights.Tensor

// Weights is which set of weights Predict uses.
type Weights int

const (
	Raw     Weights = iota // as the optimiser left them
	Average                // their moving average, where Options keep one
)

// A Trainer is a network on a device. Package train drives it through this
// interface alone, so that tests can give it a small one of their own.
type Trainer interface {
	// Step makes one update from Batch images (NHWC, normalised) and
	// Batch·Classes target probabilities. step counts from 1; seed decides
	// dropout. It returns the batch's mean loss and its logits, which are valid
	// until the next call.
	Step(step int, seed uint64, learningRate float32, images, targets []float32) (loss float32, logits []float32, err error)
	// Predict writes the logits of any number of images, which are as large as
	// Options.Predicting says.
	Predict(weights Weights, images []float32, logits []float32) error
	// Weights returns parameters and running statistics, in the layers' order:
	// NAME.weight, NAME.bias, NAME.scale, NAME.shift, NAME.mean, NAME.variance.
	// They are nil for an average that is not kept.
	Weights(Weights) ([]Tensor, error)
	// SetWeights replaces them all; the moving average too, and the
	// optimiser's state starts anew.
	SetWeights([]Tensor) error
	// State is everything that the next Step depends on, for a checkpoint:
	// raw weights, optimiser moments, moving average. SetState restores it so
	// that the following steps give the same bytes.
	State() ([]Tensor, error)
	SetState([]Tensor) error
	Close() error
}
