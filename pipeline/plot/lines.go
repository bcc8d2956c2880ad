package plot

import (
	"fmt"
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// A Series is a curve or a cloud of points; X and Y have the same length. A
// value that cannot be drawn leaves a gap in a curve.
type Series struct {
	Name string // in the legend, "" for none
	X, Y []float64
	// Dashed draws a broken line.
	Dashed bool
	// Points marks each point; Lines draws no line where there is only one.
	Points bool
	// Reference is a thin grey line behind the others that takes no colour of
	// its own, e.g. a diagonal or a best epoch.
	Reference bool
}

func (s Series) check() error {
	if len(s.X) != len(s.Y) {
		return fmt.Errorf("series %q: %d x values and %d y values", s.Name, len(s.X), len(s.Y))
	}
	return nil
}

// Lines draws curves.
func Lines(path string, axes Axes, series ...Series) error {
	return xy(path, axes, series, false)
}

// Scatter draws clouds of points. Where there are many, points that would cover
// each other are drawn once.
func Scatter(path string, axes Axes, series ...Series) error {
	return xy(path, axes, series, true)
}

func xy(path string, axes Axes, series []Series, scatter bool) error {
	if err := axes.check(); err != nil {
		return fmt.Errorf("draw %s: %w", path, err)
	}
	x, y := emptySpan(), emptySpan()
	xWhole, yWhole, points := true, true, 0
	for _, s := range series {
		if err := s.check(); err != nil {
			return fmt.Errorf("draw %s: %w", path, err)
		}
		for i := range s.X {
			if drawable(s.X[i]) && drawable(s.Y[i]) {
				x.add(s.X[i])
				y.add(s.Y[i])
				points++
			}
		}
		xWhole, yWhole = xWhole && areWhole(s.X), yWhole && areWhole(s.Y)
	}
	f := newFigure(axes, x, y, xWhole, yWhole)
	f.empty = points == 0
	if scatter {
		setAxis(&f.plot.X, x, axes.XLimits, 8, xWhole, axes.XPercent, true)
	}
	next := 0
	for _, s := range series {
		shade := axisColor
		if !s.Reference {
			shade = colorOf(next)
			next++
		}
		cloud := scatter && !s.Reference
		shown := lineMark
		switch {
		case cloud:
			shown = dotMark
			f.plot.Add(cloudOf(s, withAlpha(shade, 0.55), points > 400))
		default:
			style := lineStyle(shade, s.Dashed || s.Reference)
			if s.Reference {
				style.Width = 1
			}
			if s.Dashed || s.Reference {
				shown = dashedMark
			}
			if s.Points && len(s.X) == 1 {
				shown = dotMark
			}
			f.plot.Add(plotterFunc(func(c draw.Canvas, p *plot.Plot) {
				c.StrokeLines(style, c.ClipLinesXY(segments(c, p, s)...)...)
				if s.Points {
					c.SetColor(shade)
					c.Fill(circles(inside(c, p, s), 3))
				}
			}))
		}
		if s.Name != "" {
			f.legend = append(f.legend, entry{s.Name, shown, shade})
		}
	}
	if err := folderOf(path); err != nil {
		return err
	}
	return f.write(path)
}

// segments are the curve's pieces between values that cannot be drawn.
func segments(c draw.Canvas, p *plot.Plot, s Series) [][]vg.Point {
	x, y := p.Transforms(&c)
	var all [][]vg.Point
	var current []vg.Point
	for i := range s.X {
		if drawable(s.X[i]) && drawable(s.Y[i]) {
			current = append(current, vg.Point{X: x(s.X[i]), Y: y(s.Y[i])})
			continue
		}
		if len(current) > 1 {
			all = append(all, current)
		}
		current = nil
	}
	if len(current) > 1 {
		all = append(all, current)
	}
	return all
}

// inside are the points that lie within the axes.
func inside(c draw.Canvas, p *plot.Plot, s Series) []vg.Point {
	x, y := p.Transforms(&c)
	var points []vg.Point
	for i := range s.X {
		if drawable(s.X[i]) && drawable(s.Y[i]) &&
			s.X[i] >= p.X.Min && s.X[i] <= p.X.Max && s.Y[i] >= p.Y.Min && s.Y[i] <= p.Y.Max {
			points = append(points, vg.Point{X: x(s.X[i]), Y: y(s.Y[i])})
		}
	}
	return points
}

// cloudOf draws a series as dots in one path, so that a file of 25,000 points
// stays small; thin moves points onto a fine lattice and draws each once.
func cloudOf(s Series, shade color.NRGBA, thin bool) plot.Plotter {
	const cell = 2.5
	return plotterFunc(func(c draw.Canvas, p *plot.Plot) {
		points := inside(c, p, s)
		if thin {
			seen := map[[2]int]bool{}
			kept := points[:0]
			for _, point := range points {
				at := [2]int{int(math.Round(float64(point.X / cell))), int(math.Round(float64(point.Y / cell)))}
				if !seen[at] {
					seen[at] = true
					kept = append(kept, vg.Point{X: vg.Length(at[0]) * cell, Y: vg.Length(at[1]) * cell})
				}
			}
			points = kept
		}
		c.SetColor(shade)
		c.Fill(circles(points, dotRadius))
	})
}

func circles(points []vg.Point, radius vg.Length) vg.Path {
	var path vg.Path
	for _, point := range points {
		path = circle(path, point, radius)
	}
	return path
}
