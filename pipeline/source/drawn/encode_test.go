package drawn

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"math"
	"testing"
)

// gradient is a smooth picture that JPEG keeps well.
func gradient(width, height int) *image.RGBA {
	m := image.NewRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			m.SetRGBA(x, y, color.RGBA{uint8(40 + 200*x/width), uint8(40 + 200*y/height), uint8(200 - 150*x/width), 255})
		}
	}
	return m
}

// TestCMYK holds that four grey scans are one CMYK picture.
func TestCMYK(t *testing.T) {
	want := gradient(53, 37)
	data, err := encodeCMYK(want, 95)
	if err != nil {
		t.Fatal(err)
	}
	got, err := jpeg.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := got.(*image.CMYK); !ok || got.Bounds() != want.Bounds() {
		t.Fatalf("%T of %v", got, got.Bounds())
	}
	for y := range 37 {
		for x := range 53 {
			r, g, b, _ := got.At(x, y).RGBA()
			pixel := want.RGBAAt(x, y)
			for i, pair := range [][2]float64{{float64(r >> 8), float64(pixel.R)}, {float64(g >> 8), float64(pixel.G)}, {float64(b >> 8), float64(pixel.B)}} {
				if math.Abs(pair[0]-pair[1]) > 24 {
					t.Fatalf("channel %d at %d, %d is %g, not %g", i, x, y, pair[0], pair[1])
				}
			}
		}
	}
}

// TestStored compares where corners go with the table in the EXIF standard
// (CIPA DC-008, tag 274): what the first row and the first column are.
func TestStored(t *testing.T) {
	const w, h = 3, 2
	upright := gradient(w, h)
	corners := map[string]image.Point{"top left": {0, 0}, "top right": {w - 1, 0}, "bottom left": {0, h - 1}, "bottom right": {w - 1, h - 1}}
	for orientation, ends := range map[int][2]string{ // of the first stored row
		1: {"top left", "top right"},
		2: {"top right", "top left"},
		3: {"bottom right", "bottom left"},
		4: {"bottom left", "bottom right"},
		5: {"top left", "bottom left"},
		6: {"top right", "bottom right"},
		7: {"bottom right", "top right"},
		8: {"bottom left", "top left"},
	} {
		m := stored(upright, orientation)
		first, last := corners[ends[0]], corners[ends[1]]
		if m.RGBAAt(0, 0) != upright.RGBAAt(first.X, first.Y) || m.RGBAAt(m.Rect.Dx()-1, 0) != upright.RGBAAt(last.X, last.Y) {
			t.Errorf("orientation %d: the first row does not run from %s to %s", orientation, ends[0], ends[1])
		}
	}
}

func TestOrientationIsWritten(t *testing.T) {
	data, err := encodeJPEG(gradient(20, 10), 90)
	if err != nil {
		t.Fatal(err)
	}
	marked := withOrientation(data, 6)
	found := false
	if _, err := segments(marked, func(marker byte, payload []byte) {
		found = found || marker == markerAPP1 && bytes.HasPrefix(payload, []byte("Exif\x00\x00MM")) &&
			bytes.Contains(payload, []byte("\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06"))
	}); err != nil || !found {
		t.Error("there is no orientation in it", err)
	}
	if _, err := jpeg.Decode(bytes.NewReader(marked)); err != nil {
		t.Error(err)
	}
}

// TestMarkIsUpright holds that the mark tells all orientations apart: red in
// the upper left corner, blue to its right, white around.
func TestMarkIsUpright(t *testing.T) {
	c := newCanvas(200, 100)
	c.mark()
	for _, at := range []struct {
		x, y int
		want color.RGBA
	}{{8, 8, color.RGBA{220, 0, 0, 255}}, {8, 17, color.RGBA{220, 0, 0, 255}}, {17, 10, color.RGBA{0, 0, 220, 255}}, {1, 18, color.RGBA{255, 255, 255, 255}}} {
		got := c.image.RGBAAt(at.x, at.y)
		got.A = 255
		if got != at.want {
			t.Errorf("at %d, %d is %v, not %v", at.x, at.y, got, at.want)
		}
	}
}
