package track

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"catdog/pipeline/device/reference"
	"catdog/pipeline/model"
	"catdog/pipeline/network"
	"catdog/pipeline/params"
	"catdog/pipeline/weights"
)

// Rounded to float16, a model takes hardly more than half of the bytes, is
// read like any other, and its logits move by less than 1 % of their spread.
func TestRound(t *testing.T) {
	p := params.Network{Height: 16, Width: 16, Channels: []int{32, 64}, Residuals: []int{1, 1}, Pools: []int{2, 2}, Head: "average"}
	classes := []string{"cat", "dog"}
	d, err := network.New(p, classes)
	if err != nil {
		t.Fatal(err)
	}
	content, err := weights.Encode(d.Initial(3), nil)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(content)
	digest := hex.EncodeToString(sum[:])
	description, err := json.MarshalIndent(model.Info{
		Version: model.Version, Classes: classes,
		Stored: model.Stored{Height: 16, Width: 16, Mode: "crop", Background: []int{0, 0, 0}},
		Input:  model.Input{Height: 16, Width: 16, Mean: [3]float32{0.5, 0.5, 0.5}, Std: [3]float32{0.25, 0.25, 0.25}},

		Network: model.Network(p), Weights: "best.safetensors", SHA256: digest,
	}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	rounded, changed, err := round(content, description, digest)
	if err != nil {
		t.Fatal(err)
	}
	if share := float64(len(rounded)) / float64(len(content)); share > 0.52 {
		t.Errorf("%d bytes of %d, a share of %g", len(rounded), len(content), share)
	}

	random := rand.New(rand.NewPCG(1, 2))
	images := make([][]byte, 16)
	for i := range images {
		images[i] = make([]byte, 16*16*3)
		for j := range images[i] {
			images[i][j] = byte(random.UintN(256))
		}
	}
	logits := func(content, description []byte) [][]float32 {
		folder := t.TempDir()
		for name, bytes := range map[string][]byte{"best.safetensors": content, "model.json": description} {
			if err := os.WriteFile(filepath.Join(folder, name), bytes, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		m, err := model.Read(folder)
		if err != nil {
			t.Fatal(err)
		}
		if m.SHA256 != digest && m.RoundedFrom != digest {
			t.Errorf("model.json leaves no trace of %s", digest)
		}
		predictor, err := m.On(reference.New(), len(images))
		if err != nil {
			t.Fatal(err)
		}
		defer predictor.Close()
		rows, err := predictor.Logits(t.Context(), images, false)
		if err != nil {
			t.Fatal(err)
		}
		return rows
	}
	want, got := logits(content, description), logits(rounded, changed)
	squares, largest := 0.0, 0.0
	for i := range want {
		for j := range want[i] {
			squares += math.Pow(float64(want[i][j]), 2) / float64(len(want)*len(classes))
			largest = max(largest, math.Abs(float64(got[i][j]-want[i][j])))
		}
	}
	summary := fmt.Sprintf("logits of size %.3g differ by up to %.2g", math.Sqrt(squares), largest)
	if t.Log(summary); largest == 0 || largest > 0.01*math.Sqrt(squares) {
		t.Error(summary)
	}
}
