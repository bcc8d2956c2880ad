// Package plot draws the pipeline's figures through gonum/plot, all in one
// style: title and legend above the curves, a quiet grid, colours that
// colour-blind readers can tell apart. A function a kind of figure; the file's
// ending (.svg or .png) chooses the format. The same data gives the same bytes,
// and a file appears whole or not at all.
//
// Values that are NaN, infinite or beyond ±1e15 are not drawn.
package plot

import (
	"image/color"
	"math"

	xfont "golang.org/x/image/font"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Colors is how many curves can be told apart.
const Colors = 7

// palette is Okabe and Ito's, which stays apart under the common forms of
// colour blindness, in an order in which neighbours differ in lightness too
// (Okabe, Ito: Color Universal Design, 2008). Yellow is left out: it is not
// seen on white.
var palette = [Colors]color.NRGBA{
	{0x00, 0x72, 0xb2, 0xff}, // blue
	{0xd5, 0x5e, 0x00, 0xff}, // vermilion
	{0x00, 0x9e, 0x73, 0xff}, // bluish green
	{0xcc, 0x79, 0xa7, 0xff}, // reddish purple
	{0xe6, 0x9f, 0x00, 0xff}, // orange
	{0x56, 0xb4, 0xe9, 0xff}, // sky blue
	{0x00, 0x00, 0x00, 0xff}, // black
}

var (
	ink       = color.NRGBA{0x1f, 0x23, 0x28, 0xff} // titles
	softInk   = color.NRGBA{0x57, 0x60, 0x6a, 0xff} // labels, ticks
	gridColor = color.NRGBA{0xe4, 0xe4, 0xe4, 0xff}
	axisColor = color.NRGBA{0x9a, 0xa0, 0xa6, 0xff}
)

// All lengths are in points, 1/72 inch.
const (
	canvasWidth  vg.Length = 540
	canvasHeight vg.Length = 310
	squareSide   vg.Length = 360
	margin       vg.Length = 10
	lineWidth    vg.Length = 1.8
	dotRadius    vg.Length = 1.7
	titleSize              = 13
	labelSize              = 11
	tickSize               = 10
)

// colorOf is the colour of the i-th series.
func colorOf(i int) color.NRGBA { return palette[i%len(palette)] }

// withAlpha is a colour made translucent, opacity 0…1.
func withAlpha(c color.NRGBA, opacity float64) color.NRGBA {
	c.A = uint8(math.Round(255 * opacity))
	return c
}

// textStyle is the one typeface of all figures.
func textStyle(size float64, bold bool, c color.Color) text.Style {
	face := font.Font{Typeface: "Liberation", Variant: "Sans", Size: font.Length(size)}
	if bold {
		face.Weight = xfont.WeightBold
	}
	return text.Style{Color: c, Font: face, Handler: plot.DefaultTextHandler, XAlign: draw.XLeft, YAlign: draw.YBottom}
}

// newPlot is an empty plot in the common style.
func newPlot(axes Axes) *plot.Plot {
	p := plot.New()
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Padding = 0
		axis.LineStyle = draw.LineStyle{Color: axisColor, Width: 0.8}
		axis.Tick.LineStyle = axis.LineStyle
		axis.Tick.Length = 4
		restyle(&axis.Tick.Label, tickSize)
		restyle(&axis.Label.TextStyle, labelSize)
		axis.Label.Padding = 5
	}
	p.X.Label.Text, p.Y.Label.Text = axes.X, axes.Y
	p.Y.LineStyle.Width = 0
	hideTicks(&p.Y)
	return p
}

// hideTicks draws them white on white, which keeps the labels at their distance.
func hideTicks(axis *plot.Axis) { axis.Tick.LineStyle.Color = color.White }

// restyle sets typeface and size and keeps the alignment.
func restyle(style *text.Style, size float64) {
	x, y := style.XAlign, style.YAlign
	*style = textStyle(size, false, softInk)
	style.XAlign, style.YAlign = x, y
}
