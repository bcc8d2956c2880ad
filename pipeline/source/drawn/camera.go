package drawn

import "math"

// exposure is how a scene becomes a photo.
type exposure struct {
	gain, contrast float64
	cast           colour // factor of each channel
	vignette       float64
	light          float64 // how much brighter the lit side is
	lightAngle     float64
	grain          float64 // standard deviation of the noise
	blur, motion   int     // radius in pixels
}

func newExposure(r *random, s float64) exposure {
	e := exposure{
		gain:       r.normal(1, 0.14),
		contrast:   r.normal(1, 0.13),
		cast:       colour{r.normal(1, 0.06), r.normal(1, 0.03), r.normal(1, 0.07)},
		vignette:   max(0, r.normal(0.15, 0.2)),
		light:      r.between(0, 0.5),
		lightAngle: r.between(0, 2*math.Pi),
		grain:      max(1, r.normal(4, 3)),
	}
	if r.chance(0.08) { // a dim room
		e.gain *= r.between(0.3, 0.6)
		e.grain += r.between(4, 14)
	}
	if r.chance(0.05) { // overexposed
		e.gain *= r.between(1.3, 1.7)
	}
	if r.chance(0.3) {
		e.blur = int(s * r.between(0.002, 0.014))
	}
	if r.chance(0.07) {
		e.motion = int(s * r.between(0.01, 0.03))
	}
	return e
}

// grains are normally distributed with a standard deviation of 42.
var grains = func() (values [1 << 16]int8) {
	r := newRandom(0, "grain")
	for i := range values {
		values[i] = int8(min(max(r.normal(0, 42), -127), 127))
	}
	return values
}()

// shoot turns what is on the canvas into the photo of it, of the given size:
// blurred, interpolated, lit and grained.
func (c *canvas) shoot(e exposure, r *random, width, height int) *canvas {
	if e.blur > 0 {
		c.blur(e.blur, e.blur)
		c.blur(e.blur, e.blur)
	}
	if e.motion > 0 {
		c.blur(e.motion, 0)
	}
	const levels = 256 // of a value between two of the canvas's
	var table [3][256]float64
	for channel := range table {
		for value := range table[channel] {
			table[channel][value] = ((float64(value)-128)*e.contrast + 128) * e.gain * e.cast[channel]
		}
	}
	photo := newCanvas(width, height)
	columns := make([]between, width)
	for x := range columns {
		columns[x] = interpolate(x, width, c.width)
	}
	line := make([]int, 3*c.width)
	sin, cos := math.Sincos(e.lightAngle)
	grain := int(e.grain / 42 * 256)
	for y := range height {
		row := interpolate(y, height, c.height)
		upper, lower := c.image.Pix[row.from*c.image.Stride:], c.image.Pix[row.to*c.image.Stride:]
		for x := range c.width {
			a, b, out := upper[4*x:4*x+3:4*x+3], lower[4*x:4*x+3:4*x+3], line[3*x:3*x+3:3*x+3]
			out[0] = int(a[0])*(levels-row.share) + int(b[0])*row.share
			out[1] = int(a[1])*(levels-row.share) + int(b[1])*row.share
			out[2] = int(a[2])*(levels-row.share) + int(b[2])*row.share
		}
		pixels := photo.image.Pix[y*photo.image.Stride:][:4*width]
		v := (float64(y)/float64(height) - 0.5) * 2
		at := int(r.next() & 0xffff)
		for x, column := range columns {
			u := (float64(x)/float64(width) - 0.5) * 2
			light := (1 - e.vignette*(u*u+v*v)*0.5) * (1 + e.light*(u*cos+v*sin)*0.5)
			speck := float64(int(grains[(at+x)&0xffff])*grain>>8) + 0.5
			a, b := line[3*column.from:3*column.from+3], line[3*column.to:3*column.to+3]
			keep, share := levels-column.share, column.share
			pixel := pixels[4*x : 4*x+4 : 4*x+4]
			pixel[0] = clampDown(table[0][uint8((a[0]*keep+b[0]*share)>>16)]*light + speck)
			pixel[1] = clampDown(table[1][uint8((a[1]*keep+b[1]*share)>>16)]*light + speck)
			pixel[2] = clampDown(table[2][uint8((a[2]*keep+b[2]*share)>>16)]*light + speck)
			pixel[3] = 255
		}
	}
	return photo
}

// between says how a value is mixed from two neighbours: share of 256 of to.
type between struct{ from, to, share int }

// interpolate is where the middle of pixel i of n lies among m pixels.
func interpolate(i, n, m int) between {
	at := max(0, (2*i+1)*m*128/n-128)
	from := at >> 8
	return between{from, min(from+1, m-1), at & 255}
}

func clampDown(v float64) uint8 {
	if v <= 0 {
		return 0
	}
	if v >= 255 {
		return 255
	}
	return uint8(v)
}

// blur averages over (2·across+1)×(2·down+1) pixels.
func (c *canvas) blur(across, down int) {
	line := make([]uint8, 4*max(c.width, c.height))
	if across > 0 {
		for y := range c.height {
			average(c.image.Pix[y*c.image.Stride:], 4, c.width, across, line)
		}
	}
	if down > 0 {
		for x := range c.width {
			average(c.image.Pix[4*x:], c.image.Stride, c.height, down, line)
		}
	}
}

// average blurs n pixels that lie step bytes apart; beyond the ends the last
// pixel is repeated.
func average(pixels []uint8, step, n, radius int, line []uint8) {
	for i := range n {
		copy(line[4*i:4*i+3], pixels[i*step:i*step+3])
	}
	at := func(i int) int { return 4 * min(max(i, 0), n-1) }
	var sum [3]int
	for i := -radius; i <= radius; i++ {
		for channel := range sum {
			sum[channel] += int(line[at(i)+channel])
		}
	}
	reciprocal := (1<<24)/(2*radius+1) + 1
	for i := range n {
		in, out := at(i+radius+1), at(i-radius)
		for channel := range sum {
			pixels[i*step+channel] = uint8(sum[channel] * reciprocal >> 24)
			sum[channel] += int(line[in+channel]) - int(line[out+channel])
		}
	}
}
