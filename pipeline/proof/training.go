package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"catdog/pipeline/artifact"
	"catdog/pipeline/model"
	"catdog/pipeline/params"
	"catdog/pipeline/progress"
	"catdog/pipeline/stage"
	"catdog/pipeline/train"
	"catdog/pipeline/train/record"
)

const packName = "pack.arrow"

// machine says what this is.
func (s *session) machine() error {
	s.current = "Machine"
	d, err := model.Device(params.Train{Device: "gpu", Precision: "auto"})
	if err != nil {
		return err
	}
	return errors.Join(
		s.found("device", d.Describe(), ""),
		s.found("processors", runtime.NumCPU(), ""),
		s.found("go", runtime.Version(), ""),
		d.Close(),
	)
}

// parameters are an experiment's of the params.yaml in the bundle.
func (s *session) parameters(dataset, experiment string, set ...string) (*params.Params, error) {
	overrides, err := params.ParseOverrides(strings.Join(set, " "))
	if err != nil {
		return nil, err
	}
	return params.Load(filepath.Join(s.bundle, stage.ParametersFile), dataset, experiment, overrides)
}

// input is a folder's pack as the stages take it.
func input(folder string) (*stage.Input, error) {
	file, err := os.Open(filepath.Join(folder, packName))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return nil, err
	}
	files := []artifact.File{{Path: packName, SHA256: hex.EncodeToString(sum.Sum(nil))}}
	return &stage.Input{Folder: folder, Manifest: &artifact.Manifest{Files: files}}, nil
}

// train is the stage train on a pack, into a folder.
func (s *session) train(ctx context.Context, p *params.Params, data *stage.Input, folder string) error {
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return err
	}
	_, err := train.Run(ctx, &stage.Job{
		Params: p, Progress: progress.New("train", os.Stderr), Folder: folder, Inputs: map[string]*stage.Input{"pack": data},
	})
	return err
}

// determinism trains on the drawn sample three times: twice in one go, once
// interrupted and gone on with.
func (s *session) determinism() error {
	data, err := input(s.bundle)
	if err != nil {
		return err
	}
	set := []string{"train.device=gpu"}
	if tiny() {
		set = append(set, "train.epochs=3", "train.network.height=16", "train.network.width=16", "train.network.channels=[4,4]",
			"train.network.residuals=[0,1]", "train.network.pools=[2,2]")
	}
	p, err := s.parameters("sample", "quick", set...)
	if err != nil {
		return err
	}
	folders := []string{"first", "second", "interrupted"}
	for i, name := range folders {
		folders[i] = filepath.Join(s.scratch, name)
	}
	asked := &countdown{Context: s.ctx, left: math.MaxInt}
	for _, folder := range folders[:2] {
		if err := s.train(asked, p, data, folder); err != nil {
			return err
		}
	}
	// A quarter of what two trainings asked is the middle of one. A stop after some
	// time would come too late for a short training, on a machine that is busy.
	stopped, err := s.interrupt((math.MaxInt-asked.left)/4, p, data, folders[2])
	if err != nil {
		return err
	}
	rows, err := record.ReadHistory(filepath.Join(folders[0], "history.csv"))
	if err != nil {
		return err
	}
	if err := s.found("drawn sample, validation accuracy", 100*rows[len(rows)-1].ValidationAccuracy, "%"); err != nil {
		return err
	}
	for i, what := range []string{"trained again", "interrupted after " + stopped + " and gone on with"} {
		for _, name := range []string{"final.safetensors", "best.safetensors", "history.csv"} {
			same, err := sameBytes(filepath.Join(folders[0], name), filepath.Join(folders[1+i], name))
			if err != nil {
				return err
			}
			if err := s.must(what+", "+name, map[bool]string{true: "the same bytes", false: "other bytes"}[same], "", "the same bytes", same); err != nil {
				return err
			}
		}
	}
	return nil
}

// A countdown is over when it was asked so often whether it is. What holds its
// data on the GPU asks from one goroutine, always as often.
type countdown struct {
	context.Context
	left int
}

func (c *countdown) Err() error {
	if err := c.Context.Err(); err != nil {
		return err
	}
	if c.left == 0 {
		return context.Canceled
	}
	c.left--
	return nil
}

// interrupt trains until it was asked so often whether it is to stop, stops, and
// goes on.
func (s *session) interrupt(asked int, p *params.Params, data *stage.Input, folder string) (after string, err error) {
	err = s.train(&countdown{s.ctx, asked}, p, data, folder)
	var interrupted train.Interrupted
	if !errors.As(err, &interrupted) {
		return "", errors.Join(errors.New("the training was over before it was interrupted"), err)
	}
	return fmt.Sprintf("%d epochs", interrupted.Epoch-1), s.train(s.ctx, p, data, folder)
}

func sameBytes(a, b string) (bool, error) {
	one, err := os.ReadFile(a)
	if err != nil {
		return false, err
	}
	other, err := os.ReadFile(b)
	return bytes.Equal(one, other), err
}

// speed trains the workloads with the stage, augmentation, validation and
// checkpoints included.
func (s *session) speed() error {
	all, err := s.parameters("dogs-vs-cats", "64px")
	if err != nil {
		return err
	}
	for _, w := range s.workloads() {
		err := s.onNoise(w, func(data *stage.Input, model string) error {
			_, err := s.speedOf(w, w.recipe(all), data, model, 0.98)
			return err
		})
		if err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
	}
	return nil
}

// onNoise gives use a workload's pack and a folder for a model; both are removed.
func (s *session) onNoise(w workload, use func(data *stage.Input, model string) error) error {
	folder := filepath.Join(s.scratch, w.name)
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	if err := w.writePack(folder); err != nil {
		return err
	}
	data, err := input(folder)
	if err != nil {
		return err
	}
	return use(data, filepath.Join(folder, "model"))
}

// speedOf trains, keeping the GPU busy for the least share of the time that is
// asked for, and returns what runtime.json says of the GPU.
func (s *session) speedOf(w workload, p *params.Params, data *stage.Input, model string, least float64) (gpu record.Accelerator, err error) {
	started := time.Now()
	if err := s.train(s.ctx, p, data, model); err != nil {
		return gpu, err
	}
	took := time.Since(started).Seconds()
	text, err := os.ReadFile(filepath.Join(model, "runtime.json"))
	if err != nil {
		return gpu, err
	}
	var measured struct {
		GPU    record.Accelerator
		Epochs []struct {
			ImagesPerSecond float64 `json:"images_per_second"`
		} `json:"epochs"`
	}
	if err := json.Unmarshal(text, &measured); err != nil {
		return gpu, err
	}
	var rates []float64
	for _, epoch := range measured.Epochs[1:] { // the first warms up
		rates = append(rates, epoch.ImagesPerSecond)
	}
	slices.Sort(rates)
	what := fmt.Sprintf("%s, batch %d", w.name, w.batch)
	return measured.GPU, errors.Join(
		s.found(what+", median of the epochs but the first", rates[len(rates)/2], "images/s"),
		s.found(what+", slowest and fastest epoch", fmt.Sprintf("%.0f to %.0f", rates[0], rates[len(rates)-1]), "images/s"),
		s.found(what+", whole training of "+fmt.Sprint(w.epochs)+" epochs, from opening the pack to the model on disk", took, "s"),
		s.busy(what, measured.GPU, least),
		s.found(what+", runtime.json", json.RawMessage(text), ""),
	)
}

// busy says how much of the time and of the GPU the training used.
func (s *session) busy(what string, gpu record.Accelerator, least float64) error {
	return errors.Join(
		s.must(what+", busy share of the training's wall time, validation and checkpoints included", gpu.BusyShare, "",
			fmt.Sprintf("≥ %g", least), gpu.BusyShare >= least || tiny()),
		s.found(what+", launches a step", float64(gpu.StepLaunches), ""),
		s.found(what+", least bytes a step moves", float64(gpu.StepBytes)/1e6, "MB"),
		s.found(what+", share of the arithmetic peak", gpu.ArithmeticShare, ""),
		s.found(what+", share of the memory's peak", gpu.MemoryShare, ""),
		s.found(what+", memory in use", float64(gpu.MemoryBytes)/1e6, "MB"),
	)
}
