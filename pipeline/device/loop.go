package device

import (
	"context"
	"fmt"
)

// A Holder is a Device that holds a data set and, once started, goes through
// an epoch by itself: it makes the inputs from stored images, repeats a step
// that was submitted to it once, and keeps the score.
type Holder interface {
	Device
	// NewLoop takes all memory that a loop needs but for its images. work submits,
	// through this device, what is done with a batch; it is called when a run begins, and
	// what it submits is then repeated. Whatever it asks of the device gives
	// results only on the device: Loss returns 0, Step and dropouts take what
	// the run's schedule says.
	NewLoop(spec LoopSpec, work func() error) (Loop, error)
	// Snapshot copies vectors, in order with the work that has been submitted.
	// Only Download and Slice may be called on the copies, from any goroutine,
	// and beside other work.
	Snapshot([]Vector) ([]Vector, error)
	// Release takes back a vector's copy: the next snapshot of it may use its
	// memory.
	Release(original, made Vector)
}

// A LoopSpec fixes a Loop.
type LoopSpec struct {
	Height, Width int // of the stored images
	Batches       int // of a pass
	// What work reads: Batch inputs and Batch·Classes target probabilities; and
	// the logits that it writes.
	Input           Activation
	Targets, Logits Vector
	Classes         int
}

// A Schedule is what changes from step to step, as Dropout.Forward's seed
// (combined with each dropout's own by exclusive or) and Optimizer.Step say.
type Schedule struct {
	Step         int
	Seed         uint64
	LearningRate float32
}

// A Pass is an epoch of a Loop: for each batch its cut and its schedule, for
// each input its sample. Samples without an image count for nothing.
type Pass struct {
	Samples  []Sample
	Cuts     []Cut
	Schedule []Schedule
}

// A Sample says how one input is made from a stored image, in numbers that a
// kernel can follow to the same bytes as package augment's Batch and Centre. Its
// layout is fixed.
//
// Input pixel (x, y) shows the image shrunk by 2^Level at (X + x·XStep,
// Y + y·YStep) 65536ths of a pixel, kept within the image; positions are rounded
// down to 64ths, and the four pixels around weighed bilinearly in 4096ths. Their
// red, green and blue, times 4096, become the input, each times its Scale plus
// its Shift.
type Sample struct {
	X, XStep, Y, YStep int32
	Level              int32
	Image              int32 // index among the stored images; below 0 there is none
	Class              int32
	Scale, Shift       [3]float32
}

// A Cut is what the inputs of a batch exchange in pairs, the first with the last
// and so on (in an odd batch the middle one stays as it is): the pixels with
// Left ≤ x < Right and Top ≤ y < Bottom, and of their targets the Share that these
// are of an input, in 0…1. The zero Cut is nothing. Its layout is fixed, since
// kernels of a device read it too.
type Cut struct {
	Left, Top, Right, Bottom int32
	Share                    float32
}

// A Score is what came of inputs whose label is the class with the highest
// target (the first of equals).
type Score struct {
	Loss    float64 // sum of −log softmax(logits)[label]
	Correct int     // labels with the highest logit
}

// A Result is what came of a pass.
type Result struct {
	Score
	Seconds float64 // that the device took for it
}

// A Loop goes through passes.
type Loop interface {
	// Hold copies stored images, Height·Width·3 bytes of RGB each, to where the
	// device reads them; a device may do with memory of the host. It comes before
	// everything else.
	Hold(images [][]byte) error
	// Prepare lets the next Run begin sooner, if it is of this very pass. It may
	// be called beside a Run that has begun, once the result of the one before
	// that is known.
	Prepare(Pass) error
	// Run queues the batches of a pass from first on, which add to score, and
	// returns how many those are and a function that waits for them. It calls
	// queued now and then with how many were queued; an error of that ends it.
	// It stops early when ctx ends, which is not an error. A pass' result is to be
	// asked for before the Run after the next begins or is prepared.
	Run(ctx context.Context, pass Pass, first int, score Score, queued func(batches int) error) (result func() (Result, error), batches int, err error)
	// Measure repeats the last batches, which trains on them again: one with the
	// device's single pieces of work one at a time.
	Measure() (Effort, error)
	Close() error
}

// An Effort is what a batch takes.
type Effort struct {
	// Seconds is the sum of the pieces' own times, or what they take where some
	// run beside others, whichever is less.
	Seconds float64
	Pieces  int
	// Bytes is the least that can be moved: all that each operation reads and
	// writes, once.
	Bytes int64
}

// OutOfMemory is the error of a device that has no room for something.
type OutOfMemory struct{ Need, Free, Total int64 } // bytes

func (e *OutOfMemory) Error() string {
	return fmt.Sprintf("out of memory: %.1f MB are needed, %.1f of %.1f MB are free", float64(e.Need)/1e6, float64(e.Free)/1e6, float64(e.Total)/1e6)
}

// A Measurer is a Device with memory of its own, of which it can say how much
// something needs before there is room for it.
type Measurer interface {
	Device
	// Measure gives build a Device that computes nothing, and returns how much
	// memory build asked it for, in bytes, and how much there is for this
	// device, what it has in use included.
	Measure(build func(Device) error) (need, available int64, err error)
	// Peaks are the most floating-point operations and bytes that the device
	// can compute and move in a second; 0 where that is unknown.
	Peaks() (operations, bytes float64, err error)
	// Memory is how much is in use, in bytes. Nothing is given back before
	// Close: it is the most so far, too.
	Memory() int64
}
