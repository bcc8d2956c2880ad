package onnx

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"image"
	_ "image/jpeg"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"catdog/pipeline/device/reference"
	"catdog/pipeline/model"
	"catdog/pipeline/network"
	"catdog/pipeline/params"
	"catdog/pipeline/source/drawn"
	"catdog/pipeline/weights"
)

// runtimePython is a Python that has ONNX Runtime.
func runtimePython(t *testing.T) string {
	t.Helper()
	for _, python := range []string{"../../build/peers/bin/python", "python3"} {
		if path, err := exec.LookPath(python); err == nil && exec.Command(path, "-c", "import onnxruntime").Run() == nil {
			return path
		}
	}
	t.Skip("there is no Python with onnxruntime: pip install onnxruntime")
	return ""
}

const script = `
import json, sys
import numpy as np, onnxruntime
folder, shape = sys.argv[1], json.loads(sys.argv[2])
session = onnxruntime.InferenceSession(folder + "/model.onnx", providers=["CPUExecutionProvider"])
images = np.fromfile(folder + "/images", np.uint8).reshape(shape)
logits, probabilities = session.run(["logits", "probabilities"], {"images": images})
print(json.dumps({"logits": logits.tolist(), "probabilities": probabilities.tolist(),
    "metadata": session.get_modelmeta().custom_metadata_map}))
`

// ONNX Runtime gives the logits that we give, for every head, odd sides that
// pooling cuts, crops that are not quite in the middle, and inputs larger than
// what was trained on.
func TestRuntimeAgrees(t *testing.T) {
	python := runtimePython(t)
	type size struct{ height, width int }
	for name, test := range map[string]struct {
		head  string
		input size
	}{
		"flatten": {"flatten", size{29, 30}},
		"average": {"average", size{29, 30}},
		"maximum": {"maximum", size{29, 30}},
		"whole":   {"maximum", size{34, 33}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			m := write(t, folder, params.Network{
				Height: 29, Width: 30, Channels: []int{8, 12}, Residuals: []int{1, 2}, Pools: []int{2, 2}, Head: test.head, Dropout: 0.3,
			}, model.Input{Height: test.input.height, Width: test.input.width}, 34, 33)
			images := scenes(t, 12, m.Stored.Height, m.Stored.Width)
			predictor, err := m.On(reference.New(), len(images))
			if err != nil {
				t.Fatal(err)
			}
			defer predictor.Close()
			want, err := predictor.Logits(context.Background(), images, false)
			if err != nil {
				t.Fatal(err)
			}
			if err := Export(folder, filepath.Join(folder, "model.onnx")); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(folder, "images"), bytes.Join(images, nil), 0o600); err != nil {
				t.Fatal(err)
			}
			shape, _ := json.Marshal([]int{len(images), m.Stored.Height, m.Stored.Width, 3})
			var complaint bytes.Buffer
			command := exec.Command(python, "-c", script, folder, string(shape))
			command.Stderr = &complaint
			output, err := command.Output()
			if err != nil {
				t.Fatalf("%v: %s", err, complaint.String())
			}
			var got struct {
				Logits, Probabilities [][]float64
				Metadata              map[string]string
			}
			if err := json.Unmarshal(output, &got); err != nil {
				t.Fatal(err)
			}
			if got.Metadata["classes"] != `["cat","dog","owl"]` || got.Metadata["opset"] != "17" || got.Metadata["preprocessing"] == "" {
				t.Errorf("metadata %v", got.Metadata)
			}
			for i := range want {
				probabilities := model.Softmax(want[i])
				for j := range want[i] {
					if math.Abs(got.Logits[i][j]-float64(want[i][j])) > 1e-4 {
						t.Errorf("image %d, logit %d: ONNX Runtime says %g, we say %g", i, j, got.Logits[i][j], want[i][j])
					}
					if math.Abs(got.Probabilities[i][j]-probabilities[j]) > 1e-4 {
						t.Errorf("image %d, class %d: ONNX Runtime says %g, we say %g", i, j, got.Probabilities[i][j], probabilities[j])
					}
				}
				best := func(row []float64) int { return slices.Index(row, slices.Max(row)) }
				if best(got.Probabilities[i]) != best(probabilities) {
					t.Errorf("image %d: ONNX Runtime says class %d, we say %d", i, best(got.Probabilities[i]), best(probabilities))
				}
			}
		})
	}
}

func TestEncodeIsRepeatable(t *testing.T) {
	m := write(t, t.TempDir(), params.Network{Height: 8, Width: 8, Channels: []int{4}, Residuals: []int{1}, Pools: []int{2}, Head: "average"}, model.Input{Height: 8, Width: 8}, 9, 9)
	first, err := Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := Encode(m); !bytes.Equal(first, again) {
		t.Error("encoded twice, the bytes differ")
	}
}

// A view that is resampled has no counterpart in ONNX.
func TestExportRefusesResampling(t *testing.T) {
	folder := t.TempDir()
	write(t, folder, params.Network{Height: 8, Width: 8, Channels: []int{4}, Residuals: []int{0}, Pools: []int{1}, Head: "average"}, model.Input{Height: 8, Width: 8}, 20, 8)
	path := filepath.Join(folder, "model.onnx")
	if err := Export(folder, path); err == nil || !strings.Contains(err.Error(), "8×8 is resampled from stored images of 20×8") {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a file was written")
	}
}

// scenes are images that the program draws, every so many pixels of its photos.
func scenes(t *testing.T, count, height, width int) [][]byte {
	t.Helper()
	folder := t.TempDir()
	if err := drawn.Draw(context.Background(), folder, 1, 60, func() {}); err != nil {
		t.Fatal(err)
	}
	var images [][]byte
	err := filepath.WalkDir(folder, func(path string, _ os.DirEntry, err error) error {
		file, openErr := os.Open(path)
		if err = errors.Join(err, openErr); err != nil || len(images) == count {
			return err
		}
		defer file.Close()
		photo, _, err := image.Decode(file)
		if err != nil {
			return nil // a folder, or planted as damaged
		}
		pixels, size := make([]byte, 0, height*width*3), photo.Bounds().Size()
		for y := range height {
			for x := range width {
				r, g, b, _ := photo.At(x*size.X/width, y*size.Y/height).RGBA()
				pixels = append(pixels, byte(r>>8), byte(g>>8), byte(b>>8))
			}
		}
		images = append(images, pixels)
		return nil
	})
	if err != nil || len(images) < count {
		t.Fatalf("%d images drawn of %d: %v", len(images), count, err)
	}
	return images
}

// write writes and reads a model with statistics as if it had been trained.
func write(t *testing.T, folder string, p params.Network, input model.Input, height, width int) *model.Model {
	t.Helper()
	classes := []string{"cat", "dog", "owl"}
	description, err := network.New(p, classes)
	if err != nil {
		t.Fatal(err)
	}
	random, tensors := rand.New(rand.NewPCG(1, 2)), description.Initial(1)
	for i, parameter := range description.Parameters() {
		if parameter.Role != network.Weight {
			for j := range tensors[i].Values {
				tensors[i].Values[j] = 0.5 + random.Float32()
			}
		}
	}
	if err := weights.Write(filepath.Join(folder, "best.safetensors"), tensors, nil); err != nil {
		t.Fatal(err)
	}
	input.Mean, input.Std = [3]float32{0.4, 0.5, 0.6}, [3]float32{0.2, 0.25, 0.3}
	if err := model.Write(folder, model.Info{
		Classes: classes, Stored: model.Stored{Height: height, Width: width, Mode: "stretch", Background: []int{0, 0, 0}},
		Input: input, Network: model.Network(p), Weights: "best.safetensors", BestEpoch: 1,
	}); err != nil {
		t.Fatal(err)
	}
	m, err := model.Read(folder)
	if err != nil {
		t.Fatal(err)
	}
	return m
}
