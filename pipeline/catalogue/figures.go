package catalogue

import (
	"fmt"
	"math"
	"os"
	"path/filepath"

	"catdog/pipeline/plot"
)

// drawFigures draws what answers the question "what input size distorts least?".
func drawFigures(folder string, rows []Row, e *Exploration) error {
	if e.Photos == 0 {
		return nil
	}
	if err := os.Mkdir(folder, 0o777); err != nil {
		return fmt.Errorf("draw figures: %w", err)
	}
	names := classes(rows)
	groups := func(of func(Row) float64) []plot.Group {
		drawn := make([]plot.Group, len(names))
		for i, class := range names {
			drawn[i].Name = class
			for _, row := range rows {
				if row.Good() && row.Class == class {
					drawn[i].Values = append(drawn[i].Values, of(row))
				}
			}
		}
		return drawn
	}
	width := func(r Row) float64 { return float64(r.Width) }
	height := func(r Row) float64 { return float64(r.Height) }
	in := e.Input
	median := fmt.Sprintf("median %.0f×%.0f px", in.MedianWidth, in.MedianHeight)

	size := func(r Row) float64 { return math.Sqrt(width(r) * height(r)) }
	if err := plot.Histogram(filepath.Join(folder, "sizes.svg"), plot.Axes{
		Title: "Sizes of the photos", X: "√(width × height) in px", Y: "photos", Note: median,
	}, 40, groups(size)...); err != nil {
		return err
	}

	widths, heights := groups(width), groups(height)
	clouds := make([]plot.Series, len(names))
	longest := max(e.All.Width.Maximum, e.All.Height.Maximum)
	for i, class := range names {
		clouds[i] = plot.Series{Name: class, X: widths[i].Values, Y: heights[i].Values}
	}
	clouds = append(clouds, plot.Series{Name: "1:1", X: []float64{0, longest}, Y: []float64{0, longest}, Reference: true})
	if err := plot.Scatter(filepath.Join(folder, "width-height.svg"), plot.Axes{
		Title: "Width and height", X: "width in px", Y: "height in px", Square: true, Note: median,
		XLimits: &[2]float64{0, longest}, YLimits: &[2]float64{0, longest},
	}, clouds...); err != nil {
		return err
	}

	square := in.Fits[0].MedianImage
	if err := plot.Histogram(filepath.Join(folder, "aspect-ratios.svg"), plot.Axes{
		Title: "Aspect ratios", X: "width / height", Y: "photos", XLimits: &[2]float64{0, 3},
		Note: fmt.Sprintf("the median image to 1:1: stretch %+.0f %%, crop −%.0f %%, pad %.0f %% background",
			100*square.Stretch, 100*square.Crop, 100*square.Pad),
	}, 60, groups(aspect)...); err != nil {
		return err
	}

	// Mean and not median image: an input of the median image's aspect ratio
	// would seem to cost nothing.
	fits := make([]string, len(in.Fits))
	effects := []plot.Group{{Name: "stretched by"}, {Name: "cropped away, or background"}}
	for i, fit := range in.Fits {
		fits[i] = fit.Name
		if fit.Name == "best" {
			fits[i] = fmt.Sprintf("%.2f:1", fit.Aspect)
		}
		effects[0].Values = append(effects[0].Values, fit.Mean.Stretch)
		effects[1].Values = append(effects[1].Values, fit.Mean.Crop)
	}
	return plot.Bars(filepath.Join(folder, "fits.svg"), plot.Axes{
		Title: "What inputs of these shapes do to the average photo", X: "width : height of the input", Y: "share", YPercent: true,
	}, fits, effects...)
}
