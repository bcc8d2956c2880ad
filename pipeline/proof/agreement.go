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

// tolerances are the largest relative errors of a gradient, as ‖g−c‖/‖c‖ for
// the GPU's g and the CPU's c of each parameter's array, by precision. A
// bfloat16 has 8 bits: each activation is off by up to 0.4 %, and that adds up
// over the layers.
var tolerances = map[string]float64{"float32": 1e-3, "bfloat16": 0.15}

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

// gradients are those of one batch of noise at the first weights: what one step
// of plain gradient descent with a learning rate of 1 takes from the weights.
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
	after := trainer.Weights(engine.Raw)
	for i, tensor := range before {
		if strings.HasSuffix(tensor.Name, ".mean") || strings.HasSuffix(tensor.Name, ".variance") {
			continue // statistics are not learnt
		}
		g := weights.Tensor{Name: tensor.Name, Shape: tensor.Shape, Values: make([]float32, len(tensor.Values))}
		for j, v := range tensor.Values {
			g.Values[j] = v - after[i].Values[j]
		}
		gradients = append(gradients, g)
	}
	return float64(mean), gradients, nil
}

// agreement compares the GPU's loss and gradients with the CPU's.
func (s *session) agreement() error {
	for _, w := range workloads() {
		expected, about, err := weights.Read(w.expectation(s.bundle))
		if err != nil {
			return err
		}
		loss, err := strconv.ParseFloat(about["loss"], 64)
		if err != nil {
			return fmt.Errorf("%s: %w", w.expectation(s.bundle), err)
		}
		for precision, tolerance := range tolerances {
			what := w.name + " in " + precision
			d, err := model.Device(params.Train{Device: "gpu", Precision: precision})
			if err != nil {
				if err := s.found(what, err.Error(), ""); err != nil {
					return err
				}
				continue
			}
			got, gradients, err := w.gradients(d)
			if err = errors.Join(err, d.Close()); err != nil {
				return fmt.Errorf("%s: %w", what, err)
			}
			worst, where := 0.0, ""
			for i, g := range gradients {
				if off := distance(g.Values, expected[i].Values); !(off <= worst) {
					worst, where = off, g.Name
				}
			}
			bar := fmt.Sprintf("≤ %g", tolerance)
			off := math.Abs(got-loss) / math.Abs(loss)
			if err := errors.Join(
				s.must(what+", relative error of the loss", off, "", bar, off <= tolerance),
				s.must(what+", largest relative error of a gradient, "+where, worst, "", bar, worst <= tolerance),
			); err != nil {
				return err
			}
		}
	}
	return nil
}

// distance is ‖a−b‖/‖b‖.
func distance(a, b []float32) float64 {
	if len(a) != len(b) {
		return math.Inf(1)
	}
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
