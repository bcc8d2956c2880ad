package augment

import (
	"math"

	"catdog/pipeline/params"
)

// A view says how an input is made from a stored image.
type view struct {
	place placement
	// brightness is a factor of all values, which are not clipped.
	brightness float64
}

// A placement maps the input's pixels to the stored image's: input pixel (x, y)
// shows the stored image at (xx·x + xy·y + x0, yx·x + yy·y + y0), where whole
// numbers are the centres of pixels.
type placement struct{ xx, xy, x0, yx, yy, y0 float64 }

// A rectangle holds the pixels with left ≤ x < right and top ≤ y < bottom.
type rectangle struct{ left, top, right, bottom int }

func (r rectangle) area() int { return (r.right - r.left) * (r.bottom - r.top) }

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
	drawRotation
	drawBrightness
)

// draw decides how an image is varied.
func draw(random stream, o *Options) view {
	a := &o.Augment
	w := o.centre()
	if a.Scale < 1 || a.Aspect > 1 {
		w = crop(random, a, o.Height, o.Width)
	}
	angle := random.between(drawRotation, -a.Rotation, a.Rotation) * math.Pi / 180
	mirror := a.Flip && random.uniform(drawFlip) < 0.5
	return view{
		place:      place(w, angle, mirror, o.InputHeight, o.InputWidth),
		brightness: random.between(drawBrightness, 1-a.Brightness, 1+a.Brightness),
	}
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

// centre is the window that is evaluated, and trained on without random crops:
// as large as the input, pixel for pixel, but at least 5/6 of the stored
// image's sides and at most all of them.
func centre(height, width, inputHeight, inputWidth int) window {
	x, w := centreSide(width, inputWidth)
	y, h := centreSide(height, inputHeight)
	return window{x, y, w, h}
}

func centreSide(stored, input int) (middle, side float64) {
	if input <= stored && 6*input >= 5*stored {
		return float64((stored-input)/2) + float64(input)/2, float64(input)
	}
	return float64(stored) / 2, min(float64(stored), max(float64(input), float64(stored)*5/6))
}

func (o *Options) centre() window {
	return centre(o.Height, o.Width, o.InputHeight, o.InputWidth)
}

// place fills the input with a window that is turned about its middle by an
// angle in radians, after mirroring.
func place(w window, angle float64, mirror bool, inputHeight, inputWidth int) placement {
	sin, cos := math.Sincos(angle)
	across, down := w.width/float64(inputWidth), w.height/float64(inputHeight)
	if mirror {
		across = -across
	}
	p := placement{xx: cos * across, xy: -sin * down, yx: sin * across, yy: cos * down}
	middleX, middleY := float64(inputWidth-1)/2, float64(inputHeight-1)/2
	p.x0 = w.x - 0.5 - p.xx*middleX - p.xy*middleY
	p.y0 = w.y - 0.5 - p.yx*middleX - p.yy*middleY
	return p
}

// CentreOffset is, along one side, the first of the stored image's pixels that
// Centre shows; false where Centre resamples the image.
func CentreOffset(stored, input int) (first int, exactly bool) {
	middle, side := centreSide(stored, input)
	return int(middle - side/2), side == float64(input)
}
