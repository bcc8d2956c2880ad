package photo

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"math"
	"testing"

	"golang.org/x/image/draw"
	"pgregory.net/rapid"
)

var grey128 = [3]byte{128, 128, 128}

// at is a pixel of a resized photo.
func at(pixels []byte, target Target, x, y int) color.RGBA {
	p := pixels[3*(y*target.Width+x):]
	return color.RGBA{p[0], p[1], p[2], 255}
}

// near says whether two colours differ by at most some steps.
func near(a, b color.RGBA, steps int) bool {
	for _, difference := range []int{int(a.R) - int(b.R), int(a.G) - int(b.G), int(a.B) - int(b.B)} {
		if difference > steps || difference < -steps {
			return false
		}
	}
	return true
}

func mustResize(t testing.TB, data []byte, target Target) []byte {
	t.Helper()
	pixels, err := Resize(data, target)
	if err != nil {
		t.Fatal(err)
	}
	if len(pixels) != 3*target.Height*target.Width {
		t.Fatalf("%d bytes for %d×%d", len(pixels), target.Width, target.Height)
	}
	return pixels
}

// isCorners looks at the middle of each quarter.
func isCorners(t *testing.T, name string, pixels []byte, target Target, steps int) {
	t.Helper()
	for i, want := range cornerColours {
		x, y := target.Width*(1+i%2*2)/4, target.Height*(1+i/2*2)/4
		if got := at(pixels, target, x, y); !near(got, want, steps) {
			t.Errorf("%s: quarter %d is %v, want %v", name, i, got, want)
		}
	}
}

// Whatever the format and the kind of colour, red stays red and where it was.
func TestColours(t *testing.T) {
	picture := corners(120, 90)
	deep, opaque := image.NewNRGBA64(picture.Bounds()), image.NewRGBA64(picture.Bounds())
	draw.Draw(deep, deep.Bounds(), picture, image.Point{}, draw.Src)
	draw.Draw(opaque, opaque.Bounds(), picture, image.Point{}, draw.Src)
	deep.SetNRGBA64(0, 0, color.NRGBA64{})
	palette := image.NewPaletted(picture.Bounds(), color.Palette{cornerColours[0], cornerColours[1], cornerColours[2], cornerColours[3], color.RGBA{}})
	draw.Draw(palette, palette.Bounds(), picture, image.Point{}, draw.Src)
	solid := image.NewPaletted(picture.Bounds(), palette.Palette[:4])
	draw.Draw(solid, solid.Bounds(), picture, image.Point{}, draw.Src)
	for _, test := range []struct {
		name  string
		data  []byte
		steps int
	}{
		{"jpeg", jpegOf(t, picture), 6},
		// Inks become light by libvips' profile of a printing press, whose green and
		// blue are dull.
		{"cmyk jpeg", cmykOf(t, picture), 95},
		{"png", pngOf(t, picture), 1},
		{"16-bit png", pngOf(t, opaque), 1},
		{"16-bit png with alpha", pngOf(t, deep), 1},
		{"palette png", pngOf(t, solid), 1},
		{"palette png with alpha", pngOf(t, palette), 1},
		{"gif", gifOf(t, solid), 1},
		{"tiff", tiffOf(t, picture), 1},
		{"16-bit tiff", tiffOf(t, opaque), 1},
	} {
		for _, target := range []Target{{24, 32, Stretch, grey128}, {200, 300, Stretch, grey128}, {120, 30, Stretch, grey128}} {
			isCorners(t, fmt.Sprintf("%s to %d×%d", test.name, target.Width, target.Height),
				mustResize(t, test.data, target), target, test.steps)
		}
	}
}

func TestGrey(t *testing.T) {
	picture := image.NewGray(image.Rect(0, 0, 80, 60))
	deep := image.NewGray16(picture.Bounds())
	for i := range picture.Pix {
		picture.Pix[i] = 77
	}
	draw.Draw(deep, deep.Bounds(), picture, image.Point{}, draw.Src)
	target := Target{20, 20, Stretch, grey128}
	for name, data := range map[string][]byte{"jpeg": jpegOf(t, picture), "png": pngOf(t, picture), "16-bit png": pngOf(t, deep), "tiff": tiffOf(t, picture)} {
		for i, value := range mustResize(t, data, target) {
			if value < 76 || value > 78 {
				t.Errorf("%s: sample %d is %d", name, i, value)
				break
			}
		}
	}
}

// Transparency shows the background, without a fringe of the colour that the
// transparent pixels happen to have.
func TestAlpha(t *testing.T) {
	half := image.NewNRGBA(image.Rect(0, 0, 64, 64))
	for i := 0; i < len(half.Pix); i += 4 {
		copy(half.Pix[i:], []byte{200, 100, 50, 128})
	}
	greyAlpha := withAlpha(t, 64, 64, 100)
	for _, background := range [][3]byte{{128, 128, 128}, {0, 0, 0}, {255, 0, 255}} {
		target := Target{32, 32, Stretch, background}
		over := color.RGBA{background[0], background[1], background[2], 255}

		pixels := mustResize(t, pngOf(t, translucent(64, 64)), target)
		if got := at(pixels, target, 4, 16); !near(got, over, 1) {
			t.Errorf("transparent over %v is %v", over, got)
		}
		if got := at(pixels, target, 28, 16); !near(got, color.RGBA{204, 0, 51, 255}, 1) {
			t.Errorf("opaque over %v is %v", over, got)
		}

		blend := color.RGBA{mix(200, over.R), mix(100, over.G), mix(50, over.B), 255}
		if got := at(mustResize(t, pngOf(t, half), target), target, 9, 9); !near(got, blend, 2) {
			t.Errorf("half over %v is %v, want %v", over, got, blend)
		}
		blend = color.RGBA{mix(100, over.R), mix(100, over.G), mix(100, over.B), 255}
		if got := at(mustResize(t, greyAlpha, target), target, 9, 9); !near(got, blend, 2) {
			t.Errorf("half grey over %v is %v, want %v", over, got, blend)
		}
		small := Target{16, 16, Stretch, background}
		blend = color.RGBA{mix(10, over.R), mix(20, over.G), mix(30, over.B), 255}
		if got := at(mustResize(t, webpOf(color.RGBA{10, 20, 30, 128}), small), small, 9, 9); !near(got, blend, 2) {
			t.Errorf("webp over %v is %v, want %v", over, got, blend)
		}
	}
}

func mix(a, b uint8) uint8 { return uint8((int(a)*128 + int(b)*127) / 255) }

// withAlpha is a grey PNG of one value, half transparent; Go writes none.
func withAlpha(t *testing.T, width, height int, value byte) []byte {
	t.Helper()
	var rows bytes.Buffer
	for range height {
		rows.WriteByte(0)
		rows.Write(bytes.Repeat([]byte{value, 128}, width))
	}
	ihdr := []byte{0, 0, 0, byte(width), 0, 0, 0, byte(height), 8, 4, 0, 0, 0}
	data := []byte("\x89PNG\r\n\x1a\n")
	data = append(data, pngChunk("IHDR", ihdr)...)
	data = append(data, pngChunk("IDAT", deflate(t, rows.Bytes()))...)
	return append(data, pngChunk("IEND", nil)...)
}

// All eight orientations give the same upright picture.
func TestOrientations(t *testing.T) {
	upright := corners(90, 60)
	for orientation := 1; orientation <= 8; orientation++ {
		stored := lyingAs(upright, orientation)
		for format, data := range map[string][]byte{
			"jpeg": rotated(jpegOf(t, stored), orientation),
			"png":  withChunk(pngOf(t, stored), "eXIf", exifOf(orientation)),
		} {
			for _, mode := range []Mode{Stretch, Crop, Pad} {
				// Both are of the photo's aspect ratio, so nothing is cut or added.
				for _, target := range []Target{{20, 30, mode, grey128}, {120, 180, mode, grey128}} {
					isCorners(t, fmt.Sprintf("%s %d %s", format, orientation, mode), mustResize(t, data, target), target, 6)
				}
			}
		}
	}
}

// lyingAs is how an upright picture is stored under an orientation, from EXIF's
// own words: where row 0 and column 0 of the stored picture are seen.
func lyingAs(upright *image.RGBA, orientation int) *image.RGBA {
	width, height := upright.Rect.Dx(), upright.Rect.Dy()
	sides := [9][2]string{
		1: {"top", "left"}, 2: {"top", "right"}, 3: {"bottom", "right"}, 4: {"bottom", "left"},
		5: {"left", "top"}, 6: {"right", "top"}, 7: {"right", "bottom"}, 8: {"left", "bottom"},
	}[orientation]
	stored := image.NewRGBA(image.Rect(0, 0, width, height))
	if orientation >= 5 {
		stored = image.NewRGBA(image.Rect(0, 0, height, width))
	}
	for row := range stored.Rect.Dy() {
		for column := range stored.Rect.Dx() {
			x, y := 0, 0
			for side, distance := range map[string]int{sides[0]: row, sides[1]: column} {
				switch side {
				case "top":
					y = distance
				case "bottom":
					y = height - 1 - distance
				case "left":
					x = distance
				case "right":
					x = width - 1 - distance
				}
			}
			stored.SetRGBA(column, row, upright.RGBAAt(x, y))
		}
	}
	return stored
}

// stripes are a picture of the given size whose left, middle and right third
// are red, green and blue.
func stripes(width, height int) *image.RGBA {
	picture := image.NewRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			picture.SetRGBA(x, y, cornerColours[x*3/width])
		}
	}
	return picture
}

func TestModes(t *testing.T) {
	red, green, blue := cornerColours[0], cornerColours[1], cornerColours[2]
	over := color.RGBA{10, 20, 30, 255}
	background := [3]byte{10, 20, 30}
	for _, side := range []int{32, 100, 320} { // shrinking, in between, growing
		for _, test := range []struct {
			mode                Mode
			left, middle, right color.RGBA
			top                 color.RGBA // in the middle of the first row
		}{
			{Stretch, red, green, blue, green},
			{Crop, green, green, green, green},
			{Pad, red, green, blue, over},
		} {
			target := Target{side, side, test.mode, background}
			pixels := mustResize(t, pngOf(t, stripes(270, 90)), target)
			for i, want := range []color.RGBA{test.left, test.middle, test.right} {
				if got := at(pixels, target, side*(1+2*i)/6, side/2); !near(got, want, 3) {
					t.Errorf("%s to %d: third %d is %v, want %v", test.mode, side, i, got, want)
				}
			}
			if got := at(pixels, target, side/2, 0); !near(got, test.top, 3) {
				t.Errorf("%s to %d: the top is %v, want %v", test.mode, side, got, test.top)
			}
		}
	}
}

// Edges of enlarged photos are not blended with black.
func TestEdges(t *testing.T) {
	white := image.NewGray(image.Rect(0, 0, 20, 20))
	for i := range white.Pix {
		white.Pix[i] = 255
	}
	for _, size := range []size{{64, 64}, {64, 10}, {10, 64}, {21, 21}, {20, 64}} {
		target := Target{size.height, size.width, Stretch, grey128}
		for _, data := range [][]byte{jpegOf(t, white), pngOf(t, white)} {
			for i, value := range mustResize(t, data, target) {
				if value < 254 {
					t.Fatalf("%d×%d: sample %d is %d", target.Width, target.Height, i, value)
				}
			}
		}
	}
}

// A pattern finer than the target averages out, in whichever direction it runs
// and whatever the other side does: nothing is sampled without a filter.
func TestNoAliasing(t *testing.T) {
	for _, vertical := range []bool{false, true} {
		for _, size := range []size{{200, 300}, {300, 200}, {400, 100}, {100, 400}, {200, 60}, {60, 200}, {576, 300}, {1200, 144}} {
			fine := image.NewGray(image.Rect(0, 0, size.width, size.height))
			for y := range size.height {
				for x := range size.width {
					if vertical && y%2 == 0 || !vertical && x%2 == 0 {
						fine.Pix[y*fine.Stride+x] = 255
					}
				}
			}
			target := Target{72, 72, Stretch, grey128}
			if along := size.width; vertical && size.height < 120 || !vertical && along < 120 {
				continue // the pattern is not finer than the target
			}
			for format, data := range map[string][]byte{"jpeg": jpegOf(t, fine), "png": pngOf(t, fine)} {
				pixels := mustResize(t, data, target)
				for y := 4; y < 68; y++ {
					for x := 4; x < 68; x++ {
						if got := at(pixels, target, x, y); math.Abs(float64(got.G)-127.5) > 40 {
							t.Fatalf("%s, %d×%d, vertical %v: %v at %d,%d", format, size.width, size.height, vertical, got, x, y)
						}
					}
				}
			}
		}
	}
}

// The result is about what another good implementation gives.
func TestAgreesWithCatmullRom(t *testing.T) {
	picture := scene(400, 300)
	for _, side := range []size{{72, 72}, {100, 75}, {200, 150}, {399, 299}, {600, 450}, {72, 400}} {
		want := image.NewRGBA(image.Rect(0, 0, side.width, side.height))
		draw.CatmullRom.Scale(want, want.Bounds(), picture, picture.Bounds(), draw.Src, nil)
		target := Target{side.height, side.width, Stretch, grey128}
		for format, data := range map[string][]byte{"jpeg": jpegOf(t, picture), "png": pngOf(t, picture)} {
			pixels, sum := mustResize(t, data, target), 0.0
			for y := range side.height {
				for x := range side.width {
					got, other := at(pixels, target, x, y), want.RGBAAt(x, y)
					sum += math.Abs(float64(got.R)-float64(other.R)) + math.Abs(float64(got.G)-float64(other.G)) + math.Abs(float64(got.B)-float64(other.B))
				}
			}
			if mean := sum / float64(len(pixels)); mean > 6 {
				t.Errorf("%s to %v: differs by %.1f on average", format, side, mean)
			}
		}
	}
}

// Any size, any target, any mode: exactly the bytes that were asked for, and
// never another colour than that of a photo that has only one, within what
// libvips' fixed-point weights, which need not add up to one, can be off.
func TestAnySize(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		width, height := rapid.IntRange(8, 700).Draw(t, "width"), rapid.IntRange(8, 700).Draw(t, "height")
		target := Target{
			rapid.IntRange(8, 300).Draw(t, "target height"), rapid.IntRange(8, 300).Draw(t, "target width"),
			rapid.SampledFrom(modes).Draw(t, "mode"), [3]byte{90, 160, 30},
		}
		picture := image.NewRGBA(image.Rect(0, 0, width, height))
		draw.Draw(picture, picture.Bounds(), image.NewUniform(color.RGBA{90, 160, 30, 255}), image.Point{}, draw.Src)
		var data []byte
		if rapid.Bool().Draw(t, "jpeg") {
			data = rotated(jpegOf(panicker{}, picture), rapid.IntRange(1, 8).Draw(t, "orientation"))
		} else {
			data = pngOf(panicker{}, picture)
		}
		pixels, err := Resize(data, target)
		if err != nil {
			t.Fatal(err)
		}
		if len(pixels) != 3*target.Height*target.Width {
			t.Fatalf("%d bytes", len(pixels))
		}
		for i := range len(pixels) / 3 {
			if got := (color.RGBA{pixels[3*i], pixels[3*i+1], pixels[3*i+2], 255}); !near(got, color.RGBA{90, 160, 30, 255}, 5) {
				t.Fatalf("pixel %d is %v", i, got)
			}
		}
	})
}

// panicker stands in for a test where there is none.
type panicker struct{ testing.TB }

func (panicker) Helper()             {}
func (panicker) Fatal(values ...any) { panic(fmt.Sprint(values...)) }

func BenchmarkCheck(b *testing.B) {
	data := jpegOf(b, scene(500, 375))
	for b.Loop() {
		Check(data, limits)
	}
}

func BenchmarkResize(b *testing.B) {
	for _, side := range []size{{500, 375}, {200, 200}} {
		data := jpegOf(b, scene(side.width, side.height))
		b.Run(fmt.Sprintf("%dx%d", side.width, side.height), func(b *testing.B) {
			for b.Loop() {
				mustResize(b, data, Target{72, 72, Stretch, grey128})
			}
		})
	}
}
