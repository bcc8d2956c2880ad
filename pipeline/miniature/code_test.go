package miniature

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestCodeThatChanges edits sources and really builds: comments and formatting
// anywhere make nothing run, a change of a stage's code that stage alone as
// long as its output stays the same.
func TestCodeThatChanges(t *testing.T) {
	if !*long {
		t.Skip("takes minutes: make test-long")
	}
	p := project(t)
	check(t, p.OwnBinaries())
	before := snapshot(t, p)
	try := func(name string, want ...string) {
		t.Helper()
		asked := p.Make("-n")
		made := p.Make()
		if made.Status != 0 {
			t.Fatalf("%s: %s", name, made.Errors)
		}
		if difference := cmp.Diff(want, made.Events()); difference != "" {
			t.Errorf("%s (-want +got): %s", name, difference)
		}
		if certain, _ := asked.Planned(); len(certain) != len(want) {
			t.Errorf("%s: make -n named %v", name, certain)
		}
		if difference := cmp.Diff(before, snapshot(t, p)); difference != "" {
			t.Errorf("%s changed the reports: %s", name, difference)
		}
	}

	check(t, filepath.WalkDir(p.Path("pipeline"), func(name string, _ fs.DirEntry, err error) error {
		if filepath.Ext(name) != ".go" || err != nil {
			return err
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		return os.WriteFile(name, append(text, "\n\n// More words.\n"...), 0o666)
	}))
	try("comments and blank lines in every package")

	body := regexp.MustCompile(`(?m)^func Run\(.*\{$`)
	for stage, source := range map[string]string{
		"fetch": "source/source.go", "explore": "catalogue/catalogue.go", "resize": "resize/resize.go", "pack": "pack/run.go",
		"train": "train/train.go", "evaluate": "evaluate/evaluate.go", "report": "report/report.go",
	} {
		name := "pipeline/" + source
		text, err := os.ReadFile(p.Path(name))
		check(t, err)
		if !body.Match(text) {
			t.Fatalf("%s has no Run", name)
		}
		check(t, os.WriteFile(p.Path(name), body.ReplaceAll(text, []byte("$0\n\t_ = 1\n")), 0o666))
		try("a statement in "+name, stage+" runs: its code changed")
	}

	check(t, os.WriteFile(p.Path("pipeline/progress/looks.go"), []byte("package progress\n\nvar looks = 1\n\nfunc init() { looks++ }\n"), 0o666))
	try("how progress is shown")

	lines := strings.Count(p.Make("accept", "STAGE=train").Output, "\n")
	if lines != 1 {
		t.Errorf("accept prints %d lines", lines)
	}
}
