package photo

/*
#cgo pkg-config: libjpeg
#include "jpeg.h"
*/
import "C"

import (
	"encoding/binary"
	"unsafe"
)

// readJPEG gives a file to libjpeg.
func readJPEG(data []byte, headerOnly bool) (width, height int, rejection *Rejection) {
	var result C.jpeg_result
	only := C.int(0)
	if headerOnly {
		only = 1
	}
	C.jpeg_check((*C.uchar)(unsafe.SliceData(data)), C.size_t(len(data)), only, &result)
	width, height = int(result.width), int(result.height)
	message := C.GoString(&result.message[0])
	switch result.status {
	case C.JPEG_GOOD:
		return width, height, nil
	case C.JPEG_TRUNCATED:
		if height == 0 {
			return 0, 0, reject(Truncated, "ends after %d bytes, within the header", len(data))
		}
		return width, height, reject(Truncated, "ends after %d bytes, at about row %d of %d", len(data), result.rows, height)
	case C.JPEG_SHORT_DATA:
		return width, height, reject(HeaderLies, "claims %d×%d px, the data ends at about row %d", width, height, result.rows)
	case C.JPEG_LONG_DATA:
		return width, height, reject(HeaderLies, "claims %d×%d px, there is data for more", width, height)
	case C.JPEG_UNSUPPORTED:
		return width, height, reject(Unsupported, "%s", message)
	}
	return width, height, reject(Corrupt, "%s", message)
}

func jpegHeader(data []byte) (header, *Rejection) {
	width, height, rejection := readJPEG(data, true)
	return header{format: "jpeg", width: width, height: height, orientation: jpegOrientation(data)}, rejection
}

func checkJPEG(data []byte, _ header, _ Limits) *Rejection {
	_, _, rejection := readJPEG(data, false)
	return rejection
}

// jpegOrientation looks for EXIF data among the segments before the image's.
func jpegOrientation(data []byte) int {
	for at := 2; at+4 <= len(data) && data[at] == 0xff; {
		marker, length := data[at+1], int(binary.BigEndian.Uint16(data[at+2:]))
		if marker == 0xff { // fill byte
			at++
			continue
		}
		end := at + 2 + length
		if marker == 0xda || length < 2 || end > len(data) {
			break
		}
		if marker == 0xe1 && prefix("Exif\x00\x00")(data[at+4:end]) {
			return exifOrientation(data[at+4 : end])
		}
		at = end
	}
	return 1
}
