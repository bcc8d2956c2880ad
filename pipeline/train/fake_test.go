package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"catdog/pipeline/engine"
	"catdog/pipeline/model"
	"catdog/pipeline/weights"
)

// A fakeTrainer is a linear classifier trained by gradient descent with
// momentum, whose parameters are whatever arrays it is given, one after the
// other. What it does depends on step, seed and learning rate.
type fakeTrainer struct {
	classes                   int
	shapes                    []weights.Tensor // names and shapes
	values, momentum, average []float32

	steps    int             // so far, of all attempts
	before   func(steps int) // called before each step
	fail     func(step int) error
	diverges int // step whose loss is NaN
}

func (f *fakeTrainer) at(class, i int) int { return (class*31 + i*7) % len(f.values) }

func (f *fakeTrainer) logits(values, images []float32, count int) []float32 {
	out, inputs := make([]float32, count*f.classes), len(images)/count
	for n := range count {
		for class := range f.classes {
			for i := range inputs {
				out[n*f.classes+class] += values[f.at(class, i)] * images[n*inputs+i]
			}
		}
	}
	return out
}

func (f *fakeTrainer) Step(step int, seed uint64, learningRate float32, images, targets []float32) (float32, []float32, error) {
	if f.before != nil {
		f.before(f.steps)
	}
	f.steps++
	if f.fail != nil {
		if err := f.fail(step); err != nil {
			return 0, nil, err
		}
	}
	count := len(targets) / f.classes
	inputs := len(images) / count
	logits := f.logits(f.values, images, count)
	gradient := make([]float32, len(f.values))
	loss := 0.0
	for n := range count {
		probabilities := model.Softmax(logits[n*f.classes : (n+1)*f.classes])
		for class, p := range probabilities {
			target := targets[n*f.classes+class]
			loss -= float64(target) * math.Log(p)
			for i := range inputs {
				gradient[f.at(class, i)] += (float32(p) - target) * images[n*inputs+i] / float32(count)
			}
		}
	}
	noise := float32(seed%1000) / 1e5
	for i := range f.values {
		f.momentum[i] = 0.9*f.momentum[i] + gradient[i] + noise
		f.values[i] -= learningRate * f.momentum[i]
		decay := min(float32(0.9), float32(1+step)/float32(10+step))
		f.average[i] = decay*f.average[i] + (1-decay)*f.values[i]
	}
	if step == f.diverges {
		loss = math.NaN()
	}
	return float32(loss) / float32(count), logits, nil
}

func (f *fakeTrainer) Predict(w engine.Weights, images []float32, logits []float32) error {
	values := f.values
	if w == engine.Average {
		values = f.average
	}
	copy(logits, f.logits(values, images, len(logits)/f.classes))
	return nil
}

func (f *fakeTrainer) export(prefix string, values []float32) []weights.Tensor {
	var tensors []weights.Tensor
	for _, shape := range f.shapes {
		count := len(shape.Values)
		tensors = append(tensors, weights.Tensor{Name: prefix + shape.Name, Shape: shape.Shape, Values: slices.Clone(values[:count])})
		values = values[count:]
	}
	return tensors
}

func (f *fakeTrainer) Weights(w engine.Weights) ([]weights.Tensor, error) {
	if w == engine.Average {
		return f.export("", f.average), nil
	}
	return f.export("", f.values), nil
}

func flat(tensors []weights.Tensor) []float32 {
	var values []float32
	for _, tensor := range tensors {
		values = append(values, tensor.Values...)
	}
	return values
}

func (f *fakeTrainer) SetWeights(tensors []weights.Tensor) error {
	f.shapes = tensors
	f.values, f.average = flat(tensors), flat(tensors)
	f.momentum = make([]float32, len(f.values))
	return nil
}

func (f *fakeTrainer) State() ([]weights.Tensor, error) {
	return slices.Concat(f.export("", f.values), f.export("momentum:", f.momentum), f.export("average:", f.average)), nil
}

func (f *fakeTrainer) SetState(tensors []weights.Tensor) error {
	if len(tensors)%3 != 0 {
		return errors.New("not a state")
	}
	third := len(tensors) / 3
	f.shapes = tensors[:third]
	f.values, f.momentum, f.average = flat(tensors[:third]), flat(tensors[third:2*third]), flat(tensors[2*third:])
	return nil
}

func (f *fakeTrainer) Close() error { return nil }

// fakeBatches are points of two kinds that overlap a little.
type fakeBatches struct{ steps, batch, inputs, classes int }

func (b fakeBatches) Steps() int { return b.steps }

func (b fakeBatches) fill(seed int, images, targets []float32) {
	state := uint64(seed) * 0x9e3779b97f4a7c15
	for n := range len(targets) / b.classes {
		for i := range b.inputs {
			state = state*6364136223846793005 + 1442695040888963407
			images[n*b.inputs+i] = float32(int32(state>>32))/(1<<31) + float32((n+i)%b.classes)/2
		}
		for class := range b.classes {
			targets[n*b.classes+class] = 0.1 / float32(b.classes)
		}
		targets[n*b.classes+n%b.classes] += 0.9
	}
}

func (b fakeBatches) Epoch(ctx context.Context, epoch, first int, work func(int, []float32, []float32) error) error {
	images, targets := make([]float32, b.batch*b.inputs), make([]float32, b.batch*b.classes)
	for index := first; index < b.steps; index++ {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		b.fill(1000*epoch+index, images, targets)
		if err := work(index, images, targets); err != nil {
			return err
		}
	}
	return nil
}

// validate measures a trainer on points of its own.
func (b fakeBatches) validate(trainer engine.Trainer, w engine.Weights) func(context.Context) (float64, float64, error) {
	images, targets := make([]float32, 50*b.inputs), make([]float32, 50*b.classes)
	b.fill(-1, images, targets)
	return func(ctx context.Context) (float64, float64, error) {
		if ctx.Err() != nil {
			return 0, 0, fmt.Errorf("validate: %w", ctx.Err())
		}
		logits := make([]float32, len(targets))
		if err := trainer.Predict(w, images, logits); err != nil {
			return 0, 0, err
		}
		loss, correct := score(logits, targets, b.classes)
		return loss / 50, float64(correct) / 50, nil
	}
}
