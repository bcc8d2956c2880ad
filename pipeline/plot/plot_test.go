package plot

import (
	"bytes"
	"crypto/sha256"
	"encoding/xml"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var gallery = flag.String("gallery", "", "folder for the golden figures, to look at them")

// sequence is a fixed sequence of values in 0…1 that look random.
func sequence(n, seed int) []float64 {
	state := uint64(seed)*0x9e3779b97f4a7c15 + 1
	values := make([]float64, n)
	for i := range values {
		state ^= state << 13
		state ^= state >> 7
		state ^= state << 17
		values[i] = float64(state>>11) / (1 << 53)
	}
	return values
}

// sides are made-up widths of photos with a long tail.
func sides(n, seed int, typical float64) []float64 {
	values := make([]float64, n)
	for i, u := range sequence(n, seed) {
		values[i] = math.Round(typical * math.Exp2(3*(u-0.5)*(u-0.5)*(u-0.5)*8))
	}
	return values
}

func epochs(n int) (x, train, validation []float64) {
	noise := sequence(n, 3)
	for i := range n {
		t := float64(i+1) / float64(n)
		x = append(x, float64(i+1))
		train = append(train, 0.62*math.Exp(-3*t)+0.22)
		validation = append(validation, 0.58*math.Exp(-3*t)+0.27+0.04*(noise[i]-0.5))
	}
	return x, train, validation
}

// figures are drawn on fixed data; the digest is of the SVG's bytes.
var figures = []struct {
	name, digest string
	draw         func(path string) error
}{
	{"lines", "ffeb51ec5819daff", func(path string) error {
		x, train, validation := epochs(40)
		return Lines(path, Axes{Title: "Loss", X: "epoch", Y: "cross-entropy"},
			Series{Name: "train", X: x, Y: train}, Series{Name: "validation", X: x, Y: validation, Dashed: true},
			Series{Name: "best epoch, 36", X: []float64{36, 36}, Y: []float64{0.2, 0.8}, Reference: true})
	}},
	{"percent", "fb9e973317837d57", func(path string) error {
		x, train, validation := epochs(8)
		for i := range train {
			train[i], validation[i] = 1-train[i]/4, 1-validation[i]/4
		}
		validation[4] = math.NaN()
		return Lines(path, Axes{Title: "Accuracy", X: "epoch", Y: "accuracy", YPercent: true},
			Series{Name: "train", X: x, Y: train, Points: true}, Series{Name: "validation", X: x, Y: validation, Points: true})
	}},
	{"roc", "3e4a72386144d3e6", func(path string) error {
		x, y := []float64{0, 0.01, 0.04, 0.1, 0.3, 1}, []float64{0, 0.6, 0.86, 0.96, 0.99, 1}
		return Lines(path, Axes{Title: "ROC", X: "false positive rate", Y: "true positive rate", Square: true, Note: "AUC 0.981",
			XPercent: true, YPercent: true}, Series{Name: "dog", X: x, Y: y}, Series{Name: "chance", X: []float64{0, 1}, Y: []float64{0, 1}, Reference: true})
	}},
	{"histogram", "f77834e00695997c", func(path string) error {
		return Histogram(path, Axes{Title: "Widths of the photos", X: "width, px", Y: "photos", XLimits: &[2]float64{0, 1000}}, 40,
			Group{"cat", sides(3000, 1, 420)}, Group{"dog", sides(2800, 2, 460)})
	}},
	{"scatter", "468cd91d7ed2720b", func(path string) error {
		return Scatter(path, Axes{Title: "Sizes of the photos", X: "width, px", Y: "height, px"},
			Series{Name: "cat", X: sides(3000, 5, 420), Y: sides(3000, 6, 380)},
			Series{Name: "dog", X: sides(3000, 7, 460), Y: sides(3000, 8, 400)})
	}},
	{"bars", "6deb051d1b602830", func(path string) error {
		return Bars(path, Axes{Title: "Images in each split", X: "", Y: "images"}, []string{"train", "validation", "test"},
			Group{"cat", []float64{9014, 1120, 1116}}, Group{"dog", []float64{8988, 1131, 1131}})
	}},
	{"shares", "bf52299b4325ee9b", func(path string) error {
		return Bars(path, Axes{Title: "What each mode costs the median photo", Y: "share of the area", YPercent: true},
			[]string{"stretch", "crop", "pad"}, Group{"", []float64{0, 0.2533, 0.25}})
	}},
	{"matrix", "443ad7fd924c5512", func(path string) error {
		return Matrix(path, Axes{Title: "Confusion, test split", X: "predicted", Y: "class"}, []string{"cat", "dog"},
			[][]int{{1045, 71}, {64, 1067}})
	}},
	{"matrix7", "8efc643c531a076d", func(path string) error {
		counts := make([][]int, 7)
		for i := range counts {
			counts[i] = []int{3, 1, 0, 4, 2, 0, 1}
			counts[i][i] = 80 + i
		}
		return Matrix(path, Axes{Title: "Confusion", X: "predicted", Y: "class"},
			[]string{"cat", "dog", "guinea pig", "horse", "rabbit", "snake", "owl"}, counts)
	}},
	{"empty", "452bb3531ec21bf2", func(path string) error {
		return Lines(path, Axes{Title: "Nothing <yet> & so on", X: "epoch", Y: "loss"}, Series{Name: "train"})
	}},
}

func TestGoldenFigures(t *testing.T) {
	folder := t.TempDir()
	if *gallery != "" {
		folder = *gallery
	}
	for _, figure := range figures {
		t.Run(figure.name, func(t *testing.T) {
			path := filepath.Join(folder, figure.name+".svg")
			if err := figure.draw(path); err != nil {
				t.Fatal(err)
			}
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if digest := fmt.Sprintf("%x", sha256.Sum256(content))[:16]; digest != figure.digest {
				t.Errorf("digest %s, want %s: look at the figure (-gallery DIR)", digest, figure.digest)
			}
			wellFormed(t, content)
			if bytes.Contains(content, []byte("data:")) {
				t.Error("holds a data URI")
			}
			if len(content) > 300_000 {
				t.Errorf("%d bytes are too many for a file that is committed", len(content))
			}
		})
	}
}

func wellFormed(t interface {
	Helper()
	Fatalf(string, ...any)
}, content []byte) {
	t.Helper()
	decoder := xml.NewDecoder(bytes.NewReader(content))
	for {
		if _, err := decoder.Token(); err == io.EOF {
			return
		} else if err != nil {
			t.Fatalf("not well-formed: %v", err)
		}
	}
}

func TestPNGIsTheSameTwice(t *testing.T) {
	var contents [2][]byte
	for i := range contents {
		path := filepath.Join(t.TempDir(), "figure.png")
		if err := figures[0].draw(path); err != nil {
			t.Fatal(err)
		}
		contents[i], _ = os.ReadFile(path)
	}
	if len(contents[0]) == 0 || !bytes.Equal(contents[0], contents[1]) {
		t.Error("the same data gave other bytes")
	}
}

// Whatever the data, a figure is drawn or an error returned; nothing panics,
// nothing hangs, and what is drawn is well-formed and finite.
func TestAnyDataIsDrawn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "figure.svg")
	value := rapid.OneOf(rapid.Float64(), rapid.Float64Range(-1, 1), rapid.Just(math.NaN()), rapid.Just(math.Inf(1)), rapid.Just(math.Inf(-1)), rapid.Just(0.0))
	limits := rapid.Ptr(rapid.Custom(func(t *rapid.T) [2]float64 { return [2]float64{value.Draw(t, "low"), value.Draw(t, "high")} }), true)
	rapid.Check(t, func(t *rapid.T) {
		axes := Axes{
			Title: rapid.StringN(0, 5, 20).Draw(t, "title"), XLimits: limits.Draw(t, "x limits"), YLimits: limits.Draw(t, "y limits"),
			YPercent: rapid.Bool().Draw(t, "percent"), Square: rapid.Bool().Draw(t, "square"),
		}
		n := rapid.IntRange(0, 6).Draw(t, "n")
		x, y := rapid.SliceOfN(value, n, n).Draw(t, "x"), rapid.SliceOfN(value, n, n).Draw(t, "y")
		series := Series{Name: "a", X: x, Y: y, Points: rapid.Bool().Draw(t, "points")}
		err := []func() error{
			func() error { return Lines(path, axes, series) },
			func() error { return Scatter(path, axes, series) },
			func() error {
				return Histogram(path, axes, rapid.IntRange(-1, 30).Draw(t, "bins"), Group{"a", x}, Group{"b", y})
			},
			func() error { return Bars(path, axes, make([]string, n), Group{"a", x}, Group{"b", y}) },
		}[rapid.IntRange(0, 3).Draw(t, "kind")]()
		if err != nil {
			return
		}
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatalf("%v", err)
		}
		wellFormed(t, content)
		for _, bad := range []string{"NaN", "Inf"} {
			if strings.Contains(strings.ReplaceAll(string(content), axes.Title, ""), bad) {
				t.Fatalf("%s in the figure", bad)
			}
		}
	})
}

func TestTicks(t *testing.T) {
	for _, test := range []struct {
		span
		count          int
		whole, percent bool
		want           string
	}{
		{span{0, 1}, 5, false, true, "0% 20% 40% 60% 80% 100%"},
		{span{0, 22500}, 5, true, false, "0 5,000 10,000 15,000 20,000"},
		{span{1, 3}, 8, true, false, "1 2 3"},
		{span{0.2, 0.31}, 5, false, false, "0.20 0.25 0.30"},
		{span{-0.1, 0.1}, 4, false, false, "-0.10 -0.05 0.00 0.05 0.10"},
		{span{0.982, 0.99}, 4, false, true, "98.2% 98.4% 98.6% 98.8% 99.0%"},
	} {
		var labels []string
		for _, tick := range test.ticks(test.step(test.count, test.whole), test.percent) {
			labels = append(labels, tick.Label)
		}
		if got := strings.Join(labels, " "); got != test.want {
			t.Errorf("%v: %s, want %s", test.span, got, test.want)
		}
	}
}

func TestMistakesAreErrors(t *testing.T) {
	folder := t.TempDir()
	svg := filepath.Join(folder, "figure.svg")
	for want, err := range map[string]error{
		"a figure ends in .svg or .png": Lines(filepath.Join(folder, "figure.gif"), Axes{}),
		"1 x values and 0 y values":     Lines(svg, Axes{}, Series{Name: "a", X: []float64{1}}),
		"limits 1 … 1 are not a range":  Lines(svg, Axes{XLimits: &[2]float64{1, 1}}),
		"0 bins":                        Histogram(svg, Axes{}, 0),
		"1 values for 2 categories":     Bars(svg, Axes{}, []string{"a", "b"}, Group{"g", []float64{1}}),
		"1 rows for 2 labels":           Matrix(svg, Axes{}, []string{"a", "b"}, [][]int{{1, 2}}),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want …%s…", err, want)
		}
	}
	if entries, _ := os.ReadDir(folder); len(entries) != 0 {
		t.Errorf("%d files were left behind", len(entries))
	}
}
