package photo

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"

	"golang.org/x/image/tiff"
)

func tiffHeader(data []byte) (header, *Rejection) {
	head := header{format: "tiff", orientation: exifOrientation(data), alpha: true}
	config, err := tiff.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return head, tiffRejection(err)
	}
	if config.Width <= 0 || config.Height <= 0 {
		return head, reject(Corrupt, "claims %d×%d px", config.Width, config.Height)
	}
	head.width, head.height = config.Width, config.Height
	return head, nil
}

func checkTIFF(data []byte, _ header, _ Limits) *Rejection {
	if rejection := walkTIFF(data); rejection != nil {
		return rejection
	}
	if _, err := tiff.Decode(bytes.NewReader(data)); err != nil {
		return tiffRejection(err)
	}
	return nil
}

// tiffSizes are the bytes that a value takes, by the kind of the field (TIFF 6.0,
// section 2). Fields of other kinds are to be skipped.
var tiffSizes = []int64{1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}

// tiffSingle are baseline fields that have one value, and the largest that is
// allowed, 0 where there is none (sections 4 and 8).
var tiffSingle = map[uint16]uint32{
	256: 0, // ImageWidth
	257: 0, // ImageLength
	259: 0, // Compression
	262: 0, // PhotometricInterpretation
	274: 8, // Orientation
	277: 0, // SamplesPerPixel
	278: 0, // RowsPerStrip
	284: 2, // PlanarConfiguration
	296: 3, // ResolutionUnit
}

// walkTIFF follows all directories to the last. The decoder looks at the first
// alone, and only at the fields that it needs.
func walkTIFF(data []byte) *Rejection {
	var order binary.ByteOrder = binary.LittleEndian
	if data[0] == 'M' {
		order = binary.BigEndian
	}
	seen := map[int64]bool{}
	for at := int64(order.Uint32(data[4:])); at != 0; {
		if seen[at] {
			return reject(Corrupt, "its directories go in a circle")
		}
		seen[at] = true
		if at+2 > int64(len(data)) {
			return reject(Truncated, "ends after %d bytes, before the directory at byte %d", len(data), at)
		}
		end := at + 2 + 12*int64(order.Uint16(data[at:]))
		if end+4 > int64(len(data)) {
			return reject(Truncated, "ends after %d bytes, within the directory at byte %d", len(data), at)
		}
		for field := data[at+2 : end]; len(field) > 0; field = field[12:] {
			if rejection := checkField(field, order, int64(len(data))); rejection != nil {
				return rejection
			}
		}
		at = int64(order.Uint32(data[end:]))
	}
	return nil
}

// checkField checks one field of 12 bytes of a file of so many.
func checkField(field []byte, order binary.ByteOrder, length int64) *Rejection {
	tag, kind, count := order.Uint16(field), order.Uint16(field[2:]), int64(order.Uint32(field[4:]))
	largest, single := tiffSingle[tag]
	if kind == 0 || int(kind) >= len(tiffSizes) {
		if single {
			return reject(Corrupt, "field %d is of kind %d", tag, kind)
		}
		return nil
	}
	if size := tiffSizes[kind] * count; size > 4 && int64(order.Uint32(field[8:]))+size > length {
		return reject(Truncated, "ends after %d bytes, before the value of field %d", length, tag)
	}
	if !single {
		return nil
	}
	value := order.Uint32(field[8:])
	if tiffSizes[kind] == 2 {
		value = uint32(order.Uint16(field[8:]))
	}
	if count != 1 || tiffSizes[kind] > 4 || value == 0 && tag != 262 || largest > 0 && value > largest {
		return reject(Corrupt, "field %d has %d values, %d first", tag, count, value)
	}
	return nil
}

func tiffRejection(err error) *Rejection {
	var unsupported tiff.UnsupportedError
	switch {
	case errors.As(err, &unsupported):
		return reject(Unsupported, "%v", err)
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return reject(Truncated, "%v", err)
	}
	return reject(Corrupt, "%v", err)
}
