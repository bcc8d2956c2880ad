package main

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"strings"

	"catdog/pipeline/device"
	"catdog/pipeline/device/cpu"
	"catdog/pipeline/engine"
	"catdog/pipeline/model"
	"catdog/pipeline/network"
	"catdog/pipeline/params"
	"catdog/pipeline/weights"
)

// agreementBatch is small, since the CPU's gradients of it are computed where
// the bundle is made.
const agreementBatch = 16

// compared is how many values of each array travel in the bundle, at most.
const compared = 1 << 16

// A tolerance is what is asked of the GPU's loss and gradients beside the
// CPU's: the loss' largest relative error, that of each parameter's array as
// ‖g−c‖/‖c‖ (0 asks nothing), and how much less than 1 the cosine between all
// gradients as one vector may be.
type tolerance struct{ loss, array, turn float64 }

// tolerances are by precision. Sums in another order make a few activations
// choose the other side of a ReLU's kink or another of almost equal maxima,
// which moves single gradients by as much as they are. A bfloat16 has 8 bits, so
// that activations are off by up to 0.4 % and many choose so: single arrays may
// then be off by much, the direction of all may not.
var tolerances = map[string]tolerance{"float32": {1e-5, 0.05, 1e-4}, "bfloat16": {0.02, 0, 0.1}}

func (w workload) expectation(folder string) string {
	return filepath.Join(folder, "expected-"+w.name+".safetensors")
}

// expect computes the workloads' losses and gradients on this machine's CPU.
func expect(folder string) error {
	for _, w := range workloads() {
		d, err := cpu.New(cpu.Options{})
		if err != nil {
			return err
		}
		loss, gradients, err := w.gradients(d)
		description := d.Describe()
		if err = errors.Join(err, d.Close()); err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		about := map[string]string{"loss": strconv.FormatFloat(loss, 'g', -1, 64), "device": description}
		if err := weights.Write(w.expectation(folder), gradients, about); err != nil {
			return err
		}
	}
	return nil
}

// gradients are those of one batch of noise at the first weights, of large arrays
// evenly spaced values: what one step of plain gradient descent with a learning
// rate of 1 takes from the weights.
func (w workload) gradients(d device.Device) (loss float64, gradients []weights.Tensor, err error) {
	w.network.Dropout = 0
	description, err := network.New(w.network, classes)
	if err != nil {
		return 0, nil, err
	}
	batch := min(agreementBatch, w.batch)
	trainer, err := engine.New(description, d, engine.Options{Batch: batch, Optimizer: "sgd"})
	if err != nil {
		return 0, nil, err
	}
	defer func() { err = errors.Join(err, trainer.Close()) }()
	before := description.Initial(1)
	if err := trainer.SetWeights(before); err != nil {
		return 0, nil, err
	}
	random := rand.New(rand.NewPCG(7, 8))
	images := make([]float32, batch*w.network.Height*w.network.Width*3)
	for i := range images {
		images[i] = float32(random.NormFloat64())
	}
	targets := make([]float32, batch*len(classes))
	for i := range batch {
		targets[i*len(classes)+i%len(classes)] = 1
	}
	mean, _, err := trainer.Step(1, 1, 1, images, targets)
	if err != nil {
		return 0, nil, err
	}
	after, err := trainer.Weights(engine.Raw)
	if err != nil {
		return 0, nil, err
	}
	for i, tensor := range before {
		if strings.HasSuffix(tensor.Name, ".mean") || strings.HasSuffix(tensor.Name, ".variance") {
			continue // statistics are not learnt
		}
		step := (len(tensor.Values) + compared - 1) / compared
		for step > 1 && (step%2 == 0 || step%3 == 0) {
			step++ // so that no place of a kernel, and no channel, is left out
		}
		length := (len(tensor.Values) + step - 1) / step
		g := weights.Tensor{Name: tensor.Name, Shape: []int{length}, Values: make([]float32, length)}
		for j := range g.Values {
			g.Values[j] = tensor.Values[j*step] - after[i].Values[j*step]
		}
		gradients = append(gradients, g)
	}
	return float64(mean), gradients, nil
}

// agreement compares the GPU's loss and gradients with the CPU's.
func (s *session) agreement() error {
	for _, w := range s.workloads() {
		expected, about, err := weights.Read(w.expectation(s.bundle))
		if err != nil {
			return err
		}
		loss, err := strconv.ParseFloat(about["loss"], 64)
		if err != nil {
			return fmt.Errorf("%s: %w", w.expectation(s.bundle), err)
		}
		for _, precision := range []string{"float32", "bfloat16"} {
			asked := tolerances[precision]
			what := w.name + " in " + precision
			d, err := model.Device(params.Train{Device: "gpu", Precision: precision})
			if err != nil {
				return fmt.Errorf("%s: %w", what, err)
			}
			got, gradients, err := w.gradients(d)
			if err = errors.Join(err, d.Close()); err != nil {
				return fmt.Errorf("%s: %w", what, err)
			}
			worst, where := 0.0, ""
			var dot, gpu, cpu float64
			for i, g := range gradients {
				if len(g.Values) != len(expected[i].Values) {
					return fmt.Errorf("%s: %s has %d gradients, %d are expected: the bundle is of another network", what, g.Name, len(g.Values), len(expected[i].Values))
				}
				for j, v := range g.Values {
					c := float64(expected[i].Values[j])
					dot += float64(v) * c
					gpu += float64(v) * float64(v)
					cpu += c * c
				}
				if off := distance(g.Values, expected[i].Values); !(off <= worst) && !math.IsNaN(worst) {
					worst, where = off, g.Name
				}
			}
			off, cosine := math.Abs(got-loss)/math.Abs(loss), dot/math.Sqrt(gpu*cpu)
			err = s.must(what+", relative error of the loss", off, "", fmt.Sprintf("≤ %g", asked.loss), off <= asked.loss)
			array := what + ", largest relative error of an array of gradients, " + where
			if asked.array > 0 {
				err = errors.Join(err, s.must(array, worst, "", fmt.Sprintf("≤ %g", asked.array), worst <= asked.array))
			} else {
				err = errors.Join(err, s.found(array, worst, ""))
			}
			// Networks of a few channels have more kinks than direction.
			if direction := what + ", 1 − cosine between all gradients"; tiny() && precision == "bfloat16" {
				err = errors.Join(err, s.found(direction, 1-cosine, ""))
			} else {
				err = errors.Join(err, s.must(direction, 1-cosine, "", fmt.Sprintf("≤ %g", asked.turn), 1-cosine <= asked.turn))
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// distance is ‖a−b‖/‖b‖.
func distance(a, b []float32) float64 {
	var off, whole float64
	for i := range a {
		d := float64(a[i]) - float64(b[i])
		off += d * d
		whole += float64(b[i]) * float64(b[i])
	}
	if off == 0 {
		return 0
	}
	return math.Sqrt(off / whole)
}
