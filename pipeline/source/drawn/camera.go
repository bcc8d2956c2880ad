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
	if r.chance(0.12) { // a dim room
		e.gain *= r.between(0.3, 0.6)
		e.grain += r.between(4, 14)
	}
	if r.chance(0.05) { // overexposed
		e.gain *= r.between(1.3, 1.7)
	}
	if r.chance(0.35) {
		e.blur = int(s * r.between(0.002, 0.014))
	}
	if r.chance(0.1) {
		e.motion = int(s * r.between(0.01, 0.03))
	}
	return e
}

// grains are normally distributed with a standard deviation of 64.
var grains = func() (values [1 << 16]int8) {
	r := newRandom(0, "grain")
	for i := range values {
		values[i] = int8(min(max(r.normal(0, 42), -127), 127))
	}
	return values
}()

// shoot turns what is on the canvas into the photo of it.
func (c *canvas) shoot(e exposure, r *random) {
	if e.blur > 0 {
		c.blur(e.blur, e.blur)
		c.blur(e.blur, e.blur)
	}
	if e.motion > 0 {
		c.blur(e.motion, 0)
	}
	var table [3][256]float64
	for channel := range table {
		for value := range table[channel] {
			table[channel][value] = ((float64(value)-128)*e.contrast + 128) * e.gain * e.cast[channel]
		}
	}
	sin, cos := math.Sincos(e.lightAngle)
	w, h := float64(c.width), float64(c.height)
	grain := int(e.grain / 42 * 256)
	for y := range c.height {
		row := c.image.Pix[y*c.image.Stride:][:4*c.width]
		v := (float64(y)/h - 0.5) * 2
		at := int(r.next() & 0xffff)
		for x := range c.width {
			u := (float64(x)/w - 0.5) * 2
			light := (1 - e.vignette*(u*u+v*v)*0.5) * (1 + e.light*(u*cos+v*sin)*0.5)
			pixel := row[4*x : 4*x+3 : 4*x+3]
			speck := float64(int(grains[(at+x)&0xffff])*grain>>8) + 0.5
			pixel[0] = clampDown(table[0][pixel[0]]*light + speck)
			pixel[1] = clampDown(table[1][pixel[1]]*light + speck)
			pixel[2] = clampDown(table[2][pixel[2]]*light + speck)
		}
	}
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
