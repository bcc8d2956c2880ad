package main

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Both files hold what was found so far after each finding, and what went
// wrong.
func TestFindingsAreWrittenAsTheyCome(t *testing.T) {
	f := &findings{Part: "one", folder: t.TempDir()}
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(f.folder, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	err := f.run(section{"speed", "Speed", func() error {
		if err := f.found("a|b", 12345.6, "images/s"); err != nil {
			return err
		}
		if text := read("part-one.md"); !strings.Contains(text, `| a\|b | 12346 images/s |`) {
			t.Errorf("after the first finding:\n%s", text)
		}
		if err := f.must("busy", 0.5, "", "≥ 0.98", false); err != nil {
			return err
		}
		return errors.New("the GPU fell off")
	}})
	if err != nil {
		t.Fatal(err)
	}
	text := read("part-one.md")
	for _, want := range []string{"## Speed", "| busy | 0.5 | ≥ 0.98 | **does not hold** |", "the GPU fell off"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
	if err := f.must("loss", math.NaN(), "", "≤ 1", false); err != nil || !strings.Contains(read("part-one.json"), `"NaN"`) {
		t.Errorf("what is no number: %v", err)
	}
	if f.Wrong != 3 || !strings.Contains(read("part-one.json"), `"wrong": 3`) {
		t.Errorf("%d findings are wrong, want 3", f.Wrong)
	}
	const want = "not as it should be: Speed: busy: 0.5, not ≥ 0.98; Speed: the section ends early: the GPU fell off, not no error; Speed: loss: NaN, not ≤ 1"
	if err := f.verdict(); err == nil || err.Error() != want {
		t.Errorf("verdict %v, want %s", err, want)
	}
}
