package augment

import "catdog/pipeline/device"

const (
	steps = 64 // of a pixel, to which positions are rounded
	one   = steps * steps
	// positions are whole numbers of 1/unit pixels.
	unit = 1 << 16

	// A pixel is one word with red, green and blue in lanes of 20 bits, so that
	// one multiplication weighs all three: 255·64·64 < 2²⁰. A difference of two
	// pixels may borrow from the lane above; what it is added to gives that back.
	lane = 20
	mask = 1<<lane - 1
)

// A renderer makes inputs from stored images, following samples as
// device.Sample says. It goes through the input's rows and samples the two of
// the image's that lie around each, across first, which later rows share.
type renderer struct {
	taps  []tap    // the image's pixels that the input's columns show
	first int      // of the image's columns that are shown
	image []uint64 // a row of the image from there on, its last pixel twice
	lines [2]line  // the last sampled rows with even and with odd numbers
}

// A tap lies between a pixel and the next one, right steps behind the first.
type tap struct {
	left  int
	right uint64
}

// A line is a row of the image as the input's columns show it: colours times steps.
type line struct {
	row     int
	colours []uint64
}

// renderers are those at rest; unlike a sync.Pool they outlive garbage
// collections, so that the steady state allocates nothing.
var renderers = make(chan *renderer, 16)

func takeRenderer() *renderer {
	select {
	case r := <-renderers:
		return r
	default:
		return new(renderer)
	}
}

func (r *renderer) giveBack() {
	select {
	case renderers <- r:
	default:
	}
}

// render makes an input from a stored image.
func (r *renderer) render(pixels []byte, height, width int, s *device.Sample, inputHeight, inputWidth int, out []float32) {
	r.aim(s, width>>s.Level, inputWidth)
	rows := height >> s.Level
	for row := range inputHeight {
		top, below := locate(int(s.Y)+row*int(s.YStep), rows)
		above := r.sampled(top, pixels, width, int(s.Level))
		under := r.sampled(min(top+1, rows-1), pixels, width, int(s.Level))
		between(above, under, uint64(below), s, out[row*inputWidth*3:][:inputWidth*3])
	}
}

// locate rounds a position that is kept within an image's side down to a pixel
// and steps from there.
func locate(position, side int) (pixel, behind int) {
	position = min(max(position, 0), (side-1)*unit)
	return position / unit, position / (unit / steps) % steps
}

// aim decides which of an image's columns the input's show.
func (r *renderer) aim(s *device.Sample, columns, inputWidth int) {
	r.taps = resized(r.taps, inputWidth)
	for i := range r.taps {
		left, right := locate(int(s.X)+i*int(s.XStep), columns)
		r.taps[i] = tap{left, uint64(right)}
	}
	a, b := r.taps[0].left, r.taps[inputWidth-1].left
	r.first = min(a, b)
	for i := range r.taps {
		r.taps[i].left -= r.first
	}
	r.image = resized(r.image, max(a, b)-r.first+2)
	for i := range r.lines {
		r.lines[i].row = -1
		r.lines[i].colours = resized(r.lines[i].colours, inputWidth)
	}
}

// resized is a slice of so many values, the same memory where it suffices.
func resized[T any](values []T, n int) []T {
	if n > cap(values) {
		return make([]T, n)
	}
	return values[:n]
}

// sampled is a row of the image shrunk by 2^level as the input's columns show it.
func (r *renderer) sampled(row int, pixels []byte, width, level int) []uint64 {
	l := &r.lines[row%2]
	if l.row == row {
		return l.colours
	}
	l.row = row
	r.unpack(row, pixels, width, level)
	colours := l.colours[:len(r.taps)]
	for i, t := range r.taps {
		pair := r.image[t.left:][:2]
		colours[i] = pair[0]*steps + (pair[1]-pair[0])*t.right
	}
	return colours
}

// unpack puts a row of the image shrunk by 2^level, as far as it is shown, into
// r.image.
func (r *renderer) unpack(row int, pixels []byte, width, level int) {
	columns := width >> level
	shown := min(len(r.image), columns-r.first)
	if level == 0 {
		source := pixels[(row*width+r.first)*3:][:shown*3]
		for i := range r.image[:shown] {
			p := source[3*i : 3*i+3 : 3*i+3]
			r.image[i] = uint64(p[0]) | uint64(p[1])<<lane | uint64(p[2])<<(2*lane)
		}
	} else {
		average(r.image[:shown], pixels, width, level, r.first, row)
	}
	if shown < len(r.image) {
		r.image[shown] = r.image[shown-1]
	}
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

// between makes a row of the input from the two around it, the upper one so
// many steps above.
func between(above, under []uint64, below uint64, s *device.Sample, out []float32) {
	scale, shift := s.Scale, s.Shift
	under = under[:len(above)]
	for i, colours := range above {
		sum := colours*steps + (under[i]-colours)*below
		to := out[3*i : 3*i+3 : 3*i+3]
		to[0] = float32(float32(int32(sum&mask))*scale[0]) + shift[0]
		to[1] = float32(float32(int32(sum>>lane&mask))*scale[1]) + shift[1]
		to[2] = float32(float32(int32(sum>>(2*lane)))*scale[2]) + shift[2]
	}
}
