package drawn

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"image/png"
)

func encodeJPEG(m image.Image, quality int) ([]byte, error) {
	var out bytes.Buffer
	err := jpeg.Encode(&out, m, &jpeg.Options{Quality: quality})
	return out.Bytes(), err
}

func encodePNG(m image.Image) ([]byte, error) {
	var out bytes.Buffer
	err := (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(&out, m)
	return out.Bytes(), err
}

// JPEG markers.
const (
	markerSOF0  = 0xc0
	markerSOI   = 0xd8
	markerEOI   = 0xd9
	markerSOS   = 0xda
	markerDQT   = 0xdb
	markerDHT   = 0xc4
	markerAPP1  = 0xe1
	markerAPP14 = 0xee
)

// segment appends a JPEG segment.
func segment(out []byte, marker byte, payload []byte) []byte {
	out = append(out, 0xff, marker)
	out = binary.BigEndian.AppendUint16(out, uint16(len(payload)+2))
	return append(out, payload...)
}

// segments calls visit for each segment of a JPEG up to the first scan, whose
// header is the last, and returns what follows it.
func segments(data []byte, visit func(marker byte, payload []byte)) ([]byte, error) {
	for rest := data[2:]; len(rest) >= 4 && rest[0] == 0xff; {
		length := int(binary.BigEndian.Uint16(rest[2:]))
		visit(rest[1], rest[4:2+length])
		if rest[1] == markerSOS {
			return rest[2+length:], nil
		}
		rest = rest[2+length:]
	}
	return nil, fmt.Errorf("JPEG without a scan")
}

// encodeCMYK writes a JPEG of four components, inverted and marked as Adobe's
// programs do. Go has no encoder for such; but each component may have a scan of
// its own, and what it holds is the scan of a grey JPEG.
func encodeCMYK(m *image.RGBA, quality int) ([]byte, error) {
	bounds := m.Bounds()
	var planes [4]*image.Gray
	for i := range planes {
		planes[i] = image.NewGray(bounds)
	}
	for y := range bounds.Dy() {
		for x := range bounds.Dx() {
			pixel := m.RGBAAt(x, y)
			cyan, magenta, yellow, key := color.RGBToCMYK(pixel.R, pixel.G, pixel.B)
			for i, ink := range []uint8{cyan, magenta, yellow, key} {
				planes[i].Pix[y*planes[i].Stride+x] = 255 - ink
			}
		}
	}
	out := []byte{0xff, markerSOI}
	out = segment(out, markerAPP14, []byte("Adobe\x00\x64\x00\x00\x00\x00\x00"))
	for i, plane := range planes {
		grey, err := encodeJPEG(plane, quality)
		if err != nil {
			return nil, err
		}
		scan, err := segments(grey, func(marker byte, payload []byte) {
			switch {
			case marker == markerSOS:
				payload = bytes.Clone(payload)
				payload[1] = byte(i + 1)
			case i > 0:
				return // the same tables and the same size once more
			case marker == markerSOF0:
				frame := append(bytes.Clone(payload[:5]), 4)
				for component := range planes {
					frame = append(frame, byte(component+1), 0x11, 0)
				}
				payload = frame
			}
			out = segment(out, marker, payload)
		})
		if err != nil {
			return nil, err
		}
		out = append(out, scan[:len(scan)-2]...)
	}
	return append(out, 0xff, markerEOI), nil
}

// withOrientation puts an EXIF segment with the given orientation into a JPEG.
func withOrientation(data []byte, orientation int) []byte {
	exif := []byte("Exif\x00\x00MM\x00\x2a\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01")
	exif = append(exif, 0, byte(orientation), 0, 0, 0, 0, 0, 0)
	out := segment([]byte{0xff, markerSOI}, markerAPP1, exif)
	return append(out, data[2:]...)
}

// stored is how an upright picture lies in a file with the given EXIF
// orientation: what turns it upright again, undone.
func stored(upright *image.RGBA, orientation int) *image.RGBA {
	w, h := upright.Bounds().Dx(), upright.Bounds().Dy()
	if orientation >= 5 {
		w, h = h, w
	}
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			ux, uy := x, y // where the stored pixel belongs
			switch orientation {
			case 2:
				ux = w - 1 - x
			case 3:
				ux, uy = w-1-x, h-1-y
			case 4:
				uy = h - 1 - y
			case 5:
				ux, uy = y, x
			case 6:
				ux, uy = h-1-y, x
			case 7:
				ux, uy = h-1-y, w-1-x
			case 8:
				ux, uy = y, w-1-x
			}
			copy(m.Pix[y*m.Stride+4*x:][:4], upright.Pix[uy*upright.Stride+4*ux:])
		}
	}
	return m
}

// mark draws what shows which way is up: a white plate in the upper left
// corner with a red arrow on it that points up and a blue bar to its right.
func (c *canvas) mark() {
	s := float64(min(c.width, c.height)) * 0.2
	c.with(place(0, 0, s, s, 0), func() {
		c.fill(box(0, 0, 1, 1), colour{255, 255, 255}, 1)
		c.fill(polygon(0.4, 0.05, 0.7, 0.45, 0.5, 0.45, 0.5, 0.95, 0.3, 0.95, 0.3, 0.45, 0.1, 0.45), colour{220, 0, 0}, 1)
		c.fill(box(0.8, 0.05, 0.95, 0.95), colour{0, 0, 220}, 1)
	})
}

// deepen is the picture with 16 bits a channel, the lower ones random.
func deepen(m *image.RGBA, r *random) *image.RGBA64 {
	deep := image.NewRGBA64(m.Bounds())
	for i, value := range m.Pix {
		deep.Pix[2*i] = value
		deep.Pix[2*i+1] = byte(r.next())
		if i%4 == 3 {
			deep.Pix[2*i+1] = 255
		}
	}
	return deep
}

// grey is the picture without its colours.
func grey(m *image.RGBA) *image.Gray {
	g := image.NewGray(m.Bounds())
	draw.Draw(g, g.Bounds(), m, image.Point{}, draw.Src)
	return g
}

// sticker is the picture in 125 colours, cut out as an ellipse with a
// half-transparent rim.
func sticker(m *image.RGBA) *image.Paletted {
	palette := color.Palette{color.NRGBA{}}
	for _, alpha := range []uint8{255, 128} {
		for i := range 125 {
			palette = append(palette, color.NRGBA{uint8(i / 25 * 63), uint8(i / 5 % 5 * 63), uint8(i % 5 * 63), alpha})
		}
	}
	w, h := m.Bounds().Dx(), m.Bounds().Dy()
	s := image.NewPaletted(m.Bounds(), palette)
	for y := range h {
		for x := range w {
			u, v := 2*float64(x)/float64(w)-1, 2*float64(y)/float64(h)-1
			distance := u*u + v*v
			if distance > 1 {
				continue
			}
			pixel := m.Pix[y*m.Stride+4*x:]
			// Ordered dithering keeps the few colours from banding.
			dither := (x&1*2 + y&1*3) % 4 * 16
			level := func(v uint8) int { return min((int(v)+dither)/64, 4) }
			index := 1 + level(pixel[0])*25 + level(pixel[1])*5 + level(pixel[2])
			if distance > 0.85 {
				index += 125
			}
			s.Pix[y*s.Stride+x] = uint8(index)
		}
	}
	return s
}
