package miniature

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestBackAndForthComputesNothing(t *testing.T) {
	t.Parallel()
	p := project(t)
	first := snapshot(t, p)
	set(t, p, "evaluate.bins", "10")
	mustMake(t, p)
	second := snapshot(t, p)
	for range 2 {
		for _, step := range []struct {
			bins    string
			reports map[string]string
		}{{"15", first}, {"10", second}} {
			set(t, p, "evaluate.bins", step.bins)
			for _, line := range mustMake(t, p) {
				if !strings.Contains(line, " takes what was computed before (") {
					t.Errorf("back to %s bins: %s", step.bins, line)
				}
			}
			if difference := cmp.Diff(step.reports, snapshot(t, p)); difference != "" {
				t.Errorf("back to %s bins: %s", step.bins, difference)
			}
		}
	}
}

func TestTwoDataSetsInTurn(t *testing.T) {
	t.Parallel()
	p := project(t)
	first := snapshot(t, p)
	check(t, copyTree(p.Path("data/raw/sample"), p.Path("my photos")))
	made := mustMake(t, p, "DATASET=pets", "FROM=my photos")
	if len(made) != 7 || made[0] != "fetch runs: no photos yet" {
		t.Errorf("another data set: %q", made)
	}
	for range 2 {
		for _, words := range [][]string{nil, {"DATASET=pets"}, {"DATASET=pets", "FROM=my photos"}} {
			if events := mustMake(t, p, words...); len(events) > 0 {
				t.Errorf("make %q again: %q", words, events)
			}
		}
	}
	now := snapshot(t, p)
	for name, content := range first {
		if now[name] != content {
			t.Errorf("%s changed", name)
		}
	}
	// The same photos in the same layout are the same catalogue.
	for _, name := range []string{"exploration.json", "history.csv"} {
		if now["reports/pets/64px/"+name] != first["reports/sample/64px/"+name] {
			t.Errorf("%s differs between data sets of the same photos", name)
		}
	}
}

func TestParallelMakeRunsTheSame(t *testing.T) {
	t.Parallel()
	p := project(t)
	set(t, p, "pack.seed", "3")
	alone, err := p.Clone(filepath.Join(t.TempDir(), "alone"))
	check(t, err)
	if difference := cmp.Diff(mustMake(t, alone), mustMake(t, p, "-j2")); difference != "" {
		t.Errorf("make -j2 (-alone +j2): %s", difference)
	}
	if difference := cmp.Diff(snapshot(t, alone), snapshot(t, p)); difference != "" {
		t.Errorf("make -j2: %s", difference)
	}
}

func TestKeepGoingRunsNothingBehindAFailure(t *testing.T) {
	t.Parallel()
	p := project(t)
	before := snapshot(t, p)
	check(t, os.Remove(p.Path("bin/train")))
	check(t, os.WriteFile(p.Path("bin/train"), []byte("#!/bin/sh\necho train: broken >&2\nexit 1\n"), 0o777))
	set(t, p, "pack.seed", "3")
	made := p.Make("-k")
	if want := []string{"pack runs: pack.seed 0 → 3"}; made.Status != 2 || !cmp.Equal(made.Events(), want) {
		t.Errorf("make -k: status %d, %q", made.Status, made.Errors)
	}
	if difference := cmp.Diff(before, snapshot(t, p)); difference != "" {
		t.Errorf("the reports changed: %s", difference)
	}
}

func TestMakeFromElsewhereAndAfterAMove(t *testing.T) {
	t.Parallel()
	p := project(t)
	made := (&Project{Folder: "/"}).Make("-C", p.Folder)
	if made.Status != 0 || len(made.Events()) > 0 || !strings.Contains(made.Output, "nothing to do: ") {
		t.Errorf("make -C: %d %q %q", made.Status, made.Output, made.Errors)
	}
	moved := &Project{Folder: filepath.Join(t.TempDir(), "moved")}
	check(t, os.Rename(p.Folder, moved.Folder))
	if events := mustMake(t, moved); len(events) > 0 {
		t.Errorf("after a move: %q", events)
	}
	set(t, moved, "pack.seed", "3")
	made = (&Project{Folder: "/"}).Make("-C", moved.Folder, "train")
	want := []string{"pack runs: pack.seed 0 → 3", "train runs: pack's output changed"}
	if made.Status != 0 || !cmp.Equal(made.Events(), want) {
		t.Errorf("make -C train: %d %q", made.Status, made.Errors)
	}
}

// TestAnotherEngine asks for what computes otherwise: what was computed before
// does not stand for it, and comes back with the engine.
func TestAnotherEngine(t *testing.T) {
	t.Parallel()
	p := project(t)
	before := snapshot(t, p)
	set(t, p, "train.precision", "bfloat16")
	wants(t, ask(t, p, "status"), `^  train +stale: engine cpu float32 \w+ → cpu bfloat16 \w+ threads=1$`)
	set(t, p, "train.precision", "float32")
	set(t, p, "train.device", "gpu") // in a build that has none
	wants(t, ask(t, p, "status"), `^  train +stale: engine cpu float32 \w+ → gpu$`)
	if made := p.Make(); made.Status != 2 || !strings.Contains(made.Errors, "train.device: gpu: this build has none") {
		t.Errorf("make: status %d\n%s", made.Status, made.Errors)
	}
	if difference := cmp.Diff(before, snapshot(t, p)); difference != "" {
		t.Errorf("the reports changed: %s", difference)
	}
	set(t, p, "train.device", "auto")
	if events := mustMake(t, p); len(events) > 0 {
		t.Errorf("back on the CPU: %q", events)
	}
}

// TestKilledMakeLeavesNoPlan: the next make removes the plan of one that was
// killed, and leaves alone that of one which runs.
func TestKilledMakeLeavesNoPlan(t *testing.T) {
	t.Parallel()
	p := project(t)
	ended := exec.Command("true")
	check(t, ended.Run())
	for _, name := range []string{"build/plan.%d.mk", "build/plan.%d.mk.new"} {
		check(t, os.WriteFile(p.Path(fmt.Sprintf(name, ended.Process.Pid)), nil, 0o666))
	}
	running := p.Path(fmt.Sprintf("build/plan.%d.mk", os.Getpid()))
	check(t, os.WriteFile(running, nil, 0o666))
	mustMake(t, p)
	if left, err := filepath.Glob(p.Path("build/plan.*")); err != nil || len(left) != 1 || left[0] != running {
		t.Errorf("left %v, %v", left, err)
	}
}
