package train

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"catdog/pipeline/network"
)

// TestFrom: a run starts from weights that lie anywhere below models, found by
// their digest.
func TestFrom(t *testing.T) {
	models := t.TempDir()
	folder := func(names ...string) string {
		path := filepath.Join(append([]string{models}, names...)...)
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	earlier := folder("sample", "0123456789")
	l, err := attempt(t.Context(), t, earlier, fakeParameters(), &fakeTrainer{})
	if err != nil {
		t.Fatal(err)
	}
	digest, err := fileDigest(filepath.Join(earlier, finalName))
	if err != nil {
		t.Fatal(err)
	}
	trained, err := l.trainer.Weights(kept(l.parameters))
	if err != nil {
		t.Fatal(err)
	}
	final := flat(trained)

	p := fakeParameters()
	p.From = digest
	var first []float32
	trainer := &fakeTrainer{}
	trainer.before = func(steps int) {
		if steps == 0 {
			first = append(first, trainer.values...)
		}
	}
	if _, err := attempt(t.Context(), t, folder("pets", "abcdef.partial"), p, trainer); err != nil {
		t.Fatal(err)
	}
	for i := range final {
		if first[i] != final[i] {
			t.Fatalf("starts from %v, want %v", first, final)
		}
	}

	published := folder("published", "sample")
	if err := os.Rename(filepath.Join(earlier, finalName), filepath.Join(published, "weights.safetensors")); err != nil {
		t.Fatal(err)
	}
	if path, _, err := findWeights(models, digest); err != nil || filepath.Dir(path) != published {
		t.Errorf("found %s: %v", path, err)
	}

	description, err := network.New(p.Network, []string{"cat", "dog", "bird"})
	if err != nil {
		t.Fatal(err)
	}
	other := run{parameters: p, folder: folder("pets", "xyz.partial"), models: models, reporter: l.reporter}
	if err := other.begin(&loop{parameters: p, trainer: trainer, source: l.source}, description); err == nil || !strings.Contains(err.Error(), "weights.safetensors: weights have ") {
		t.Errorf("weights of another network: error %v", err)
	}
}

// What vanishes while it is looked at is not what was asked for.
func TestFromLooksOn(t *testing.T) {
	models := t.TempDir()
	folder := filepath.Join(models, "sample", "0123456789")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := attempt(t.Context(), t, folder, fakeParameters(), &fakeTrainer{}); err != nil {
		t.Fatal(err)
	}
	digest, err := fileDigest(filepath.Join(folder, finalName))
	if err != nil {
		t.Fatal(err)
	}
	gone := filepath.Join(models, "pets", "abcdef.partial")
	if err := errors.Join(os.MkdirAll(gone, 0o755), os.Symlink("nowhere", filepath.Join(gone, bestName))); err != nil {
		t.Fatal(err)
	}
	if path, _, err := findWeights(models, digest); err != nil || filepath.Dir(path) != folder {
		t.Error(path, err)
	}
	if _, _, err := findWeights(models, strings.Repeat("0", 64)); err == nil || !strings.Contains(err.Error(), "of those that can be read: open "+filepath.Join(gone, bestName)) {
		t.Error(err)
	}
}

func TestFromRefuses(t *testing.T) {
	p := fakeParameters()
	for from, want := range map[string]string{
		"best.safetensors":       `train.from: "best.safetensors" is not a SHA-256`,
		strings.Repeat("0a", 32): "train.from: none of the 0 files of weights below ",
		strings.Repeat("0A", 32): "is not a SHA-256",
	} {
		p.From = from
		// Models are looked for two folders up, which is to be this test's own.
		folder := filepath.Join(t.TempDir(), "models", "pets", "x.partial")
		if err := os.MkdirAll(folder, 0o777); err != nil {
			t.Fatal(err)
		}
		if _, err := attempt(context.Background(), t, folder, p, &fakeTrainer{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("from %s: error %v", from, err)
		}
	}
}
