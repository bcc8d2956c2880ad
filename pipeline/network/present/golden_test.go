package present

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"catdog/pipeline/network"
	"catdog/pipeline/params"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestGolden compares summaries and drawings with testdata. Look at what
// changed before committing what -update writes.
func TestGolden(t *testing.T) {
	channels := []int{32, 64, 128, 256}
	for name, input := range map[string]params.Network{
		"residual": {Height: 64, Width: 64, Channels: channels, Residuals: []int{0, 1, 1, 1}, Pools: []int{2, 2, 2, 1}, Head: "maximum"},
		"plain":    {Height: 64, Width: 64, Channels: channels, Residuals: []int{0, 0, 0, 0}, Pools: []int{2, 2, 2, 2}, Head: "flatten", Dropout: 0.5},
		"odd":      {Height: 17, Width: 23, Channels: []int{5, 7}, Residuals: []int{0, 3}, Pools: []int{2, 3}, Head: "average", Dropout: 0.25},
	} {
		classes := []string{"cat", "dog"}
		if name == "odd" {
			classes = []string{"apple & pear", "bird", "<cat>"}
		}
		d, err := network.New(input, classes)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name+".txt", []byte(Summary(d)))
		golden(t, name+".svg", SVG(d))
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
