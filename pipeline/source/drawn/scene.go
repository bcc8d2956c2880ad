package drawn

import "math"

// hues are colours of walls, cloth and things.
var hues = []colour{
	{176, 196, 206}, {214, 198, 170}, {150, 170, 140}, {190, 120, 110}, {120, 130, 160},
	{228, 222, 212}, {96, 110, 120}, {170, 140, 180}, {210, 170, 110}, {80, 96, 84}, {140, 100, 80},
}

func hue(r *random) colour {
	c := pick(r, hues...).times(r.between(0.7, 1.1))
	for i := range c {
		c[i] += r.normal(0, 12)
	}
	return c
}

// backgrounds draw what is behind the animal; s is the canvas's shorter side.
var backgrounds = []func(c *canvas, r *random, s float64){room, garden, studio, blanket, tiles, bokeh, sofa}

func room(c *canvas, r *random, s float64) {
	wall, floor, stripe := hue(r), hue(r).mix(colour{120, 90, 60}, 0.5), hue(r)
	w, h := float64(c.width), float64(c.height)
	horizon := h * r.between(0.5, 0.85)
	period, papered, grain := s*r.between(0.06, 0.2), r.chance(0.4), r.between(0.02, 0.1)
	slope := r.normal(0, 0.04)
	c.cover(func(x, y float64) colour {
		if y > horizon+slope*x {
			return floor.times(0.75 + 0.35*noise(x/s*3, y/s*40) - 0.15*(y-horizon)/h)
		}
		base := wall
		if papered && int(x/period)&1 == 0 {
			base = wall.mix(stripe, 0.4)
		}
		return base.times(0.9 + 0.2*noise(x/s*2, y/s*2) - grain*noise(x/s*60, y/s*60))
	})
	if r.chance(0.5) {
		x, y, width, height := r.between(0, w*0.7), r.between(-0.1, 0.15)*h, s*r.between(0.25, 0.5), s*r.between(0.25, 0.45)
		c.fill(box(x, y, x+width, y+height), hue(r).mix(white, 0.5), 1)
		c.fill(box(x+0.06*width, y+0.06*height, x+width*0.94, y+height*0.94), pick(r, colour{190, 215, 235}, hue(r), colour{50, 60, 80}), 1)
		if r.chance(0.5) {
			c.fill(box(x+width*0.48, y, x+width*0.52, y+height), white, 1)
			c.fill(box(x, y+height*0.47, x+width, y+height*0.52), white, 1)
		}
	}
	c.fill(stroke(s*0.025, s*0.025, 0, horizon, w/2, horizon+slope*w/2, w, horizon+slope*w), white.mix(wall, 0.5), 1)
}

func garden(c *canvas, r *random, s float64) {
	w, h := float64(c.width), float64(c.height)
	sky, grass := colour{140, 180, 220}.mix(colour{225, 225, 220}, r.float()), colour{92, 132, 58}.mix(colour{150, 140, 80}, r.float())
	horizon := h * r.between(0.15, 0.6)
	ox := r.between(0, 99)
	c.cover(func(x, y float64) colour {
		if y < horizon+s*0.06*noise(x/s*6+ox, 1) {
			return sky.mix(white, 0.8*step(rough(x/s*2+ox, y/s*4), 0.5, 0.8))
		}
		return grass.times(0.6 + 0.5*noise(x/s*70, y/s*18+ox) + 0.2*noise(x/s*5, y/s*5+ox))
	})
	for range r.int(5) {
		x, radius := r.between(0, w), s*r.between(0.08, 0.22)
		y := horizon - radius*r.between(0, 1)
		c.fill(box(x-radius*0.12, y, x+radius*0.12, horizon+radius*0.5), colour{86, 64, 46}, 1)
		leaf := grass.times(r.between(0.5, 0.9))
		c.fill(ellipse(x, y, radius, radius*r.between(0.8, 1.4), 0).ruffled(r, radius*0.1), leaf, 1)
	}
	if r.chance(0.3) {
		plank, gap := hue(r), s*r.between(0.08, 0.14)
		for x := -gap; x < w; x += gap {
			c.fill(polygon(x, horizon+s*0.12, x, horizon-s*0.15, x+gap*0.4, horizon-s*0.2, x+gap*0.8, horizon-s*0.15, x+gap*0.8, horizon+s*0.12), plank, 1)
		}
	}
}

func studio(c *canvas, r *random, s float64) {
	inner, outer := hue(r), hue(r)
	x0, y0, radius := float64(c.width)*r.between(0.2, 0.8), float64(c.height)*r.between(0.2, 0.8), s*r.between(0.7, 1.3)
	c.cover(func(x, y float64) colour {
		dx, dy := (x-x0)/radius, (y-y0)/radius
		return inner.mix(outer, min(1, (dx*dx+dy*dy)*(0.8+0.4*noise(x/s*3, y/s*3))))
	})
}

func blanket(c *canvas, r *random, s float64) {
	cloth, second := hue(r), hue(r)
	folds, ox, check := r.between(2, 5), r.between(0, 99), r.between(8, 22)
	kind := r.int(3)
	c.cover(func(x, y float64) colour {
		u, v := x/s, y/s
		wave := noise(u*folds+ox, v*folds*0.6+u)
		base := cloth
		switch kind {
		case 1:
			if (int((u+wave*0.1)*check)+int((v+wave*0.1)*check))&1 == 0 {
				base = cloth.mix(second, 0.6)
			}
		case 2:
			base = cloth.mix(second, 0.8*step(noise(u*check, v*check+ox), 0.6, 0.66))
		}
		return base.times(0.55 + 0.55*wave + 0.12*noise(u*90, v*90))
	})
}

func tiles(c *canvas, r *random, s float64) {
	tile, joint := hue(r), hue(r).times(0.7)
	horizon := -float64(c.height) * r.between(0.05, 0.6)
	density, skew := r.between(2, 5), r.normal(0, 0.4)
	w, h := float64(c.width), float64(c.height)
	c.cover(func(x, y float64) colour {
		depth := h / (y - horizon)
		u, v := (x/w-0.5)*depth*density+skew*depth+50, depth*density*2+50
		fu, fv := u-float64(int(u)), v-float64(int(v))
		if fu < 0.05 || fv < 0.05 {
			return joint
		}
		return tile.times(0.8 + 0.2*lattice[(int(u)*31+int(v)*7)&0xffff] + 0.15*noise(x/s*30, y/s*30))
	})
}

func bokeh(c *canvas, r *random, s float64) {
	dark, second := hue(r).times(0.5), hue(r).times(0.8)
	c.cover(func(x, y float64) colour { return dark.mix(second, noise(x/s*2, y/s*2)) })
	for range 10 + r.int(20) {
		radius := s * r.between(0.03, 0.14)
		c.fill(ellipse(r.between(0, float64(c.width)), r.between(0, float64(c.height)), radius, radius, 0), hue(r).mix(white, 0.3), r.between(0.1, 0.6))
	}
}

func sofa(c *canvas, r *random, s float64) {
	room(c, r, s)
	w, h := float64(c.width), float64(c.height)
	cloth := hue(r)
	top, seat := h*r.between(0.15, 0.45), h*r.between(0.65, 0.85)
	textured := func(light float64) paint {
		return func(x, y float64) colour {
			return cloth.times(light * (0.8 + 0.2*noise(x/s*3, y/s*3) + 0.15*noise(x/s*80, y/s*80)))
		}
	}
	cushions := 1 + r.int(3)
	for i := range cushions {
		x0, x1 := w*float64(i)/float64(cushions), w*float64(i+1)/float64(cushions)
		c.shade(blob(x0+0.01*w, top+0.04*h, (x0+x1)/2, top, x1-0.01*w, top+0.04*h, x1, seat+0.1*h, x0, seat+0.1*h), textured(0.9))
	}
	c.shade(blob(-0.1*w, seat, w/2, seat-0.02*h, 1.1*w, seat, 1.1*w, 1.2*h, -0.1*w, 1.2*h), textured(1.1))
	if r.chance(0.5) {
		x := w * r.between(0, 1)
		c.fill(blob(x-0.2*s, seat-0.3*s, x+0.2*s, seat-0.32*s, x+0.22*s, seat+0.05*s, x-0.2*s, seat+0.07*s), hue(r), 1)
	}
}

// occlude draws something between the camera and the head at x, y with the
// given radius.
func occlude(c *canvas, r *random, s float64, x, y, radius float64) {
	w, h := float64(c.width), float64(c.height)
	thing := hue(r)
	switch r.int(6) {
	case 0: // the bars of a cage or a fence
		gap, width, slant := s*r.between(0.09, 0.22), s*r.between(0.01, 0.035), r.normal(0, 0.05)*h
		for at := -gap * r.float(); at < w; at += gap {
			c.fill(stroke(width, width, at, 0, at+slant, h), thing.times(0.8), 1)
			c.fill(stroke(width*0.3, width*0.3, at-width*0.2, 0, at+slant-width*0.2, h), thing.mix(white, 0.6), 1)
		}
		if r.chance(0.5) {
			for at := -gap * r.float(); at < h; at += gap {
				c.fill(box(0, at, w, at+width), thing.times(0.7), 1)
			}
		}
	case 1: // blades of grass
		green := colour{86, 128, 52}.mix(colour{160, 150, 80}, r.float())
		for range 40 + r.int(60) {
			at, tall := r.between(0, w), r.between(0.15, 0.5)*h
			lean := r.normal(0, 0.08) * s
			c.fill(stroke(s*0.022, 0, at, h, at+lean*0.3, h-tall*0.6, at+lean, h-tall), green.times(r.between(0.6, 1.2)), 1)
		}
	case 2: // something close that covers a side of the head
		side := r.sign()
		edge := x + side*radius*r.between(0.2, 0.9)
		far := edge + side*3*max(w, h)
		tilt := r.normal(0, 0.2) * radius
		c.shade(polygon(edge-tilt, -1, far, -1, far, h+1, edge+tilt, h+1), func(px, py float64) colour {
			return thing.times(0.75 + 0.4*noise(px/s*4, py/s*4))
		})
	case 3: // a table's or a box's edge from below
		edge := y + radius*r.between(0.3, 1)
		c.shade(polygon(-1, edge, w+1, edge+r.normal(0, 0.1)*s, w+1, h+1, -1, h+1), func(px, py float64) colour {
			return thing.times(0.7 + 0.4*noise(px/s*3, py/s*20))
		})
	case 4: // a branch with leaves
		green := colour{70, 116, 54}.mix(hue(r), 0.3)
		x0, y0 := x+r.normal(0, 1)*radius, y-2.2*radius
		x1, y1 := x+r.normal(0, 1)*radius, y+r.between(-0.2, 1.4)*radius
		c.fill(stroke(radius*0.08, radius*0.04, x0, y0, (x0+x1)/2+0.2*radius, (y0+y1)/2, x1, y1), colour{84, 62, 44}, 1)
		for i := range 9 {
			t := float64(i) / 9
			c.fill(ellipse(x0+(x1-x0)*t, y0+(y1-y0)*t, radius*0.42, radius*0.17, r.between(0, math.Pi)), green.times(r.between(0.7, 1.25)), 1)
		}
	case 5: // a ball, a cushion, a hand
		bx, by, size := x+r.normal(0, 0.7)*radius, y+r.normal(0.3, 0.6)*radius, radius*r.between(0.35, 0.75)
		c.shade(ellipse(bx, by, size*r.between(0.8, 1.3), size, 0), func(px, py float64) colour {
			dx, dy := (px-bx)/size+0.3, (py-by)/size+0.3
			return thing.times(1.15 - 0.35*(dx*dx+dy*dy))
		})
	}
}

// things are neither cats nor dogs.
var things = []struct {
	name string
	draw func(c *canvas, r *random, s float64)
}{{"flower", flower}, {"house", house}, {"car", car}, {"fruit", fruit}, {"sign", sign}, {"empty room", room}}

func centred(c *canvas, s, size float64, draw func()) {
	c.with(place(float64(c.width)/2, float64(c.height)/2, s*size, s*size, 0), draw)
}

func flower(c *canvas, r *random, s float64) {
	garden(c, r, s)
	petal, petals := pick(r, colour{220, 60, 80}, colour{240, 200, 60}, colour{210, 120, 200}, colour{240, 240, 240}), 6+r.int(8)
	centred(c, s, 0.3, func() {
		c.fill(stroke(0.12, 0.14, 0, 0, 0.2, 1.2, 0, 3), colour{70, 120, 50}, 1)
		for i := range petals {
			sin, cos := math.Sincos(2 * math.Pi * float64(i) / float64(petals))
			c.fill(ellipse(cos*0.75, sin*0.75, 0.5, 0.24, math.Atan2(sin, cos)), petal.times(r.between(0.85, 1.1)), 1)
		}
		c.fill(ellipse(0, 0, 0.4, 0.4, 0), colour{130, 90, 30}, 1)
	})
}

func house(c *canvas, r *random, s float64) {
	garden(c, r, s)
	wall := hue(r)
	centred(c, s, 0.35, func() {
		c.fill(box(-0.9, -0.3, 0.9, 0.9), wall, 1)
		c.fill(polygon(-1.1, -0.3, 0, -1.1, 1.1, -0.3), colour{150, 70, 50}, 1)
		c.fill(box(-0.15, 0.3, 0.25, 0.9), wall.times(0.5), 1)
		for _, x := range []float64{-0.7, 0.45} {
			c.fill(box(x, -0.1, x+0.3, 0.25), colour{190, 215, 235}, 1)
		}
	})
}

func car(c *canvas, r *random, s float64) {
	tiles(c, r, s)
	paint := hue(r)
	centred(c, s, 0.4, func() {
		c.fill(blob(-1.1, 0.3, -1, 0, -0.6, -0.1, -0.35, -0.45, 0.4, -0.45, 0.7, -0.08, 1.05, 0, 1.1, 0.3), paint, 1)
		c.fill(polygon(-0.5, -0.08, -0.3, -0.38, 0.35, -0.38, 0.55, -0.08), colour{180, 205, 220}, 1)
		for _, x := range []float64{-0.6, 0.6} {
			c.fill(ellipse(x, 0.32, 0.24, 0.24, 0), black, 1)
			c.fill(ellipse(x, 0.32, 0.1, 0.1, 0), colour{170, 170, 175}, 1)
		}
	})
}

func fruit(c *canvas, r *random, s float64) {
	blanket(c, r, s)
	skin := pick(r, colour{190, 40, 40}, colour{120, 170, 50}, colour{230, 150, 40})
	centred(c, s, 0.3, func() {
		for _, x := range []float64{-0.7, 0.6, 0} {
			inverse := c.matrix.inverse()
			c.shade(ellipse(x, abs(x)*-0.3+0.2, 0.62, 0.6, 0), func(px, py float64) colour {
				p := inverse.apply(point{px, py})
				dx, dy := p.x-x+0.2, p.y+0.1
				return skin.times(1.15 - 0.6*(dx*dx+dy*dy))
			})
			c.fill(stroke(0.07, 0.05, x, abs(x)*-0.3-0.3, x+0.06, abs(x)*-0.3-0.6), colour{80, 60, 40}, 1)
		}
	})
}

func sign(c *canvas, r *random, s float64) {
	studio(c, r, s)
	ink := hue(r).times(0.5)
	centred(c, s, 0.4, func() {
		c.fill(box(-1, -0.8, 1, 0.8), white, 1)
		for line := range 4 {
			y := -0.6 + 0.33*float64(line)
			for x := -0.85; x < 0.7; {
				word := r.between(0.1, 0.35)
				c.fill(box(x, y, min(x+word, 0.85), y+0.16), ink, 1)
				x += word + 0.08
			}
		}
	})
}
