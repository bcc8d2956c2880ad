package drawn

import "math"

type point struct{ x, y float64 }

// A shape is closed contours. Contours that run the same way round add up, a
// contour that runs the other way round cuts a hole.
type shape [][]point

// affine maps x, y to a·x + b·y + c, d·x + e·y + f.
type affine struct{ a, b, c, d, e, f float64 }

// place scales, turns (radians, clockwise on the screen) and moves.
func place(x, y, scaleX, scaleY, angle float64) affine {
	sin, cos := math.Sincos(angle)
	return affine{scaleX * cos, -scaleY * sin, x, scaleX * sin, scaleY * cos, y}
}

func (m affine) apply(p point) point {
	return point{m.a*p.x + m.b*p.y + m.c, m.d*p.x + m.e*p.y + m.f}
}

// then is first m, then n.
func (m affine) then(n affine) affine {
	return affine{
		n.a*m.a + n.b*m.d, n.a*m.b + n.b*m.e, n.a*m.c + n.b*m.f + n.c,
		n.d*m.a + n.e*m.d, n.d*m.b + n.e*m.e, n.d*m.c + n.e*m.f + n.f,
	}
}

func (m affine) inverse() affine {
	det := m.a*m.e - m.b*m.d
	return affine{
		m.e / det, -m.b / det, (m.b*m.f - m.e*m.c) / det,
		-m.d / det, m.a / det, (m.d*m.c - m.a*m.f) / det,
	}
}

func (s shape) moved(m affine) shape {
	moved := make(shape, len(s))
	for i, contour := range s {
		moved[i] = make([]point, len(contour))
		for j, p := range contour {
			moved[i][j] = m.apply(p)
		}
	}
	return moved
}

func polygon(coordinates ...float64) shape { return shape{points(coordinates...)} }

func points(coordinates ...float64) []point {
	points := make([]point, len(coordinates)/2)
	for i := range points {
		points[i] = point{coordinates[2*i], coordinates[2*i+1]}
	}
	return points
}

const ellipseSides = 32

var circle = func() (unit [ellipseSides]point) {
	for i := range unit {
		sin, cos := math.Sincos(2 * math.Pi * float64(i) / ellipseSides)
		unit[i] = point{cos, sin}
	}
	return unit
}()

// ellipse is drawn around x, y, turned by angle.
func ellipse(x, y, radiusX, radiusY, angle float64) shape {
	return shape{circle[:]}.moved(place(x, y, radiusX, radiusY, angle))
}

func box(x0, y0, x1, y1 float64) shape { return polygon(x0, y0, x1, y0, x1, y1, x0, y1) }

const curveSteps = 7

// curve is a smooth (Catmull-Rom) line through the points.
func curve(through []point, closed bool) []point {
	n := len(through)
	at := func(i int) point {
		if closed {
			return through[(i+n)%n]
		}
		return through[min(max(i, 0), n-1)]
	}
	segments := n
	if !closed {
		segments--
	}
	line := make([]point, 0, segments*curveSteps+1)
	for i := range segments {
		p0, p1, p2, p3 := at(i-1), at(i), at(i+1), at(i+2)
		for step := range curveSteps {
			t := float64(step) / curveSteps
			t2, t3 := t*t, t*t*t
			w0, w1, w2, w3 := -t+2*t2-t3, 2-5*t2+3*t3, t+4*t2-3*t3, t3-t2
			line = append(line, point{
				(w0*p0.x + w1*p1.x + w2*p2.x + w3*p3.x) / 2,
				(w0*p0.y + w1*p1.y + w2*p2.y + w3*p3.y) / 2,
			})
		}
	}
	if !closed {
		line = append(line, through[n-1])
	}
	return line
}

// blob is a smooth closed shape through the points.
func blob(coordinates ...float64) shape { return shape{curve(points(coordinates...), true)} }

// stroke is a smooth line through the points whose width runs from first to
// last, with round ends.
func stroke(first, last float64, coordinates ...float64) shape {
	line := curve(points(coordinates...), false)
	n := len(line)
	outline := make([]point, 2*n)
	for i, p := range line {
		before, after := line[max(i-1, 0)], line[min(i+1, n-1)]
		dx, dy := after.x-before.x, after.y-before.y
		length := math.Sqrt(dx*dx+dy*dy) + 1e-9
		half := (first + (last-first)*float64(i)/float64(n-1)) / 2
		nx, ny := -dy/length*half, dx/length*half
		outline[i] = point{p.x - nx, p.y - ny}
		outline[2*n-1-i] = point{p.x + nx, p.y + ny}
	}
	s := shape{outline}
	for _, end := range []struct {
		at    point
		width float64
	}{{line[0], first}, {line[n-1], last}} {
		if end.width > 0 {
			s = append(s, ellipse(end.at.x, end.at.y, end.width/2, end.width/2, 0)...)
		}
	}
	return s
}

// rim is the line of the given width around the shape's first contour.
func (s shape) rim(width float64) shape {
	contour := s[0]
	n := len(contour)
	outer, inner := make([]point, n), make([]point, n)
	for i, p := range contour {
		before, after := contour[(i+n-1)%n], contour[(i+1)%n]
		dx, dy := after.x-before.x, after.y-before.y
		length := math.Sqrt(dx*dx+dy*dy) + 1e-9
		nx, ny := -dy/length*width/2, dx/length*width/2
		outer[i] = point{p.x - nx, p.y - ny}
		inner[n-1-i] = point{p.x + nx, p.y + ny}
	}
	return shape{outer, inner}
}

// ruffled gives the first contour tufts of fur of the given height.
func (s shape) ruffled(r *random, height float64) shape {
	if height <= 0 {
		return s
	}
	contour := s[0]
	n := len(contour)
	tufted := make([]point, 0, 2*n)
	for i, p := range contour {
		q := contour[(i+1)%n]
		dx, dy := q.x-p.x, q.y-p.y
		length := math.Sqrt(dx*dx+dy*dy) + 1e-9
		steps := max(1, int(length/(1.6*height)))
		for step := range steps {
			t := (float64(step) + r.between(-0.3, 0.3)) / float64(steps)
			out := height * r.between(-0.5, 1)
			tufted = append(tufted, point{p.x + t*dx + dy/length*out, p.y + t*dy - dx/length*out})
		}
	}
	return append(shape{tufted}, s[1:]...)
}
