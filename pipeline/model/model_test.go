package model

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"catdog/pipeline/augment"
	"catdog/pipeline/device/cpu/isa"
	"catdog/pipeline/device/reference"
	"catdog/pipeline/network"
	"catdog/pipeline/params"
	"catdog/pipeline/weights"
)

func exampleInfo() Info {
	return Info{
		Classes: []string{"bird", "cat", "dog"},
		Stored:  Stored{Height: 12, Width: 10, Mode: "pad", Background: []int{1, 2, 3}},
		Input:   Input{Height: 10, Width: 9, Mean: [3]float32{0.5, 0.4, 0.3}, Std: [3]float32{0.25, 0.2, 0.1}},
		Network: Network{Height: 10, Width: 9, Channels: []int{3, 5}, Residuals: []int{0, 1}, Pools: []int{2, 1}, Head: "average", Dropout: 0.25},
		Weights: "best.safetensors", BestEpoch: 7, Average: true,
	}
}

// write makes a model's folder with first weights.
func write(t testing.TB, info Info) string {
	t.Helper()
	folder := t.TempDir()
	d, err := network.New(params.Network(info.Network), info.Classes)
	if err != nil {
		t.Fatal(err)
	}
	if err := weights.Write(filepath.Join(folder, info.Weights), d.Initial(4), nil); err != nil {
		t.Fatal(err)
	}
	if err := Write(folder, info); err != nil {
		t.Fatal(err)
	}
	return folder
}

func TestWriteRead(t *testing.T) {
	info := exampleInfo()
	folder := write(t, info)
	m, err := Read(folder)
	if err != nil {
		t.Fatal(err)
	}
	info.Version, info.SHA256 = Version, m.SHA256
	if diff := cmp.Diff(info, m.Info); diff != "" || len(m.SHA256) != 64 {
		t.Errorf("model.json (-written +read):\n%s", diff)
	}
	if diff := cmp.Diff(m.Description.Initial(4), m.Tensors); diff != "" {
		t.Error(diff)
	}
	text, err := os.ReadFile(filepath.Join(folder, FileName))
	if err != nil {
		t.Fatal(err)
	}
	if err := Write(folder, info); err != nil {
		t.Fatal(err)
	}
	if again, _ := os.ReadFile(filepath.Join(folder, FileName)); string(again) != string(text) {
		t.Errorf("written twice:\n%s%s", text, again)
	}
}

// TestReadRefuses changes one value of model.json, or a file, at a time.
func TestReadRefuses(t *testing.T) {
	type object = map[string]any
	for want, change := range map[string]func(folder string, model object){
		"format version 2, only 1 is read": func(_ string, m object) { m["version"] = 2 },
		`unknown field "colour"`:           func(_ string, m object) { m["colour"] = 1 },
		"classes: 1, at least 2":           func(_ string, m object) { m["classes"] = []string{"cat"} },
		"not the name of a file beside it": func(_ string, m object) { m["weights"] = "../best.safetensors" },
		"stored or input size":             func(_ string, m object) { m["stored"].(object)["height"] = 1 << 40 },
		"cannot be cut from images":        func(_ string, m object) { m["stored"].(object)["height"] = 5 },
		"with shape [3 5], the network [3 120]": func(_ string, m object) { // larger than what was trained on
			m["network"].(object)["head"] = "flatten"
			m["input"].(object)["height"] = 12
		},
		"field depth not found":        func(_ string, m object) { m["network"].(object)["depth"] = 3 },
		"input.std: 0 is not above 0":  func(_ string, m object) { m["input"].(object)["std"] = []int{0, 1, 1} },
		"stored.background: 1 numbers": func(_ string, m object) { m["stored"].(object)["background"] = []int{0} },
		"its sha256 is ":               func(_ string, m object) { m["sha256"] = strings.Repeat("0", 64) },
		"with shape [3 5], the network [4 5]": func(_ string, m object) {
			m["classes"] = []string{"bird", "cat", "dog", "elk"}
		},
		"weights hold ": func(_ string, m object) { m["network"].(object)["residuals"] = []int{0, 0} },
		"no such file": func(folder string, _ object) {
			os.Remove(filepath.Join(folder, "best.safetensors"))
		},
		"best.safetensors: its sha256": func(folder string, _ object) {
			path := filepath.Join(folder, "best.safetensors")
			content, _ := os.ReadFile(path)
			content[len(content)-1] ^= 1
			os.WriteFile(path, content, 0o644)
		},
	} {
		folder := write(t, exampleInfo())
		path := filepath.Join(folder, FileName)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var model object
		if err := json.Unmarshal(text, &model); err != nil {
			t.Fatal(err)
		}
		change(folder, model)
		if text, err = json.Marshal(model); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(folder); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "read model") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v", want, err)
		}
	}
}

// FuzzDecode: any model.json gives an error or one that is written back and
// read to the same.
func FuzzDecode(f *testing.F) {
	text, err := os.ReadFile(filepath.Join(write(f, exampleInfo()), FileName))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"version":1}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		info, err := decode(text)
		if err != nil {
			return
		}
		again, err := json.Marshal(info)
		if err != nil {
			t.Fatal(err)
		}
		read, err := decode(again)
		if err != nil {
			t.Fatalf("%s: %v", again, err)
		}
		if diff := cmp.Diff(info, read); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestPredict(t *testing.T) {
	m, err := Read(write(t, exampleInfo()))
	if err != nil {
		t.Fatal(err)
	}
	d := reference.New()
	defer d.Close()
	predictor, err := m.On(d, 4)
	if err != nil {
		t.Fatal(err)
	}
	defer predictor.Close()

	images := make([][]byte, 11) // two batches and a part
	for i := range images {
		images[i] = make([]byte, 12*10*3)
		for j := range images[i] {
			images[i][j] = byte(i*37 + j*j*11)
		}
	}
	rows, err := predictor.Logits(t.Context(), images, false)
	if err != nil {
		t.Fatal(err)
	}
	mirrored, err := predictor.Logits(t.Context(), images, true)
	if err != nil {
		t.Fatal(err)
	}
	both, err := predictor.Probabilities(t.Context(), images, true)
	if err != nil {
		t.Fatal(err)
	}
	view := m.View()
	input, logits := make([]float32, 10*9*3), make([]float32, 3)
	for i, image := range images {
		for _, mirror := range []bool{false, true} {
			augment.Centre(image, view.Height, view.Width, view.InputHeight, view.InputWidth, view.Mean, view.Std, mirror, input)
			if err := predictor.trainer.Predict(predictor.weights, input, logits); err != nil {
				t.Fatal(err)
			}
			got := rows[i]
			if mirror {
				got = mirrored[i]
			}
			if !cmp.Equal(got, logits) {
				t.Errorf("image %d, mirror %t: logits %v, alone %v", i, mirror, got, logits)
			}
		}
		sum, one, other := 0.0, Softmax(rows[i]), Softmax(mirrored[i])
		for class, p := range both[i] {
			sum += p
			if p != (one[class]+other[class])/2 {
				t.Errorf("image %d: %v is not the mean of %v and %v", i, both[i], one, other)
			}
		}
		if math.Abs(sum-1) > 1e-12 {
			t.Errorf("image %d: probabilities add up to %g", i, sum)
		}
	}
	if again, _ := predictor.Logits(t.Context(), images, false); !cmp.Equal(again, rows) {
		t.Error("a second time gives other logits")
	}
	if none, err := predictor.Logits(t.Context(), nil, false); err != nil || len(none) != 0 {
		t.Errorf("no images: %v, %v", none, err)
	}

	images[3] = images[3][:50]
	if _, err := predictor.Logits(t.Context(), images, false); err == nil || err.Error() != "predict image 3: 50 bytes of pixels in place of 360" {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := predictor.Logits(ctx, images[:3], false); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: error %v", err)
	}
}

func TestSoftmax(t *testing.T) {
	logits := []float32{1000, 1001, -1000}
	got := Softmax(logits)
	for class, want := range []float64{0.2689414213699951, 0.7310585786300049, 0} {
		if math.Abs(got[class]-want) > 1e-12 {
			t.Errorf("softmax %v", got)
		}
		if entropy := CrossEntropy(logits, class); class < 2 && math.Abs(entropy+math.Log(want)) > 1e-12 || class == 2 && math.Abs(entropy-2001.3132616875182) > 1e-9 {
			t.Errorf("cross-entropy of class %d: %g", class, entropy)
		}
	}
}

func TestDevice(t *testing.T) {
	if _, err := Device(params.Train{Device: "gpu"}); err == nil || !strings.Contains(err.Error(), "train.device: gpu") {
		t.Errorf("error %v", err)
	}
	for _, test := range []struct{ precision, convolution, want string }{
		{"float32", "winograd", "^cpu float32 [^d ]+$"},
		{"float32", "direct", "^cpu float32 direct .*oneDNN [0-9.]*$"},
		{"auto", "winograd", "^cpu " + isa.Precision("auto") + " [^d]"},
	} {
		d, err := Device(params.Train{Device: "auto", Precision: test.precision, Convolution: test.convolution, Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		if !regexp.MustCompile(test.want).MatchString(d.Describe()) {
			t.Errorf("device %q", d.Describe())
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}
