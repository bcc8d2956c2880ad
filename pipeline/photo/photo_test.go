package photo

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"golang.org/x/image/draw"
)

// Each photo, good or bad, and what Check must say of it.
func TestCheck(t *testing.T) {
	colour := scene(160, 120)
	grey := image.NewGray(colour.Bounds())
	deep := image.NewNRGBA64(colour.Bounds())
	draw.Draw(grey, grey.Bounds(), colour, image.Point{}, draw.Src)
	draw.Draw(deep, deep.Bounds(), colour, image.Point{}, draw.Src)
	whole, png, gif, tiff := jpegOf(t, colour), pngOf(t, colour), gifOf(t, colour), tiffOf(t, colour)
	corrupt := slices.Clone(whole)
	for i := len(corrupt) / 2; i < len(corrupt)/2+40; i++ {
		corrupt[i] ^= 0x55
	}
	idat := bytes.Index(png, []byte("IDAT"))
	webp := webpOf(color.RGBA{1, 2, 3, 255})

	for _, test := range []struct {
		name    string
		data    []byte
		format  string
		problem Problem
	}{
		{"jpeg", whole, "jpeg", ""},
		{"grey jpeg", jpegOf(t, grey), "jpeg", ""},
		{"cmyk jpeg", cmykOf(t, colour), "jpeg", ""},
		{"rotated jpeg", rotated(whole, 6), "jpeg", ""},
		{"jpeg with bytes behind it", append(slices.Clone(whole), "more"...), "jpeg", ""},
		{"png", png, "png", ""},
		{"16-bit png", pngOf(t, deep), "png", ""},
		{"palette png with alpha", pngOf(t, translucent(40, 30)), "png", ""},
		{"gif", gif, "gif", ""},
		{"tiff", tiff, "tiff", ""},
		{"webp", webp, "webp", ""},

		{"empty", nil, "", Empty},
		{"text", []byte("<!doctype html><title>404</title>"), "", NotAnImage},
		{"one byte", []byte{0xff}, "", NotAnImage},
		{"zeros", make([]byte, 1000), "", NotAnImage},
		{"thumbs.db", []byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\x00\x00"), "", NotAnImage},

		{"jpeg, half of it", whole[:len(whole)/2], "jpeg", Truncated},
		{"jpeg without the end marker", whole[:len(whole)-2], "jpeg", Truncated},
		{"jpeg without the last byte", whole[:len(whole)-1], "jpeg", Truncated},
		{"jpeg, start only", whole[:3], "jpeg", Truncated},
		{"png, half of it", png[:len(png)/2], "png", Truncated},
		{"png without the last byte", png[:len(png)-1], "png", Truncated},
		{"png, start only", png[:10], "png", Truncated},
		{"gif, half of it", gif[:len(gif)/2], "gif", Truncated},
		{"gif without the trailer", gif[:len(gif)-1], "gif", Truncated},
		{"gif, start only", gif[:9], "gif", Truncated},
		{"tiff, half of it", tiff[:len(tiff)/2], "tiff", Truncated},
		{"webp without the last byte", webp[:len(webp)-1], "webp", Truncated},

		{"jpeg with a damaged scan", corrupt, "jpeg", Corrupt},
		{"jpeg without tables", slices.Concat(whole[:2], whole[bytes.Index(whole, []byte{0xff, 0xc0}):]), "jpeg", Corrupt},
		{"png with a flipped bit", flip(png, idat+20), "png", Corrupt},
		{"png with a flipped checksum", flip(png, len(png)-1), "png", Corrupt},
		{"png with a chunk that is not named by letters", withChunk(png, "pH]s", nil), "png", Corrupt},
		{"tiff with a second directory beyond the end", withNextDirectory(tiff, 1<<20), "tiff", Truncated},
		{"tiff with directories in a circle", withNextDirectory(tiff, binary.LittleEndian.Uint32(tiff[4:])), "tiff", Corrupt},
		{"tiff with two numbers of rows", withField(tiff, 278, 4, 2), "tiff", Corrupt},
		{"tiff with a resolution beyond the end", withField(tiff, 282, 8, 1<<20), "tiff", Truncated},
		{"gif with a wrong block", flip(gif, bytes.IndexByte(gif[13+3*256:], 0x2c)+13+3*256), "gif", Corrupt},

		{"jpeg that claims more rows", withSize(whole, 160, 480), "jpeg", HeaderLies},
		{"jpeg that claims wider rows", withSize(whole, 320, 120), "jpeg", HeaderLies},
		{"jpeg that claims fewer rows", withSize(whole, 160, 48), "jpeg", HeaderLies},
		{"jpeg that claims all sizes", withSize(whole, 9000, 9000), "jpeg", HeaderLies},
		{"png that claims more rows", claiming(png, 160, 200), "png", HeaderLies},
		{"png that claims fewer rows", claiming(png, 160, 100), "png", HeaderLies},

		{"one pixel wide", jpegOf(t, scene(1, 200)), "jpeg", TooSmall},
		{"7 px high", pngOf(t, scene(200, 7)), "png", TooSmall},
		{"30,000 × 30,000 px", claiming(pngOf(t, grey), 30000, 30000), "png", TooLarge},
		{"65,500 × 65,500 px", withSize(whole, 65500, 65500), "jpeg", TooLarge},
		{"a gif of 65,535 × 65,535 px", slices.Concat(gif[:6], []byte{255, 255, 255, 255}, gif[10:]), "gif", TooLarge},
		{"a gif of many large frames", frames(gif, 6000), "gif", TooLarge},

		{"bmp", bmpOf(t, colour), "bmp", Unsupported},
		{"svg", []byte("<?xml version='1.0'?>\n<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>"), "svg", Unsupported},
		{"pdf", []byte("%PDF-1.7\n"), "pdf", Unsupported},
		{"lossless jpeg", bytes.Replace(whole, []byte{0xff, 0xc0}, []byte{0xff, 0xc3}, 1), "jpeg", Unsupported},
		{"webp that says it is animated", riff(webpChunk("VP8X", append([]byte{2}, make([]byte, 9)...)), webp[12:]), "webp", Unsupported},
		{"animated webp", riff(webpChunk("VP8X", make([]byte, 10)), webpChunk("ANIM", make([]byte, 6))), "webp", Unsupported},
	} {
		info := Check(test.data, limits)
		if info.Format != test.format || info.Problem != test.problem {
			t.Errorf("%s: %+v, want %s %q", test.name, info, test.format, test.problem)
		}
		if (info.Problem == "") != (info.Detail == "") || strings.Contains(info.Detail, "\n") {
			t.Errorf("%s: %q has the detail %q", test.name, info.Problem, info.Detail)
		}
	}
}

// withNextDirectory says that a TIFF's first directory is followed by another.
func withNextDirectory(data []byte, at uint32) []byte {
	changed := slices.Clone(data)
	first := binary.LittleEndian.Uint32(data[4:])
	binary.LittleEndian.PutUint32(changed[first+2+12*uint32(binary.LittleEndian.Uint16(data[first:])):], at)
	return changed
}

// withField changes four bytes of the field with the tag in a TIFF's first
// directory: at 4 the number of its values, at 8 the value or where it lies.
func withField(data []byte, tag uint16, at int, value uint32) []byte {
	changed := slices.Clone(data)
	for field := binary.LittleEndian.Uint32(data[4:]) + 2; ; field += 12 {
		if binary.LittleEndian.Uint16(data[field:]) == tag {
			binary.LittleEndian.PutUint32(changed[int(field)+at:], value)
			return changed
		}
	}
}

// frames repeats the image of a GIF file.
func frames(data []byte, count int) []byte {
	start := 13
	if data[10]&0x80 != 0 {
		start += 3 << (1 + data[10]&7)
	}
	frame := data[start : len(data)-1]
	return slices.Concat(data[:start], bytes.Repeat(frame, count), data[len(data)-1:])
}

func flip(data []byte, at int) []byte {
	flipped := slices.Clone(data)
	flipped[at] ^= 0x40
	return flipped
}

// The end of an image may be missing by any number of bytes.
func TestEveryCutIsFound(t *testing.T) {
	picture := scene(48, 40)
	for format, data := range map[string][]byte{"jpeg": jpegOf(t, picture), "png": pngOf(t, picture), "gif": gifOf(t, picture), "webp": webpOf(color.RGBA{9, 8, 7, 255})} {
		for length := range len(data) {
			if info := Check(data[:length], limits); info.Problem == "" {
				t.Errorf("%s cut to %d of %d bytes is accepted", format, length, len(data))
			}
		}
	}
}

// Every single flipped bit of a PNG is found, but where it does not matter:
// nowhere, since all bytes are under a checksum.
func TestEveryFlippedBitOfAPNGIsFound(t *testing.T) {
	data := pngOf(t, scene(20, 16))
	for bit := range 8 * len(data) {
		flipped := slices.Clone(data)
		flipped[bit/8] ^= 1 << (bit % 8)
		if info := Check(flipped, limits); info.Problem == "" {
			t.Errorf("bit %d of byte %d", bit%8, bit/8)
		}
	}
}

func TestInterlacedPNG(t *testing.T) {
	// Adam7's passes of a 5×3 image hold all of its pixels.
	pixels := 0
	for _, pass := range passes(pngLayout{width: 5, height: 3, interlaced: true}) {
		pixels += pass.width * pass.height
	}
	if pixels != 15 {
		t.Error(pixels)
	}
}

// Width and height are those that people see.
func TestSizeIsUpright(t *testing.T) {
	for orientation := range 10 {
		want := size{60, 40}
		if orientation >= 5 && orientation <= 8 {
			want = size{40, 60}
		}
		for format, data := range map[string][]byte{
			"jpeg": rotated(jpegOf(t, scene(60, 40)), orientation),
			"png":  withChunk(pngOf(t, scene(60, 40)), "eXIf", exifOf(orientation)),
		} {
			if info := Check(data, limits); info.Width != want.width || info.Height != want.height || info.Problem != "" {
				t.Errorf("%s, orientation %d: %+v", format, orientation, info)
			}
		}
	}
}

func TestOddEXIF(t *testing.T) {
	good := exifOf(6)
	little := []byte("II\x2a\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00")
	if got := exifOrientation(little); got != 8 {
		t.Errorf("little-endian: %d", got)
	}
	for length := range len(good) - 8 {
		if got := exifOrientation(good[:length]); got != 1 {
			t.Errorf("cut to %d bytes: %d", length, got)
		}
	}
	far := slices.Clone(good)
	binary.BigEndian.PutUint32(far[4:], 0xffffffff)
	if got := exifOrientation(far); got != 1 {
		t.Errorf("a directory beyond the end: %d", got)
	}
}

// mutate damages a file as storage and networks do, and as fuzzers like it.
func mutate(random *rand.Rand, data []byte) []byte {
	data = slices.Clone(data)
	for range 1 + random.IntN(3) {
		at, length := random.IntN(len(data)), 1+random.IntN(64)
		end := min(len(data), at+length)
		switch random.IntN(6) {
		case 0:
			data[at] ^= 1 << random.IntN(8)
		case 1:
			data[at] = byte(random.Uint32())
		case 2:
			clear(data[at:end])
		case 3:
			data = slices.Delete(data, at, end)
		case 4:
			data = slices.Insert(data, at, data[at:end]...)
		case 5:
			data = data[:max(1, at)]
		}
		if len(data) == 0 {
			return []byte{0}
		}
	}
	return data
}

// samples are small files of every format, for mutation.
func samples(t testing.TB) map[string][]byte {
	picture := scene(64, 48)
	grey := image.NewGray(picture.Bounds())
	draw.Draw(grey, grey.Bounds(), picture, image.Point{}, draw.Src)
	return map[string][]byte{
		"jpeg": jpegOf(t, picture), "grey": jpegOf(t, grey), "cmyk": cmykOf(t, picture), "rotated": rotated(jpegOf(t, picture), 5),
		"png": pngOf(t, picture), "palette": pngOf(t, translucent(32, 24)), "gif": gifOf(t, picture),
		"tiff": tiffOf(t, picture), "webp": webpOf(color.RGBA{10, 20, 30, 128}), "bmp": bmpOf(t, picture),
	}
}

// Whatever is done to a file, checking it gives an answer; this process does
// not crash.
func TestCheckOfMutatedFiles(t *testing.T) {
	count := 400
	if testing.Short() {
		count = 50
	}
	random := rand.New(rand.NewPCG(1, 2))
	for name, data := range samples(t) {
		for range count {
			Check(mutate(random, data), limits)
		}
		if info := Check(data, limits); info.Problem != "" && name != "bmp" {
			t.Errorf("%s: %+v", name, info)
		}
	}
}

// FuzzCheck: whatever a file holds, checking it gives an answer, and nothing is
// let in beyond the limits. libvips, which has fuzzers of its own, is left out.
func FuzzCheck(f *testing.F) {
	for _, data := range samples(f) {
		f.Add(data)
	}
	f.Add([]byte{})
	small := Limits{MinimumSide: 8, MaximumMegapixels: 1}
	f.Fuzz(func(t *testing.T, data []byte) {
		info, _, rejection := examine(data, small)
		if rejection == nil && (info.Width < 8 || info.Height < 8 || info.Width*info.Height > 1e6) {
			t.Errorf("%+v is accepted", info)
		}
	})
}
