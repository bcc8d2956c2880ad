//go:build gpu

// Program tune measures, on this machine's GPU, every deterministic algorithm
// that cuDNN has for the convolutions of the networks in params.yaml, as they
// are trained and as whole images are shown to them, and of the bench, and
// writes the fastest into pipeline/device/gpu/cudnn/algorithms.csv, beside what
// other generations of GPUs have there. `make tune` runs it, from the project's
// root.
package main

import (
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"catdog/pipeline/artifact"
	"catdog/pipeline/device"
	"catdog/pipeline/device/gpu"
	"catdog/pipeline/device/gpu/cudnn"
	"catdog/pipeline/network"
	"catdog/pipeline/params"
)

func main() {
	if len(os.Args) != 1 {
		fmt.Fprintln(os.Stderr, "tune: it takes no arguments")
		os.Exit(2)
	}
	if err := tune("."); err != nil {
		fmt.Fprintln(os.Stderr, "tune:", err)
		os.Exit(1)
	}
}

// table is where the algorithms are kept, from the project's root.
var table = filepath.Join("pipeline", "device", "gpu", "cudnn", "algorithms.csv")

func tune(root string) error {
	path := filepath.Join(root, table)
	old, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	rows, err := csv.NewReader(strings.NewReader(string(old))).ReadAll()
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	found := map[string]string{}
	for _, row := range rows[1:] {
		last := len(row) - 1
		found[strings.Join(row[:last], ",")] = row[last]
	}
	shapes, err := convolutions(filepath.Join(root, "params.yaml"))
	if err != nil {
		return err
	}
	for _, precision := range []string{"bfloat16", "float32"} {
		if err := measure(precision, shapes, found); err != nil {
			return err
		}
	}
	var text strings.Builder
	fmt.Fprintln(&text, strings.Join(cudnn.Columns, ","))
	for _, key := range slices.SortedFunc(maps.Keys(found), byNumbers) {
		fmt.Fprintf(&text, "%s,%s\n", key, found[key])
	}
	return artifact.WriteFile(path, []byte(text.String()))
}

// byNumbers compares rows column by column, numbers by value.
func byNumbers(a, b string) int {
	return slices.CompareFunc(strings.Split(a, ","), strings.Split(b, ","), func(a, b string) int {
		m, errA := strconv.Atoi(a)
		n, errB := strconv.Atoi(b)
		if errA == nil && errB == nil {
			return cmp.Compare(m, n)
		}
		return cmp.Compare(a, b)
	})
}

// measure adds the fastest algorithms of all shapes in a precision.
func measure(precision string, shapes []device.ConvolutionSpec, found map[string]string) (err error) {
	d, err := gpu.New(gpu.Options{Precision: precision})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	fmt.Fprintln(os.Stderr, "tune      ", d.Describe())
	for _, shape := range shapes {
		choices, err := d.Tune(shape)
		if err != nil {
			return err
		}
		for _, c := range choices {
			found[strings.Join(c.Row, ",")] = strconv.Itoa(c.Algorithm)
			fmt.Fprintf(os.Stderr, "tune       %s: algorithm %d of %s\n", strings.Join(c.Row, " "), c.Algorithm, c.Times)
		}
	}
	return nil
}

// convolutions are the different ones of all networks.
func convolutions(path string) ([]device.ConvolutionSpec, error) {
	experiments, err := experiments(path)
	if err != nil {
		return nil, err
	}
	var all []device.ConvolutionSpec
	add := func(n params.Network, batch int, inference bool) error {
		description, err := network.New(n, []string{"cat", "dog"})
		if err != nil {
			return err
		}
		for i, l := range description.Layers {
			if l.Kind != network.Convolution {
				continue
			}
			spec := device.ConvolutionSpec{
				Batch: batch, Height: l.In.Height, Width: l.In.Width, In: l.In.Channels, Out: l.Out.Channels,
				Kernel: l.Kernel, Stride: l.Stride, Padding: l.Padding, NoInputGradient: i == 0,
			}
			known := slices.Contains(all, spec) // with all that inference needs
			spec.Inference = inference
			if !known && !slices.Contains(all, spec) {
				all = append(all, spec)
			}
		}
		return nil
	}
	for _, measured := range []struct {
		network params.Network
		batches []int // beside PyTorch, and on the CPU
	}{{network.FourBlocks(), []int{512, 64}}, {network.Residual(), []int{512, 128}}, {network.Large(), []int{128}}} {
		for _, batch := range measured.batches {
			if err := add(measured.network, batch, false); err != nil {
				return nil, err
			}
		}
	}
	for _, p := range experiments {
		if err := add(p.Train.Network, p.Train.Batch, false); err != nil {
			return nil, err
		}
	}
	for _, p := range experiments {
		if p.Train.View != params.Whole {
			continue
		}
		shown := p.Train.Network
		shown.Height, shown.Width = p.Resize.Height, p.Resize.Width
		if err := add(shown, p.Train.Batch, true); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// experiments are the parameters of all experiments.
func experiments(path string) ([]*params.Params, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var file struct {
		Experiments map[string]any `yaml:"experiments"`
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var all []*params.Params
	for _, experiment := range slices.Sorted(maps.Keys(file.Experiments)) {
		p, err := params.Load(path, "sample", experiment, nil)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}
