//go:build gpu

package gpu

import (
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"

	"gorgonia.org/cu"

	"catdog/pipeline/device"
	"catdog/pipeline/device/gpu/cudnn"
)

// A Choice is the fastest of cuDNN's deterministic algorithms for an operation
// of a convolution.
type Choice struct {
	Row       []string // of algorithms.csv, without the algorithm
	Algorithm int
	Times     string // of all algorithms, for people
}

// Rounds and runs of a measurement: the time of an algorithm is the shortest of
// rounds, each the mean over runs.
const rounds, runs = 5, 10

// Tune measures all deterministic algorithms for a convolution. One that gives
// other bits at a second run is left out, whatever it promises.
func (d *Device) Tune(spec device.ConvolutionSpec) ([]Choice, error) {
	if d.cudnn == nil {
		return nil, errors.New("tune: there are no algorithms to choose from without cuDNN")
	}
	made, err := d.NewConvolution(spec)
	if err != nil {
		return nil, fmt.Errorf("tune: %w", err)
	}
	c := made.(*convolution)
	var choices []Choice
	err = d.do(func() (err error) {
		t := &tuning{device: d, convolution: c}
		defer func() { err = errors.Join(err, t.free()) }()
		for _, o := range cudnn.Operations {
			if spec.Inference && o != cudnn.Forward || spec.NoInputGradient && o == cudnn.BackwardInput {
				continue
			}
			choice, err := t.choose(o)
			if err != nil {
				return fmt.Errorf("tune: %w", err)
			}
			choices = append(choices, choice)
		}
		return nil
	})
	return choices, err
}

// A tuning is a convolution with memory for its operations. It runs on the
// device's thread.
type tuning struct {
	device      *Device
	convolution *convolution
	memory      []cu.DevicePtr
}

// random is memory with random numbers in it.
func (t *tuning) random(elements int) (cu.DevicePtr, error) {
	d := t.device
	size := d.element() * elements
	p, err := cu.MemAlloc(int64(size))
	if err != nil {
		return 0, fmt.Errorf("allocate %.1f MB: %w", float64(size)/1e6, err)
	}
	t.memory = append(t.memory, p)
	generator := rand.New(rand.NewPCG(1, uint64(elements)))
	values := make([]float32, min(elements, stagingSize/4))
	for i := range values {
		values[i] = float32(generator.NormFloat64())
	}
	filled := raw(values)
	if d.element() == 2 {
		halves := make([]uint16, len(values))
		for i, v := range values {
			halves[i] = half(v)
		}
		filled = raw(halves)
	}
	copy(d.staging, filled)
	if err := cu.MemcpyHtoDAsync(p, pointer(d.staging), int64(len(filled)), d.stream); err != nil {
		return 0, err
	}
	for at := len(filled); at < size; at *= 2 {
		if err := cu.MemcpyDtoDAsync(p+cu.DevicePtr(at), p, int64(min(at, size-at)), d.stream); err != nil {
			return 0, err
		}
	}
	return p, d.stream.Synchronize()
}

func (t *tuning) free() error {
	errs := []error{t.device.stream.Synchronize()}
	for _, p := range t.memory {
		errs = append(errs, cu.MemFree(p))
	}
	t.memory = nil
	return errors.Join(errs...)
}

// choose measures an operation.
func (t *tuning) choose(o cudnn.Operation) (Choice, error) {
	c, d := t.convolution, t.device
	in, out, weights := c.Batch*c.Height*c.Width*c.in, c.Batch*c.height*c.width*c.out, c.WeightsLen()
	sizes := map[cudnn.Operation][3]int{
		cudnn.Forward: {in, weights, out}, cudnn.BackwardInput: {weights, out, in}, cudnn.BackwardWeights: {in, out, weights},
	}[o]
	var operands [3]cu.DevicePtr
	for i, size := range sizes {
		var err error
		if operands[i], err = t.random(size); err != nil {
			return Choice{}, err
		}
	}
	defer t.free()
	choice := Choice{Row: cudnn.Row(d.capability, c.shape(), o), Algorithm: -1}
	best := 0.0
	var times []string
	for _, algorithm := range o.Deterministic() {
		seconds, err := t.measure(o, algorithm, operands, d.element()*sizes[2])
		if cudnn.NotSupported(err) || errors.Is(err, cu.OutOfMemory) {
			continue
		}
		if errors.Is(err, errOtherBits) {
			times = append(times, fmt.Sprintf("%d: other bits", algorithm))
			continue
		}
		if err != nil {
			return Choice{}, err
		}
		times = append(times, fmt.Sprintf("%d: %.0f µs", algorithm, seconds*1e6))
		if choice.Algorithm < 0 || seconds < best {
			choice.Algorithm, best = algorithm, seconds
		}
	}
	choice.Times = strings.Join(times, ", ")
	if choice.Algorithm < 0 {
		return Choice{}, fmt.Errorf("%v of %v: cuDNN has no deterministic algorithm", o, c.shape())
	}
	return choice, nil
}

var errOtherBits = errors.New("a second run gives other bits")

// measure is the time of an algorithm, in seconds.
func (t *tuning) measure(o cudnn.Operation, algorithm int, operands [3]cu.DevicePtr, resultBytes int) (float64, error) {
	c, d := t.convolution, t.device
	need, err := c.cudnn.Workspace(o, algorithm)
	if err != nil {
		return 0, err
	}
	workspace, err := cu.MemAlloc(int64(max(need, 1)))
	if err != nil {
		return 0, err
	}
	defer cu.MemFree(workspace)
	run := func() error {
		return c.cudnn.Run(d.cudnn, o, algorithm, operands[0], operands[1], operands[2], 0, workspace, need)
	}
	var digests [2]uint64
	for i := range digests {
		if err := run(); err != nil {
			return 0, err
		}
		hash := fnv.New64a()
		for at := 0; at < resultBytes; at += stagingSize {
			length := min(resultBytes-at, stagingSize)
			if err := cu.MemcpyDtoHAsync(pointer(d.staging), operands[2]+cu.DevicePtr(at), int64(length), d.stream); err != nil {
				return 0, err
			}
			if err := d.stream.Synchronize(); err != nil {
				return 0, err
			}
			hash.Write(d.staging[:length])
		}
		digests[i] = hash.Sum64()
	}
	if digests[0] != digests[1] {
		return 0, errOtherBits
	}
	timed := &timing{}
	for range rounds {
		if err := timed.around(d.stream, func() error {
			for range runs {
				if err := run(); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return 0, errors.Join(err, timed.close())
		}
	}
	if err := d.stream.Synchronize(); err != nil {
		return 0, errors.Join(err, timed.close())
	}
	times, err := timed.each()
	return slices.Min(append(times, 1e9)) / runs, errors.Join(err, timed.close())
}
