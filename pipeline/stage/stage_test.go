package stage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"catdog/pipeline/artifact"
	"catdog/pipeline/params"
	"catdog/pipeline/progress"
)

// A pipe is the pipeline's graph with toy stages: each writes a file made of
// its parameters and of what it reads.
type pipe struct {
	t     *testing.T
	codes map[string]string
	ran   []string // stages that did work since last asked
	fail  map[string]error
	adds  string // to what train writes
}

// shipped is the params.yaml that the project ships.
var shipped = func() string {
	text, err := os.ReadFile("../../params.yaml")
	if err != nil {
		panic(err)
	}
	return string(text)
}()

func newPipe(t *testing.T) *pipe {
	t.Chdir(t.TempDir())
	write(t, "params.yaml", shipped)
	codes := map[string]string{}
	for _, definition := range All {
		codes[definition.Name] = "code of " + definition.Name
	}
	return &pipe{t: t, codes: codes, fail: map[string]error{}}
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
}

func replace(t *testing.T, name, old, new string) {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(content), old) {
		t.Fatalf("%s has no %q", name, old)
	}
	write(t, name, strings.Replace(string(content), old, new, 1))
}

// work is a toy stage.
func (p *pipe) work(name string) Work {
	return func(_ context.Context, job *Job) (string, error) {
		p.ran = append(p.ran, name)
		var content strings.Builder
		definition := Find(name)
		switch name {
		case "fetch":
			for i := range 3 {
				write(p.t, filepath.Join(job.Folder, fmt.Sprintf("cat/%d.jpg", i)), fmt.Sprint("photo ", i, job.Params.Fetch.Drawn))
			}
			write(p.t, job.Folder+".origin.json", `{"drawn":true}`)
			return "drawn", p.fail[name]
		case "explore":
			content.WriteString("path,sha256\n")
			for _, photo := range job.Photos {
				fmt.Fprintf(&content, "%s,%s\n", artifact.EscapePath(photo.Path), photo.SHA256)
			}
			write(p.t, filepath.Join(job.Folder, "figures/sizes.svg"), content.String())
		case "report":
			fmt.Fprintln(&content, job.Params.Sections)
		default:
			section := params.Named(job.Params.Sections)[name].(map[string]any)
			for _, key := range params.EngineKeys {
				delete(section, key) // what they come to is the engine's name
			}
			fmt.Fprintln(&content, section)
		}
		for _, input := range definition.Inputs {
			if name == "explore" {
				break // the catalogue says it all
			}
			fmt.Fprintln(&content, input, job.Input(input).Manifest.Digest)
		}
		if name == "train" {
			content.WriteString(p.adds)
		}
		file := map[string]string{"explore": "catalogue.csv", "evaluate": "metrics.json", "report": "report.md"}[name]
		if file == "" {
			file = "output"
		}
		write(p.t, filepath.Join(job.Folder, file), content.String())
		write(p.t, filepath.Join(job.Folder, "runtime.json"), "{}")
		if definition.Resumes {
			write(p.t, filepath.Join(job.Folder, "checkpoint"), "state")
		}
		return "done", p.fail[name]
	}
}

// run runs one stage.
func (p *pipe) run(name string) error {
	Code = p.codes[name]
	return run(context.Background(), name, p.work(name), progress.Discard())
}

// make runs the stages as make would: those that the plan calls stale, and
// those that it says depend.
func (p *pipe) make() ([]string, error) {
	project, err := OpenProject(p.codes)
	if err != nil {
		return nil, err
	}
	states, err := project.Plan()
	if err != nil {
		return nil, err
	}
	if err := project.Save(); err != nil {
		return nil, err
	}
	p.ran = nil
	for _, state := range states {
		if state.Verdict == Fresh {
			continue
		}
		before := len(p.ran)
		if err := p.run(state.Definition.Name); err != nil {
			return p.ran, err
		}
		if state.Verdict == Stale && len(p.ran) == before {
			// A stale stage may find, once what it reads is known, that it was
			// computed before; it never finds nothing to do.
			if after := p.plan()[state.Definition.Name]; after != Fresh {
				p.t.Errorf("%s was stale, ran nothing and is %v", state.Definition.Name, after)
			}
		}
	}
	for name, verdict := range p.plan() {
		if verdict != Fresh {
			p.t.Errorf("after make, %s is %v", name, verdict)
		}
	}
	return p.ran, nil
}

func (p *pipe) plan() map[string]Verdict {
	project, err := OpenProject(p.codes)
	if err != nil {
		p.t.Fatal(err)
	}
	states, err := project.Plan()
	if err != nil {
		p.t.Fatal(err)
	}
	verdicts := map[string]Verdict{}
	for _, state := range states {
		verdicts[state.Definition.Name] = state.Verdict
	}
	return verdicts
}

func (p *pipe) reasons(name string) string {
	project, err := OpenProject(p.codes)
	if err != nil {
		p.t.Fatal(err)
	}
	states, err := project.Plan()
	if err != nil {
		p.t.Fatal(err)
	}
	for _, state := range states {
		if state.Definition.Name == name {
			return strings.Join(state.Reasons, "; ")
		}
	}
	return ""
}

func (p *pipe) mustMake() []string {
	p.t.Helper()
	ran, err := p.make()
	if err != nil {
		p.t.Fatal(err)
	}
	return ran
}

// TestWhatReruns holds, change by change, which stages do their work again.
func TestWhatReruns(t *testing.T) {
	t.Setenv("DATASET", "")
	everything := []string{"fetch", "explore", "resize", "pack", "train", "evaluate", "report"}
	explored := everything[1:]
	for _, test := range []struct {
		name   string
		change func(p *pipe)
		ran    []string
		reason [2]string // a stage and its reason
	}{
		{"nothing", func(*pipe) {}, nil, [2]string{}},
		{"a comment in params.yaml", func(p *pipe) { replace(p.t, "params.yaml", "explore: ", "explore:   # new words") }, nil, [2]string{}},
		{"order of keys", func(p *pipe) {
			replace(p.t, "params.yaml", "  seed: 0                   # another seed splits otherwise (≥ 0)\n", "")
			replace(p.t, "params.yaml", "pack: ", "pack:\n  seed: 0\n# ")
		}, nil, [2]string{}},
		{"fetch.drawn.seed", func(p *pipe) { replace(p.t, "params.yaml", "    seed: 1 ", "    seed: 2 ") }, everything, [2]string{"fetch", "fetch.drawn.seed 1 → 2"}},
		{"explore, same output", func(p *pipe) { replace(p.t, "params.yaml", "outlier_threshold: 3.5", "outlier_threshold: 4") }, []string{"explore", "report"}, [2]string{"explore", "explore.outlier_threshold 3.5 → 4"}},
		{"pack", func(p *pipe) { replace(p.t, "params.yaml", "validation: 0.1", "validation: 0.2") }, []string{"pack", "train", "evaluate", "report"}, [2]string{"pack", "pack.validation 0.1 → 0.2"}},
		{"train", func(p *pipe) {
			replace(p.t, "params.yaml", "    weight_decay: 0.05", "    weight_decay: 0.1")
		}, []string{"train", "evaluate", "report"}, [2]string{"train", "train.optimizer.weight_decay 0.05 → 0.1"}},
		{"an overlay's key", func(p *pipe) { replace(p.t, "params.yaml", "      epochs: 8\n", "      epochs: 9\n") }, []string{"train", "evaluate", "report"}, [2]string{"train", "train.epochs 8 → 9"}},
		{"another experiment's key", func(p *pipe) { replace(p.t, "params.yaml", "64px: {}", "64px: {train: {epochs: 3}}") }, nil, [2]string{}},
		{"evaluate", func(p *pipe) { replace(p.t, "params.yaml", "mirror: true", "mirror: false") }, []string{"evaluate", "report"}, [2]string{"evaluate", "evaluate.mirror true → false"}},
		{"report", func(p *pipe) { replace(p.t, "params.yaml", `title: ""`, `title: "Pets"`) }, []string{"report"}, [2]string{"report", `report.title "" → "Pets"`}},
		{"threads", func(p *pipe) { replace(p.t, "params.yaml", "threads: 0", "threads: 1") }, []string{"report"}, [2]string{"report", "train.threads 0 → 1"}},
		{"convolution", func(p *pipe) { replace(p.t, "params.yaml", "convolution: winograd", "convolution: direct") }, []string{"train", "evaluate", "report"}, [2]string{"train", "engine cpu"}},
		{"a photo touched", func(p *pipe) {
			content, _ := os.ReadFile("data/raw/sample/cat/1.jpg")
			write(p.t, "data/raw/sample/cat/1.jpg", string(content))
		}, nil, [2]string{}},
		{"a photo changed", func(p *pipe) { write(p.t, "data/raw/sample/cat/1.jpg", "other") }, explored, [2]string{"explore", "photos 1 changed"}},
		{"a photo added", func(p *pipe) { write(p.t, "data/raw/sample/dog/1.jpg", "other") }, explored, [2]string{"explore", "photos 1 added"}},
		{"a photo renamed", func(p *pipe) { os.Rename("data/raw/sample/cat/1.jpg", "data/raw/sample/cat/9.jpg") }, explored, [2]string{"explore", "photos 1 added, 1 removed"}},
		{"a photo removed", func(p *pipe) { os.Remove("data/raw/sample/cat/1.jpg") }, explored, [2]string{"explore", "photos 1 removed"}},
		{"the raw folder removed", func(p *pipe) { os.RemoveAll("data/raw/sample") }, []string{"fetch"}, [2]string{"fetch", "data/raw/sample is missing"}},
		{"fetch's pointer removed", func(p *pipe) { os.Remove("data/raw/sample.json") }, []string{"fetch"}, [2]string{"fetch", "not recorded"}},
		{"train's code", func(p *pipe) { p.codes["train"] = "new" }, []string{"train"}, [2]string{"train", "its code changed"}},
		{"pack's code, same output", func(p *pipe) { p.codes["pack"] = "new" }, []string{"pack"}, [2]string{"pack", "its code changed"}},
		{"a pointer removed", func(p *pipe) { os.Remove("models/sample/quick.json") }, nil, [2]string{"train", "no output yet"}},
		{"a pointer edited", func(p *pipe) { replace(p.t, "models/sample/quick.json", `"stage": "train"`, `"stage": "trian"`) }, nil, [2]string{"train", "models/sample/quick.json is damaged"}},
		{"an output edited", func(p *pipe) { write(p.t, artifactFile(p.t, "data/processed/sample", "output"), "broken") }, []string{"pack"}, [2]string{"pack", "is damaged"}},
		{"an output removed", func(p *pipe) { os.Remove(artifactFile(p.t, "data/processed/sample", "output")) }, []string{"pack"}, [2]string{"pack", "is missing"}},
		{"an artifact's manifest edited", func(p *pipe) {
			replace(p.t, artifactFile(p.t, "data/processed/sample", artifact.ManifestName), `"size": `, `"size": 1`)
		}, []string{"pack"}, [2]string{"pack", "is damaged"}},
		{"a whole artifact removed", func(p *pipe) {
			os.RemoveAll(filepath.Dir(artifactFile(p.t, "data/processed/sample", "output")))
		}, []string{"pack"}, [2]string{"pack", "is missing"}},
		{"a committed report edited", func(p *pipe) { write(p.t, "reports/sample/quick/report.md", "better") }, nil, [2]string{"report", "reports/sample/quick/report.md is not what this run gives"}},
		{"a committed figure removed", func(p *pipe) { os.Remove("reports/sample/quick/figures/sizes.svg") }, nil, [2]string{"explore", "reports/sample/quick/figures/sizes.svg is missing"}},
		{"the cache of digests removed", func(p *pipe) { os.Remove("data/interim/sample/digests") }, nil, [2]string{}},
		{"the cache of digests damaged", func(p *pipe) { write(p.t, "data/interim/sample/digests", "digests1 nonsense") }, nil, [2]string{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPipe(t)
			if ran := p.mustMake(); !cmp.Equal(ran, everything) {
				t.Fatalf("the first make ran %v", ran)
			}
			before := snapshot(t)
			test.change(p)
			if test.reason[0] != "" {
				if got := p.reasons(test.reason[0]); !strings.Contains(got, test.reason[1]) {
					t.Errorf("%s: %q, want %q", test.reason[0], got, test.reason[1])
				}
			}
			if ran := p.mustMake(); !cmp.Equal(ran, test.ran) {
				t.Errorf("ran %v, want %v", ran, test.ran)
			}
			if ran := p.mustMake(); len(ran) > 0 {
				t.Errorf("once more, ran %v", ran)
			}
			stepwise := snapshot(t)
			if len(test.ran) == 0 || len(test.ran) == 1 && test.ran[0] != "report" {
				if difference := cmp.Diff(before, stepwise); difference != "" {
					t.Errorf("the reports differ from before:\n%s", difference)
				}
			}
			// Built from nothing, the same photos give the same bytes.
			for _, folder := range []string{"data/interim", "data/processed", "models", "reports"} {
				if err := os.RemoveAll(folder); err != nil {
					t.Fatal(err)
				}
			}
			p.mustMake()
			if difference := cmp.Diff(snapshot(t), stepwise); difference != "" {
				t.Errorf("step by step and from nothing differ:\n%s", difference)
			}
		})
	}
}

// artifactFile is a file of the one artifact below root.
func artifactFile(t *testing.T, root, name string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(root, "*", name))
	if err != nil || len(found) != 1 {
		t.Fatalf("%s/*/%s: %v %v", root, name, found, err)
	}
	return found[0]
}

// snapshot is the content of every report.
func snapshot(t *testing.T) map[string]string {
	t.Helper()
	content := map[string]string{}
	err := filepath.WalkDir("reports", func(name string, item os.DirEntry, err error) error {
		if err != nil || item.IsDir() {
			return err
		}
		text, err := os.ReadFile(name)
		content[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func TestBackAndForthComputesNothing(t *testing.T) {
	p := newPipe(t)
	p.mustMake()
	first := snapshot(t)
	replace(t, "params.yaml", "validation: 0.1", "validation: 0.2")
	if ran := p.mustMake(); len(ran) == 0 {
		t.Fatal("another split ran nothing")
	}
	second := snapshot(t)
	for range 2 {
		replace(t, "params.yaml", "validation: 0.2", "validation: 0.1")
		if ran := p.mustMake(); len(ran) > 0 {
			t.Errorf("going back ran %v", ran)
		}
		if difference := cmp.Diff(first, snapshot(t)); difference != "" {
			t.Errorf("going back: %s", difference)
		}
		replace(t, "params.yaml", "validation: 0.1", "validation: 0.2")
		if ran := p.mustMake(); len(ran) > 0 {
			t.Errorf("going forth ran %v", ran)
		}
		if difference := cmp.Diff(second, snapshot(t)); difference != "" {
			t.Errorf("going forth: %s", difference)
		}
	}
}

func TestDataSetsAndExperimentsKeepApart(t *testing.T) {
	p := newPipe(t)
	p.mustMake()
	t.Setenv("EXPERIMENT", "64px")
	if ran := p.mustMake(); !cmp.Equal(ran, []string{"resize", "pack", "train", "evaluate", "report"}) {
		t.Errorf("another experiment ran %v", ran)
	}
	t.Setenv("EXPERIMENT", "")
	t.Setenv("SET", "train.seed=7")
	if ran := p.mustMake(); !cmp.Equal(ran, []string{"train", "evaluate", "report"}) {
		t.Errorf("a variant ran %v", ran)
	}
	t.Setenv("SET", "")
	if ran := p.mustMake(); len(ran) > 0 {
		t.Errorf("the first experiment ran %v again", ran)
	}
}

func TestFailureLeavesWhatWasThere(t *testing.T) {
	for _, definition := range All {
		p := newPipe(t)
		p.mustMake()
		before := snapshot(t)
		p.codes[definition.Name] = "new"
		p.fail[definition.Name] = errors.New("broken")
		if _, err := p.make(); err == nil {
			t.Fatalf("%s failed without an error", definition.Name)
		}
		if difference := cmp.Diff(before, snapshot(t)); difference != "" {
			t.Errorf("%s failed and changed the reports: %s", definition.Name, difference)
		}
		left, err := filepath.Glob(filepath.Join(definition.Root("sample"), "*.partial"))
		if err != nil || len(left) > 0 && !definition.Resumes {
			t.Errorf("%s left %v", definition.Name, left)
		}
		delete(p.fail, definition.Name)
		p.mustMake()
		if difference := cmp.Diff(before, snapshot(t)); difference != "" {
			t.Errorf("%s, mended: %s", definition.Name, difference)
		}
	}
}

func (p *pipe) accept(name string) error {
	project, err := OpenProject(p.codes)
	if err != nil {
		return err
	}
	_, err = project.Accept(name)
	return err
}

func TestAcceptedCodeRerunsNothing(t *testing.T) {
	p := newPipe(t)
	p.mustMake()
	p.codes["train"] = "new"
	if err := p.accept("train"); err != nil {
		t.Fatal(err)
	}
	if ran := p.mustMake(); len(ran) > 0 {
		t.Errorf("after accepting, ran %v", ran)
	}
	manifest, err := artifact.ReadManifest("models/sample/quick.json")
	if err != nil || manifest.Accepted != "code of train" {
		t.Errorf("the manifest says accepted %q, %v", manifest.Accepted, err)
	}
}

// Two experiments that come to the same share what they computed, and each can
// accept it.
func TestAcceptedForTwoExperiments(t *testing.T) {
	p := newPipe(t)
	p.mustMake()
	t.Setenv("SET", "train.seed=0") // as it is anyway
	if ran := p.mustMake(); slices.Contains(ran, "train") {
		t.Fatalf("the same parameters ran %v", ran)
	}
	p.codes["train"] = "new"
	for _, set := range []string{"train.seed=0", ""} {
		t.Setenv("SET", set)
		if err := p.accept("train"); err != nil {
			t.Errorf("SET=%s: %v", set, err)
		}
		if ran := p.mustMake(); len(ran) > 0 {
			t.Errorf("SET=%s: after accepting, ran %v", set, ran)
		}
	}
	p.codes["train"] = "newer"
	if err := os.RemoveAll("models/sample"); err != nil {
		t.Fatal(err)
	}
	if err := p.accept("train"); err == nil {
		t.Error("what is not there was accepted")
	}
}

// An output that today's code has given already, another one, is not replaced.
func TestAcceptedIsNotWhatCodeGives(t *testing.T) {
	p := newPipe(t)
	p.mustMake()
	t.Setenv("SET", "evaluate.bins=10")
	p.mustMake()
	t.Setenv("SET", "")
	p.codes["train"], p.adds = "new", "something else"
	if ran := p.mustMake(); !slices.Contains(ran, "train") {
		t.Fatal(ran)
	}
	t.Setenv("SET", "evaluate.bins=10")
	if err := p.accept("train"); err == nil || !strings.Contains(err.Error(), "another output already") {
		t.Errorf("accepted: %v", err)
	}
	t.Setenv("SET", "")
	if ran := p.mustMake(); len(ran) > 0 {
		t.Errorf("after that, ran %v", ran)
	}
}

// A stage takes no outputs that do not belong together, or to params.yaml: what
// is planned may be outdated by the time at which it runs.
func TestInputsBelongTogether(t *testing.T) {
	p := newPipe(t)
	p.mustMake()
	replace(t, "params.yaml", "  seed: 0 ", "  seed: 1 ") // of pack
	if err := p.run("evaluate"); err == nil || err.Error() != "pack ran with other parameters than there are now: run make again" {
		t.Errorf("behind a parameter that changed: %v", err)
	}
	if err := p.run("pack"); err != nil {
		t.Fatal(err)
	}
	if err := p.run("evaluate"); err == nil || err.Error() != "what train made is not of what pack gives now: run make again" {
		t.Errorf("behind another pack: %v", err)
	}
	p.mustMake()
}

// Drawn photos among which others were put are no drawn ones any more, of which
// a report shows some.
func TestPhotosAmongDrawnOnes(t *testing.T) {
	p := newPipe(t)
	p.mustMake()
	drawn := func() bool {
		project, err := OpenProject(p.codes)
		if err != nil {
			t.Fatal(err)
		}
		inputs, err := project.inputs(Find("report"))
		if err != nil {
			t.Fatal(err)
		}
		return originOf(inputs["fetch"]).Drawn
	}
	if !drawn() {
		t.Error("drawn photos are not")
	}
	write(t, "data/raw/sample/cat/mine.jpg", "mine")
	p.mustMake()
	if drawn() {
		t.Error("a photo of people's own is drawn")
	}
}

func TestPhotosOfPeopleAreNeverOverwritten(t *testing.T) {
	p := newPipe(t)
	p.mustMake()
	write(t, "data/raw/sample/mine.jpg", "mine")
	replace(t, "params.yaml", "    seed: 1 ", "    seed: 2 ")
	if _, err := p.make(); err == nil || !strings.Contains(err.Error(), "changed by hand") {
		t.Errorf("drawing over a changed folder: %v", err)
	}
	if text, err := os.ReadFile("data/raw/sample/mine.jpg"); err != nil || string(text) != "mine" {
		t.Error(string(text), err)
	}
}

// Nor are ones that were never drawn, recorded as they lay there or fetched.
func TestDrawnPhotosReplaceNoOthers(t *testing.T) {
	p := newPipe(t)
	t.Setenv("DATASET", "pets")
	write(t, "data/raw/pets/cat/1.jpg", "mine")
	p.mustMake()
	t.Setenv("FROM", "drawn")
	if _, err := p.make(); err == nil || !strings.Contains(err.Error(), "data/raw/pets holds photos that were not drawn; choose another DATASET") {
		t.Errorf("drawing over recorded photos: %v", err)
	}
	if text, err := os.ReadFile("data/raw/pets/cat/1.jpg"); err != nil || string(text) != "mine" {
		t.Error(string(text), err)
	}
}

// Drawn photos are not what an archive holds.
func TestArchiveForDrawnPhotos(t *testing.T) {
	p := newPipe(t)
	p.mustMake()
	write(t, "photos.zip", "other photos")
	t.Setenv("FROM", "photos.zip")
	if _, err := p.make(); err == nil || !strings.Contains(err.Error(), "photos.zip is not what data/raw/sample was filled from; choose another DATASET") {
		t.Errorf("an archive where photos were drawn: %v", err)
	}
}

// Nor is an archive ignored for photos that lie there without a record.
func TestArchiveForUnrecordedPhotos(t *testing.T) {
	p := newPipe(t)
	t.Setenv("DATASET", "pets")
	write(t, "data/raw/pets/cat/1.jpg", "mine")
	t.Setenv("FROM", "more.zip")
	if _, err := p.make(); err == nil || !strings.Contains(err.Error(), "holds photos already: leave FROM out") {
		t.Errorf("with FROM: %v", err)
	}
	t.Setenv("FROM", "")
	p.mustMake()
}

func TestPhotosMustComeFromSomewhere(t *testing.T) {
	p := newPipe(t)
	t.Setenv("DATASET", "pets")
	if _, err := p.make(); err == nil || !strings.Contains(err.Error(), `data set "pets" has no photos yet`) {
		t.Errorf("no photos: %v", err)
	}
	write(t, "data/raw/pets/cat/1.jpg", "mine")
	p.mustMake()
}
