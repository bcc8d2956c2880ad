package catalogue

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"

	"catdog/pipeline/artifact"
	"catdog/pipeline/photo"
)

// An Exploration is exploration.json: what the catalogue says in numbers.
type Exploration struct {
	Files  int `json:"files"`
	Photos int `json:"photos"` // good ones
	// Rejected counts the others by their problem.
	Rejected map[photo.Problem]int `json:"rejected"`
	// Formats counts the good photos by their format.
	Formats map[string]int `json:"formats"`
	// All is about the good photos of all classes.
	All      Statistics   `json:"all"`
	Classes  []Statistics `json:"classes"`
	Copies   Copies       `json:"copies"`
	Outliers Outliers     `json:"outliers"`
	Input    Input        `json:"input"`
}

// Statistics are of the good photos of a class.
type Statistics struct {
	Class  string    `json:"class"` // "" for all
	Photos int       `json:"photos"`
	Width  Quartiles `json:"width"`
	Height Quartiles `json:"height"`
	Aspect Quartiles `json:"aspect"` // width / height
	Bytes  Quartiles `json:"bytes"`
}

// Quartiles of a distribution, interpolated linearly between its values.
type Quartiles struct {
	Minimum float64 `json:"minimum"`
	Lower   float64 `json:"lower"`
	Median  float64 `json:"median"`
	Upper   float64 `json:"upper"`
	Maximum float64 `json:"maximum"`
}

// Copies counts exact copies among the good photos.
type Copies struct {
	Groups int `json:"groups"` // photos that there are copies of
	Files  int `json:"files"`  // files that another one has the bytes of already
	// Conflicts are groups whose files carry different classes.
	Conflicts int `json:"conflicts"`
}

// Outliers counts photos of unusual size or shape.
type Outliers struct {
	Rule      string  `json:"rule"`
	Threshold float64 `json:"threshold"`
	Area      int     `json:"area"`
	Aspect    int     `json:"aspect"`
}

// Input is what helps to choose the input size.
type Input struct {
	// MedianWidth and MedianHeight are of the median image.
	MedianWidth  float64 `json:"median_width"`
	MedianHeight float64 `json:"median_height"`
	// BestAspect is the aspect ratio (width / height) of an input that the
	// logarithms of photos' are least away from on average: that of the photo in
	// the middle.
	BestAspect float64 `json:"best_aspect"`
	Fits       []Fit   `json:"fits"`
	Sizes      []Size  `json:"sizes"`
}

// A Fit is what an input of some aspect ratio does to photos.
type Fit struct {
	Name   string  `json:"name"`
	Aspect float64 `json:"aspect"`
	// MedianImage is what is done to the median image, Mean on average over all
	// photos, Worst to the photo at the 95th percentile.
	MedianImage Effect `json:"median_image"`
	Mean        Effect `json:"mean"`
	Worst       Effect `json:"worst"`
}

// An Effect is what each mode of resizing does to a photo.
type Effect struct {
	// Stretch is by how much one side is stretched against the other, less one:
	// 0.33 where 4:3 becomes 1:1.
	Stretch float64 `json:"stretch"`
	// Crop is the share of the photo that is cut off.
	Crop float64 `json:"crop"`
	// Pad is the share of the input that is background.
	Pad float64 `json:"pad"`
}

// A Size is what a square input of some side does to photos.
type Size struct {
	Side int `json:"side"` // px
	// Enlarged is the share of photos with a side below it, which has to grow.
	Enlarged float64 `json:"enlarged"`
	// Kept is the share of the median image's pixels that the input has room for.
	Kept float64 `json:"kept"`
}

// effect is what an input of aspect ratio to does to a photo of aspect ratio
// from.
func effect(from, to float64) Effect {
	ratio := max(from/to, to/from)
	return Effect{Stretch: ratio - 1, Crop: 1 - 1/ratio, Pad: 1 - 1/ratio}
}

// explore counts and measures.
func explore(rows []Row, found []copies, outliers []outlier, threshold float64) *Exploration {
	e := &Exploration{
		Files: len(rows), Rejected: map[photo.Problem]int{}, Formats: map[string]int{},
		Outliers: Outliers{Rule: outlierRule, Threshold: threshold},
	}
	byClass := map[string][]Row{}
	var good []Row
	for _, row := range rows {
		if !row.Good() {
			e.Rejected[row.Problem]++
			continue
		}
		good = append(good, row)
		e.Formats[row.Format]++
		byClass[row.Class] = append(byClass[row.Class], row)
	}
	e.Photos = len(good)
	e.All = statistics("", good)
	for _, class := range classes(rows) {
		e.Classes = append(e.Classes, statistics(class, byClass[class]))
	}
	for _, group := range found {
		e.Copies.Groups++
		e.Copies.Files += len(group.rows) - 1
		if len(group.classes) > 1 {
			e.Copies.Conflicts++
		}
	}
	for _, o := range outliers {
		if o.measure == "area" {
			e.Outliers.Area++
		} else {
			e.Outliers.Aspect++
		}
	}
	e.Input = input(good, e.All)
	return e
}

// classes are the classes of good photos, sorted.
func classes(rows []Row) []string {
	var names []string
	for _, row := range rows {
		if row.Good() && !slices.Contains(names, row.Class) {
			names = append(names, row.Class)
		}
	}
	slices.Sort(names)
	return names
}

func statistics(class string, rows []Row) Statistics {
	return Statistics{
		Class: artifact.EscapePath(class), Photos: len(rows),
		Width:  quartiles(rows, func(r Row) float64 { return float64(r.Width) }),
		Height: quartiles(rows, func(r Row) float64 { return float64(r.Height) }),
		Aspect: quartiles(rows, aspect),
		Bytes:  quartiles(rows, func(r Row) float64 { return float64(r.Bytes) }),
	}
}

func aspect(r Row) float64 { return float64(r.Width) / float64(r.Height) }

func input(good []Row, all Statistics) Input {
	in := Input{MedianWidth: all.Width.Median, MedianHeight: all.Height.Median, BestAspect: all.Aspect.Median}
	if len(good) == 0 {
		return in
	}
	for _, fit := range []Fit{
		{Name: "1:1", Aspect: 1}, {Name: "5:4", Aspect: 5.0 / 4}, {Name: "4:3", Aspect: 4.0 / 3}, {Name: "3:2", Aspect: 3.0 / 2},
		{Name: "3:4", Aspect: 3.0 / 4}, {Name: "best", Aspect: in.BestAspect},
	} {
		var stretch, cut []float64
		for _, row := range good {
			of := effect(aspect(row), fit.Aspect)
			stretch, cut = append(stretch, of.Stretch), append(cut, of.Crop)
		}
		median := effect(in.MedianWidth/in.MedianHeight, fit.Aspect)
		fit.MedianImage = Effect{round(median.Stretch), round(median.Crop), round(median.Pad)}
		fit.Mean = Effect{round(mean(stretch)), round(mean(cut)), round(mean(cut))}
		worst, worstCut := round(quantile(sorted(stretch), 0.95)), round(quantile(sorted(cut), 0.95))
		fit.Worst = Effect{worst, worstCut, worstCut}
		fit.Aspect = round(fit.Aspect)
		in.Fits = append(in.Fits, fit)
	}
	for _, side := range []int{32, 48, 64, 96, 128, 160, 192, 224, 256, 384} {
		small := 0
		for _, row := range good {
			if min(row.Width, row.Height) < side {
				small++
			}
		}
		in.Sizes = append(in.Sizes, Size{
			Side: side, Enlarged: round(float64(small) / float64(len(good))),
			Kept: round(min(1, float64(side*side)/(in.MedianWidth*in.MedianHeight))),
		})
	}
	return in
}

func quartiles(rows []Row, of func(Row) float64) Quartiles {
	if len(rows) == 0 {
		return Quartiles{}
	}
	values := make([]float64, len(rows))
	for i, row := range rows {
		values[i] = of(row)
	}
	slices.Sort(values)
	at := func(p float64) float64 { return round(quantile(values, p)) }
	return Quartiles{at(0), at(0.25), at(0.5), at(0.75), at(1)}
}

// quantile interpolates between the two values around (n − 1)·p, the default
// of R (type 7) and NumPy.
func quantile(sorted []float64, p float64) float64 {
	position := p * float64(len(sorted)-1)
	below := int(position)
	if below+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	share := position - float64(below)
	return sorted[below]*(1-share) + sorted[below+1]*share
}

func sorted(values []float64) []float64 { return slices.Sorted(slices.Values(values)) }

func mean(values []float64) float64 {
	sum := 0.0
	for _, value := range values {
		sum += value
	}
	return sum / float64(len(values))
}

// round keeps four decimals, more than anyone reads.
func round(value float64) float64 { return math.Round(value*1e4) / 1e4 }

func (e *Exploration) write(path string) error {
	text, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o666); err != nil {
		return fmt.Errorf("write exploration: %w", err)
	}
	return nil
}
