package photo

import (
	"bytes"
	"encoding/binary"
	"image/gif"
)

func gifHeader(data []byte) (header, *Rejection) {
	if len(data) < 13 {
		return header{}, reject(Truncated, "ends after %d bytes, within the header", len(data))
	}
	width, height := binary.LittleEndian.Uint16(data[6:]), binary.LittleEndian.Uint16(data[8:])
	return header{format: "gif", width: int(width), height: int(height), orientation: 1, alpha: true}, nil
}

// checkGIF walks the blocks to the trailer, so that the frames' sizes are known
// before they are decoded, and then decodes all of them.
func checkGIF(data []byte, head header, limits Limits) *Rejection {
	pixels, rejection := walkGIF(data, head)
	if rejection != nil {
		return rejection
	}
	if pixels > limits.pixels() {
		return reject(TooLarge, "its frames have more than %d megapixels", limits.MaximumMegapixels)
	}
	if _, err := gif.DecodeAll(bytes.NewReader(data)); err != nil {
		return reject(Corrupt, "%v", err)
	}
	return nil
}

// walkGIF counts the pixels of all frames (GIF89a specification, appendix B).
func walkGIF(data []byte, head header) (pixels int64, rejection *Rejection) {
	truncated := reject(Truncated, "ends after %d bytes, before the trailer", len(data))
	at := 13 + tableSize(data[10])
	frames := 0
	subBlocks := func() bool {
		for at < len(data) {
			length := int(data[at])
			at += 1 + length
			if length == 0 {
				return true
			}
		}
		return false
	}
	for at < len(data) {
		switch data[at] {
		case 0x3b:
			if frames == 0 {
				return 0, reject(Corrupt, "no image in it")
			}
			return pixels, nil
		case 0x21:
			at += 2
		case 0x2c:
			if at+10 > len(data) {
				return 0, truncated
			}
			width, height := int64(binary.LittleEndian.Uint16(data[at+5:])), int64(binary.LittleEndian.Uint16(data[at+7:]))
			pixels += width * height
			frames++
			at += 11 + tableSize(data[at+9])
		default:
			return 0, reject(Corrupt, "a block of kind %d at byte %d", data[at], at)
		}
		if !subBlocks() {
			return 0, truncated
		}
	}
	return 0, truncated
}

// tableSize is the length of the colour table that packed fields announce.
func tableSize(fields byte) int {
	if fields&0x80 == 0 {
		return 0
	}
	return 3 << (1 + fields&7)
}
