package bench

import (
	"math"
	"os"
	"path/filepath"
	"testing"
)

func TestTrainingIsReadFromItsRecords(t *testing.T) {
	folder := t.TempDir()
	for name, text := range map[string]string{
		"history.csv": "epoch,learning_rate,train_loss,train_accuracy,validation_loss,validation_accuracy\n" +
			"1,0.1,0.6,0.7,0.5,0.8\n2,0.1,0.5,0.8,0.4,0.91\n3,0.1,0.4,0.9,0.4,0.89\n",
		"runtime.json": `{"threads": 3, "epochs": [
			{"epoch": 1, "images": 10, "seconds": {"step": 50, "data_wait": 4, "validation": 6}},
			{"epoch": 2, "images": 10, "seconds": {"step": 60, "checkpoint": 30, "validation": 30}},
			{"epoch": 3, "images": 10, "seconds": {"step": 36}}]}`,
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	run := training{folder: folder}
	if err := run.read(); err != nil {
		t.Fatal(err)
	}
	for i, want := range []moment{{1, 0.8}, {3, 0.91}, {3.6, 0.89}} {
		if got := run.moments[i]; math.Abs(got.minutes-want.minutes) > 1e-9 || got.accuracy != want.accuracy {
			t.Errorf("epoch %d: %+v, want %+v", i+1, got, want)
		}
	}
	if math.Abs(run.perEpoch-1) > 1e-9 || run.threads != 3 {
		t.Errorf("%g minutes an epoch without validation and %d threads, want 1 and 3", run.perEpoch, run.threads)
	}
	for accuracy, want := range map[float64]float64{0.8: 1, 0.9: 3, 0.95: 0} {
		if got := reached(run.moments, accuracy); math.Abs(got-want) > 1e-9 {
			t.Errorf("%g reached after %g minutes, want %g", accuracy, got, want)
		}
	}

	if err := os.WriteFile(filepath.Join(folder, "runtime.json"), []byte(`{"epochs": []}`), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := run.read(); err == nil {
		t.Error("epochs without times are taken")
	}
}
