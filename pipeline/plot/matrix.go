package plot

import (
	"fmt"
	"image/color"
	"math"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Matrix draws a confusion matrix: counts[i][j] is how many things of class i
// (a row, from the top) were taken for class j (a column). A cell's colour and
// second line are its share of the row.
func Matrix(path string, axes Axes, labels []string, counts [][]int) error {
	n := len(labels)
	if len(counts) != n {
		return fmt.Errorf("draw %s: %d rows for %d labels", path, len(counts), n)
	}
	for i, row := range counts {
		if len(row) != n {
			return fmt.Errorf("draw %s: row %d has %d cells for %d labels", path, i, len(row), n)
		}
	}
	size := math.Max(float64(n), 1)
	axes.XLimits, axes.YLimits, axes.Square = &[2]float64{0, size}, &[2]float64{0, size}, true
	f := newFigure(axes, emptySpan(), emptySpan(), true, true)
	f.empty = n == 0
	var columns, rows plot.ConstantTicks
	for i, name := range labels {
		columns = append(columns, plot.Tick{Value: float64(i) + 0.5, Label: name})
		rows = append(rows, plot.Tick{Value: size - float64(i) - 0.5, Label: name})
	}
	f.plot.X.Tick.Marker, f.plot.X.LineStyle.Width = columns, 0
	f.plot.Y.Tick.Marker = rows
	hideTicks(&f.plot.X)
	if n > 5 {
		f.plot.X.Tick.Label.Rotation, f.plot.X.Tick.Length = math.Pi/3, 9
		f.plot.X.Tick.Label.XAlign, f.plot.X.Tick.Label.YAlign = draw.XRight, draw.YCenter
	}
	f.plot.Add(plotterFunc(func(c draw.Canvas, p *plot.Plot) {
		toX, toY := p.Transforms(&c)
		for i, row := range counts {
			total := 0
			for _, count := range row {
				total += max(count, 0)
			}
			for j, count := range row {
				share := 0.0
				if total > 0 {
					share = float64(max(count, 0)) / float64(total)
				}
				box := vg.Rectangle{
					Min: vg.Point{X: toX(float64(j)) + 1, Y: toY(size-float64(i)-1) + 1},
					Max: vg.Point{X: toX(float64(j)+1) - 1, Y: toY(size-float64(i)) - 1},
				}
				c.SetColor(blend(share))
				c.Fill(box.Path())
				drawCell(c, box, count, share, n)
			}
		}
	}))
	if err := folderOf(path); err != nil {
		return err
	}
	return f.write(path)
}

// drawCell writes a cell's count and, where there is room, its share.
func drawCell(c draw.Canvas, box vg.Rectangle, count int, share float64, n int) {
	if n > 14 {
		return
	}
	shade := color.Color(ink)
	if share > 0.5 {
		shade = color.White
	}
	centre := vg.Point{X: (box.Min.X + box.Max.X) / 2, Y: (box.Min.Y + box.Max.Y) / 2}
	style := textStyle(tickSize, false, shade)
	style.XAlign, style.YAlign = draw.XCenter, draw.YCenter
	if n > 5 {
		c.FillText(style, centre, strconv.Itoa(count))
		return
	}
	big := textStyle(titleSize+3, true, shade)
	big.XAlign, big.YAlign = draw.XCenter, draw.YCenter
	c.FillText(big, vg.Point{X: centre.X, Y: centre.Y + 9}, grouped(strconv.Itoa(count)))
	c.FillText(style, vg.Point{X: centre.X, Y: centre.Y - 9}, strconv.FormatFloat(100*share, 'f', 1, 64)+"%")
}

// blend goes from near white to the palette's blue.
func blend(share float64) color.NRGBA {
	from, to := color.NRGBA{0xf2, 0xf6, 0xfa, 0xff}, palette[0]
	mix := func(a, b uint8) uint8 { return uint8(math.Round(float64(a) + share*(float64(b)-float64(a)))) }
	return color.NRGBA{mix(from.R, to.R), mix(from.G, to.G), mix(from.B, to.B), 0xff}
}
