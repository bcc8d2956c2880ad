package device

import "context"

// A Holder is a Device that holds a data set and, once started, goes through
// an epoch by itself: it makes the inputs from stored images, repeats a step
// that was submitted to it once, and keeps the score.
type Holder interface {
	Device
	// NewLoop copies the images to the device. work submits, through this
	// device, what is done with a batch; it is called when a run begins, and
	// what it submits is then repeated. Whatever it asks of the device gives
	// results only on the device: Loss returns 0, Step and dropouts take what
	// the run's schedule says.
	NewLoop(spec LoopSpec, work func() error) (Loop, error)
}

// A LoopSpec fixes a Loop.
type LoopSpec struct {
	Images        [][]byte // Height·Width·3 each, RGB
	Height, Width int
	// What work reads: Batch inputs and Batch·Classes target probabilities; and
	// the logits that it writes.
	Input           Activation
	Targets, Logits Vector
	Classes         int
	// Own and Other are the target probabilities of an image's class and of
	// each other class.
	Own, Other float32
}

// A Schedule is what changes from step to step, as Dropout.Forward's seed
// (combined with each dropout's own by exclusive or) and Optimizer.Step say.
type Schedule struct {
	Step         int
	Seed         uint64
	LearningRate float32
}

// A Pass is an epoch of a Loop: for each batch its mixing and its schedule, for
// each input its sample. Samples without an image count for nothing.
type Pass struct {
	Samples  []Sample
	Mixes    []Mix
	Schedule []Schedule
}

// A Sample says how one input is made from a stored image, in numbers that a
// kernel can follow to the same bytes as package augment's Batch and Centre. Its layout is
// fixed: the float64s lie first, and 4 bytes at the end fill it up to whole
// ones.
//
// Input pixel (x, y) shows the image shrunk by 2^Level at
//
//	(round(65536·(X + XRow·y)) + 512 + x·XColumn) / 65536
//
// pixels right of Left, and accordingly down of Top, kept within Columns and
// Rows of them; positions are rounded down to 64ths, and the four pixels around
// weighed bilinearly in 4096ths. Their red, green and blue, times 4096, become
// the input through Linear and Constant. Erased shows zeros.
type Sample struct {
	X, XRow, Y, YRow         float64
	XColumn, YColumn         int32
	Left, Top, Columns, Rows int32
	Level                    int32
	Image                    int32 // index among the stored images; below 0 there is none
	Class                    int32
	Erased                   Part
	Linear                   [3][3]float32
	Constant                 [3]float32
	_                        int32
}

// A Kind of mixing.
type Kind int32

// The kinds.
const (
	Unmixed Kind = iota
	Mixup
	Cutmix
)

// A Mix says how the images of a batch are blended in pairs, the first with the
// last and so on (in an odd batch the middle one stays as it is). Its layout is
// fixed, since kernels of a device read it too.
type Mix struct {
	Kind Kind
	// Lambda is what is left of the own image and of its target, in 0…1. With
	// Cutmix the images only exchange Part.
	Lambda float32
	Part   Part
}

// A Part is the pixels with Left ≤ x < Right and Top ≤ y < Bottom of an input.
type Part struct{ Left, Top, Right, Bottom int32 }

// A Score is what came of inputs whose label is the class with the highest
// target (the first of equals).
type Score struct {
	Loss    float64 // sum of −log softmax(logits)[label]
	Correct int     // labels with the highest logit
}

// A Loop goes through passes.
type Loop interface {
	// Run does the batches of a pass from first on, and adds to score. It calls
	// done now and then with how many batches were started. It stops early
	// when ctx ends, which is not an error; it returns how many batches were
	// done.
	Run(ctx context.Context, pass Pass, first int, score Score, done func(batches int)) (Score, int, error)
	// Measure repeats the last batch once, which trains on it again, and
	// returns the sum of the times that the device's single pieces of work
	// took, in seconds, and how many there were.
	Measure() (seconds float64, pieces int, err error)
	Close() error
}
