package miniature

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"catdog/pipeline/artifact"
	"catdog/pipeline/device/cpu/isa"
	"catdog/pipeline/params"
	"catdog/pipeline/stage"
)

// A keyChange is another valid value for one key of params.yaml.
type keyChange struct {
	key, value string
	// stages are those that the key itself makes run, in their order. The report
	// prints every parameter, so it is among them.
	stages []string
}

// otherwise are values for keys whose neighbour by their type alone would not be
// valid, or would ask for what this machine may not have.
var otherwise = map[string]string{
	"fetch.from":               "[elsewhere]",
	"resize.mode":              "crop",
	"train.device":             "cpu",
	"train.precision":          "auto",
	"train.network.height":     "15",
	"train.network.width":      "15",
	"train.network.pools":      "[1]",
	"train.network.head":       "average",
	"train.average_decay":      "0.5",
	"report.title":             `"Pets"`,
	"train.optimizer.epsilon":  "1.0e-7",
	"train.learning_rate.peak": "0.004",
	"train.augment.cutmix":     "0.4",
	"train.from":               "", // see publishedWeights
}

// unread are keys that nothing but the report depends on: what fetch checks an
// archive against, the device, whose word means on this machine what auto does,
// and the threads, whose number changes no digit. (fetch.from is not even that:
// the data set sample has its own.)
var unread = []string{"fetch.from", "fetch.limits.files", "fetch.limits.megabytes", "fetch.limits.ratio", "train.device", "train.threads"}

// engines are keys that name another engine, with what is said of it; the
// precision does where auto is not float32.
var engines = map[string]string{
	"train.precision":   `^engine cpu float32 \w+ → cpu bfloat16 \w+ threads=1$`,
	"train.convolution": `^engine cpu float32 \w+ → cpu float32 direct \w+ threads=1$`,
}

// keyChanges is a change for every key of the parameters' structs, so that none
// can be forgotten. p is a project in which make has nothing to do.
func keyChanges(t *testing.T, p *Project) []keyChange {
	t.Helper()
	parameters, err := params.Load(p.Path("params.yaml"), "sample", "", nil)
	check(t, err)
	var changes []keyChange
	var walk func(prefix string, structure reflect.Value)
	walk = func(prefix string, structure reflect.Value) {
		for i := range structure.NumField() {
			field, value := structure.Type().Field(i), structure.Field(i)
			key := strings.TrimPrefix(prefix+"."+field.Tag.Get("yaml"), ".")
			if value.Kind() == reflect.Struct {
				walk(key, value)
				continue
			}
			change := keyChange{key: key}
			var known bool
			if change.value, known = otherwise[key]; !known {
				change.value = other(t, key, field, value)
			}
			if key == "train.from" {
				change.value = strconv.Quote(publishedWeights(t, p))
			}
			section, _, _ := strings.Cut(key, ".")
			switch {
			case slices.Contains(unread, key), key == "train.precision" && isa.Precision("auto") == "float32":
			case engines[key] != "":
				change.stages = []string{"train", "evaluate"} // both compute
			case section != "report":
				change.stages = []string{section}
			}
			if key != "fetch.from" {
				change.stages = append(change.stages, "report")
			}
			changes = append(changes, change)
		}
	}
	walk("", reflect.ValueOf(parameters.Sections))
	return changes
}

// other is a valid value near a key's own.
func other(t *testing.T, key string, field reflect.StructField, value reflect.Value) string {
	t.Helper()
	bound := func(tag string, without float64) float64 {
		if number, err := strconv.ParseFloat(field.Tag.Get(tag), 64); err == nil {
			return number
		}
		return without
	}
	switch value.Kind() {
	case reflect.Bool:
		return strconv.FormatBool(!value.Bool())
	case reflect.Int:
		if n := value.Int(); float64(n)+1 <= bound("max", 1e18) {
			return strconv.FormatInt(n+1, 10)
		}
		return strconv.FormatInt(value.Int()-1, 10)
	case reflect.Float64:
		near, low, high := value.Float(), bound("min", 0), bound("max", 1)
		if near += (high - low) / 20; near > high {
			near -= (high - low) / 10
		}
		return strconv.FormatFloat(near, 'g', 4, 64)
	case reflect.String:
		words := strings.Fields(field.Tag.Get("enum"))
		if at := slices.Index(words, value.String()); at >= 0 {
			return words[(at+1)%len(words)]
		}
	case reflect.Slice:
		if value.Type().Elem().Kind() == reflect.Int {
			var items []string
			for i := range value.Len() {
				items = append(items, strconv.FormatInt(value.Index(i).Int()+1, 10))
			}
			return "[" + strings.Join(items, ", ") + "]"
		}
	}
	t.Fatalf("%s: say in the variable otherwise which other value to try", key)
	return ""
}

// publishedWeights puts the project's best weights where train.from finds them,
// whatever becomes of the models, and returns their SHA-256.
func publishedWeights(t *testing.T, p *Project) string {
	t.Helper()
	name := p.Path("models/published/first/best.safetensors")
	content, err := os.ReadFile(name)
	if err != nil {
		content, err = os.ReadFile(one(t, p, "models/sample/*/best.safetensors"))
		check(t, err)
		check(t, os.MkdirAll(filepath.Dir(name), 0o777))
		check(t, os.WriteFile(name, content, 0o666))
	}
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// says is the reason that a stage gives for a changed key.
func (c keyChange) says(t *testing.T, p *Project) string {
	t.Helper()
	was, err := p.Get(c.key)
	check(t, err)
	return fmt.Sprintf("%s %s → %s", c.key, compact(was), compact(c.value))
}

// TestEveryKey holds for every key of params.yaml that changing it makes its
// stage, and no other before it, stale, with the old and the new value in words.
func TestEveryKey(t *testing.T) {
	t.Parallel()
	p := project(t)
	changes := keyChanges(t, p)
	text, err := os.ReadFile(p.Path("params.yaml"))
	check(t, err)
	for _, change := range changes {
		reason := change.says(t, p)
		set(t, p, change.key, change.value)
		words := ask(t, p, "status")
		for _, state := range states(t, p) {
			joined := strings.Join(state.Reasons, "; ")
			stale := slices.Contains(change.stages, state.Stage)
			if stale != (state.Verdict == "stale") {
				t.Errorf("%s: %s is %s (%s)", change.key, state.Stage, state.Verdict, joined)
			}
			if !stale {
				continue
			}
			if words := engines[change.key]; words != "" && state.Stage != "report" {
				wants(t, joined, words)
			} else if joined != reason {
				t.Errorf("%s: %s says %q instead of %q", change.key, state.Stage, joined, reason)
			}
			if !strings.Contains(words, fmt.Sprintf("  %-9s stale: %s\n", state.Stage, joined)) {
				t.Errorf("%s: make status does not say %q:\n%s", change.key, joined, words)
			}
		}
		check(t, os.WriteFile(p.Path("params.yaml"), text, 0o666))
	}
}

// TestEveryKeyBuilds really makes each of those changes: the stage that owns the
// key runs, and behind it exactly those that read what came out different; all
// that TestWhatReruns asks of its rows holds too.
func TestEveryKeyBuilds(t *testing.T) {
	if !*long {
		t.Skip("takes minutes: make test-long")
	}
	for _, change := range keyChanges(t, project(t)) {
		t.Run(change.key, func(t *testing.T) {
			t.Parallel()
			p := project(t)
			if change.key == "train.from" {
				publishedWeights(t, p)
			}
			before, reason := digests(t, p), change.says(t, p)
			set(t, p, change.key, change.value)
			made := tryMake(t, p)
			after := digests(t, p)

			var want []string
			for _, definition := range stage.All {
				var reasons []string
				if slices.Contains(change.stages, definition.Name) {
					reasons = append(reasons, reason)
				}
				for _, input := range definition.Inputs {
					if before[input] != after[input] {
						reasons = append(reasons, input+"'s output changed")
					}
				}
				if len(reasons) > 0 {
					want = append(want, definition.Name+" runs: "+strings.Join(reasons, "; "))
				}
			}
			if difference := cmp.Diff(want, plain(made, reason)); difference != "" {
				t.Errorf("(-want +got)\n%s", difference)
			}
			fromNothing(t, p, strings.HasPrefix(change.key, "fetch.drawn."))
		})
	}
}

// plain replaces reasons whose words depend on the machine, by the change that
// made another engine, or on how many photos a change concerns.
func plain(events []string, engine string) []string {
	var lines []string
	for _, event := range events {
		name, reasons, _ := strings.Cut(event, " runs: ")
		var kept []string
		for _, reason := range strings.Split(reasons, "; ") {
			switch {
			case strings.HasPrefix(reason, "photos "), reason == "the photos changed":
				reason = "fetch's output changed"
			case strings.HasPrefix(reason, "engine "):
				reason = engine
			}
			kept = append(kept, reason)
		}
		lines = append(lines, name+" runs: "+strings.Join(kept, "; "))
	}
	return lines
}

// digests are the contents of the stages' current outputs; that of fetch is the
// raw folder's.
func digests(t *testing.T, p *Project) map[string]string {
	t.Helper()
	contents := map[string]string{}
	for _, definition := range stage.All {
		manifest, err := artifact.ReadManifest(p.Path(definition.Pointer("sample", Experiment)))
		check(t, err)
		contents[definition.Name] = manifest.Digest
	}
	return contents
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
