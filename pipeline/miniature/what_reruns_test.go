package miniature

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var long = flag.Bool("long", false, "also what takes minutes")

// scratch is removed in the end.
var scratch string

func TestMain(m *testing.M) {
	var err error
	if scratch, err = os.MkdirTemp("", "miniature"); err != nil {
		panic(err)
	}
	status := m.Run()
	os.RemoveAll(scratch)
	os.Exit(status)
}

// base is a miniature on which make has run once; tests work on clones of it.
// It is made by the first test that needs it, since go test sees only what
// tests read when it decides whether a result still holds.
var base = sync.OnceValues(func() (*Project, error) { return prepare(scratch) })

func prepare(folder string) (*Project, error) {
	checkout, err := Checkout()
	if err != nil {
		return nil, err
	}
	p, err := New(checkout, filepath.Join(folder, "base"))
	if err != nil {
		return nil, err
	}
	if made := p.Make(); made.Status != 0 {
		return nil, fmt.Errorf("make: %s", made.Errors)
	}
	return p, nil
}

// project is a miniature in which make has nothing to do.
func project(t *testing.T) *Project {
	t.Helper()
	original, err := base()
	check(t, err)
	p, err := original.Clone(filepath.Join(t.TempDir(), "project"))
	check(t, err)
	return p
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func set(t *testing.T, p *Project, key, value string) {
	t.Helper()
	check(t, p.Set(key, value))
}

// edit replaces a text in a file of the project.
func edit(t *testing.T, p *Project, name, old, new string) {
	t.Helper()
	text, err := os.ReadFile(p.Path(name))
	check(t, err)
	if !strings.Contains(string(text), old) {
		t.Fatalf("%s has no %q", name, old)
	}
	check(t, os.WriteFile(p.Path(name), []byte(strings.Replace(string(text), old, new, 1)), 0o666))
}

// one is the only file of the project that a pattern matches.
func one(t *testing.T, p *Project, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(p.Path(pattern))
	if err != nil || len(found) != 1 {
		t.Fatalf("%s: %v %v", pattern, found, err)
	}
	return found[0]
}

// photo is a good photo of the project: the first of its kind.
func photo(t *testing.T, p *Project, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(p.Path(filepath.Join("data/raw/sample", pattern)))
	if err != nil || len(found) == 0 {
		t.Fatalf("%s: %v %v", pattern, found, err)
	}
	return found[0]
}

func snapshot(t *testing.T, p *Project) map[string]string {
	t.Helper()
	files, err := p.Snapshot("reports")
	check(t, err)
	return files
}

// mustMake runs make and returns what the stages said.
func mustMake(t *testing.T, p *Project, words ...string) []string {
	t.Helper()
	made := p.Make(words...)
	if made.Status != 0 {
		t.Fatalf("make %q: status %d\n%s", words, made.Status, made.Errors)
	}
	return made.Events()
}

// row is one change and what make does about it: a line a stage that runs, in
// the words in which it says why.
type row struct {
	name   string
	change func(t *testing.T, p *Project)
	// A line that ends with … stands for any that begins so: whether a changed
	// photo is in the test split depends on its bytes.
	want []string
	// same says that the reports come out as they were.
	same bool
	// scratch compares with a build from nothing; rows without it do so only in
	// the long test.
	scratch bool
}

// behind are the lines of stages whose only reason is the one before.
func behind(stages ...string) []string {
	reasons := map[string]string{
		"resize":   "resize runs: explore's output changed",
		"pack":     "pack runs: resize's output changed",
		"train":    "train runs: pack's output changed",
		"evaluate": "evaluate runs: pack's output changed; train's output changed",
	}
	var lines []string
	for _, stage := range stages {
		lines = append(lines, reasons[stage])
	}
	return lines
}

var rows = []row{
	{name: "nothing", change: func(*testing.T, *Project) {}, same: true},
	{name: "comments, order and formatting of params.yaml", change: func(t *testing.T, p *Project) {
		edit(t, p, "params.yaml", "explore: ", "# more words\nexplore:    ")
		seed, err := p.Get("pack.seed")
		check(t, err)
		edit(t, p, "params.yaml", "  seed: "+seed+" ", "  #")
		edit(t, p, "params.yaml", "pack: ", "pack: {seed: "+seed+", validation: 0.2, test: 0.2}\n#")
		edit(t, p, "params.yaml", "  validation:", "  # validation:")
		edit(t, p, "params.yaml", "  test: 0.2", "  # test: 0.2")
	}, same: true},
	{name: "explore, with an output that stays the same", change: func(t *testing.T, p *Project) {
		set(t, p, "explore.maximum_megapixels", "101")
	}, want: []string{
		"explore runs: explore.maximum_megapixels 100 → 101",
		"report runs: explore.maximum_megapixels 100 → 101",
	}},
	{name: "another split", change: func(t *testing.T, p *Project) { set(t, p, "pack.seed", "3") }, want: append(append(
		[]string{"pack runs: pack.seed 0 → 3"}, behind("train", "evaluate")...),
		"report runs: pack.seed 0 → 3; pack's output changed; train's output changed; evaluate's output changed"), scratch: true},
	{name: "training", change: func(t *testing.T, p *Project) { set(t, p, "train.optimizer.weight_decay", "0.1") }, want: []string{
		"train runs: train.optimizer.weight_decay 0.05 → 0.1",
		"evaluate runs: train's output changed",
		"report runs: train.optimizer.weight_decay 0.05 → 0.1; train's output changed; evaluate's output changed",
	}},
	{name: "a share of the split, too little to move a photo", change: func(t *testing.T, p *Project) { set(t, p, "pack.test", "0.2000001") }, want: []string{
		"pack runs: pack.test 0.2 → 0.2000001",
		"report runs: pack.test 0.2 → 0.2000001",
	}, scratch: true},
	{name: "another number of threads", change: func(t *testing.T, p *Project) { set(t, p, "train.threads", "2") }, want: []string{
		"report runs: train.threads 1 → 2",
	}, scratch: true},
	{name: "other convolutions", change: func(t *testing.T, p *Project) { set(t, p, "train.convolution", "direct") }, want: []string{
		"train runs: engine cpu float32 …", "evaluate runs: engine cpu float32 …", `report runs: train.convolution "winograd" → "direct"; train's output changed…`,
	}},
	{name: "the report's title", change: func(t *testing.T, p *Project) { set(t, p, "report.title", `"Pets"`) },
		want: []string{`report runs: report.title "" → "Pets"`}},
	{name: "a photo touched", change: func(t *testing.T, p *Project) {
		name := photo(t, p, "*/cat.1*")
		content, err := os.ReadFile(name)
		check(t, err)
		check(t, os.WriteFile(name, content, 0o666))
	}, same: true},
	{name: "a photo changed by one byte", change: func(t *testing.T, p *Project) {
		file, err := os.OpenFile(photo(t, p, "*/cat.1*"), os.O_APPEND|os.O_WRONLY, 0)
		check(t, err)
		_, err = file.Write([]byte{0})
		check(t, err)
		check(t, file.Close())
	}, want: append(append([]string{"explore runs: photos 1 changed"}, behind("resize", "pack", "train")...),
		"evaluate runs: pack's output changed…", "report runs: the photos changed; explore's output changed; resize's output changed; pack's output changed…")},
	{name: "a photo added", change: func(t *testing.T, p *Project) {
		content, err := os.ReadFile(photo(t, p, "*/cat.1*"))
		check(t, err)
		check(t, os.WriteFile(p.Path("data/raw/sample/train/cat.9999.jpg"), append(content, 0), 0o666))
	}, want: append(append([]string{"explore runs: photos 1 added"}, behind("resize", "pack", "train")...),
		"evaluate runs: pack's output changed…", "report runs: the photos changed; explore's output changed; resize's output changed; pack's output changed…")},
	{name: "a photo removed", change: func(t *testing.T, p *Project) { check(t, os.Remove(photo(t, p, "*/dog.1*"))) },
		want: append(append([]string{"explore runs: photos 1 removed"}, behind("resize", "pack", "train", "evaluate")...),
			"report runs: the photos changed; explore's output changed; resize's output changed; pack's output changed; train's output changed; evaluate's output changed"), scratch: true},
	{name: "a photo renamed", change: func(t *testing.T, p *Project) {
		name := photo(t, p, "*/dog.1*")
		check(t, os.Rename(name, filepath.Join(filepath.Dir(name), "dog.9999.jpg")))
	}, want: append(append([]string{"explore runs: photos 1 added, 1 removed"}, behind("resize", "pack", "train")...),
		"evaluate runs: pack's output changed…", "report runs: the photos changed; explore's output changed; resize's output changed; pack's output changed…")},
	{name: "one byte of the pack", change: func(t *testing.T, p *Project) { flip(t, one(t, p, "data/processed/sample/*/pack.arrow"), 2000) },
		want: []string{"pack runs: data/processed/sample/KEY/pack.arrow is damaged: not the bytes that its manifest lists"}, same: true},
	{name: "a model removed", change: func(t *testing.T, p *Project) {
		check(t, os.RemoveAll(filepath.Dir(one(t, p, "models/sample/*/model.json"))))
	}, want: []string{"train runs: models/sample/KEY is missing"}, same: true},
	{name: "an output edited in place, size and times kept", change: func(t *testing.T, p *Project) {
		name := one(t, p, "models/sample/*/best.safetensors")
		information, err := os.Stat(name)
		check(t, err)
		flip(t, name, information.Size()-1)
		check(t, os.Chtimes(name, information.ModTime(), information.ModTime()))
	}, want: []string{"train runs: models/sample/KEY/best.safetensors is damaged: not the bytes that its manifest lists"}, same: true},
	{name: "a pointer edited", change: func(t *testing.T, p *Project) {
		edit(t, p, "models/sample/64px.json", `"stage": "train"`, `"stage": "trian"`)
	}, want: []string{"train takes what was computed before (models/sample/64px.json is damaged)"}, same: true},
	{name: "a pointer removed", change: func(t *testing.T, p *Project) { check(t, os.Remove(p.Path("data/processed/sample/64px.json"))) },
		want: []string{"pack takes what was computed before (no output yet)"}, same: true},
	{name: "a report edited", change: func(t *testing.T, p *Project) { edit(t, p, "reports/sample/64px/metrics.json", "accuracy", "acuracy") },
		want: []string{"evaluate takes what was computed before (reports/sample/64px/metrics.json is not what this run gives)"}, same: true},
	{name: "a clean clone over existing data", change: func(t *testing.T, p *Project) {
		check(t, os.RemoveAll(p.Path("reports")))
		check(t, os.Rename(project(t).Path("reports"), p.Path("reports")))
	}, same: true},
	{name: "the cache of digests damaged", change: func(t *testing.T, p *Project) { flip(t, p.Path("data/interim/sample/digests"), 100) }, same: true},
}

// flip changes one byte of a file.
func flip(t *testing.T, name string, offset int64) {
	t.Helper()
	content, err := os.ReadFile(name)
	check(t, err)
	content[offset%int64(len(content))] ^= 1
	check(t, os.WriteFile(name, content, 0o666))
}

// TestWhatReruns holds, change by change, which stages run and what each says,
// that make -n named them before and make -q knew, that the next make has
// nothing to do, and that the reports are those of a build from nothing.
func TestWhatReruns(t *testing.T) {
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) { tryRow(t, row, row.scratch || *long) })
	}
}

func tryRow(t *testing.T, row row, compare bool) {
	t.Parallel()
	p := project(t)
	before := snapshot(t, p)
	row.change(t, p)
	got := tryMake(t, p)
	if !slices.EqualFunc(row.want, got, says) {
		t.Errorf("(-want +got)\n%s", cmp.Diff(row.want, got))
	}
	if difference := cmp.Diff(before, snapshot(t, p)); row.same && difference != "" {
		t.Errorf("the reports differ from before:\n%s", difference)
	}
	if compare {
		fromNothing(t, p, false)
	}
}

// tryMake runs make and returns what the stages said. make -n, make -q and make
// status must have known, and the next make must have nothing to do.
func tryMake(t *testing.T, p *Project) []string {
	t.Helper()
	asked := p.Make("-n")
	quiet := p.Make("-q").Status
	known := states(t, p)
	made := p.Make()
	if made.Status != 0 {
		t.Fatalf("make: status %d\n%s", made.Status, made.Errors)
	}
	got := nameless(made.Events())
	certain, perhaps := asked.Planned()
	var ran []string
	for _, line := range got {
		ran = append(ran, strings.Fields(line)[0])
	}
	for _, stage := range ran {
		if !slices.Contains(certain, stage) && !slices.Contains(perhaps, stage) {
			t.Errorf("%s ran, but make -n named only %v and perhaps %v", stage, certain, perhaps)
		}
	}
	for _, stage := range certain {
		if !slices.Contains(ran, stage) {
			t.Errorf("make -n said that %s runs, but it did not", stage)
		}
	}
	if want := min(len(ran), 1); quiet != want {
		t.Errorf("make -q: status %d, want %d", quiet, want)
	}
	for _, state := range known {
		if named := slices.Contains(certain, state.Stage); named != (state.Verdict == "stale" || state.Verdict == "restorable") {
			t.Errorf("make status says that %s is %s, make -n names it: %t", state.Stage, state.Verdict, named)
		}
		if named := slices.Contains(perhaps, state.Stage); named != (state.Verdict == "depends") {
			t.Errorf("make status says that %s is %s, make -n names it as perhaps: %t", state.Stage, state.Verdict, named)
		}
		// What status said beforehand is the beginning of what the stage said: a
		// stage before it may have come out different since.
		for _, line := range got {
			if name, said, _ := strings.Cut(line, " "); name == state.Stage {
				for _, reason := range nameless(state.Reasons) {
					if strings.HasPrefix(reason, "photos ") {
						reason = "photos " // how many, explore alone can say once it has run
					}
					if !strings.Contains(said, reason) {
						t.Errorf("make status said of %s: %s; it said: %s", name, reason, said)
					}
				}
			}
		}
	}
	again := p.Make()
	if events := again.Events(); len(events) > 0 || again.Status != 0 || again.Errors != "" || !strings.HasPrefix(again.Output, "nothing to do: ") {
		t.Errorf("once more: status %d, %q %q", again.Status, again.Output, again.Errors)
	}
	if status := p.Make("-q").Status; status != 0 {
		t.Errorf("once more, make -q: status %d", status)
	}
	return got
}

// fromNothing removes all that was computed, and the photos too if raw, and
// holds that make gives the reports that are there, to the byte.
func fromNothing(t *testing.T, p *Project, raw bool) {
	t.Helper()
	stepwise := snapshot(t, p)
	folders := []string{"data/interim", "data/processed", "models/sample", "reports"}
	if raw {
		folders = append(folders, "data/raw")
	}
	for _, folder := range folders {
		check(t, os.RemoveAll(p.Path(folder)))
	}
	mustMake(t, p)
	if difference := cmp.Diff(snapshot(t, p), stepwise); difference != "" {
		t.Errorf("step by step and from nothing differ:\n%s", difference)
	}
}

func says(want, got string) bool {
	start, open := strings.CutSuffix(want, "…")
	return want == got || open && strings.HasPrefix(got, start)
}

// nameless puts KEY where an artifact's name stands.
func nameless(events []string) []string {
	for i := range events {
		words := strings.Split(events[i], "/")
		for j := range words {
			if len(words[j]) >= 20 && strings.Trim(words[j][:20], "0123456789abcdef") == "" {
				words[j] = "KEY" + words[j][20:]
			}
		}
		events[i] = strings.Join(words, "/")
	}
	return events
}
