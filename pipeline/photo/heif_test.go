package photo

import (
	"bytes"
	"encoding/binary"
	"image/color"
	"slices"
	"testing"

	"github.com/h2non/bimg"
)

// unverified are the limits with which HEIF is let in.
var unverified = Limits{MinimumSide: 8, MaximumMegapixels: 100, Unverified: true}

// heifOf are the codecs that this machine's libvips can write.
func heifOf(t *testing.T, jpeg []byte) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for name, kind := range map[string]bimg.ImageType{"heic": bimg.HEIF, "avif": bimg.AVIF} {
		if data, err := bimg.Resize(jpeg, bimg.Options{Type: kind, Quality: 95}); err == nil {
			files[name] = data
		}
	}
	if len(files) == 0 {
		t.Skip("libvips writes neither HEIC nor AVIF here")
	}
	return files
}

// edited is the file with the first bytes after a mark replaced.
func edited(t *testing.T, data []byte, mark string, skip int, with ...byte) []byte {
	t.Helper()
	at := bytes.Index(data, []byte(mark))
	if at < 0 {
		t.Fatalf("no %q", mark)
	}
	data = slices.Clone(data)
	copy(data[at+len(mark)+skip:], with)
	return data
}

// turned is the file with the (here needless) property pixi made one that says
// to turn the picture by a quarter, against the clock.
func turned(t *testing.T, data []byte) []byte {
	return edited(t, edited(t, data, "pixi", 0, 1), "pixi", -4, []byte("irot")...)
}

func TestCheckHEIF(t *testing.T) {
	for name, data := range heifOf(t, jpegOf(t, scene(160, 120))) {
		wide := binary.BigEndian.AppendUint32(nil, 320)
		for _, test := range []struct {
			name          string
			data          []byte
			limits        Limits
			problem       Problem
			width, height int
		}{
			{"whole", data, unverified, "", 160, 120},
			{"not asked for", data, limits, Unsupported, 0, 0},
			{"turned", turned(t, data), unverified, "", 120, 160},
			{"half of it", data[:len(data)/2], unverified, Truncated, 0, 0},
			{"without the last byte", data[:len(data)-1], unverified, Truncated, 0, 0},
			{"the start only", data[:40], unverified, Truncated, 0, 0},
			{"without a picture", data[:28], unverified, Unsupported, 0, 0},
			{"an item behind the end", edited(t, data, "iloc", 18, 0xff), unverified, Truncated, 0, 0},
			{"a box shorter than its header", edited(t, data, "hdlr", -8, 0, 0, 0, 3), unverified, Corrupt, 0, 0},
			{"a size of nothing", edited(t, data, "ispe", 4, 0, 0, 0, 0), unverified, Corrupt, 0, 0},
			{"another size", edited(t, data, "ispe", 4, wide...), unverified, Corrupt, 320, 120},
			{"the size of a bomb", edited(t, data, "ispe", 4, 0x7f, 0xff, 0xff, 0xff), unverified, TooLarge, 1<<31 - 1, 120},
			{"sides whose product overflows", edited(t, data, "ispe", 4, bytes.Repeat([]byte{0xff}, 8)...), unverified, TooLarge, 1<<32 - 1, 1<<32 - 1},
		} {
			info := Check(test.data, test.limits)
			if info.Format != "heif" || info.Problem != test.problem || info.Width != test.width || info.Height != test.height {
				t.Errorf("%s, %s: %+v, want problem %q and %d×%d px", name, test.name, info, test.problem, test.width, test.height)
			}
		}
	}
}

func boxOf(kind string, body ...[]byte) []byte {
	content := slices.Concat(body...)
	return slices.Concat(binary.BigEndian.AppendUint32(nil, uint32(8+len(content))), []byte(kind), content)
}

func numbers(values ...uint32) (data []byte) {
	for _, value := range values {
		data = binary.BigEndian.AppendUint32(data, value)
	}
	return data
}

// TestHEIFSize holds that what is cut off and how the picture is turned are
// taken in the order in which the file has them.
func TestHEIFSize(t *testing.T) {
	if !bimg.IsTypeSupported(bimg.HEIF) {
		t.Skip("libvips reads no HEIF here")
	}
	data := slices.Concat(
		boxOf("ftyp", []byte("heic"), numbers(0)),
		boxOf("meta", numbers(0),
			boxOf("pitm", numbers(0), []byte{0, 7}),
			boxOf("iprp",
				boxOf("ipco",
					boxOf("ispe", numbers(0, 640, 480)),
					boxOf("clap", numbers(1200, 2, 400, 1, 0, 1, 0, 1)),
					boxOf("irot", []byte{3})),
				boxOf("ipma", numbers(0, 2), []byte{0, 6, 1, 1}, []byte{0, 7, 3, 1, 2, 0x83}))))
	head, rejection := heifHeader(data)
	if rejection != nil || head.width != 400 || head.height != 600 {
		t.Errorf("%+v, %v, want 400×600 px", head, rejection)
	}
}

// TestResizeHEIF holds that colours arrive where they belong, also where the
// file says to turn the picture.
func TestResizeHEIF(t *testing.T) {
	c := cornerColours
	for name, data := range heifOf(t, jpegOf(t, corners(160, 120))) {
		for _, test := range []struct {
			name string
			data []byte
			want [4]color.RGBA
		}{
			{"as it is", data, c},
			{"turned against the clock", turned(t, data), [4]color.RGBA{c[1], c[3], c[0], c[2]}},
		} {
			pixels, err := Resize(test.data, Target{Height: 20, Width: 20, Mode: Stretch})
			if err != nil {
				t.Errorf("%s, %s: %v", name, test.name, err)
				continue
			}
			for i, want := range test.want {
				at := ((5+i/2*10)*20 + 5 + i%2*10) * 3
				for j, value := range []uint8{want.R, want.G, want.B} {
					if difference := int(pixels[at+j]) - int(value); difference < -16 || difference > 16 {
						t.Errorf("%s, %s: quarter %d is %v, want about %v", name, test.name, i, pixels[at:at+3], want)
						break
					}
				}
			}
		}
	}
}

// FuzzHEIF holds that no bytes make the reading of boxes fail but by an answer.
func FuzzHEIF(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x10ftypheic\x00\x00\x00\x00\x00\x00\x00\x08meta"))
	f.Add([]byte("\x00\x00\x00\x10ftypavif\x00\x00\x00\x00\x00\x00\x00\x48meta\x00\x00\x00\x00" +
		"\x00\x00\x00\x0epitm\x00\x00\x00\x00\x00\x01\x00\x00\x00\x2eiprp\x00\x00\x00\x14ipco\x00\x00\x00\x0cispe\x00\x00\x00\x00" +
		"\x00\x00\x00\x12ipma\x00\x00\x00\x00\x00\x00\x00\x01\x00\x01\x01\x01"))
	f.Fuzz(func(t *testing.T, data []byte) {
		head, rejection := heifHeader(data)
		if rejection == nil && (head.width <= 0 || head.height <= 0) {
			t.Errorf("a good header of %d×%d px", head.width, head.height)
		}
	})
}
