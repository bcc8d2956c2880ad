package params

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"
)

// project is the params.yaml that the project ships.
const project = "../../params.yaml"

func TestLoadMergesOverlays(t *testing.T) {
	sample, err := Load(project, "sample", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if sample.Experiment != "quick" || !cmp.Equal(sample.Fetch.From, []string{"drawn"}) {
		t.Errorf("the sample's usual experiment is %q from %q", sample.Experiment, sample.Fetch.From)
	}
	other, err := Load(project, "pets", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if other.Experiment != DefaultExperiment || len(other.Fetch.From) != 0 {
		t.Errorf("a new data set's usual experiment is %q from %q", other.Experiment, other.Fetch.From)
	}
	if cmp.Equal(sample.Train, other.Train) {
		t.Error("the experiment quick changes nothing about training")
	}
	if !cmp.Equal(sample.Evaluate, other.Evaluate) {
		t.Error("the experiment quick changes evaluate")
	}
}

func TestOverrides(t *testing.T) {
	overrides, err := ParseOverrides("train.seed=2 train.epochs=5 train.network.channels=[8,16,32]")
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := Load(project, "sample", "", overrides)
	if err != nil {
		t.Fatal(err)
	}
	if loaded.Train.Seed != 2 || loaded.Train.Epochs != 5 || !cmp.Equal(loaded.Train.Network.Channels, []int{8, 16, 32}) {
		t.Errorf("overridden: %+v", loaded.Train)
	}
	if loaded.Experiment == "quick" || !Name.MatchString(loaded.Experiment) {
		t.Errorf("a variant is called %q", loaded.Experiment)
	}
	for text, want := range map[string]string{
		"train.epochs":         "section.key=value",
		"train.epochs=ten":     "SET: train.epochs is \"ten\"; allowed is a whole number",
		"train.epoch=3":        "did you mean train.epochs?",
		"fetch.drawn.images=9": "fetch cannot be changed",
		"train.network=3":      "not a key with a value",
		"train.epochs=-1":      "allowed is a whole number from 0 to 100000",
	} {
		overrides, err := ParseOverrides(text)
		if err == nil {
			_, err = Load(project, "sample", "", overrides)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("SET %q: %v, want %q", text, err, want)
		}
	}
}

// TestErrorsNameTheLine changes one line of the shipped params.yaml at a time.
func TestErrorsNameTheLine(t *testing.T) {
	shipped, err := os.ReadFile(project)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ old, new, want string }{
		{"  epochs: 100 ", "  epoch: 40 ", "train.epoch is not a key; did you mean train.epochs?"},
		{"  epochs: 100 ", "  epochs: 10.7 ", `train.epochs is "10.7"; allowed is a whole number from 0 to 100000`},
		{"  epochs: 100 ", "  epochs: -1 ", `train.epochs is "-1"; allowed is a whole number from 0 to 100000`},
		{"  epochs: 100 ", "  epochs: 0 ", "train.epochs: 0 needs weights"},
		{"  epochs: 100 ", "  epochs: many ", `train.epochs is "many"`},
		{"  mode: stretch ", "  mode: squash ", `resize.mode is "squash"; allowed is one of stretch, crop, pad`},
		{"    flip: true ", "    flip: 1 ", `train.augment.flip is "1"; allowed is true or false`},
		{"  test: 0.1 ", "  test: 0.9 ", `pack.test is "0.9"; allowed is a number from 0.01 to 0.5`},
		{"[128, 128, 128]", "[128, 128]", "allowed is a list of 3 whole numbers from 0 to 255"},
		{"[128, 128, 128]", "[128, 128, 300]", "allowed is a list of 3 whole numbers from 0 to 255"},
		{"explore: ", "explor: ", "explor is not a key; did you mean explore?"},
		{"    experiment: quick", "    experiment: 128", `datasets.sample.experiment is "128"; allowed is an experiment's name`},
		{"  epochs: 100 ", "  epochs: 010 ", `train.epochs is "010"; allowed is a whole number`},
		{"    weight_decay: 0.05", "    weight_decay: 010", `train.optimizer.weight_decay is "010"; allowed is a number`},
		{"    experiment: quick", "    experimnt: quick", "did you mean datasets.sample.experiment?"},
		{"      epochs: 8", "      epochs: -8", `experiments.quick.train.epochs is "-8"`},
		{"  64px: {}", "  64px: {fetch: {}}", "experiments share their data set's photos"},
		{"  64px: {}", "  64_px: {}", "a name made of a-z, 0-9 and -"},
		{"residuals: [0, 1, 1, 1]", "residuals: [0, 1]", "2 numbers for 4 blocks"},
		{"  height: 88 ", "  height: 32 ", "cannot be cropped"},
		{"    head: maximum ", "    head: flatten ", "train.network.head flatten takes 64×64 only, whole images have 88×88"},
	} {
		text := string(shipped)
		line := strings.Count(text[:strings.Index(text, test.old)], "\n") + 1
		if !strings.Contains(text, test.old) {
			t.Fatalf("params.yaml has no %q", test.old)
		}
		file := filepath.Join(t.TempDir(), "params.yaml")
		if err := os.WriteFile(file, []byte(strings.Replace(text, test.old, test.new, 1)), 0o666); err != nil {
			t.Fatal(err)
		}
		_, err := Load(file, "pets", "", nil)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: %v, want %q", test.new, err, test.want)
			continue
		}
		severalLines := regexp.MustCompile("blocks|cropped|flatten|needs weights").MatchString(test.want)
		if place := file + ":"; !severalLines && !strings.Contains(err.Error(), place+strconv.Itoa(line)) {
			t.Errorf("%q: %v names no line %d", test.new, err, line)
		}
	}
}

func TestMissingKey(t *testing.T) {
	shipped, err := os.ReadFile(project)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(shipped), "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, "  bins: ") {
			lines = append(lines[:i:i], lines[i+1:]...)
			break
		}
	}
	file := filepath.Join(t.TempDir(), "params.yaml")
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(file, "pets", "", nil); err == nil || !strings.Contains(err.Error(), "evaluate.bins is missing") {
		t.Errorf("without evaluate.bins: %v", err)
	}
}

// TestEveryKeyIsExplained holds that each key of params.yaml's sections has a
// comment of one line.
func TestEveryKeyIsExplained(t *testing.T) {
	shipped, err := os.ReadFile(project)
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(string(shipped), "\n") {
		if strings.HasPrefix(line, "# What make sweep") {
			return
		}
		key, value, found := strings.Cut(line, ":")
		if strings.HasPrefix(line, " ") && found && strings.TrimSpace(value) != "" && !strings.Contains(line, "#") {
			t.Errorf("line %d: %s has no comment", i+1, strings.TrimSpace(key))
		}
	}
}

// FuzzLoad: a params.yaml of any content gives an error of one line or values
// that are within their bounds.
func FuzzLoad(f *testing.F) {
	shipped, err := os.ReadFile(project)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(shipped)
	f.Add([]byte("train: &a [*a]"))
	f.Add([]byte("fetch: {<<: {from: 1}}"))
	f.Add([]byte("fetch: {from: 1, from: 2}\nfetch: 3\npack: 1"))
	f.Add(bytes.Replace(shipped, []byte("      epochs: 8\n"), []byte("      epochs: 8\n      learning_rate: {warmup: 0.2}\n"), 1))
	f.Add(bytes.Replace(shipped, []byte("      epochs: 8\n"), []byte("      epochs: !!int \"\"\n"), 1))
	file := filepath.Join(f.TempDir(), "params.yaml")
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(file, text, 0o666); err != nil {
			t.Fatal(err)
		}
		params, err := Load(file, "sample", "", nil)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Fatalf("more than one line: %v", err)
			}
			return
		}
		written, err := yaml.Marshal(Named(params.Sections))
		if err != nil {
			t.Fatal(err)
		}
		document, err := parse("written", written)
		if err != nil {
			t.Fatal(err)
		}
		if err := document.check(); err != nil {
			t.Fatalf("%v in\n%s", err, written)
		}
	})
}

func TestSweeps(t *testing.T) {
	text, err := os.ReadFile("../../params.yaml")
	if err != nil {
		t.Fatal(err)
	}
	load := func(sweep string) (*Params, error) {
		file := filepath.Join(t.TempDir(), "params.yaml")
		changed := strings.Replace(string(text), "sweeps:\n", "sweeps:\n"+sweep, 1)
		if changed == string(text) {
			t.Fatal("params.yaml has no sweeps")
		}
		if err := os.WriteFile(file, []byte(changed), 0o666); err != nil {
			t.Fatal(err)
		}
		return Load(file, "sample", "", nil)
	}
	params, err := load(`  mine:
    grid: {train.seed: [3, 1], train.optimizer.name: ["sgd"]}
    variants:
      as it is: {}
      small, slow: {train.network.channels: [8, 16, 32], train.epochs: 9}
    test: true
`)
	if err != nil {
		t.Fatal(err)
	}
	want := &Sweep{
		Name: "mine", Test: true,
		Grid: []Axis{{"train.seed", []string{"3", "1"}}, {"train.optimizer.name", []string{`"sgd"`}}},
		Variants: []Variant{
			{Name: "as it is"},
			{Name: "small, slow", Overrides: []Override{{"train.network.channels", "[8,16,32]"}, {"train.epochs", "9"}}},
		},
	}
	for _, name := range []string{"mine", ""} {
		if got, err := params.FindSweep(name); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("sweep %q: %+v, %v", name, got, err)
		}
	}
	if _, err := params.FindSweep("yours"); err == nil || !strings.Contains(err.Error(), `SWEEP "yours": there is no such sweep; there are mine, seeds`) {
		t.Errorf("sweep yours: %v", err)
	}
	for sweep, complaint := range map[string]string{
		"  x: {grid: {train.sed: [1]}}\n":                   "train.sed is not a key; did you mean train.seed?",
		"  x: {grid: {train.seed: [1, 2, 1]}}\n":            `sweeps.x.grid.train.seed is "1"; allowed is a list of different values`,
		"  x: {grid: {train.epochs: [-1]}}\n":               `train.epochs is "-1"; allowed is a whole number from 0 to 100000`,
		"  x: {grid: {train.epochs: 3}}\n":                  `sweeps.x.grid.train.epochs is "3"; allowed is a list of values`,
		"  x: {grid: {train: [1]}}\n":                       "not a key with a value",
		"  x: {grid: {fetch.drawn.seed: [1]}}\n":            "fetch cannot be changed",
		"  x: {grid: {report.title: ['two words']}}\n":      "cannot be varied",
		"  x: {grid: {train.seed: [1], train.seed: [2]}}\n": "to stand once",
		"  x: {}\n":                                       "allowed is a grid, variants or both",
		"  x: {gird: {train.seed: [1]}}\n":                "did you mean sweeps.x.grid?",
		"  x: {variants: {a: {train.epochs: none}}}\n":    `train.epochs is "none"`,
		"  x: {variants: {a: [1]}}\n":                     "allowed is a mapping from keys to values",
		"  x: {variants: {a: {}, a: {}}}\n":               "to stand once",
		"  x: {grid: {train.seed: [1]}, test: perhaps}\n": "true or false",
		"  X: {grid: {train.seed: [1]}}\n":                "a name made of",
		"  seeds: {grid: {train.seed: [1]}}\n":            "to stand once",
	} {
		if _, err := load(sweep); err == nil || !strings.Contains(err.Error(), complaint) {
			t.Errorf("%q: %v", sweep, err)
		}
	}
}
