package augment

import (
	"math"

	"catdog/pipeline/params"
)

// A view says how an input is made from a stored image.
type view struct {
	across, down axis
	// brightness is a factor of all values, which are not clipped.
	brightness float64
}

// An axis maps the input's pixels along one side to the stored image's: pixel i
// shows the image at start + i·step, where whole numbers are the centres of
// pixels.
type axis struct{ start, step float64 }

// fill maps an input's side to the part of an image's side about a middle.
func fill(middle, side float64, input int) axis {
	step := side / float64(input)
	return axis{middle - 0.5 - step*float64(input-1)/2, step}
}

// mirror turns the axis round.
func (a *axis) mirror(input int) {
	a.start, a.step = a.start+a.step*float64(input-1), -a.step
}

// halve makes the axis one in the image of half the size.
func (a *axis) halve() {
	a.start, a.step = (a.start+0.5)/2-0.5, a.step/2
}

// A window is the part of a stored image that fills the input: its centre and
// sides in pixels, where pixel i reaches from i to i+1.
type window struct{ x, y, width, height float64 }

// What an image's random numbers decide. Each has its own, so that switching
// one thing on changes nothing else.
const (
	drawFlip = iota
	drawArea
	drawAspect
	drawX
	drawY
	drawBrightness
)

// draw decides how an image is varied.
func draw(random stream, o *Options) view {
	a := &o.Augment
	w := centre(o.Height, o.Width, o.InputHeight, o.InputWidth)
	if a.Scale < 1 || a.Aspect > 1 {
		w = crop(random, a, o.Height, o.Width)
	}
	v := w.view(o.InputHeight, o.InputWidth)
	if a.Flip && random.uniform(drawFlip) < 0.5 {
		v.across.mirror(o.InputWidth)
	}
	v.brightness = random.between(drawBrightness, 1-a.Brightness, 1+a.Brightness)
	return v
}

// crop is a random window of a stored image. The logarithm of its aspect ratio's
// change is uniform in ±log(aspect), its share of the area in [scale, 1] or
// the most that fits with that aspect ratio, its place uniform.
func crop(random stream, a *params.Augment, height, width int) window {
	change := random.between(drawAspect, -math.Log(a.Aspect), math.Log(a.Aspect))
	area := min(random.between(drawArea, a.Scale, 1), math.Exp(-math.Abs(change)))
	aspect := math.Exp(change)
	w := window{
		width:  min(1, math.Sqrt(area*aspect)) * float64(width),
		height: min(1, math.Sqrt(area/aspect)) * float64(height),
	}
	w.x = w.width/2 + random.uniform(drawX)*(float64(width)-w.width)
	w.y = w.height/2 + random.uniform(drawY)*(float64(height)-w.height)
	return w
}

// view fills the input with a window.
func (w window) view(inputHeight, inputWidth int) view {
	return view{across: fill(w.x, w.width, inputWidth), down: fill(w.y, w.height, inputHeight), brightness: 1}
}
