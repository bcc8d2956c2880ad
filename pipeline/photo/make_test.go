package photo

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/color/palette"
	"image/gif"
	"image/jpeg"
	"image/png"
	"os"
	"slices"
	"testing"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
)

func TestMain(m *testing.M) {
	decode = decodeBadly
	ServeIfWorker()
	os.Exit(m.Run())
}

// limits are those of params.yaml.
var limits = Limits{MinimumSide: 8, MaximumMegapixels: 100}

// scene is a picture with smooth and rough parts.
func scene(width, height int) *image.RGBA {
	picture := image.NewRGBA(image.Rect(0, 0, width, height))
	noise := uint32(1)
	for y := range height {
		for x := range width {
			noise = noise*1664525 + 1013904223
			rough := uint8(0)
			if (x/16+y/16)%3 == 0 {
				rough = uint8(noise >> 26)
			}
			picture.SetRGBA(x, y, color.RGBA{uint8(x * 255 / width), uint8(y*255/height)/2 + rough, 80 + rough, 255})
		}
	}
	return picture
}

// corners is a picture whose quarters are red, green, blue and white, in the
// order in which one reads.
var cornerColours = [4]color.RGBA{{220, 30, 30, 255}, {30, 200, 30, 255}, {30, 30, 210, 255}, {240, 240, 240, 255}}

func corners(width, height int) *image.RGBA {
	picture := image.NewRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			picture.SetRGBA(x, y, cornerColours[y*2/height*2+x*2/width])
		}
	}
	return picture
}

func jpegOf(t testing.TB, picture image.Image) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := jpeg.Encode(&out, picture, &jpeg.Options{Quality: 92}); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func pngOf(t testing.TB, picture image.Image) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := png.Encode(&out, picture); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func gifOf(t testing.TB, picture image.Image) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := gif.Encode(&out, picture, nil); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func tiffOf(t testing.TB, picture image.Image) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := tiff.Encode(&out, picture, &tiff.Options{Compression: tiff.Deflate}); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func bmpOf(t testing.TB, picture image.Image) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := bmp.Encode(&out, picture); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// jpegSegment is a marker with what follows it.
func jpegSegment(marker byte, payload []byte) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{0xff, marker}, uint16(len(payload)+2)), payload...)
}

// jpegSegments calls visit for each segment up to and with the scan's, and
// returns the scan.
func jpegSegments(data []byte, visit func(marker byte, payload []byte)) []byte {
	for rest := data[2:]; ; {
		end := 2 + int(binary.BigEndian.Uint16(rest[2:]))
		visit(rest[1], rest[4:end])
		if rest[1] == 0xda {
			return rest[end:]
		}
		rest = rest[end:]
	}
}

// cmykOf is a JPEG of four inks, inverted as Adobe's programs do. Each ink has a
// scan of its own, that of a grey JPEG.
func cmykOf(t testing.TB, picture *image.RGBA) []byte {
	out := append([]byte{0xff, 0xd8}, jpegSegment(0xee, []byte("Adobe\x00\x64\x00\x00\x00\x00\x00"))...)
	for ink := range 4 {
		plane := image.NewGray(picture.Bounds())
		for i := range plane.Pix {
			c, m, y, k := color.RGBToCMYK(picture.Pix[4*i], picture.Pix[4*i+1], picture.Pix[4*i+2])
			plane.Pix[i] = 255 - [4]uint8{c, m, y, k}[ink]
		}
		scan := jpegSegments(jpegOf(t, plane), func(marker byte, payload []byte) {
			payload = slices.Clone(payload)
			switch {
			case marker == 0xda:
				payload[1] = byte(ink + 1)
			case ink > 0:
				return
			case marker == 0xc0:
				payload = append(payload[:5], 4, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0, 4, 0x11, 0)
			}
			out = append(out, jpegSegment(marker, payload)...)
		})
		out = append(out, scan[:len(scan)-2]...)
	}
	return append(out, 0xff, 0xd9)
}

// withSize changes the size that a JPEG's header claims.
func withSize(data []byte, width, height int) []byte {
	changed := slices.Clone(data)
	at := bytes.Index(changed, []byte{0xff, 0xc0})
	binary.BigEndian.PutUint16(changed[at+5:], uint16(height))
	binary.BigEndian.PutUint16(changed[at+7:], uint16(width))
	return changed
}

// exifOf is EXIF data with an orientation.
func exifOf(orientation int) []byte {
	return []byte("MM\x00\x2a\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00" + string(rune(orientation)) + "\x00\x00\x00\x00\x00\x00")
}

// rotated marks a JPEG with an orientation.
func rotated(data []byte, orientation int) []byte {
	return slices.Concat(data[:2], jpegSegment(0xe1, append([]byte("Exif\x00\x00"), exifOf(orientation)...)), data[2:])
}

// pngChunk is a chunk with its checksum.
func pngChunk(kind string, data []byte) []byte {
	out := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
	out = append(append(out, kind...), data...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(out[4:]))
}

// withChunk puts a chunk behind a PNG's header.
func withChunk(data []byte, kind string, content []byte) []byte {
	return slices.Concat(data[:33], pngChunk(kind, content), data[33:])
}

// claiming changes the size that a PNG's header claims.
func claiming(data []byte, width, height int) []byte {
	ihdr := slices.Clone(data[16:29])
	binary.BigEndian.PutUint32(ihdr, uint32(width))
	binary.BigEndian.PutUint32(ihdr[4:], uint32(height))
	return slices.Concat(data[:8], pngChunk("IHDR", ihdr), data[33:])
}

// translucent is a picture whose left half is transparent, with a palette.
func translucent(width, height int) *image.Paletted {
	picture := image.NewPaletted(image.Rect(0, 0, width, height), append(slices.Clone(palette.WebSafe), color.RGBA{}))
	for y := range height {
		for x := range width {
			if x < width/2 {
				picture.SetColorIndex(x, y, uint8(len(palette.WebSafe)))
			} else {
				picture.Set(x, y, color.RGBA{204, 0, 51, 255})
			}
		}
	}
	return picture
}

// webpOf is a lossless WebP file of 16×16 px, all of one colour: prefix codes of
// one symbol take no bits, so there is no data behind them (WebP lossless
// specification, 3.7.2).
func webpOf(colour color.RGBA) []byte {
	var bits []byte
	used := 0
	put := func(value, count int) {
		for i := range count {
			if used%8 == 0 {
				bits = append(bits, 0)
			}
			bits[used/8] |= byte(value >> i & 1 << (used % 8))
			used++
		}
	}
	put(0x2f, 8)
	put(16-1, 14)
	put(16-1, 14)
	put(1, 1) // alpha may be used
	put(0, 3)
	put(0, 1) // no transform
	put(0, 1) // no colour cache
	put(0, 1) // no meta codes
	for _, symbol := range []uint8{colour.G, colour.R, colour.B, colour.A, 0} {
		put(1, 1) // a simple code
		put(0, 1) // of one symbol
		put(1, 1) // of 8 bits
		put(int(symbol), 8)
	}
	if len(bits)%2 == 1 {
		bits = append(bits, 0)
	}
	return riff(webpChunk("VP8L", bits))
}

func webpChunk(kind string, data []byte) []byte {
	return append(binary.LittleEndian.AppendUint32([]byte(kind), uint32(len(data))), data...)
}

func riff(chunks ...[]byte) []byte {
	body := slices.Concat(chunks...)
	return slices.Concat([]byte("RIFF"), binary.LittleEndian.AppendUint32(nil, uint32(4+len(body))), []byte("WEBP"), body)
}
