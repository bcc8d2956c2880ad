package miniature

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"
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

// TestEveryKey holds for every key of params.yaml that changing it makes its
// stage, and no other before it, stale with the old and the new value.
func TestEveryKey(t *testing.T) {
	t.Parallel()
	p := project(t)
	text, err := os.ReadFile(p.Path("params.yaml"))
	check(t, err)
	for _, change := range []struct{ key, value, stale string }{
		{"fetch.drawn.images", "81", "fetch"},
		{"fetch.drawn.seed", "2", "fetch"},
		{"fetch.limits.files", "999", ""},
		{"fetch.limits.megabytes", "999", ""},
		{"fetch.limits.ratio", "100", ""},
		{"fetch.from", "[elsewhere]", ""}, // the data set's overlay counts
		{"explore.minimum_side", "9", "explore"},
		{"explore.maximum_megapixels", "99", "explore"},
		{"explore.outlier_threshold", "4.0", "explore"},
		{"resize.height", "17", "resize"},
		{"resize.width", "17", "resize"},
		{"resize.mode", "crop", "resize"},
		{"resize.background", "[1, 2, 3]", "resize"},
		{"pack.seed", "3", "pack"},
		{"pack.validation", "0.25", "pack"},
		{"pack.test", "0.25", "pack"},
		{"train.threads", "2", "train evaluate"},
		{"train.seed", "1", "train"},
		{"train.epochs", "2", "train"},
		{"train.batch", "8", "train"},
		{"train.patience", "1", "train"},
		{"train.from", `"abc"`, "train"},
		{"train.label_smoothing", "0.2", "train"},
		{"train.average_decay", "0.5", "train"},
		{"train.network.height", "15", "train"},
		{"train.network.width", "15", "train"},
		{"train.network.channels", "[9]", "train"},
		{"train.network.residuals", "[1]", "train"},
		{"train.network.pools", "[1]", "train"},
		{"train.network.head", "average", "train"},
		{"train.network.dropout", "0.5", "train"},
		{"train.optimizer.name", "sgd", "train"},
		{"train.optimizer.momentum", "0.8", "train"},
		{"train.optimizer.beta1", "0.8", "train"},
		{"train.optimizer.beta2", "0.8", "train"},
		{"train.optimizer.epsilon", "1.0e-7", "train"},
		{"train.optimizer.weight_decay", "0.06", "train"},
		{"train.learning_rate.peak", "0.004", "train"},
		{"train.learning_rate.warmup", "0.2", "train"},
		{"train.learning_rate.schedule", "linear", "train"},
		{"train.learning_rate.final", "0.1", "train"},
		{"train.augment.flip", "false", "train"},
		{"train.augment.scale", "0.6", "train"},
		{"train.augment.aspect", "1.5", "train"},
		{"train.augment.rotation", "12", "train"},
		{"train.augment.brightness", "0.3", "train"},
		{"train.augment.contrast", "0.3", "train"},
		{"train.augment.saturation", "0.3", "train"},
		{"train.augment.erase", "0.3", "train"},
		{"train.augment.mixup", "0.3", "train"},
		{"train.augment.cutmix", "0.3", "train"},
		{"evaluate.mirror", "false", "evaluate"},
		{"evaluate.bins", "10", "evaluate"},
		{"evaluate.mistakes", "23", "evaluate"},
		{"report.title", `"Pets"`, ""},
	} {
		was, err := p.Get(change.key)
		check(t, err)
		set(t, p, change.key, change.value)
		reasons := map[string]string{}
		verdicts := map[string]string{}
		for _, state := range states(t, p) {
			reasons[state.Stage], verdicts[state.Stage] = strings.Join(state.Reasons, "; "), state.Verdict
		}
		for _, name := range []string{"fetch", "explore", "resize", "pack", "train", "evaluate"} {
			stale := slices.Contains(strings.Fields(change.stale), name)
			if stale != (verdicts[name] == "stale") {
				t.Errorf("%s: %s is %s (%s)", change.key, name, verdicts[name], reasons[name])
			}
			if stale && name != "evaluate" && change.key != "train.threads" && !strings.HasPrefix(reasons[name], change.key+" "+compact(was)+" → "+compact(change.value)) {
				t.Errorf("%s: %s says %q", change.key, name, reasons[name])
			}
		}
		if change.key != "fetch.from" && change.key != "train.threads" && verdicts["report"] != "stale" {
			t.Errorf("%s: the report, which prints it, is %s", change.key, verdicts["report"])
		}
		check(t, os.WriteFile(p.Path("params.yaml"), text, 0o666))
	}
}

// compact is a value as reasons print it: as JSON.
func compact(value string) string {
	var parsed any
	if err := yaml.Unmarshal([]byte(value), &parsed); err != nil {
		return err.Error()
	}
	text, err := json.Marshal(parsed)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
