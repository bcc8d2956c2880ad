package train

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"catdog/pipeline/device"
	"catdog/pipeline/engine"
	"catdog/pipeline/weights"
)

// A lazyTrainer is a fakeTrainer on a device that holds the data and computes
// nothing before it must: what is asked for runs all that was queued before.
type lazyTrainer struct {
	*fakeTrainer
	source  fakeBatches
	average engine.Weights

	mutex sync.Mutex
	queue []task
	unfed int // results that were asked for while no step was queued behind them
}

// A task is one that was queued.
type task struct {
	step bool
	do   func()
}

// push queues a task, and returns a function that waits for its end.
func (d *lazyTrainer) push(step bool, do func()) (wait func()) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	done := false
	d.queue = append(d.queue, task{step, func() { do(); done = true }})
	return func() {
		d.mutex.Lock()
		defer d.mutex.Unlock()
		for !done {
			d.queue[0].do()
			d.queue = d.queue[1:]
		}
	}
}

func (d *lazyTrainer) fed() bool {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	return slices.ContainsFunc(d.queue, func(t task) bool { return t.step })
}

func (d *lazyTrainer) Holds() bool { return true }

func (d *lazyTrainer) TrainingLoop(engine.Data) (device.Loop, error) { return &lazyLoop{d, true}, nil }

func (d *lazyTrainer) PredictionLoop(engine.Weights, engine.Data) (device.Loop, error) {
	return &lazyLoop{d, false}, nil
}

// Weights, which the training's end asks for, comes after all that is queued.
func (d *lazyTrainer) Weights(w engine.Weights) ([]weights.Tensor, error) {
	d.push(false, func() {})()
	return d.fakeTrainer.Weights(w)
}

// A lazySnapshot is made when its turn comes.
type lazySnapshot struct {
	made     func()
	state    []weights.Tensor
	weights  map[engine.Weights][]weights.Tensor
	released bool
}

func (d *lazyTrainer) Snapshot() (engine.Snapshot, error) {
	s := &lazySnapshot{weights: map[engine.Weights][]weights.Tensor{}}
	s.made = d.push(false, func() {
		s.state, _ = d.fakeTrainer.State()
		for _, w := range []engine.Weights{engine.Raw, engine.Average} {
			s.weights[w], _ = d.fakeTrainer.Weights(w)
		}
	})
	return s, nil
}

func (s *lazySnapshot) Weights(w engine.Weights) ([]weights.Tensor, error) {
	s.made()
	if s.released {
		return nil, errors.New("the snapshot was released")
	}
	return s.weights[w], nil
}

func (s *lazySnapshot) State() ([]weights.Tensor, error) {
	s.made()
	if s.released {
		return nil, errors.New("the snapshot was released")
	}
	return s.state, nil
}

func (s *lazySnapshot) Release() { s.released = true }

// A lazyLoop queues two batches at a time.
type lazyLoop struct {
	*lazyTrainer
	trains bool
}

func (l *lazyLoop) Hold([][]byte) error { return nil }

func (l *lazyLoop) Prepare(device.Pass) error { return nil }

func (l *lazyLoop) Measure() (device.Effort, error) { return device.Effort{}, nil }

func (l *lazyLoop) Close() error { return nil }

func (l *lazyLoop) Run(ctx context.Context, pass device.Pass, first int, begun device.Score, queued func(int) error) (func() (device.Result, error), int, error) {
	result := device.Result{Score: begun, Seconds: 0.001}
	at := first
	for at < len(pass.Schedule) && ctx.Err() == nil {
		for range min(2, len(pass.Schedule)-at) {
			now := pass.Schedule[at]
			l.push(l.trains, func() { l.batch(now, &result.Score) })
			at++
		}
		if err := queued(at - first); err != nil {
			return nil, 0, err
		}
	}
	wait := l.push(false, func() {})
	return func() (device.Result, error) {
		wait()
		if !l.trains && !l.fed() {
			l.unfed++
		}
		return result, nil
	}, at - first, nil
}

func (l *lazyLoop) batch(now device.Schedule, total *device.Score) {
	b := l.source
	if !l.trains {
		loss, accuracy, _ := b.validate(l.fakeTrainer, l.average)(context.Background())
		total.Loss, total.Correct = 50*loss, int(50*accuracy+0.5)
		return
	}
	images, targets := make([]float32, b.batch*b.inputs), make([]float32, b.batch*b.classes)
	b.fill(1000*((now.Step-1)/b.steps+1)+(now.Step-1)%b.steps, images, targets)
	_, logits, _ := l.Step(now.Step, now.Seed, now.LearningRate, images, targets)
	sum, correct := score(logits, targets, b.classes)
	total.Loss += sum
	total.Correct += correct
}

// attemptHeld is attempt on a device that holds the data.
func attemptHeld(ctx context.Context, t *testing.T, folder string, patience int) (*lazyTrainer, error) {
	t.Helper()
	p := fakeParameters()
	p.Patience = patience
	d := &lazyTrainer{fakeTrainer: &fakeTrainer{}, average: kept(p)}
	_, err := attemptWith(ctx, t, folder, p, d.fakeTrainer, func(l *loop) {
		d.source = l.source.(fakeBatches)
		l.trainer = d
		l.held = &held{holder: d, training: &lazyLoop{d, true}, validation: &lazyLoop{d, false}, images: 50,
			validated: device.Pass{Schedule: make([]device.Schedule, 1)},
			plan: func(int) ([]device.Sample, []device.Cut) {
				return make([]device.Sample, d.source.steps*p.Batch), make([]device.Cut, d.source.steps)
			}}
		if err := l.held.reserveSnapshots(); err != nil {
			t.Fatal(err)
		}
	})
	return d, err
}

// A device that holds the data is never asked what came of an epoch but the
// last before the next has begun, and leaves the bytes that steps from the host
// leave; so it does where patience wants to know first.
func TestHeldEpochsFollowEachOther(t *testing.T) {
	single := t.TempDir()
	if _, err := attempt(t.Context(), t, single, fakeParameters(), &fakeTrainer{}); err != nil {
		t.Fatal(err)
	}
	for patience, unfed := range map[int]int{0: 1, 100: fakeParameters().Epochs} {
		folder := t.TempDir()
		d, err := attemptHeld(t.Context(), t, folder, patience)
		if err != nil {
			t.Fatal(err)
		}
		if d.unfed != unfed {
			t.Errorf("patience %d: the device ran out of steps %d times, want %d", patience, d.unfed, unfed)
		}
		a, b := outputs(t, single), outputs(t, folder)
		delete(a, "hyperparameters.json") // names the patience
		delete(b, "hyperparameters.json")
		if diff := cmp.Diff(a, b); diff != "" {
			t.Errorf("patience %d: outputs differ (-single +held):\n%.2000s", patience, diff)
		}
	}
}

// Wherever it is stopped, a run goes on to the same bytes.
func TestHeldEpochsGoOnWithTheSameBytes(t *testing.T) {
	whole, parts := t.TempDir(), t.TempDir()
	if _, err := attemptHeld(t.Context(), t, whole, 0); err != nil {
		t.Fatal(err)
	}
	stops, random := 0, rand.New(rand.NewPCG(2, 2))
	for {
		_, err := attemptHeld(&countdown{Context: t.Context(), left: random.IntN(9), done: make(chan struct{})}, t, parts, 0)
		if err == nil {
			break
		}
		if !errors.As(err, new(Interrupted)) {
			t.Fatal(err)
		}
		if stops++; stops > 1000 {
			t.Fatal("it never ends")
		}
	}
	if stops < 2 {
		t.Errorf("stopped %d times", stops)
	}
	if diff := cmp.Diff(outputs(t, whole), outputs(t, parts)); diff != "" {
		t.Errorf("outputs differ (-undisturbed +interrupted):\n%.2000s", diff)
	}
}
