package main

import (
	"errors"
	"fmt"
	"strings"

	"catdog/pipeline/device"
	"catdog/pipeline/model"
	"catdog/pipeline/params"
	"catdog/pipeline/stage"
)

// memory is what trainings do that lack it.
func (s *session) memory() error {
	return errors.Join(s.shortage(), s.hostImages())
}

// besides runs use while all of the GPU's memory but so many bytes is taken.
func besides(left int64, use func(taken int64) error) (err error) {
	d, err := model.Device(params.Train{Device: "gpu", Precision: "auto"})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	measurer, can := d.(device.Measurer)
	if !can {
		return fmt.Errorf("%s does not know its memory", d.Describe())
	}
	_, available, err := measurer.Measure(func(device.Device) error { return nil })
	if err != nil {
		return err
	}
	taken := available - measurer.Memory() - left
	const piece = 1 << 28
	for rest := taken; rest > 0; rest -= piece {
		if _, err := d.NewVector(int(min(rest, piece) / 4)); err != nil {
			return err
		}
	}
	return use(taken)
}

// shortage trains in less memory than the network needs.
func (s *session) shortage() error {
	left := int64(200e6)
	if tiny() {
		left = 100e3
	}
	all, err := s.parameters("dogs-vs-cats", "64px")
	if err != nil {
		return err
	}
	w := workloads()[1]
	return s.onNoise(w, func(data *stage.Input, model string) error {
		return besides(left, func(taken int64) error {
			text := "it trained"
			if lack := s.train(s.ctx, w.recipe(all), data, model); lack != nil {
				text = lack.Error()
			}
			what := fmt.Sprintf("training with a batch of %d while something else holds %.1f GB", w.batch, 1e-9*float64(taken))
			return s.must(what, text, "", "CUDA_ERROR_OUT_OF_MEMORY, how much is needed, and whether a smaller batch fits",
				strings.Contains(text, "CUDA_ERROR_OUT_OF_MEMORY") && strings.Contains(text, "train.batch"))
		})
	})
}

// hostImages trains where there is room for the network, but not for the images,
// which then stay in the host's memory. (The stand-in's tiny ones have room.)
func (s *session) hostImages() error {
	all, err := s.parameters("dogs-vs-cats", "64px")
	if err != nil {
		return err
	}
	w := workloads()[1]
	left := int64(2200e6) // the network needs 1.5 GB with all that is kept of it, the images 2.0
	if tiny() {
		left = 20e6
	} else {
		w.images, w.epochs = 8*w.images, 10
	}
	w.name += " with images in the host's memory"
	return s.onNoise(w, func(data *stage.Input, model string) error {
		return besides(left, func(int64) error {
			gpu, err := s.speedOf(w, w.recipe(all), data, model, 0) // filling the host's memory takes its time
			if err != nil {
				return err
			}
			size := int64(w.images) * int64(w.stored) * int64(w.stored) * 3
			return s.must(w.name+", memory in use", 1e-6*float64(gpu.MemoryBytes), "MB",
				fmt.Sprintf("less than the images' %.0f MB", 1e-6*float64(size)), gpu.MemoryBytes < size || tiny())
		})
	})
}
