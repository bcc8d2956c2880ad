// Package device is what the network's operations ask of the hardware that
// computes them. The gorgonia Ops in package op hold the mathematics (shapes,
// derivatives); a Device holds the arithmetic. There is one implementation of
// this package's interfaces for each kind of hardware, and one in plain loops,
// package reference, that the others are compared with.
package device

// An Activation is a batch of feature maps on a device. Its logical shape is
// N×H×W×C float32; how it lies in memory is the device's own business.
type Activation interface {
	// Shape is batch, height, width, channels.
	Shape() (n, h, w, c int)
	// Upload sets the activation from N·H·W·C values in NHWC order.
	Upload(nhwc []float32)
	// Download writes the N·H·W·C values in NHWC order.
	Download(nhwc []float32)
}

// A Vector is a run of float32 numbers on a device: parameters, gradients,
// optimiser moments, statistics. The order of its elements is decided by the
// operation that uses it, see Convolution.Import.
type Vector interface {
	Len() int
	Upload(values []float32)
	Download(values []float32)
	// Slice shares memory with the vector, elements from ≤ i < to.
	Slice(from, to int) Vector
}

// A Device makes operations and the memory they work on. All calls that
// compute on one Device come from one goroutine at a time, though not from one
// thread: gorgonia's tape machine starts a goroutine for every run. A device
// whose libraries keep state by thread runs its work on a thread of its own.
type Device interface {
	// Describe names what decides the results' bits: device, precision,
	// instruction set, and numbers of threads and versions of libraries where
	// they do.
	Describe() string
	NewActivation(n, h, w, c int) (Activation, error)
	// NewVector returns zeros. Offsets that are multiples of Alignment may be
	// sliced and given to operations.
	NewVector(length int) (Vector, error)
	NewConvolution(ConvolutionSpec) (Convolution, error)
	NewNormalization(NormalizationSpec) (Normalization, error)
	NewGlobalPool(GlobalPoolSpec) (GlobalPool, error)
	NewDropout(DropoutSpec) (Dropout, error)
	NewDense(DenseSpec) (Dense, error)
	NewCrossEntropy(CrossEntropySpec) (CrossEntropy, error)
	NewOptimizer(OptimizerSpec) (Optimizer, error)
	// Err is the first failure of an Upload, Download, Import or Export, which
	// return none; it stays. What was downloaded since may be anything. It may be
	// called from any goroutine.
	Err() error
	// Close frees everything the device made.
	Close() error
}

// Alignment is the granularity, in elements, of slices of a Vector that
// operations accept.
const Alignment = 16

// ConvolutionSpec fixes a convolution: square kernel, symmetric zero padding,
// no bias (normalisation follows).
type ConvolutionSpec struct {
	Batch, Height, Width, In, Out int // of the input
	Kernel, Stride, Padding       int
	// NoInputGradient is set for the first layer, whose input is the image.
	NoInputGradient bool
	// Inference leaves out whatever only the backward pass needs.
	Inference bool
}

// OutputSize is the output's height and width, 0 where the kernel does not fit
// into the padded input.
func (s ConvolutionSpec) OutputSize() (h, w int) {
	return s.outputSide(s.Height), s.outputSide(s.Width)
}

func (s ConvolutionSpec) outputSide(side int) int {
	if left := side + 2*s.Padding - s.Kernel; left >= 0 && s.Stride > 0 {
		return left/s.Stride + 1
	}
	return 0
}

// A Convolution is y = x ⋆ w and its two gradients.
type Convolution interface {
	// WeightsLen is the length of the weight vector in the device's own
	// layout, padding included; a multiple of Alignment.
	WeightsLen() int
	// Import fills w from Out×In×Kernel×Kernel values (OIHW); padding becomes
	// zero and stays zero under any optimiser, since its gradient is zero.
	Import(oihw []float32, w Vector)
	// Export is the inverse of Import, without loss.
	Export(w Vector, oihw []float32)
	Forward(x Activation, w Vector, y Activation) error
	// BackwardInput writes dx = gradient of x, plus addend where that is not
	// nil (a skip connection's gradient). dx and addend may be the same. It
	// comes after a Forward with the same, unchanged w.
	BackwardInput(dy Activation, w Vector, addend, dx Activation) error
	// BackwardWeights overwrites dw. Padding of dw that is zero stays zero.
	BackwardWeights(x, dy Activation, dw Vector) error
}

// NormalizationSpec fixes a batch normalisation with what usually follows it:
//
//	y = pool(relu(scale·(x−mean)/√(variance+Epsilon) + shift)) + skip
//
// after Ioffe and Szegedy, "Batch Normalization", 2015.
type NormalizationSpec struct {
	Batch, Height, Width, Channels int // of the input
	ReLU                           bool
	// Pool is the side of the max pooling's window and its stride; 1 is none.
	// Height and Width that Pool does not divide lose their last rows/columns.
	Pool int
	// Skip says that Forward adds a skip activation of the output's shape
	// after the ReLU. Only without pooling.
	Skip    bool
	Epsilon float32
	// Momentum is the weight of the running statistics' old value in each
	// update: running = Momentum·running + (1−Momentum)·batch.
	Momentum  float32
	Inference bool
}

// A Normalization normalises each channel over batch, height and width.
type Normalization interface {
	// ParameterLen is the length of scale, of shift and of each statistic in
	// the device's layout (channels rounded up); a multiple of Alignment. The
	// first Channels elements are the real ones, in order.
	ParameterLen() int
	// Forward uses the batch's statistics and updates the running mean and
	// (unbiased) variance. skip is nil unless the spec says Skip.
	Forward(x Activation, scale, shift, runningMean, runningVariance Vector, skip, y Activation) error
	// Infer uses the running statistics. What Forward kept for Backward is gone
	// then.
	Infer(x Activation, scale, shift, runningMean, runningVariance Vector, skip, y Activation) error
	// Backward writes the gradients of x, scale and shift for the batch last
	// given to Forward; the skip's gradient is dy itself. dx may be x: then
	// the input is lost, which saves memory and a pass through it.
	Backward(x, y, dy Activation, scale, shift Vector, dx Activation, dscale, dshift Vector) error
}

// A Folder is a Device that can compute a convolution and the normalisation
// behind it as one operation, for inference: the normalisation is linear in
// the convolution's output, so that its scale becomes a part of the weights.
type Folder interface {
	Device
	// Fold returns the operation for a convolution and a normalisation of this
	// device, both made for inference; nil where that is not faster than the
	// two one after the other. It takes their place: they are not run any more.
	Fold(Convolution, Normalization) (Folded, error)
}

// A Folded is what a convolution without bias and a normalisation by its
// running statistics give together:
//
//	y = pool(relu(x ⋆ (slope·w) + shift − mean·slope)) + skip, slope = scale/√(variance+Epsilon)
type Folded interface {
	// Set takes the parameters. They are read then and not again, so that a
	// change needs another Set.
	Set(w, scale, shift, runningMean, runningVariance Vector) error
	// Infer computes y; skip is nil unless the normalisation's spec says Skip.
	Infer(x, skip, y Activation) error
}

// A Joiner is a Device that can train the first convolution and the
// normalisation behind it as one operation. Nothing but the weights' gradient
// reads the gradient of that convolution's output, so that it need not go
// through memory.
type Joiner interface {
	Device
	// Join returns the operation for a convolution with NoInputGradient and the
	// normalisation without Skip behind it, both made for training by this
	// device; nil where that is not faster than the two one after the other. It
	// takes their place: they are not run any more.
	Join(Convolution, Normalization) (Joined, error)
}

// A Joined is what such a convolution and normalisation give together:
//
//	y = pool(relu(scale·(x ⋆ w − mean)/√(variance+Epsilon) + shift))
//
// Its vectors have the layouts of the two.
type Joined interface {
	// Forward keeps the convolution's output in between, for Backward. It
	// updates the running statistics as Normalization.Forward does.
	Forward(x Activation, w, scale, shift, runningMean, runningVariance Vector, between, y Activation) error
	// Backward overwrites dw, dscale and dshift for the batch last given to
	// Forward. x, y and dy are only read; what is in between may be lost.
	Backward(x, between, y, dy Activation, scale, shift Vector, dw, dscale, dshift Vector) error
}

// GlobalPoolSpec fixes a pooling over all of height and width.
type GlobalPoolSpec struct {
	Batch, Height, Width, Channels int
	// Average takes the mean, otherwise the maximum (the first of equals).
	Average bool
}

// A GlobalPool reduces N×H×W×C to N×1×1×C.
type GlobalPool interface {
	Forward(x, y Activation) error
	Backward(x, y, dy, dx Activation) error
}

// DropoutSpec fixes a dropout: each element is kept with probability 1−Rate
// and then divided by it.
type DropoutSpec struct {
	Batch, Height, Width, Channels int
	Rate                           float32
}

// A Dropout's mask is a function of seed and the element's logical index
// alone, so that layout and threads do not change it.
type Dropout interface {
	Forward(seed uint64, x, y Activation) error
	Backward(seed uint64, dy, dx Activation) error
}

// DenseSpec fixes y = W·x + b, x flattened in H, W, C order.
type DenseSpec struct {
	Batch, Height, Width, Channels int // of the input
	Out                            int
}

// A Dense is a fully connected layer whose output is plain: Batch×Out.
type Dense interface {
	// WeightsLen is as for Convolution.
	WeightsLen() int
	// Import takes Out×(H·W·C) values, H·W·C flattened in that order.
	Import(rows []float32, w Vector)
	Export(w Vector, rows []float32)
	// Forward writes Batch·Out logits to y, a vector; bias has at least Out
	// elements.
	Forward(x Activation, w, bias Vector, y Vector) error
	// Backward writes dx, dw and dbias from dy (Batch·Out). Padding of dw that
	// is zero stays zero.
	Backward(x Activation, w Vector, dy Vector, dx Activation, dw, dbias Vector) error
}

// CrossEntropySpec fixes softmax cross-entropy from logits.
type CrossEntropySpec struct {
	Batch, Classes int
}

// A CrossEntropy is the mean over the batch of −Σ target·log softmax(logits).
type CrossEntropy interface {
	// Loss takes Batch·Classes logits and target probabilities.
	Loss(logits, targets Vector) (float32, error)
	// Backward writes dlogits = (softmax(logits) − targets)/Batch.
	Backward(logits, targets, dlogits Vector) error
}

// OptimizerSpec fixes the update of one vector that holds all parameters.
type OptimizerSpec struct {
	// Name is "sgd" (Nesterov momentum) or "adamw" (Loshchilov and Hutter,
	// "Decoupled Weight Decay Regularization", 2019).
	Name         string
	Length       int
	Momentum     float32 // sgd
	Beta1, Beta2 float32 // adamw
	Epsilon      float32 // adamw
	WeightDecay  float32 // adamw: decoupled; sgd: times the weights, added to the gradient
	Decayed      []bool  // per Alignment-sized group of elements: weight decay applies
	AverageDecay float32 // of the exponential moving average; 0 keeps none
}

// An Optimizer updates weights in place.
type Optimizer interface {
	// State is what must be kept to go on: moments and the moving average, by
	// name ("momentum"; "moment1", "moment2"; "average").
	State() map[string]Vector
	// Step applies one update; step counts from 1. The moving average's
	// decay at a step is min(AverageDecay, (1+step)/(10+step)).
	Step(step int, learningRate float32, weights, gradients Vector) error
}
