package miniature

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"
)

// git makes the project a repository with its reports committed.
func git(t *testing.T, p *Project, words ...string) string {
	t.Helper()
	done := p.Run("git", append([]string{"-c", "user.name=test", "-c", "user.email=test@example.org"}, words...)...)
	if done.Status != 0 {
		t.Fatalf("git %q: %s", words, done.Errors)
	}
	return done.Output
}

func committed(t *testing.T) *Project {
	t.Helper()
	p := project(t)
	git(t, p, "init", "-q")
	git(t, p, "add", "-f", "reports", "params.yaml")
	git(t, p, "commit", "-q", "-m", "Reports")
	return p
}

// ask runs make and returns what it prints.
func ask(t *testing.T, p *Project, words ...string) string {
	t.Helper()
	answer := p.Make(words...)
	if answer.Status != 0 {
		t.Fatalf("make %q: status %d\n%s", words, answer.Status, answer.Errors)
	}
	return answer.Output
}

func wants(t *testing.T, got string, patterns ...string) {
	t.Helper()
	for _, pattern := range patterns {
		if !regexp.MustCompile("(?m)" + pattern).MatchString(got) {
			t.Errorf("there is no %s in\n%s", pattern, got)
		}
	}
}

func TestDiff(t *testing.T) {
	t.Parallel()
	p := committed(t)
	wants(t, ask(t, p, "diff"), `^No parameter, metric or figure differs from HEAD\.$`)
	set(t, p, "pack.test", "0.3")
	set(t, p, "explore.outlier_threshold", "1.5")
	mustMake(t, p)
	wants(t, ask(t, p, "diff", "REV=HEAD"),
		"^# What changed since HEAD$",
		`^\| `+"`pack.test`"+` \| 0\.2 \| 0\.3 \|$`,
		`^\| `+"`explore.outlier_threshold`"+` \| 3\.5 \| 1\.5 \|$`,
		`^## sample/64px$`,
		`^\| test photos \| \d+ \| \d+ \| \+\d+ \|  \|$`,
		`^\| test accuracy \| .* \| (overlap|\*\*apart\*\*) \|$`,
		`^- \[reports/sample/64px/figures/.*: changed$`)
	if answer := p.Make("diff", "REV=--help"); answer.Status != 2 || !strings.Contains(answer.Errors, `diff: REV "--help" is no commit of this git repository`) {
		t.Errorf("a hostile revision: %d %q", answer.Status, answer.Errors)
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	p := committed(t)
	wants(t, ask(t, p, "verify"), `^reports/sample/64px: all \d+ committed files are what this checkout gives, to the byte$`)
	refused := func(what string) {
		t.Helper()
		answer := p.Make("verify") // make puts the working tree right
		if answer.Status != 2 || !strings.Contains(answer.Errors, "verify: the reports of HEAD are not what this checkout gives: reports/sample/64px/"+what+"\n") {
			t.Errorf("%s: %d %q", what, answer.Status, answer.Errors)
		}
		git(t, p, "add", "reports")
		git(t, p, "commit", "-q", "-m", "The truth")
	}
	edit(t, p, "reports/sample/64px/exploration.json", `"cat"`, `"cow"`)
	git(t, p, "commit", "-q", "-a", "-m", "A lie")
	refused("exploration.json")
	edit(t, p, "reports/sample/64px/report.md", "# ", "## ")
	git(t, p, "commit", "-q", "-a", "-m", "Other words")
	refused("report.md")
	git(t, p, "rm", "-q", "--cached", "reports/sample/64px/report.md")
	git(t, p, "commit", "-q", "-m", "No words")
	refused("report.md (not committed)")
	edit(t, p, "reports/sample/64px/metrics.json", `"loss": `, `"loss": 1`)
	git(t, p, "commit", "-q", "-a", "-m", "Rounding elsewhere")
	wants(t, ask(t, p, "verify"), `^reports/sample/64px: \d+ committed files .* to the byte; 1 come from training and differ within its tolerance \(reports/sample/64px/metrics.json\)$`)
}

func TestHistoryAndParametersBringAVersionBack(t *testing.T) {
	t.Parallel()
	p := project(t)
	set(t, p, "train.seed", "5")
	set(t, p, "pack.seed", "3")
	mustMake(t, p)
	history := ask(t, p, "history")
	wants(t, history,
		`^[0-9a-f]{20}  \d{4}-\d\d-\d\d \d\d:\d\d +\d+\.\d\d %  pack\.seed=0 train\.seed=0$`,
		`^[0-9a-f]{20}  \d{4}-\d\d-\d\d \d\d:\d\d +\d+\.\d\d %  none  ← 64px$`)
	key := regexp.MustCompile(`(?m)^([0-9a-f]{20}) .* pack.seed=0`).FindStringSubmatch(history)[1]
	var sections map[string]any
	check(t, yaml.Unmarshal([]byte(ask(t, p, "params", "KEY="+key[:8])), &sections))
	if len(sections) != 4 { // explore to train
		t.Errorf("the sections are %v", sections)
	}
	var put func(prefix string, value any)
	put = func(prefix string, value any) {
		if below, ok := value.(map[string]any); ok {
			for key, value := range below {
				put(strings.TrimPrefix(prefix+"."+key, "."), value)
			}
			return
		}
		text, err := json.Marshal(value)
		check(t, err)
		set(t, p, prefix, string(text))
	}
	put("", sections)
	for _, line := range mustMake(t, p) {
		if !strings.Contains(line, " takes what was computed before (") {
			t.Errorf("with the parameters of %s: %s", key, line)
		}
	}
	if answer := p.Make("params", "KEY=zz"); answer.Status == 0 {
		t.Error("an unknown key is answered with status 0")
	}
}

func TestWrongUsageOfTrack(t *testing.T) {
	t.Parallel()
	p := project(t)
	for words, want := range map[string]string{
		"":            "usage: track accept|",
		"nothing":     "usage: track accept|",
		"status now":  "",
		"gc now":      "usage: track accept|",
		"accept":      "accept: which stage?",
		"params":      "params: which version?",
		"accept sing": `accept: "sing" is not a stage`,
	} {
		status := 2
		if words == "accept sing" {
			status = 1
		} else if want == "" {
			status = 0
		}
		answer := p.Run("bin/track", strings.Fields(words)...)
		if answer.Status != status || !strings.HasPrefix(answer.Errors, want) {
			t.Errorf("track %s: %d %q", words, answer.Status, answer.Errors)
		}
	}
	if answer := p.Make("accept"); !strings.Contains(answer.Errors, "accept: which stage? make accept STAGE=train") {
		t.Errorf("make accept: %q", answer.Errors)
	}
}

func TestGC(t *testing.T) {
	t.Parallel()
	p := project(t)
	reports := snapshot(t, p)
	wants(t, ask(t, p, "gc"), `^freed 0\.0 MB$`)
	set(t, p, "pack.seed", "3")
	set(t, p, "resize.mode", "crop")
	mustMake(t, p)
	check(t, os.MkdirAll(p.Path("data/interim/sample/resize/0123456789abcdef0123.partial"), 0o777))
	all := func() string { return p.Run("find", "data", "models", "-newermt", "1970-01-01", "-type", "f").Output }
	photos := func() map[string]string {
		t.Helper()
		files, err := p.Snapshot("data/raw")
		check(t, err)
		return files
	}
	before, raw := all(), photos()
	dry := ask(t, p, "gc", "DRY=1")
	wants(t, dry, `MB  models/sample/[0-9a-f]{20}$`, `MB  data/processed/sample/[0-9a-f]{20}$`,
		`MB  data/interim/sample/resize/0123456789abcdef0123.partial$`, `MB  in data/interim/sample/store$`, `^would free \d+\.\d MB$`)
	if all() != before {
		t.Error("a dry run removed something")
	}
	if freed := ask(t, p, "gc"); strings.Replace(dry, "would free", "freed", 1) != freed {
		t.Errorf("dry: %s\nreal: %s", dry, freed)
	}
	wants(t, ask(t, p, "gc"), `^freed 0\.0 MB$`)
	if difference := cmp.Diff(raw, photos()); difference != "" || len(raw) < 60 {
		t.Errorf("gc changed photos: %s", difference)
	}
	if events := mustMake(t, p); len(events) > 0 {
		t.Errorf("after gc: %q", events)
	}
	// What is kept of the store spares the work on all photos but a new one.
	content, err := os.ReadFile(photo(t, p, "*/dog.1*"))
	check(t, err)
	added := p.Path("data/raw/sample/train/dog.9999.jpg")
	check(t, os.WriteFile(added, append(content, 0), 0o666))
	wants(t, p.Make("resize").Errors, `^resize .*, 1 resized now`)
	check(t, os.Remove(added))
	set(t, p, "pack.seed", "0")
	set(t, p, "resize.mode", "stretch")
	mustMake(t, p)
	for name, content := range snapshot(t, p) {
		if reports[name] != content {
			t.Errorf("%s, computed again, differs", name)
		}
	}
}

func TestDAG(t *testing.T) {
	t.Parallel()
	p := project(t)
	wants(t, ask(t, p, "dag"), `^● train ← pack$`)
	set(t, p, "pack.seed", "3")
	wants(t, ask(t, p, "dag"), `^○ pack ← resize$`, `^◌ train ← pack$`)
	file, err := os.Create(filepath.Join(t.TempDir(), "dag.svg"))
	check(t, err)
	command := p.Command("make", "dag")
	command.Stdout = file
	check(t, command.Run())
	_, err = file.Seek(0, io.SeekStart)
	check(t, err)
	decoder := xml.NewDecoder(file)
	for err == nil {
		_, err = decoder.Token()
	}
	if !errors.Is(err, io.EOF) {
		t.Errorf("the SVG: %v", err)
	}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	p := project(t)
	set(t, p, "train.epochs", "3")
	wants(t, ask(t, p, "status"), `^sample/64px$`, `^  pack +fresh$`, `^  train +stale: train.epochs 1 → 3$`, `^  evaluate +runs if what it reads comes out different$`)
	var states []state
	check(t, json.Unmarshal([]byte(ask(t, p, "status", "JSON=1")), &states))
	if train := states[4]; train.Stage != "train" || train.Verdict != "stale" || train.Reasons[0] != "train.epochs 1 → 3" || len(train.Key) != 20 {
		t.Errorf("as JSON: %+v", states)
	}
}

func TestSweep(t *testing.T) {
	t.Parallel()
	p := project(t)
	weights := publishedWeights(t, p)
	reports := snapshot(t, p)
	edit(t, p, "params.yaml", "  seeds: ", "  seeds: {test: true, grid: {train.seed: [0, 1], evaluate.mirror: [false]}}\n"+
		"  mine: {grid: {train.seed: [0, 1]}, variants: {as it is: {}, longer: {train.epochs: 2}}}\n  others:")
	answer := p.Make("sweep")
	if answer.Status != 0 {
		t.Fatal(answer.Errors)
	}
	wants(t, answer.Output, `^2 runs: reports/sample/64px/sweep-seeds.md$`)
	// The first run trains with the parameters of the experiment itself.
	if ran := strings.Count(answer.Errors, "train     runs: "); ran != 1 {
		t.Errorf("%d trainings ran\n%s", ran, answer.Errors)
	}
	const name = "reports/sample/64px/sweep-seeds.md"
	table, err := os.ReadFile(p.Path(name))
	check(t, err)
	wants(t, string(table), `^\| evaluate.mirror \| runs \| validation \| range \| loss \| test \| range \|$`,
		`^\| false \| 2 \| \d+\.\d\d ± \d+\.\d\d \|`, `^\| 1 \| false \| \d+\.\d\d \| \d\.\d{4} \| \d+\.\d\d \|$`)
	// It goes on where it was stopped.
	check(t, os.Remove(p.Path(name)))
	if events := p.Make("sweep").Events(); len(events) > 0 {
		t.Errorf("once more: %q", events)
	}
	again, err := os.ReadFile(p.Path(name))
	if err != nil || string(again) != string(table) {
		t.Errorf("once more, the table differs: %v", err)
	}

	// Variants are told apart by name, and without test: true the test split is
	// not measured.
	answer = p.Make("sweep", "SWEEP=mine")
	if answer.Status != 0 || strings.Contains(answer.Errors, "evaluate") {
		t.Fatalf("status %d\n%s", answer.Status, answer.Errors)
	}
	table, err = os.ReadFile(p.Path("reports/sample/64px/sweep-mine.md"))
	check(t, err)
	wants(t, string(table), `^\| variant \| runs \| validation \| range \| difference \| loss \|$`,
		`^\| as it is \| 2 \| .* \| \+0\.00 ± 0\.00 \| \d`, `^\| longer \| 2 \| `, `^\| longer \| 1 \| \d+\.\d\d \| \d\.\d{4} \|$`)

	// Where nothing is trained there is no history, so that evaluate measures.
	edit(t, p, "params.yaml", "  mine: ", "  taken: {grid: {train.epochs: [0], train.from: ["+weights+"]}}\n  mine: ")
	answer = p.Make("sweep", "SWEEP=taken")
	if answer.Status != 0 {
		t.Fatal(answer.Errors)
	}
	table, err = os.ReadFile(p.Path("reports/sample/64px/sweep-taken.md"))
	check(t, err)
	wants(t, string(table), `The kept epoch's, .* nothing was trained the stage evaluate's`, `^\| train.epochs \| train.from \| runs \| validation \| range \| loss \|$`, `^\| 0 \| `+weights+` \| 1 \| \d+\.\d\d`)
	for name, content := range reports {
		if now, err := os.ReadFile(p.Path(name)); err != nil || string(now) != content {
			t.Errorf("the sweeps changed %s: %v", name, err)
		}
	}
}
