package drawn

import "math"

// A figure is an animal being drawn: lengths are in radiuses of its head, and
// the head's middle is 0, 0.
type figure struct {
	*animal
	c *canvas
	r *random
	// light is from where the light falls on the animal.
	light point
}

// body fills a shape with fur, rounded by light and dark as if its middle
// bulged, with the pen's line around it.
func (f *figure) body(s shape, face, bulge float64) {
	s = s.ruffled(f.r, f.fluff)
	inverse := f.c.matrix.inverse()
	middle, radius := s.extent()
	if f.outline > 0 {
		f.c.fill(s.rim(f.outline*2), f.fur.base.times(0.25), 0.9)
	}
	f.c.shade(s, func(x, y float64) colour {
		p := inverse.apply(point{x, y})
		dx, dy := (p.x-middle.x)/radius.x, (p.y-middle.y)/radius.y
		lit := 1 + bulge*(dx*f.light.x+dy*f.light.y) - bulge*0.45*(dx*dx+dy*dy)
		return f.fur.at(p.x, p.y, face*max(0, 1-0.5*(dx*dx+dy*dy))).times(lit)
	})
}

// extent is the middle and half the size of the shape's first contour.
func (s shape) extent() (middle, half point) {
	low, high := s[0][0], s[0][0]
	for _, p := range s[0] {
		low.x, low.y = min(low.x, p.x), min(low.y, p.y)
		high.x, high.y = max(high.x, p.x), max(high.y, p.y)
	}
	return point{(low.x + high.x) / 2, (low.y + high.y) / 2},
		point{(high.x-low.x)/2 + 1e-6, (high.y-low.y)/2 + 1e-6}
}

// small makes bodies smaller than they are drawn below, as cartoons have them:
// the head is what counts. The neck stays where it is.
var small = place(0, 0.2, 0.72, 0.72, 0)

func (f *figure) draw() {
	switch f.pose {
	case portrait:
		f.bust()
	case sitting:
		f.c.with(small, f.sit)
	case lying:
		f.c.with(small, f.lie)
	case standing:
		f.c.with(small, f.stand)
	}
	f.c.with(place(0, 0, 1, 1, f.tilt), f.head)
}

// bust is the neck and the shoulders of a portrait.
func (f *figure) bust() {
	w := f.headWidth
	f.body(blob(-0.62*w, 0.2, -0.75*w, 0.9, -1.35*w, 1.7, -1.6*w, 4, 1.6*w, 4, 1.35*w, 1.7, 0.75*w, 0.9, 0.62*w, 0.2), 0, 0.3)
	f.drawCollar(0.86, 0.75*w)
}

func (f *figure) drawCollar(y, half float64) {
	if !f.collar {
		return
	}
	f.c.fill(stroke(0.17, 0.17, -half, y-0.1, -half*0.5, y+0.07, 0, y+0.12, half*0.5, y+0.07, half, y-0.1), f.collarColour, 1)
	f.c.fill(ellipse(0, y+0.26, 0.11, 0.12, 0), colour{222, 190, 80}, 1)
}

// drawTail runs from x, y to the side and upwards.
func (f *figure) drawTail(x, y, up float64) {
	t := f.tail
	f.body(stroke(f.tailWidth*1.1, f.tailWidth*0.7, x, y, x+0.45*t, y+0.1, x+0.8*t, y-0.35*t*up, x+0.62*t, y-0.8*t*up), 0.9, 0.2)
}

func (f *figure) paw(x, y float64) {
	f.body(ellipse(x, y, 0.27, 0.17, 0), 0.9, 0.25)
	for _, dx := range []float64{-0.08, 0.08} {
		f.c.fill(stroke(0.025, 0.02, x+dx, y-0.02, x+dx, y+0.13), f.fur.base.times(0.4), 0.8)
	}
}

func (f *figure) sit() {
	l := f.legs
	f.drawTail(0.7, 2.75*l, 1)
	f.body(blob(-0.5, 0.5, -0.85, 1.6, -1.15, 2.6*l, -0.8, 3.15*l, 0.8, 3.15*l, 1.15, 2.6*l, 0.85, 1.6, 0.5, 0.5), 0, 0.35)
	for _, side := range []float64{-1, 1} {
		f.body(ellipse(side*0.85, 2.65*l, 0.42, 0.52, 0), 0, 0.3)
		f.paw(side*0.95, 3.12*l)
	}
	for _, side := range []float64{-1, 1} {
		f.body(stroke(0.5, 0.36, side*0.36, 1.5, side*0.33, 2.3*l, side*0.3, 3.05*l), 0.2, 0.25)
		f.paw(side*0.32, 3.14*l)
	}
	f.drawCollar(0.9, 0.6)
}

func (f *figure) lie() {
	long := 1.9 * f.legs
	f.drawTail(long+0.6, 1.0, 0.25)
	f.body(blob(-0.6, 0.4, -0.7, 1.1, 0, 1.45, long*0.6, 1.5, long+0.7, 1.4, long+1.0, 0.8, long+0.4, 0.0, long*0.5, -0.12, 0.5, 0.1), 0, 0.4)
	f.body(ellipse(long+0.3, 0.95, 0.72, 0.55, 0), 0, 0.3)
	f.paw(long+0.2, 1.45)
	for _, x := range []float64{-0.55, 0.35} {
		f.body(stroke(0.4, 0.34, x+0.3, 1.1, x, 1.35, x-0.25, 1.42), 0.3, 0.2)
		f.paw(x-0.35, 1.42)
	}
	f.drawCollar(0.88, 0.6)
}

func (f *figure) stand() {
	l, long := f.legs, 2.5
	f.drawTail(long+0.25, 0.85, 1)
	leg := func(x, shade float64) {
		light := f.light
		f.light = point{light.x, light.y - shade}
		f.body(stroke(0.52, 0.32, x, 1.3, x+0.05, 2.0*l, x, 2.75*l), 0.3, 0.25)
		f.paw(x-0.07, 2.8*l)
		f.light = light
	}
	leg(0.75, 0.5)
	leg(long-0.25, 0.5)
	f.body(blob(-0.35, 0.3, -0.1, 1.2, 0.5, 1.65, 1.4, 1.6, long, 1.65, long+0.55, 1.1, long+0.35, 0.55, 1.6, 0.45, 0.6, 0.3), 0, 0.4)
	leg(0.35, 0)
	leg(long+0.1, 0)
	f.drawCollar(0.8, 0.55)
}

func (f *figure) head() {
	w := f.headWidth
	turn := f.yaw * 0.38
	if f.ears != floppy {
		f.uprightEar(-1, turn)
		f.uprightEar(1, turn)
	}
	k := f.cheeks
	jaw := 0.86 + 0.12*f.muzzle
	f.body(blob(
		0, -0.93, 0.55*w, -0.78, 0.92*w, -0.25, (0.93+k)*w, 0.3, 0.62*w, 0.72, 0.3*w, jaw,
		-0.3*w, jaw, -0.62*w, 0.72, -(0.93+k)*w, 0.3, -0.92*w, -0.25, -0.55*w, -0.78), 0.35, 0.28)
	f.face(turn)
	if f.ears == floppy {
		f.hangingEar(-1, turn)
		f.hangingEar(1, turn)
	}
}

// uprightEar is a triangle on the head; folded ones hang from the middle.
func (f *figure) uprightEar(side, turn float64) {
	width := f.earWidth * (1 - 0.35*side*turn)
	m := place(side*math.Sin(f.earAngle)*f.headWidth*0.85+turn*0.25, -math.Cos(f.earAngle)*0.8, side*width, f.earLength, side*f.earAngle*0.75)
	f.c.with(m, func() {
		pen, fluff := f.outline, f.fluff
		f.outline, f.fluff = pen*2, fluff*1.2
		if f.ears == folded {
			f.body(blob(-1, 0.35, -0.75, -0.25, -0.15, -0.62, 0.5, -0.55, 0.95, -0.1, 1, 0.35), 0.8, 0.2)
			f.fur.base = f.fur.base.times(0.8)
			f.body(blob(-0.65, -0.42, -0.1, -0.66, 0.55, -0.6, 0.95, -0.1, 1.15, 0.35, 0.35, 0.05), 0.8, 0.2)
			f.fur.base = f.fur.base.times(1 / 0.8)
		} else {
			f.body(shape{curve(points(-1, 0.4, -0.72, -0.3, -0.1, -0.98, 0.12, -0.98, 0.72, -0.3, 1, 0.4), true)}, 0.9, 0.2)
			f.c.fill(blob(-0.55, 0.3, -0.38, -0.25, 0.02, -0.72, 0.4, -0.25, 0.55, 0.3), f.inner, 0.85)
		}
		f.outline, f.fluff = pen, fluff
	})
}

func (f *figure) hangingEar(side, turn float64) {
	x := side*0.66*f.headWidth + turn*0.25
	l, w := f.earLength, f.earWidth*(1-0.3*side*turn)
	f.fur.base = f.fur.base.times(0.75)
	f.body(blob(
		x-side*0.12, -0.78, x+side*w*0.7, -0.66, x+side*w*1.5, -0.1, x+side*w*1.45, -0.45+l,
		x+side*w*0.75, -0.3+l, x+side*w*0.1, -0.5+l*0.9, x+side*0.02, -0.3), 0.8, 0.3)
	f.fur.base = f.fur.base.times(1 / 0.75)
}

func (f *figure) face(turn float64) {
	m := f.muzzle
	noseX, noseY := turn*(1+0.9*m), 0.16+0.20*m
	pale := f.fur.base.mix(white, 0.45)
	switch f.fur.pattern {
	case masked:
		pale = f.fur.second
	case bibbed:
		pale = white
	}
	f.eye(-1, turn)
	f.eye(1, turn)

	// The bridge of the nose and the muzzle, longer and further out to the side
	// to which the head turns.
	w := f.muzzleWidth
	f.c.fill(blob(turn*0.8-0.14, -0.15, noseX-w*0.5, noseY, noseX-w*0.4, noseY+0.2, noseX+w*0.4, noseY+0.2, noseX+w*0.5, noseY, turn*0.8+0.14, -0.15), pale, 0.25+0.35*m)
	bottom := noseY + 0.26 + 0.2*m
	if f.tongue {
		f.mouth(noseX, noseY+f.nose*0.8+0.22+0.1*m)
	}
	furry := f.fur
	f.fur.base, f.fur.pattern = pale, plain
	for _, side := range []float64{-1, 1} {
		f.body(ellipse(noseX+side*w*0.46, (noseY+bottom)/2+0.04, w*0.62, (bottom-noseY)/2+0.12, side*0.25), 0, 0.22)
	}
	f.fur = furry
	if m > 0.35 {
		f.c.fill(ellipse(noseX, noseY+0.02, w*0.55, 0.16+0.1*m, 0), pale, 1)
	}
	f.c.fill(blob(noseX-f.nose*1.25, noseY-f.nose*0.55, noseX, noseY-f.nose*0.8, noseX+f.nose*1.25, noseY-f.nose*0.55, noseX+f.nose*0.55, noseY+f.nose*0.5, noseX, noseY+f.nose*0.85, noseX-f.nose*0.55, noseY+f.nose*0.5), f.noseColour, 1)
	f.c.fill(ellipse(noseX-f.nose*0.35, noseY-f.nose*0.35, f.nose*0.3, f.nose*0.17, 0), white, 0.55)

	dark := f.fur.base.times(0.3)
	y := noseY + f.nose*0.8
	drop := 0.14 + 0.08*m
	f.c.fill(stroke(0.035, 0.035, noseX, y, noseX, y+drop), dark, 0.9)
	for _, side := range []float64{-1, 1} {
		f.c.fill(stroke(0.035, 0.015, noseX, y+drop, noseX+side*0.14, y+drop+0.07, noseX+side*0.3, y+drop-0.02), dark, 0.9)
	}
	if f.whiskers > 0 {
		pen := white
		if f.fur.base[1] > 190 {
			pen = colour{110, 105, 100}
		}
		for _, side := range []float64{-1, 1} {
			for i := range 3 {
				fan := float64(i-1) * 0.16
				f.c.fill(stroke(0.022, 0.006,
					noseX+side*w*0.55, noseY+0.14+fan*0.4,
					noseX+side*(w+0.35*f.whiskers+0.2), noseY+0.06+fan*1.3,
					noseX+side*(w+0.95*f.whiskers+0.2), noseY+0.14+fan*2.6), pen, 0.85)
			}
		}
	}
}

func (f *figure) mouth(x, y float64) {
	f.c.fill(ellipse(x, y+0.12, 0.22, 0.2, 0), colour{84, 30, 34}, 1)
	f.c.fill(blob(x-0.13, y+0.08, x-0.15, y+0.36, x, y+0.5, x+0.15, y+0.36, x+0.13, y+0.08), colour{228, 110, 118}, 1)
}

func (f *figure) eye(side, turn float64) {
	x, y, size := side*f.eyeSpacing*f.headWidth+turn*0.75, -0.12, f.eyes
	dark := f.fur.base.times(0.2)
	if f.closed {
		f.c.fill(stroke(0.05, 0.05, x-size, y, x, y+size*0.5, x+size, y), dark, 1)
		return
	}
	f.c.with(place(x, y, size, size, -side*f.eyeTilt), func() {
		f.c.fill(ellipse(0, 0, 1.18, 1.08, 0), dark, 1)
		f.c.fill(ellipse(0, 0, 1, 0.9, 0), f.iris, 1)
		pupil := f.slit
		if pupil == 1 {
			pupil = 0.68
		}
		f.c.fill(ellipse(turn*0.2, 0, 0.8*pupil, 0.8, 0), colour{14, 12, 14}, 1)
		f.c.fill(ellipse(-0.25, -0.3, 0.24, 0.24, 0), white, 0.95)
	})
}
