package present

import (
	"bytes"
	"encoding/xml"
	"io"
	"strings"
	"testing"

	"catdog/pipeline/network"
	"catdog/pipeline/params"
	"pgregory.net/rapid"
)

// TestDrawing: any network is drawn as well-formed XML, with a panel a block
// and without numbers that are not finite.
func TestDrawing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		blocks := rapid.IntRange(1, 5).Draw(t, "blocks")
		input := params.Network{
			Height:    rapid.IntRange(8, 1024).Draw(t, "height"),
			Width:     rapid.IntRange(8, 1024).Draw(t, "width"),
			Channels:  rapid.SliceOfN(rapid.IntRange(1, 512), blocks, blocks).Draw(t, "channels"),
			Residuals: rapid.SliceOfN(rapid.IntRange(0, 3), blocks, blocks).Draw(t, "residuals"),
			Pools:     rapid.SliceOfN(rapid.IntRange(1, 3), blocks, blocks).Draw(t, "pools"),
			Head:      rapid.SampledFrom([]string{"flatten", "average", "maximum"}).Draw(t, "head"),
			Dropout:   rapid.SampledFrom([]float64{0, 0.5}).Draw(t, "dropout"),
		}
		classes := rapid.SliceOfN(rapid.StringMatching(`[a-zé<&"' ]{1,40}`), 2, 12).Draw(t, "classes")
		d, err := network.New(input, classes)
		if err != nil {
			t.Skip(err)
		}
		drawing := SVG(d)
		decoder := xml.NewDecoder(bytes.NewReader(drawing))
		for {
			if _, err := decoder.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if got := strings.Count(string(drawing), ">block "); got != blocks {
			t.Fatalf("%d blocks drawn of %d", got, blocks)
		}
		if text := string(drawing); strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
			t.Fatal("a coordinate is not finite")
		}
	})
}
