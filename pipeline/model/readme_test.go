package model

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"catdog/pipeline/device/reference"
	"catdog/pipeline/network"
	"catdog/pipeline/params"
	"catdog/pipeline/weights"
)

// standIn is what the README's lines need of the library safetensors, for
// where that is not installed: the format is a length, JSON and the numbers.
const standIn = `
try:
    import safetensors.numpy
except ImportError:
    import json, sys, types
    import numpy as np
    def load_file(path):
        content = open(path, "rb").read()
        begin = 8 + int.from_bytes(content[:8], "little")
        header = json.loads(content[8:begin])
        return {name: np.frombuffer(content[begin + e["data_offsets"][0]:begin + e["data_offsets"][1]], "<f4").reshape(e["shape"])
                for name, e in header.items() if name != "__metadata__"}
    sys.modules["safetensors"] = types.ModuleType("safetensors")
    sys.modules["safetensors.numpy"] = types.ModuleType("safetensors.numpy")
    sys.modules["safetensors.numpy"].load_file = load_file
`

// pythonWithNumpy is a Python that has it, "" if there is none.
func pythonWithNumpy() string {
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(python, "-c", "import numpy").Run() == nil {
			return python
		}
	}
	return ""
}

// The README's lines of Python give the logits that we give. Skipped where
// there is no numpy.
func TestReadmePython(t *testing.T) {
	python := pythonWithNumpy()
	if python == "" {
		t.Skip("there is no Python with numpy")
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	code := regexp.MustCompile("(?s)```python\n(.*?)```").FindSubmatch(readme)
	if code == nil {
		t.Fatal("README.md has no Python in it")
	}
	for _, head := range []string{"flatten", "average", "maximum"} {
		t.Run(head, func(t *testing.T) {
			folder, random := t.TempDir(), rand.New(rand.NewPCG(1, 2))
			const height, width, count = 13, 10, 3 // odd sides: pooling drops a row
			m := randomModel(t, folder, head, height, width, random)
			images := make([][]byte, count)
			var raw []byte
			for i := range images {
				images[i] = make([]byte, height*width*3)
				for j := range images[i] {
					images[i][j] = byte(random.UintN(256))
				}
				raw = append(raw, images[i]...)
			}
			if err := os.WriteFile(filepath.Join(folder, "images"), raw, 0o600); err != nil {
				t.Fatal(err)
			}
			predictor, err := m.On(reference.New(), count)
			if err != nil {
				t.Fatal(err)
			}
			defer predictor.Close()
			want, err := predictor.Logits(context.Background(), images, false)
			if err != nil {
				t.Fatal(err)
			}

			script := standIn + string(code[1]) + `
import sys
folder, shape = sys.argv[1], json.loads(sys.argv[2])
images = np.fromfile(folder + "/images", np.uint8).reshape(shape)
print(json.dumps(logits(folder, images).tolist()))
`
			shape, _ := json.Marshal([]int{count, height, width, 3})
			var complaint bytes.Buffer
			command := exec.Command(python, "-c", script, folder, string(shape))
			command.Stderr = &complaint
			output, err := command.Output()
			if err != nil {
				t.Fatalf("%v: %s", err, complaint.String())
			}
			var got [][]float64
			if err := json.Unmarshal(output, &got); err != nil {
				t.Fatal(err)
			}
			for i := range want {
				for j := range want[i] {
					if math.Abs(got[i][j]-float64(want[i][j])) > 1e-4*math.Max(1, math.Abs(got[i][j])) {
						t.Errorf("image %d, logit %d: Python says %g, we say %g", i, j, got[i][j], want[i][j])
					}
				}
			}
		})
	}
}

// randomModel writes and reads a small model with statistics as if it had been
// trained.
func randomModel(t *testing.T, folder, head string, height, width int, random *rand.Rand) *Model {
	t.Helper()
	p := params.Network{Height: height, Width: width, Channels: []int{4, 6}, Residuals: []int{1, 2}, Pools: []int{2, 1}, Head: head, Dropout: 0.3}
	classes := []string{"cat", "dog", "owl"}
	description, err := network.New(p, classes)
	if err != nil {
		t.Fatal(err)
	}
	tensors := description.Initial(1)
	for i, parameter := range description.Parameters() {
		if parameter.Role == network.Weight {
			continue
		}
		for j := range tensors[i].Values {
			tensors[i].Values[j] = 0.5 + random.Float32()
		}
	}
	if err := weights.Write(filepath.Join(folder, "best.safetensors"), tensors, nil); err != nil {
		t.Fatal(err)
	}
	if err := Write(folder, Info{
		Classes: classes, Stored: Stored{height, width, "stretch", []int{0, 0, 0}},
		Input:   Input{height, width, [3]float32{0.4, 0.5, 0.6}, [3]float32{0.2, 0.25, 0.3}},
		Network: Network(p), Weights: "best.safetensors", BestEpoch: 1,
	}); err != nil {
		t.Fatal(err)
	}
	m, err := Read(folder)
	if err != nil {
		t.Fatal(err)
	}
	return m
}
