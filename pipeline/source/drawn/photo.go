package drawn

import "math"

// dimensions are those of an ordinary photo: mostly landscape, about 375×500
// (height × width) in the middle, with a tail to both sides.
func dimensions(r *random) (width, height int) {
	long := 500 * math.Exp2(min(max(r.normal(0, 0.32), -0.65), 0.7))
	if r.chance(0.25) {
		long = min(long, 500)
	}
	switch r.weighted(0.72, 0.16, 0.12) {
	case 0:
		return int(long), int(long * math.Exp2(-min(max(0.04, r.normal(0.42, 0.21)), 0.9)))
	case 1:
		return int(long * math.Exp2(-max(0.04, r.normal(0.3, 0.1)))), int(long)
	default:
		return int(long * 0.9), int(long * 0.9 * r.between(0.94, 1.06))
	}
}

// extents are the least and greatest x and y of a figure by pose.
var extents = [...][4]float64{
	portrait: {-1.5, -1.55, 1.5, 1.45},
	sitting:  {-1.3, -1.5, 1.5, 2.75},
	lying:    {-1.3, -1.5, 2.7, 1.5},
	standing: {-1.3, -1.5, 2.7, 2.6},
}

// sketch is the canvas for a photo of the given size. Scenes are drawn smaller
// and interpolated, as sharp as a photo is and in less than half the time.
func sketch(width, height int) *canvas {
	const usual, least, most = 0.6, 150, 800
	scale := min(max(usual, least/float64(min(width, height))), most/float64(max(width, height)), 1)
	return newCanvas(max(int(scale*float64(width)), 1), max(int(scale*float64(height)), 1))
}

// takePhoto draws an animal in its surroundings.
func takePhoto(r *random, kind species, width, height int, clarity float64) *canvas {
	c := sketch(width, height)
	w, h := float64(c.width), float64(c.height)
	s := min(w, h)
	pick(r, backgrounds...)(c, r, s)

	a := newAnimal(r, kind, clarity)
	e := extents[a.pose]
	spanX, spanY := e[2]-e[0], e[3]-e[1]
	radius := min(w/spanX, h/spanY) * r.between(0.92, 1.22) * (1 + 0.08*clarity)
	shift := 0.5 - 0.4*clarity
	x := w/2 + r.normal(0, 0.11*shift*2)*(w-radius*spanX*0.6) - a.mirrored*radius*(e[0]+e[2])/2
	y := h/2 + r.normal(0, 0.10*shift*2)*(h-radius*spanY*0.6) - radius*(e[1]+e[3])/2

	angle := r.between(0, 2*math.Pi)
	sin, cos := math.Sincos(angle)
	f := &figure{animal: a, c: c, r: r, light: point{cos, sin}}
	if a.pose != portrait { // the shadow on the ground
		c.fill(ellipse(x+a.mirrored*radius*(e[0]+e[2])/2, y+radius*(e[3]-0.2), radius*spanX*0.5, radius*0.35, 0), colour{30, 28, 30}, 0.35)
	}
	c.with(place(x, y, a.mirrored*radius, radius, r.normal(0, 0.05)), f.draw)
	if r.chance(0.2 * (1 - clarity)) {
		occlude(c, r, s, x, y, radius)
	}
	return c.shoot(newExposure(r, s), r, width, height)
}

// takeOther draws one of the things that are no animals.
func takeOther(r *random, thing, width, height int) *canvas {
	c := sketch(width, height)
	s := float64(min(c.width, c.height))
	things[thing%len(things)].draw(c, r, s)
	return c.shoot(newExposure(r, s), r, width, height)
}
