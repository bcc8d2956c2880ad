// Package present shows a network to people: as a table and as a drawing. It
// is apart from package network so that a better drawing retrains nothing.
package present

import (
	"bytes"
	"fmt"
	"html"
	"math"
	"unicode/utf8"

	"catdog/pipeline/network"
)

// Measures of the drawing, in px.
const (
	margin     = 16.0
	panelTop   = 16.0
	middle     = 150.0 // where data flows
	captionTop = 246.0
	panelGap   = 26.0
	padding    = 16.0 // within a panel, left and right
	gap        = 22.0 // between feature maps
	tallest    = 118.0
	plusRadius = 8.0
	lineHeight = 15.0
	glyphWidth = 6.1 // of the captions' letters, on average
	classesMax = 6   // drawn one by one; more are shortened
	classGap   = 24.0
)

// A fill is the colours of a box's front, top and side.
type fill struct{ front, top, side string }

var (
	imageFill = fill{"#9aa5b1", "#c3cad2", "#7b8794"}
	blockFill = fill{"#4c78a8", "#86a9cd", "#365a82"}
	poolFill  = fill{"#e08a3c", "#f0b584", "#b96b25"}
	headFill  = fill{"#5a9e6f", "#94c6a3", "#427a54"}
)

const (
	ink   = "#1f2933"
	faint = "#616e7c"
)

// A drawing is an SVG that grows to the right.
type drawing struct {
	body    bytes.Buffer
	x       float64 // where the next thing begins
	from    float64 // where the last arrow's data came from, 0 at the start
	largest float64 // side of the largest feature map
	bottom  float64
}

// SVG is a drawing of the network: a panel for the image, for each block and
// for the head, with the feature maps as boxes (height and depth by the sides
// of the map, thickness by its channels), arrows for skip connections, and
// shapes and parameters in words.
func SVG(d *network.Description) []byte {
	g := &drawing{x: margin, largest: float64(max(d.Input.Height, d.Input.Width))}
	g.panel("image", []string{d.Input.String()}, func() { g.box(d.Input, imageFill) })

	i := 0
	for block := 1; d.Layers[i].Kind == network.Convolution; block++ {
		end := i + 2
		for end+3 < len(d.Layers) && d.Layers[end].Kind == network.Convolution && d.Layers[end+3].Skip >= 0 {
			end += 4
		}
		g.block(d, block, i, end)
		i = end
	}
	g.head(d, i)

	var legend bytes.Buffer
	x, height := margin, g.bottom+42
	for _, entry := range []struct {
		fill
		words string
	}{{blockFill, "convolution, batch normalisation, ReLU"}, {poolFill, "pooling"}, {headFill, "dense"}} {
		fmt.Fprintf(&legend, `<rect x="%.1f" y="%.1f" width="10" height="10" rx="2" fill="%s"/>`+"\n", x, height-24, entry.front)
		fmt.Fprintf(&legend, `<text x="%.1f" y="%.1f" fill="%s">%s</text>`+"\n", x+15, height-15, faint, entry.words)
		x += 35 + glyphWidth*float64(len(entry.words))
	}
	totals := fmt.Sprintf("%s parameters, %s multiply-adds an image", number(d.ParameterCount()), number(d.MultiplyAdds()))
	width := max(g.x-panelGap, x+glyphWidth*float64(len(totals))) + margin
	fmt.Fprintf(&legend, `<text x="%.1f" y="%.1f" text-anchor="end" fill="%s">%s</text>`+"\n", width-margin, height-15, faint, totals)

	var out bytes.Buffer
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%.0f" viewBox="0 0 %.0f %.0f" font-family="Liberation Sans, Helvetica, Arial, sans-serif" font-size="11">
<defs><marker id="tip" markerUnits="userSpaceOnUse" markerWidth="7" markerHeight="8" refX="6" refY="4" orient="auto"><path d="M0,0.5 L7,4 L0,7.5 z" fill="%s"/></marker></defs>
<rect width="100%%" height="100%%" fill="#ffffff"/>
`, width, height, width, height, ink)
	out.Write(g.body.Bytes())
	out.Write(legend.Bytes())
	out.WriteString("</svg>\n")
	return out.Bytes()
}

// block draws the layers from ≤ i < to: a convolution and its residual pairs,
// which are all alike, so that one is drawn for all.
func (g *drawing) block(d *network.Description, index, from, to int) {
	pool, pairs := d.Layers[from+1].Pool, (to-from-2)/4
	lines := []string{d.Layers[to-1].Out.String(), fmt.Sprintf("convolution %d×%d", d.Layers[from].Kernel, d.Layers[from].Kernel)}
	if pool > 1 {
		lines = append(lines, fmt.Sprintf("max pool %d×%d", pool, pool))
	}
	switch {
	case pairs == 1:
		lines = append(lines, "residual pair")
	case pairs > 1:
		lines = append(lines, fmt.Sprintf("%d residual pairs", pairs))
	}
	parameters := 0
	for i := from; i < to; i++ {
		learnt, _ := d.Count(i)
		parameters += learnt
	}
	lines = append(lines, number(parameters)+" parameters")
	g.panel(fmt.Sprintf("block %d", index), lines, func() {
		g.box(d.Layers[from].Out, blockFill)
		if pool > 1 {
			g.box(d.Layers[from+1].Out, poolFill)
		}
		if pairs > 0 {
			g.pair(d.Layers[from+2].Out, pairs)
		}
	})
}

// head draws everything from layer from on.
func (g *drawing) head(d *network.Description, from int) {
	lines := []string{fmt.Sprintf("%d classes", len(d.Classes))}
	parameters := 0
	for i := from; i < len(d.Layers); i++ {
		switch layer := d.Layers[i]; layer.Kind {
		case network.GlobalPool, network.Dropout:
			lines = append(lines, computes(d, layer))
		case network.Dense:
			if layer.In.Height*layer.In.Width > 1 {
				lines = append(lines, "flatten")
			}
			lines = append(lines, "dense")
			parameters, _ = d.Count(i)
		}
	}
	lines = append(lines, number(parameters)+" parameters")
	g.panel("head", lines, func() {
		if d.Layers[from].Kind == network.GlobalPool {
			g.box(d.Layers[from].Out, poolFill)
		}
		g.classes(d.Classes)
	})
}

// panel draws a frame with a title around what content draws, and lines of
// words below it.
func (g *drawing) panel(title string, lines []string, content func()) {
	body := g.body
	g.body = bytes.Buffer{}
	left := g.x
	g.x += padding
	content()
	width := g.x - gap + padding - left
	for _, line := range lines {
		width = max(width, glyphWidth*float64(utf8.RuneCountInString(line))+2*padding)
	}
	inside := g.body
	g.body = body
	fmt.Fprintf(&g.body, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="8" fill="#f5f7fa" stroke="#d9dee5"/>`+"\n", left, panelTop, width, captionTop-panelTop-6)
	fmt.Fprintf(&g.body, `<text x="%.1f" y="%.1f" font-size="13" font-weight="bold" fill="%s">%s</text>`+"\n", left+12, panelTop+20, ink, title)
	g.body.Write(inside.Bytes())
	for i, line := range lines {
		colour := faint
		if i == 0 {
			colour = ink
		}
		y := captionTop + 12 + lineHeight*float64(i)
		fmt.Fprintf(&g.body, `<text x="%.1f" y="%.1f" fill="%s">%s</text>`+"\n", left+12, y, colour, line)
		g.bottom = max(g.bottom, y)
	}
	g.x = left + width + panelGap
}

// size is the drawn height of a feature map's side.
func (g *drawing) size(side int) float64 {
	return 8 + (tallest-8)*math.Pow(float64(side)/g.largest, 0.6)
}

// box draws a feature map, and the arrow to it.
func (g *drawing) box(shape network.Shape, colours fill) {
	height, depth := g.size(shape.Height), g.size(shape.Width)
	thickness := min(3+1.5*math.Sqrt(float64(shape.Channels)), 48)
	dx, dy := 0.26*depth, 0.2*depth
	top, bottom := middle-height/2+dy/2, middle+height/2+dy/2
	left, right := g.x, g.x+thickness
	g.arrow(left)
	g.polygon(colours.side, right, top, right+dx, top-dy, right+dx, bottom-dy, right, bottom)
	g.polygon(colours.top, left, top, left+dx, top-dy, right+dx, top-dy, right, top)
	g.polygon(colours.front, left, top, right, top, right, bottom, left, bottom)
	g.from = right + dx/2
	g.x = right + dx + gap
}

// pair draws two convolutions and the skip connection around them; times more
// than one is written beside it.
func (g *drawing) pair(shape network.Shape, times int) {
	fork := g.x - gap/2
	g.box(shape, blockFill)
	g.box(shape, blockFill)
	plus := g.x + plusRadius
	g.arrow(plus - plusRadius)
	over := middle - g.size(shape.Height)/2 - 0.1*g.size(shape.Width) - 18
	fmt.Fprintf(&g.body, `<circle cx="%.1f" cy="%.1f" r="2.5" fill="%s"/>`+"\n", fork, middle, ink)
	fmt.Fprintf(&g.body, `<path d="M%.1f,%.1f V%.1f q0,-10 10,-10 H%.1f q10,0 10,10 V%.1f" fill="none" stroke="%s" stroke-width="1.3" marker-end="url(#tip)"/>`+"\n",
		fork, middle, over+10, plus-10, middle-plusRadius, ink)
	fmt.Fprintf(&g.body, `<circle cx="%.1f" cy="%.1f" r="%.1f" fill="#ffffff" stroke="%s" stroke-width="1.3"/>`+"\n", plus, middle, plusRadius, ink)
	fmt.Fprintf(&g.body, `<path d="M%.1f,%.1f h8 m-4,-4 v8" stroke="%s" stroke-width="1.3"/>`+"\n", plus-4, middle, ink)
	if times > 1 {
		fmt.Fprintf(&g.body, `<text x="%.1f" y="%.1f" text-anchor="middle" font-weight="bold" fill="%s">× %d</text>`+"\n", (fork+plus)/2, over-6, ink, times)
	}
	g.from = plus + plusRadius
	g.x = g.from + gap
}

// classes draws the outputs of the dense layer, each fed by all that went in.
func (g *drawing) classes(names []string) {
	shown := make([]string, 0, classesMax)
	for i, name := range names {
		if len(names) > classesMax && i == classesMax-2 {
			shown = append(shown, "…", short(names[len(names)-1]))
			break
		}
		shown = append(shown, short(name))
	}
	centre, widest := g.x+gap, 0
	for i, name := range shown {
		y := middle + (float64(i)-float64(len(shown)-1)/2)*classGap
		if name != "…" {
			fmt.Fprintf(&g.body, `<path d="M%.1f,%.1f L%.1f,%.1f" stroke="%s" stroke-width="1.3" marker-end="url(#tip)"/>`+"\n", g.from, middle, centre-7, y, ink)
			fmt.Fprintf(&g.body, `<circle cx="%.1f" cy="%.1f" r="6" fill="%s"/>`+"\n", centre, y, headFill.front)
		}
		fmt.Fprintf(&g.body, `<text x="%.1f" y="%.1f" fill="%s">%s</text>`+"\n", centre+12, y+4, ink, html.EscapeString(name))
		widest = max(widest, utf8.RuneCountInString(name))
	}
	g.x = centre + 12 + glyphWidth*float64(widest) + gap
}

// short is name cut to what has room beside its circle.
func short(name string) string {
	const most = 20
	if runes := []rune(name); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return name
}

// arrow draws the way of the data from where it was last to x.
func (g *drawing) arrow(x float64) {
	if g.from > 0 {
		fmt.Fprintf(&g.body, `<path d="M%.1f,%.1f H%.1f" stroke="%s" stroke-width="1.3" marker-end="url(#tip)"/>`+"\n", g.from, middle, x-1, ink)
	}
}

func (g *drawing) polygon(colour string, points ...float64) {
	fmt.Fprintf(&g.body, `<polygon fill="%s" stroke="#ffffff" stroke-width="0.6" points="`, colour)
	for i := 0; i < len(points); i += 2 {
		fmt.Fprintf(&g.body, "%.1f,%.1f ", points[i], points[i+1])
	}
	g.body.WriteString("\"/>\n")
}
