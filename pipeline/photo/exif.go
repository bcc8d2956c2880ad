package photo

import (
	"bytes"
	"encoding/binary"
)

// orientationTag is EXIF's (and TIFF's) tag of how the stored image is turned.
const orientationTag = 0x0112

// exifOrientation reads the orientation from EXIF data, which is a TIFF file
// without an image. Anything odd is 1, upright: a photo is not left out for it.
func exifOrientation(exif []byte) int {
	exif = bytes.TrimPrefix(exif, []byte("Exif\x00\x00"))
	order, entries := firstDirectory(exif)
	for ; len(entries) >= 12; entries = entries[12:] {
		if order.Uint16(entries) != orientationTag {
			continue
		}
		short := order.Uint16(entries[2:]) == 3 && order.Uint32(entries[4:]) == 1
		if value := order.Uint16(entries[8:]); short && value >= 1 && value <= 8 {
			return int(value)
		}
		break
	}
	return 1
}

// firstDirectory is the byte order of a TIFF file and the entries, 12 bytes
// each, of its first directory, as far as they are there.
func firstDirectory(tiff []byte) (binary.ByteOrder, []byte) {
	var order binary.ByteOrder = binary.LittleEndian
	if len(tiff) < 8 {
		return order, nil
	}
	if tiff[0] == 'M' {
		order = binary.BigEndian
	}
	offset := uint64(order.Uint32(tiff[4:]))
	if offset+2 > uint64(len(tiff)) {
		return order, nil
	}
	entries := tiff[offset+2:]
	return order, entries[:min(len(entries), 12*int(order.Uint16(tiff[offset:])))]
}

// orient turns an image of width×height RGB pixels upright, as an EXIF
// orientation says, and returns its new size. Orientations from 5 on exchange
// the sides.
func orient(pixels []byte, width, height, orientation int) (turned []byte, newWidth, newHeight int) {
	if orientation <= 1 || orientation > 8 {
		return pixels, width, height
	}
	newWidth, newHeight = width, height
	if orientation >= 5 {
		newWidth, newHeight = height, width
	}
	turned = make([]byte, len(pixels))
	for y := range newHeight {
		for x := range newWidth {
			fromX, fromY := x, y
			if orientation >= 5 {
				fromX, fromY = y, x
			}
			// EXIF 2.3, 4.6.4 A: where the stored row 0 and column 0 are.
			switch orientation {
			case 2:
				fromX = width - 1 - fromX
			case 3:
				fromX, fromY = width-1-fromX, height-1-fromY
			case 4:
				fromY = height - 1 - fromY
			case 6:
				fromY = height - 1 - fromY
			case 7:
				fromX, fromY = width-1-fromX, height-1-fromY
			case 8:
				fromX = width - 1 - fromX
			}
			copy(turned[3*(y*newWidth+x):][:3], pixels[3*(fromY*width+fromX):][:3])
		}
	}
	return turned, newWidth, newHeight
}
