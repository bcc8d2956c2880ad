package network

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"catdog/pipeline/params"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestGolden compares summaries and drawings with testdata. Look at what
// changed before committing what -update writes.
func TestGolden(t *testing.T) {
	for name, input := range map[string]params.Network{"residual": residual(), "plain": plain(), "odd": odd()} {
		classes := []string{"cat", "dog"}
		if name == "odd" {
			classes = []string{"apple & pear", "bird", "<cat>"}
		}
		d := build(t, input, classes...)
		golden(t, name+".txt", []byte(d.Summary()))
		golden(t, name+".svg", d.SVG())
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("%s is\n%s\nwant\n%s", name, got, want)
	}
}
