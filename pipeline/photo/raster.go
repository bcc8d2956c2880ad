package photo

import (
	"encoding/binary"
	"strings"
)

// raster is 8-bit samples as libvips hands them over: an uncompressed TIFF file
// whose pixels lie from byte 8 on.
type raster struct {
	width, height, samples int
	pixels                 []byte
}

const rasterStart = 8

// The tags of TIFF 6.0 that matter here.
const (
	tagWidth         = 256
	tagHeight        = 257
	tagBits          = 258
	tagCompression   = 259
	tagPhotometric   = 262
	tagStripOffsets  = 273
	tagSamples       = 277
	tagRows          = 278
	tagStripBytes    = 279
	typeShort        = 3
	typeLong         = 4
	photometricRGB   = 2
	compressionNone  = 1
	entrySize        = 12
	directoryEntries = 9
)

// parseTIFF reads a file that libvips has written.
func parseTIFF(data []byte) (raster, *Rejection) {
	order, entries := firstDirectory(data)
	values := map[uint16]int{}
	for ; len(entries) >= entrySize; entries = entries[entrySize:] {
		switch order.Uint16(entries[2:]) {
		case typeShort:
			values[order.Uint16(entries)] = int(order.Uint16(entries[8:]))
		case typeLong:
			values[order.Uint16(entries)] = int(order.Uint32(entries[8:]))
		}
	}
	image := raster{width: values[tagWidth], height: values[tagHeight], samples: values[tagSamples]}
	length := image.width * image.height * image.samples
	if length <= 0 || rasterStart+length > len(data) || values[tagCompression] != compressionNone {
		return raster{}, reject(Unsupported, "decoded to %d×%d px of %d samples in %d bytes",
			image.width, image.height, image.samples, len(data))
	}
	image.pixels = data[rasterStart:][:length]
	return image, nil
}

// flatten puts an image of RGBA samples over a colour.
func (r raster) flatten(background [3]byte) raster {
	flat := raster{width: r.width, height: r.height, samples: 3, pixels: make([]byte, r.width*r.height*3)}
	for i, j := 0, 0; i < len(r.pixels); i, j = i+4, j+3 {
		alpha := int(r.pixels[i+3])
		for c := range 3 {
			flat.pixels[j+c] = byte((int(r.pixels[i+c])*alpha + int(background[c])*(255-alpha) + 127) / 255)
		}
	}
	return flat
}

// bytes is the image of RGB samples as a TIFF file.
func (r raster) bytes() []byte {
	little := binary.LittleEndian
	directory := rasterStart + len(r.pixels)
	directory += directory % 2
	bits := directory + 2 + directoryEntries*entrySize + 4
	file := make([]byte, 0, bits+6)
	file = append(file, "II*\x00"...)
	file = little.AppendUint32(file, uint32(directory))
	file = append(file, r.pixels...)
	if len(file)%2 == 1 {
		file = append(file, 0)
	}
	file = little.AppendUint16(file, directoryEntries)
	entry := func(tag, kind uint16, count, value int) {
		file = little.AppendUint16(file, tag)
		file = little.AppendUint16(file, kind)
		file = little.AppendUint32(file, uint32(count))
		file = little.AppendUint32(file, uint32(value))
	}
	entry(tagWidth, typeLong, 1, r.width)
	entry(tagHeight, typeLong, 1, r.height)
	entry(tagBits, typeShort, 3, bits)
	entry(tagCompression, typeShort, 1, compressionNone)
	entry(tagPhotometric, typeShort, 1, photometricRGB)
	entry(tagStripOffsets, typeLong, 1, rasterStart)
	entry(tagSamples, typeShort, 1, 3)
	entry(tagRows, typeLong, 1, r.height)
	entry(tagStripBytes, typeLong, 1, len(r.pixels))
	file = little.AppendUint32(file, 0)
	for range 3 {
		file = little.AppendUint16(file, 8)
	}
	return file
}

// oneLine is a text of several lines as one.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
