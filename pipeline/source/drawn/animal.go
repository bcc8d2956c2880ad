package drawn

// A species is the class that an animal belongs to.
type species int

const (
	cat species = iota
	dog
)

// Classes are the names of the sample's classes.
var Classes = []string{"cat", "dog"}

// The shapes of ears.
const (
	pointed = iota
	folded  // pointed, with the tip hanging down
	floppy
)

// Poses.
const (
	portrait = iota
	sitting
	lying
	standing
)

// Patterns of fur.
const (
	plain = iota
	striped
	spotted
	patched
	masked // darker towards the face and paws, as of a Siamese
	bibbed // white blaze, chest and paws
)

// An animal is all that is drawn of one. No trait belongs to one species
// alone: cats with folded ears and long noses and dogs with pointed ears and
// slit eyes happen, only less often.
type animal struct {
	pose    int
	fur     fur
	outline float64 // width of the pen, 0 for none
	fluff   float64 // height of tufts

	headWidth, cheeks         float64
	tilt, yaw                 float64 // radians; share of a half turn
	ears                      int
	earLength, earWidth       float64
	earAngle                  float64
	muzzle, muzzleWidth       float64
	nose                      float64
	noseColour, iris, inner   colour
	eyes, eyeSpacing, eyeTilt float64
	slit                      float64 // width of the pupil / the eye
	closed                    bool
	whiskers                  float64
	tongue, collar            bool
	collarColour              colour
	tail, tailWidth           float64
	legs                      float64
	mirrored                  float64
}

var (
	black = colour{28, 25, 26}
	white = colour{244, 241, 234}
	pink  = colour{232, 150, 148}
)

// coats are usual colours of fur; both species have all of them.
var coats = []colour{
	{214, 138, 62},  // ginger
	{52, 47, 48},    // black
	{128, 126, 128}, // grey
	{232, 226, 214}, // white
	{122, 84, 54},   // brown
	{222, 190, 142}, // cream
	{178, 120, 66},  // tan
	{92, 88, 94},    // slate
	{86, 56, 40},    // chocolate
}

// newAnimal draws the traits of one. clarity 1 makes it a plain example of
// its species, 0 leaves the two species' distributions as they overlap.
func newAnimal(r *random, kind species, clarity float64) *animal {
	is := func(ofCat, ofDog float64) float64 {
		if kind == cat {
			return ofCat
		}
		return ofDog
	}
	spread := 1 - 0.7*clarity
	a := &animal{
		outline:  pick(r, 0, 0, 0.02, 0.03, 0.045),
		fluff:    max(0, r.normal(0.02, 0.03)),
		tilt:     r.normal(0, 0.16),
		yaw:      r.normal(0, 0.42),
		mirrored: r.sign(),
	}
	a.pose = r.weighted(is(0.76, 0.77), is(0.11, 0.10), is(0.09, 0.04), is(0.04, 0.09))
	a.headWidth = r.normal(is(1.08, 0.95), 0.07*spread)
	a.cheeks = max(0, r.normal(is(0.12, 0.03), 0.08*spread))

	a.ears = r.weighted(is(0.96, 0.05), is(0.02, 0.10), is(0.02, 0.85))
	if clarity > 0.5 {
		a.ears = int(is(pointed, floppy))
	}
	a.earLength = r.normal(is(0.68, 0.80), 0.14*spread)
	a.earWidth = r.normal(is(0.40, 0.35), 0.06)
	a.earAngle = r.normal(is(0.62, 0.60), 0.11)
	if a.ears == floppy {
		a.earLength = r.normal(1.05, 0.25)
		a.earWidth = r.normal(0.36, 0.07)
	}

	a.muzzle = min(max(r.normal(is(0.16, 0.68), 0.16*spread), 0.03), 1.15)
	a.muzzleWidth = r.normal(is(0.42, 0.46), 0.06)
	a.nose = max(0.07, r.normal(is(0.09, 0.185), 0.025*spread))
	a.noseColour = black
	if r.chance(is(0.65, 0.05)) {
		a.noseColour = pink.mix(colour{150, 80, 80}, r.float())
	}
	a.eyes = max(0.10, r.normal(is(0.235, 0.145), 0.03*spread))
	a.eyeSpacing = r.normal(is(0.42, 0.38), 0.04)
	a.eyeTilt = r.normal(is(0.22, 0.0), 0.12)
	a.slit = 1
	if r.chance(is(0.65, 0.04)) {
		a.slit = r.between(0.15, 0.55)
	}
	if r.chance(is(0.93, 0.05)) {
		a.iris = pick(r, colour{150, 178, 66}, colour{206, 178, 60}, colour{96, 160, 190}, colour{216, 142, 44}, colour{110, 170, 100})
	} else {
		a.iris = pick(r, colour{92, 58, 30}, colour{66, 42, 26}, colour{122, 82, 40})
	}
	a.closed = r.chance(0.05)
	a.whiskers = is(0.9, 0.25) * r.between(0.2, 1)
	if r.chance(is(0.1, 0.6)) {
		a.whiskers = 0
	}
	a.tongue = r.chance(is(0.02, 0.55))
	a.collar = r.chance(is(0.22, 0.36))
	a.collarColour = pick(r, colour{196, 40, 44}, colour{44, 92, 176}, colour{40, 40, 44}, colour{230, 180, 40}, colour{120, 60, 150}, colour{60, 150, 90})
	a.tail = r.normal(is(1.9, 1.3), 0.35)
	a.tailWidth = r.normal(is(0.24, 0.30), 0.06)
	a.legs = r.normal(is(1.0, 1.18), 0.12)

	pattern := r.weighted(
		is(0.20, 0.36), // plain
		is(0.42, 0.03), // striped
		is(0.03, 0.22), // spotted
		is(0.12, 0.17), // patched
		is(0.11, 0.06), // masked
		is(0.12, 0.16), // bibbed
	)
	a.fur = newFur(r, pattern)
	a.inner = a.fur.base.mix(pink, r.between(0.3, 0.9))
	return a
}

// fur is colour as a function of the place on the body.
type fur struct {
	pattern            int
	base, second       colour
	frequency, angle   float64
	threshold          float64
	warp               float64
	offsetX, offsetY   float64
	hair, hairX, hairY float64
}

func newFur(r *random, pattern int) fur {
	f := fur{
		pattern:   pattern,
		base:      pick(r, coats...).times(r.between(0.85, 1.12)),
		frequency: r.between(7, 13),
		threshold: r.between(0.45, 0.62),
		warp:      r.between(1.5, 4),
		offsetX:   r.between(0, 200),
		offsetY:   r.between(0, 200),
		hair:      r.between(0.06, 0.3),
		hairX:     r.between(14, 26),
		hairY:     r.between(5, 10),
	}
	f.angle = r.normal(0, 0.4)
	for i := range f.base {
		f.base[i] += r.normal(0, 7)
	}
	switch pattern {
	case striped, masked:
		f.second = f.base.mix(colour{30, 22, 20}, r.between(0.5, 0.85))
	case bibbed:
		f.second = white
	case spotted:
		f.base, f.second = f.base.mix(white, r.between(0.4, 0.9)), pick(r, coats[1], coats[4], coats[8], coats[0])
	default:
		f.second = pick(r, white, coats[1], coats[0], coats[4])
	}
	return f
}

// at is the fur's colour at u, v, in radiuses of the head from its middle.
// face says how much the place belongs to the face or the paws.
func (f *fur) at(u, v, face float64) colour {
	c := f.base
	x, y := u+f.offsetX, v+f.offsetY
	switch f.pattern {
	case striped:
		wave := noise(x*1.3, y*1.3)*f.warp + v*f.frequency*0.32 + abs(u)*f.angle*3
		wave -= float64(int(wave+1000)) - 1000
		c = c.mix(f.second, 0.9*step(abs(wave-0.5)*2, f.threshold-0.12, f.threshold+0.12))
	case spotted:
		c = c.mix(f.second, step(noise(x*f.frequency*0.28, y*f.frequency*0.28), f.threshold+0.05, f.threshold+0.1))
	case patched:
		c = c.mix(f.second, step(noise(x*0.9, y*0.9), f.threshold-0.05, f.threshold))
	case masked:
		c = c.mix(f.second, face)
	case bibbed:
		blaze := 0.10 + 0.32*max(0, v+0.5)
		c = c.mix(f.second, step(blaze-abs(u-0.1*noise(x*2, y*2)), -0.05, 0.05))
	}
	return c.times(1 - f.hair*noise(x*f.hairX, y*f.hairY))
}

func abs(x float64) float64 {
	if x < 0 {
		return -x
	}
	return x
}

// step rises smoothly from 0 at low to 1 at high.
func step(x, low, high float64) float64 {
	t := min(max((x-low)/(high-low), 0), 1)
	return t * t * (3 - 2*t)
}
