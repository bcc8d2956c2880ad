package plot

import (
	"fmt"
	"math"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// A Group is a set of values under one name, e.g. a class.
type Group struct {
	Name   string
	Values []float64
}

// Histogram draws how often values fall into each of bins equal intervals,
// the groups over each other. Values beyond XLimits are not drawn; the axis
// says how many they are.
func Histogram(path string, axes Axes, bins int, groups ...Group) error {
	if err := axes.check(); err != nil {
		return fmt.Errorf("draw %s: %w", path, err)
	}
	if bins < 1 {
		return fmt.Errorf("draw %s: %d bins", path, bins)
	}
	x := emptySpan()
	for _, group := range groups {
		x.add(group.Values...)
	}
	if axes.XLimits != nil {
		x = span{axes.XLimits[0], axes.XLimits[1]}
	}
	x = x.widened()
	width := (x.max - x.min) / float64(bins)
	counts := make([][]float64, len(groups))
	highest, beyond, within := 0.0, 0, 0
	for g, group := range groups {
		counts[g] = make([]float64, bins)
		for _, value := range group.Values {
			switch {
			case !drawable(value):
			case value < x.min || value > x.max:
				beyond++
			default:
				bin := min(int((value-x.min)/width), bins-1)
				counts[g][bin]++
				highest = math.Max(highest, counts[g][bin])
				within++
			}
		}
	}
	if beyond > 0 {
		axes.X += fmt.Sprintf(" (%s beyond)", grouped(strconv.Itoa(beyond)))
	}
	f := newFigure(axes, x, span{0, math.Max(highest, 1)}, false, true)
	f.empty = within == 0
	for g, group := range groups {
		shade := colorOf(g)
		f.plot.Add(plotterFunc(func(c draw.Canvas, p *plot.Plot) {
			toX, toY := p.Transforms(&c)
			outline := []vg.Point{{X: toX(x.min), Y: toY(0)}}
			for bin, count := range counts[g] {
				left, right := x.min+float64(bin)*width, x.min+float64(bin+1)*width
				outline = append(outline, vg.Point{X: toX(left), Y: toY(count)}, vg.Point{X: toX(right), Y: toY(count)})
			}
			outline = append(outline, vg.Point{X: toX(x.max), Y: toY(0)})
			c.FillPolygon(withAlpha(shade, 0.2), c.ClipPolygonXY(outline))
			style := lineStyle(shade, false)
			style.Width = 1.3
			c.StrokeLines(style, c.ClipLinesXY(outline)...)
		}))
		if group.Name != "" {
			f.legend = append(f.legend, entry{group.Name, boxMark, withAlpha(shade, 0.75)})
		}
	}
	if err := folderOf(path); err != nil {
		return err
	}
	return f.write(path)
}

// Bars draws a bar for each category and group; Values of a group are in the
// order of the categories. Few bars carry their value.
func Bars(path string, axes Axes, categories []string, groups ...Group) error {
	if err := axes.check(); err != nil {
		return fmt.Errorf("draw %s: %w", path, err)
	}
	var values []float64
	y := span{0, 0}
	for _, group := range groups {
		if len(group.Values) != len(categories) {
			return fmt.Errorf("draw %s: group %q: %d values for %d categories", path, group.Name, len(group.Values), len(categories))
		}
		values = append(values, group.Values...)
	}
	y.add(values...)
	if y.min == y.max {
		y.max = 1
	}
	axes.XLimits = &[2]float64{-0.5, math.Max(float64(len(categories))-0.5, 0.5)}
	f := newFigure(axes, emptySpan(), y, true, areWhole(values) && !axes.YPercent)
	f.empty = len(values) == 0
	var ticks plot.ConstantTicks
	for i, category := range categories {
		ticks = append(ticks, plot.Tick{Value: float64(i), Label: category})
	}
	f.plot.X.Tick.Marker = ticks
	hideTicks(&f.plot.X)
	step := span{f.plot.Y.Min, f.plot.Y.Max}.step(50, areWhole(values) && !axes.YPercent)
	const share = 0.76 // of a category's width that its bars take
	for g, group := range groups {
		shade := colorOf(g)
		f.plot.Add(plotterFunc(func(c draw.Canvas, p *plot.Plot) {
			toX, toY := p.Transforms(&c)
			style := textStyle(tickSize-1, false, softInk)
			style.XAlign = draw.XCenter
			barWidth := share / float64(len(groups))
			for i, value := range group.Values {
				if !drawable(value) {
					continue
				}
				left := float64(i) - share/2 + float64(g)*barWidth
				bar := []vg.Point{
					{X: toX(left) + 0.5, Y: toY(0)}, {X: toX(left), Y: toY(value)},
					{X: toX(left+barWidth) - 0.5, Y: toY(value)}, {X: toX(left+barWidth) - 0.5, Y: toY(0)},
				}
				bar[1].X = bar[0].X
				c.FillPolygon(shade, c.ClipPolygonXY(bar))
				if len(values) <= 16 && value >= p.Y.Min && value <= p.Y.Max {
					c.FillText(style, vg.Point{X: toX(left + barWidth/2), Y: toY(math.Max(value, 0)) + 2}, label(value, step, axes.YPercent))
				}
			}
		}))
		if group.Name != "" {
			f.legend = append(f.legend, entry{group.Name, boxMark, shade})
		}
	}
	if err := folderOf(path); err != nil {
		return err
	}
	return f.write(path)
}
