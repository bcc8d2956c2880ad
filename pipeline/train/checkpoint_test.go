package train

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"catdog/pipeline/train/record"
	"catdog/pipeline/weights"
)

func exampleCheckpoint() *checkpoint {
	return &checkpoint{
		progressState: progressState{Epoch: 2, Step: 3, Loss: 1.0 / 3, Correct: 17, Records: record.State{
			Rows:  []record.Row{{Epoch: 1, LearningRate: 0.1, TrainLoss: 2.0 / 3, ValidationLoss: 0.7, ValidationAccuracy: 0.5}},
			Times: []record.EpochTime{{Epoch: 1, Images: 64, Seconds: map[record.Phase]float64{record.Step: 1.5}}},
			Now:   record.EpochTime{Epoch: 2, Seconds: map[record.Phase]float64{}},
		}},
		trainer: []weights.Tensor{{Name: "w", Shape: []int{2, 1}, Values: []float32{1, -2}}, {Name: "average:w", Shape: []int{2, 1}, Values: []float32{3, 4}}},
		best:    []weights.Tensor{{Name: "w", Shape: []int{2, 1}, Values: []float32{5, 6}}},
	}
}

func TestCheckpoint(t *testing.T) {
	path := filepath.Join(t.TempDir(), checkpointName)
	if c, err := loadCheckpoint(path); c != nil || err != nil {
		t.Fatalf("no file: %v, %v", c, err)
	}
	want := exampleCheckpoint()
	for range 2 { // the second replaces the first
		if err := want.save(path); err != nil {
			t.Fatal(err)
		}
	}
	got, err := loadCheckpoint(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(checkpoint{})); diff != "" {
		t.Error(diff)
	}
	if err := want.save(filepath.Join(path, "below a file")); err == nil || !strings.HasPrefix(err.Error(), "save checkpoint: ") {
		t.Errorf("error %v", err)
	}
}

// TestCheckpointDamaged: no checkpoint of which a bit was flipped, and none that
// was truncated, is taken for one.
func TestCheckpointDamaged(t *testing.T) {
	path := filepath.Join(t.TempDir(), checkpointName)
	if err := exampleCheckpoint().save(path); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(content []byte, what string, at int) {
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
		if c, err := loadCheckpoint(path); err == nil {
			t.Errorf("%s %d gives %+v", what, at, c)
		}
	}
	for at := range whole {
		for bit := range 8 {
			damaged := append([]byte{}, whole...)
			damaged[at] ^= 1 << bit
			refused(damaged, fmt.Sprintf("bit %d flipped of byte", bit), at)
		}
	}
	for at := 0; at < len(whole); at += 7 {
		refused(whole[:at], "truncation at byte", at)
	}
}

// TestDamagedCheckpointStartsAnew: a damaged checkpoint is thrown away, and the
// run ends with the same bytes.
func TestDamagedCheckpointStartsAnew(t *testing.T) {
	folder := t.TempDir()
	if _, err := attempt(t.Context(), t, folder, fakeParameters(), &fakeTrainer{}); err != nil {
		t.Fatal(err)
	}
	want := outputs(t, folder)

	misfit := exampleCheckpoint() // whole, but of another run
	misfit.Epoch = 99
	for name, damage := range map[string]func(path string) error{
		"not a checkpoint": func(path string) error { return os.WriteFile(path, []byte("{}"), 0o644) },
		"of another run":   misfit.save,
		"a folder":         func(path string) error { return os.MkdirAll(path, 0o755) },
	} {
		folder := t.TempDir()
		if err := damage(filepath.Join(folder, checkpointName)); err != nil {
			t.Fatal(err)
		}
		trainer := &fakeTrainer{}
		if _, err := attempt(t.Context(), t, folder, fakeParameters(), trainer); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, outputs(t, folder)); diff != "" || trainer.steps != 20 {
			t.Errorf("%s: %d steps, outputs differ:\n%.1000s", name, trainer.steps, diff)
		}
	}
}

// One that cannot be read now is not taken for damaged.
func TestUnreadableCheckpointStays(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, checkpointName)
	if err := os.Symlink(checkpointName, path); err != nil { // leads to itself
		t.Fatal(err)
	}
	if _, err := attempt(t.Context(), t, folder, fakeParameters(), &fakeTrainer{}); err == nil || !strings.Contains(err.Error(), "read the checkpoint: open "+path) {
		t.Error(err)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Error("it was removed:", err)
	}
}

// FuzzLoadCheckpoint: a file of any content, its checksum put right where it
// has tensors and metadata, gives an error or a checkpoint that is saved and
// loaded to the same.
func FuzzLoadCheckpoint(f *testing.F) {
	path, again := filepath.Join(f.TempDir(), checkpointName), filepath.Join(f.TempDir(), checkpointName)
	misfit := exampleCheckpoint()
	misfit.Epoch, misfit.best = -1, nil
	for _, c := range []*checkpoint{exampleCheckpoint(), misfit, {}} {
		if err := c.save(path); err != nil {
			f.Fatal(err)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
	}
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, content []byte) {
		if tensors, metadata, err := weights.Decode(content); err == nil && metadata != nil {
			delete(metadata, sha256Entry)
			if content, err = seal(tensors, metadata); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(path, content, 0o666); err != nil {
			t.Fatal(err)
		}
		c, err := loadCheckpoint(path)
		if err != nil {
			return
		}
		if err := c.save(again); err != nil {
			t.Fatal(err)
		}
		read, err := loadCheckpoint(again)
		if err != nil {
			t.Fatal(err)
		}
		bits := cmp.Comparer(func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) })
		if diff := cmp.Diff(c, read, cmp.AllowUnexported(checkpoint{}), bits); diff != "" {
			t.Fatal(diff)
		}
	})
}
