package augment

import "math"

// A canvas holds a part of a stored image while an input is made from it: a
// pixel is one word with red, green and blue in lanes of 20 bits, so that one
// multiplication weighs all three. Bilinear weights are products of two shares
// of 64, and 255·64·64 < 2²⁰. The last column and the last row stand twice.
type canvas struct {
	pixels []uint64
	stride int
}

const (
	lane  = 20
	mask  = 1<<lane - 1
	steps = 64 // of a pixel, to which positions are rounded
	one   = steps * steps
	// positions are whole numbers of 1/unit pixels.
	unit = 1 << 16
)

// canvases are those at rest; unlike a sync.Pool they outlive garbage
// collections, so that the steady state allocates nothing.
var canvases = make(chan *canvas, 16)

func takeCanvas() *canvas {
	select {
	case c := <-canvases:
		return c
	default:
		return new(canvas)
	}
}

func (c *canvas) giveBack() {
	select {
	case canvases <- c:
	default:
	}
}

// toInput is how red, green and blue, in 0…one·255, become a network's input:
// times scale plus shift.
type toInput struct{ scale, shift [3]float32 }

// normalise is (brightness·value − mean)/std for values in 0…1.
func normalise(brightness float64, mean, std [3]float32) (t toInput) {
	for c := range 3 {
		t.scale[c] = float32(brightness / float64(std[c]) / (255 * one))
		t.shift[c] = float32(-float64(mean[c]) / float64(std[c]))
	}
	return t
}

// Centre writes the view of a stored image that is evaluated, (v/255 − mean)/std,
// into out, which holds inputHeight·inputWidth·3 values. The view is the middle
// of the image, pixel for pixel where the input's sides are at least 5/6 of the
// stored image's, else 5/6 of its sides, resampled.
func Centre(pixels []byte, height, width, inputHeight, inputWidth int, mean, std [3]float32, mirror bool, out []float32) {
	w := centre(height, width, inputHeight, inputWidth)
	p := place(w, 0, mirror, inputHeight, inputWidth)
	t := normalise(1, mean, std)
	c := takeCanvas()
	defer c.giveBack()
	c.render(pixels, height, width, p, &t, inputHeight, inputWidth, out)
}

// render makes an input from a stored image in one resampling: bilinear, the
// image's edge pixels going on outside of it. Where the placement shrinks the
// image twice or more, bilinear sampling would skip pixels; then it samples
// the image shrunk by averaging 2×2, 4×4, … pixels, the largest such square
// with which it still shrinks or keeps the size.
func (c *canvas) render(pixels []byte, height, width int, p placement, t *toInput, inputHeight, inputWidth int, out []float32) {
	level, part := p.fit(height, width, inputHeight, inputWidth)
	c.fill(pixels, width, level, part)
	c.sample(p, part.right-part.left, part.bottom-part.top, t, inputHeight, inputWidth, out)
}

// fit makes the placement one in the part that it touches of the image shrunk
// by 2^level, as render says.
func (p *placement) fit(height, width, inputHeight, inputWidth int) (level int, part rectangle) {
	shrinking := math.Sqrt(math.Abs(p.xx*p.yy - p.xy*p.yx))
	for ; shrinking >= 2 && level < 6 && min(height, width)>>(level+1) > 0; level++ {
		shrinking /= 2
		p.halve()
	}
	left, right := bounds(p.x0, p.xx*float64(inputWidth-1), p.xy*float64(inputHeight-1), width>>level)
	top, bottom := bounds(p.y0, p.yx*float64(inputWidth-1), p.yy*float64(inputHeight-1), height>>level)
	p.x0 -= float64(left)
	p.y0 -= float64(top)
	return level, rectangle{left, top, right, bottom}
}

// fixed is a position in whole units.
func fixed(v float64) int { return int(math.Round(v * unit)) }

// halve makes the placement one in the image of half the size.
func (p *placement) halve() {
	p.xx, p.xy, p.x0 = p.xx/2, p.xy/2, (p.x0+0.5)/2-0.5
	p.yx, p.yy, p.y0 = p.yx/2, p.yy/2, (p.y0+0.5)/2-0.5
}

// bounds are the pixels along one side of the image that positions from start
// to start+a, +b and +a+b touch.
func bounds(start, a, b float64, side int) (first, end int) {
	low, high := start+min(a, 0)+min(b, 0), start+max(a, 0)+max(b, 0)
	limit := float64(side - 1)
	first = int(min(max(math.Floor(low-1), 0), limit))
	end = int(min(max(math.Floor(high+2), 0), limit)) + 1
	return first, end
}

// fill puts a part of a stored image, shrunk by 2^level, onto the canvas.
func (c *canvas) fill(pixels []byte, width, level int, part rectangle) {
	columns, rows := part.right-part.left, part.bottom-part.top
	c.stride = columns + 1
	if need := c.stride * (rows + 1); cap(c.pixels) < need {
		c.pixels = make([]uint64, need)
	} else {
		c.pixels = c.pixels[:need]
	}
	for y := range rows {
		row := c.pixels[y*c.stride:][:c.stride]
		if level == 0 {
			source := pixels[((part.top+y)*width+part.left)*3:][:columns*3]
			for x := range columns {
				p := source[3*x : 3*x+3 : 3*x+3]
				row[x] = uint64(p[0]) | uint64(p[1])<<lane | uint64(p[2])<<(2*lane)
			}
		} else {
			average(row[:columns], pixels, width, level, part.left, part.top+y)
		}
		row[columns] = row[columns-1]
	}
	copy(c.pixels[rows*c.stride:], c.pixels[(rows-1)*c.stride:rows*c.stride])
}

// average fills a row with the means of squares of 2^level pixels.
func average(row []uint64, pixels []byte, width, level, left, top int) {
	side := 1 << level
	half := uint64(1) << (2*level - 1)
	for x := range row {
		sum := half | half<<lane | half<<(2*lane)
		for y := range side {
			source := pixels[((top*side+y)*width+(left+x)*side)*3:][:side*3]
			for ; len(source) >= 3; source = source[3:] {
				sum += uint64(source[0]) | uint64(source[1])<<lane | uint64(source[2])<<(2*lane)
			}
		}
		row[x] = sum >> (2 * level) & (255 | 255<<lane | 255<<(2*lane))
	}
}

// sample makes the input from the canvas, whose image has columns×rows pixels.
func (c *canvas) sample(p placement, columns, rows int, t *toInput, inputHeight, inputWidth int, out []float32) {
	stepX, stepY := fixed(p.xx), fixed(p.yx)
	lastX, lastY := (columns-1)*unit, (rows-1)*unit
	stride, pixels := c.stride, c.pixels
	const rounding = unit / steps / 2
	for row := range inputHeight {
		x := fixed(p.x0+p.xy*float64(row)) + rounding
		y := fixed(p.y0+p.yy*float64(row)) + rounding
		line := out[row*inputWidth*3:][:inputWidth*3]
		for ; len(line) >= 3; line = line[3:] {
			atX, atY := min(max(x, 0), lastX), min(max(y, 0), lastY)
			x += stepX
			y += stepY
			at := atY/unit*stride + atX/unit
			right := uint64(atX) / (unit / steps) % steps
			below := uint64(atY) / (unit / steps) % steps
			both := right * below
			above := pixels[at : at+2 : at+2]
			under := pixels[at+stride : at+stride+2 : at+stride+2]
			sum := above[0]*(one-(right+below)*steps+both) + above[1]*(right*steps-both) +
				under[0]*(below*steps-both) + under[1]*both
			red := float32(int32(sum & mask))
			green := float32(int32(sum >> lane & mask))
			blue := float32(int32(sum >> (2 * lane)))
			line[0] = red*t.scale[0] + t.shift[0]
			line[1] = green*t.scale[1] + t.shift[1]
			line[2] = blue*t.scale[2] + t.shift[2]
		}
	}
}
