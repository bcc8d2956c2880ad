package stage

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"catdog/pipeline/artifact"
)

// TestCheckpointGoesLast: what a training goes on from is there until the
// artifact is, and gone when the pointer is, also where a kill came between.
func TestCheckpointGoesLast(t *testing.T) {
	p := newPipe(t)
	p.mustMake()
	const pointer = "models/sample/quick.json"
	manifest, err := artifact.ReadManifest(pointer)
	if err != nil {
		t.Fatal(err)
	}
	checkpoint := filepath.Join("models/sample", manifest.Key, "checkpoint")
	if manifest.Find("checkpoint") != nil {
		t.Error("the checkpoint is part of the artifact")
	}
	for range 2 {
		if _, err := os.Stat(checkpoint); err == nil {
			t.Error("the checkpoint is left over")
		}
		// As if killed when the folder had its name, and the pointer did not yet.
		write(t, checkpoint, "state")
		if err := os.Remove(pointer); err != nil {
			t.Fatal(err)
		}
		if ran := p.mustMake(); len(ran) > 0 {
			t.Errorf("ran %v", ran)
		}
	}
}

// TestFetchKilledAtTheEnd: photos that were fetched whole when fetch was killed
// get their name, whatever else it left is removed, and what they were fetched as
// stays recorded.
func TestFetchKilledAtTheEnd(t *testing.T) {
	p := newPipe(t)
	p.mustMake()
	const raw, pointer = "data/raw/sample", "data/raw/sample.json"
	want, err := os.ReadFile(pointer)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		kill func() error
		ran  int
	}{
		{"before the name", func() error { return os.Rename(raw, raw+".partial") }, 0},
		{"before the pointer", func() error { return errors.Join(os.Remove(pointer), os.Rename(raw, raw+".partial")) }, 1},
		{"while a photo was written", func() error {
			return errors.Join(os.Rename(raw, raw+".partial"), os.Remove(raw+".partial/cat/1.jpg"))
		}, 1},
		{"when those before had lost their name", func() error { return os.Rename(raw, raw+".partial.before") }, 1},
	} {
		if err := test.kill(); err != nil {
			t.Fatal(err)
		}
		if ran := p.mustMake(); len(ran) != test.ran {
			t.Errorf("%s: ran %v", test.name, ran)
		}
		if got, err := os.ReadFile(pointer); err != nil || string(got) != string(want) {
			t.Errorf("%s: recorded %s, %v", test.name, got, err)
		}
		if left, _ := filepath.Glob("data/raw/*.partial*"); len(left) > 0 {
			t.Errorf("%s: left %v", test.name, left)
		}
	}
}
