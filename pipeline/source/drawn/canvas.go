package drawn

import (
	"image"
	"math"
)

// colour is red, green and blue, 0…255.
type colour [3]float64

func (c colour) mix(d colour, share float64) colour {
	return colour{c[0] + (d[0]-c[0])*share, c[1] + (d[1]-c[1])*share, c[2] + (d[2]-c[2])*share}
}

func (c colour) times(f float64) colour { return colour{c[0] * f, c[1] * f, c[2] * f} }

// A paint says which colour a shape has at a pixel.
type paint func(x, y float64) colour

// A canvas is what is drawn on. Shapes are given in the coordinates of its
// current matrix.
type canvas struct {
	image         *image.RGBA
	width, height int
	matrix        affine
	coverage      []float64 // of the shape being drawn, within its bounding box
}

func newCanvas(width, height int) *canvas {
	return &canvas{
		image: image.NewRGBA(image.Rect(0, 0, width, height)),
		width: width, height: height,
		matrix: affine{a: 1, e: 1},
	}
}

// with draws under another matrix.
func (c *canvas) with(m affine, draw func()) {
	before := c.matrix
	c.matrix = m.then(before)
	draw()
	c.matrix = before
}

// cover paints every pixel.
func (c *canvas) cover(p paint) {
	for y := range c.height {
		row := c.image.Pix[y*c.image.Stride:]
		for x := range c.width {
			colour := p(float64(x), float64(y))
			row[4*x], row[4*x+1], row[4*x+2], row[4*x+3] = clamp(colour[0]), clamp(colour[1]), clamp(colour[2]), 255
		}
	}
}

// fill draws a shape in one colour.
func (c *canvas) fill(s shape, colour colour, opacity float64) {
	c.rasterise(s, func(x0, y, width int, coverage []float64) {
		row := c.image.Pix[y*c.image.Stride+4*x0:]
		sum := 0.0
		for x := range width {
			sum += coverage[x]
			if sum < 1e-3 && sum > -1e-3 {
				continue
			}
			blend(row[4*x:4*x+3:4*x+3], colour, min(math.Abs(sum), 1)*opacity)
		}
	})
}

// shade draws a shape whose colour varies.
func (c *canvas) shade(s shape, p paint) {
	c.rasterise(s, func(x0, y, width int, coverage []float64) {
		row := c.image.Pix[y*c.image.Stride+4*x0:]
		sum := 0.0
		for x := range width {
			sum += coverage[x]
			if sum < 1e-3 && sum > -1e-3 {
				continue
			}
			blend(row[4*x:4*x+3:4*x+3], p(float64(x0+x), float64(y)), min(math.Abs(sum), 1))
		}
	})
}

func blend(pixel []uint8, colour colour, share float64) {
	if share > 0.999 {
		pixel[0], pixel[1], pixel[2] = clamp(colour[0]), clamp(colour[1]), clamp(colour[2])
		return
	}
	pixel[0] = clamp(float64(pixel[0]) + (colour[0]-float64(pixel[0]))*share)
	pixel[1] = clamp(float64(pixel[1]) + (colour[1]-float64(pixel[1]))*share)
	pixel[2] = clamp(float64(pixel[2]) + (colour[2]-float64(pixel[2]))*share)
}

func clamp(v float64) uint8 {
	if v <= 0 {
		return 0
	}
	if v >= 255 {
		return 255
	}
	return uint8(v + 0.5)
}

// rasterise calls row for each row of pixels that the shape may touch. The
// running sum of the coverage it is given is the share of each pixel that is
// inside (signed areas accumulated as in Raph Levien's font-rs).
func (c *canvas) rasterise(s shape, row func(x0, y, width int, coverage []float64)) {
	s = s.moved(c.matrix)
	low, high := point{math.Inf(1), math.Inf(1)}, point{math.Inf(-1), math.Inf(-1)}
	for _, contour := range s {
		for _, p := range contour {
			low.x, low.y = min(low.x, p.x), min(low.y, p.y)
			high.x, high.y = max(high.x, p.x), max(high.y, p.y)
		}
	}
	x0, y0 := max(int(math.Floor(low.x)), 0), max(int(math.Floor(low.y)), 0)
	x1, y1 := min(int(math.Ceil(high.x)), c.width), min(int(math.Ceil(high.y)), c.height)
	if x0 >= x1 || y0 >= y1 {
		return
	}
	width, height := x1-x0, y1-y0
	stride := width + 2
	if len(c.coverage) < stride*height {
		c.coverage = make([]float64, stride*height)
	}
	coverage := c.coverage[:stride*height]
	clear(coverage)
	for _, contour := range s {
		previous := contour[len(contour)-1]
		for _, p := range contour {
			edge(coverage, stride, width, height,
				point{previous.x - float64(x0), previous.y - float64(y0)},
				point{p.x - float64(x0), p.y - float64(y0)})
			previous = p
		}
	}
	for y := range height {
		row(x0, y0+y, width, coverage[y*stride:(y+1)*stride])
	}
}

// edge adds one edge's signed area to the coverage of the pixels it crosses.
func edge(coverage []float64, stride, width, height int, p, q point) {
	if p.y == q.y {
		return
	}
	direction := 1.0
	if p.y > q.y {
		p, q, direction = q, p, -1
	}
	if q.y <= 0 || p.y >= float64(height) {
		return
	}
	slope := (q.x - p.x) / (q.y - p.y)
	x := p.x
	if p.y < 0 {
		x -= p.y * slope
	}
	right := float64(width)
	for y := max(int(p.y), 0); y < min(int(math.Ceil(q.y)), height); y++ {
		line := coverage[y*stride : (y+1)*stride]
		dy := min(float64(y+1), q.y) - max(float64(y), p.y)
		next := x + slope*dy
		d := dy * direction
		left, far := min(max(min(x, next), 0), right), min(max(max(x, next), 0), right)
		first, last := int(left), int(math.Ceil(far))
		if last <= first+1 {
			middle := (left+far)/2 - float64(first)
			line[first] += d * (1 - middle)
			line[first+1] += d * middle
		} else {
			s := 1 / (far - left)
			before := left - float64(first)
			a0 := s * (1 - before) * (1 - before) / 2
			after := far - float64(last) + 1
			am := s * after * after / 2
			line[first] += d * a0
			if last == first+2 {
				line[first+1] += d * (1 - a0 - am)
			} else {
				a1 := s * (1.5 - before)
				line[first+1] += d * (a1 - a0)
				for column := first + 2; column < last-1; column++ {
					line[column] += d * s
				}
				a2 := a1 + float64(last-first-3)*s
				line[last-1] += d * (1 - a2 - am)
			}
			line[last] += d * am
		}
		x = next
	}
}
