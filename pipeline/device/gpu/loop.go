//go:build gpu

package gpu

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"gorgonia.org/cu"

	"catdog/pipeline/device"
	"catdog/pipeline/device/gpu/driver"
)

var _ device.Holder = (*Device)(nil)

// ahead is how many steps are launched before the host looks whether those
// before them have ended; twice as many are queued at most.
const ahead = 32

// stateSize is the size of struct state of kernels/loop.cu, aligned.
const stateSize = 64

// A loop is a device.Loop. A step is captured once as a CUDA graph, after it
// has run directly for the first batch, and launched for every other batch.
// What changes from step to step is uploaded when a run begins, in one piece.
type loop struct {
	device *Device
	spec   device.LoopSpec
	work   func() error
	batch  int
	images cu.DevicePtr
	count  int    // of images
	pinned []byte // the images, if they are in the host's memory
	// now is the schedule of the step under way, words of 4 bytes: the seed,
	// then 4 numbers for each optimizer.
	now   cu.DevicePtr
	words int
	// The places of a pass within pass: state, schedules, cuts, samples.
	steps                    int // in a pass
	pass                     cu.DevicePtr
	schedules, cuts, samples int
	// host is pinned memory of the same size: for the pass under way, and for
	// the one that was prepared meanwhile.
	host     [2][]byte
	current  int            // of host
	prepared *device.Sample // the first of the pass in the other one, nil if there is none
	// Of the passes in host: when they begin and when their states are there.
	begun, ended [2]cu.Event
	windows      [2]cu.Event
	graph        *driver.Graph
}

func (d *Device) NewLoop(spec device.LoopSpec, work func() error) (device.Loop, error) {
	l := &loop{device: d, spec: spec, work: work, words: 2 + scheduled*len(d.optimizers)}
	input, ok := spec.Input.(*activation)
	if !ok || spec.Classes < 1 || spec.Batches < 1 {
		return nil, fmt.Errorf("new loop: an input of this gpu, classes and batches are needed")
	}
	l.batch = input.n
	if float64(input.n)*float64(input.h)*float64(input.w) >= most {
		return nil, fmt.Errorf("new loop: a batch of %d inputs of %d×%d is too large", input.n, input.h, input.w)
	}
	if err := d.do(l.makeEvents); err != nil {
		return nil, fmt.Errorf("new loop: %w", err)
	}
	d.loops = append(d.loops, l)
	if err := l.makeRoom(spec.Batches); err != nil {
		return nil, fmt.Errorf("new loop: %w", err)
	}
	return l, nil
}

// events are all of the loop's.
func (l *loop) events() []*cu.Event {
	return []*cu.Event{&l.begun[0], &l.begun[1], &l.ended[0], &l.ended[1], &l.windows[0], &l.windows[1]}
}

func (l *loop) makeEvents() (err error) {
	for _, event := range l.events() {
		if *event, err = cu.MakeEvent(cu.DefaultEvent); err != nil {
			return fmt.Errorf("make an event: %w", driver.Named("cuEventCreate", err))
		}
	}
	return nil
}

// schedule is where an optimizer finds what changes from step to step.
func (l *loop) schedule(o *optimizer) cu.DevicePtr {
	return l.now + cu.DevicePtr(8+4*scheduled*o.number)
}

func (l *loop) Run(ctx context.Context, pass device.Pass, first int, score device.Score, queued func(batches int) error) (
	result func() (device.Result, error), batches int, err error) {
	if err := l.begin(pass, first, score); err != nil {
		return nil, 0, fmt.Errorf("begin a pass: %w", err)
	}
	at := first
	if l.graph == nil && at < l.steps {
		if err := l.submit(); err != nil {
			return nil, 0, err
		}
		if err := l.capture(); err != nil {
			return nil, 0, fmt.Errorf("capture a step: %w", err)
		}
		at++
	}
	for window := 0; at < l.steps && ctx.Err() == nil; window++ {
		count := min(ahead, l.steps-at)
		if err := l.device.do(func() error { return l.launch(count, window) }); err != nil {
			return nil, 0, fmt.Errorf("repeat a step: %w", err)
		}
		at += count
		if err := queued(at - first); err != nil {
			return nil, 0, err
		}
	}
	turn := l.current
	if err := l.device.do(l.end); err != nil {
		return nil, 0, fmt.Errorf("end a pass: %w", err)
	}
	return func() (device.Result, error) { return l.result(turn) }, at - first, nil
}

// end queues the way back of the state.
func (l *loop) end() error {
	if err := l.device.join(); err != nil {
		return err
	}
	if err := cu.MemcpyDtoHAsync(pointer(l.host[l.current]), l.pass, stateSize, l.device.stream); err != nil {
		return fmt.Errorf("copy %d bytes: %w", stateSize, driver.Named("cuMemcpyDtoHAsync", err))
	}
	return record(l.ended[l.current], l.device.stream)
}

// result waits for the end of a pass.
func (l *loop) result(turn int) (r device.Result, err error) {
	err = l.device.do(func() error {
		if err := l.ended[turn].Synchronize(); err != nil {
			return fmt.Errorf("compute on the gpu: %w", driver.Named("cuEventSynchronize", err))
		}
		milliseconds, err := l.begun[turn].Elapsed(l.ended[turn])
		r.Seconds = milliseconds / 1000
		return driver.Named("cuEventElapsedTime", err)
	})
	if err != nil {
		l.device.failure.Add(err)
		return r, err
	}
	state := l.host[turn]
	r.Loss = math.Float64frombits(binary.LittleEndian.Uint64(state[8:]))
	r.Correct = int(binary.LittleEndian.Uint64(state[16:]))
	return r, nil
}

// record has an event happen after what is queued.
func record(event cu.Event, stream cu.Stream) error {
	if err := event.Record(stream); err != nil {
		return fmt.Errorf("record an event: %w", driver.Named("cuEventRecord", err))
	}
	return nil
}

// submit queues a step: inputs and targets, the work, the score.
func (l *loop) submit() error {
	d, s := l.device, l.spec
	o := d.operands("loop")
	input := s.Input.(*activation)
	targets, logits := o.vector("targets", s.Targets, l.batch*s.Classes), o.vector("logits", s.Logits, l.batch*s.Classes)
	d.recording, d.stepSeed = l, l.now
	defer func() { d.recording, d.stepSeed = nil, d.zeroSeed }()
	part := func(offset int) cu.DevicePtr { return l.pass + cu.DevicePtr(offset) }
	if err := o.submit(d.over(l.batch*input.h*input.w, "render_batch", l.images, l.pass, part(l.samples), part(l.cuts), part(l.schedules),
		l.now, o.activation("input", input, l.batch, input.h, input.w, 3), targets,
		l.words, l.batch, s.Height, s.Width, input.h, input.w, s.Classes)); err != nil {
		return err
	}
	if err := l.work(); err != nil {
		return err
	}
	return o.submit(launch{kernel: "loop_score", gridX: 1, gridY: 1, arguments: []any{logits, targets, l.pass, l.batch, s.Classes}})
}

// capture records a step.
func (l *loop) capture() error {
	d := l.device
	if err := d.do(func() error { return driver.BeginCapture(d.stream) }); err != nil {
		return err
	}
	submitted := l.submit()
	err := d.do(func() error {
		joined := d.join()
		graph, err := driver.EndCapture(d.stream)
		l.graph = graph
		return errors.Join(joined, err)
	})
	return errors.Join(submitted, err)
}

// repeat queues steps.
func (l *loop) repeat(count int) error {
	for range count {
		if err := l.graph.Launch(l.device.stream); err != nil {
			return err
		}
	}
	return nil
}

// launch queues steps, and waits until those of the window before have ended.
func (l *loop) launch(count, window int) error {
	if err := l.repeat(count); err != nil {
		return err
	}
	if err := record(l.windows[window%2], l.device.stream); err != nil {
		return err
	}
	if window == 0 {
		return nil
	}
	if err := l.windows[(window+1)%2].Synchronize(); err != nil {
		return fmt.Errorf("compute on the gpu: %w", driver.Named("cuEventSynchronize", err))
	}
	return nil
}

// Close leaves the memory to the device's Close.
func (l *loop) Close() error {
	return l.device.do(func() error {
		for i, other := range l.device.loops {
			if other == l {
				l.device.loops = append(l.device.loops[:i], l.device.loops[i+1:]...)
				break
			}
		}
		if err := l.device.wait(); err != nil {
			l.free() // what fails now follows from what has failed
			return err
		}
		return l.free()
	})
}

// free gives back what is not the device's memory.
func (l *loop) free() error {
	var errs []error
	for _, event := range l.events() {
		errs = append(errs, driver.Named("cuEventDestroy", cu.DestroyEvent(event)))
	}
	if l.graph != nil {
		errs = append(errs, l.graph.Close())
	}
	for _, memory := range [][]byte{l.host[0], l.host[1], l.pinned} {
		if memory != nil {
			errs = append(errs, driver.Unpin(memory))
		}
	}
	return errors.Join(errs...)
}
