package photo

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"

	"golang.org/x/image/webp"
)

func webpHeader(data []byte) (header, *Rejection) {
	head := header{format: "webp", orientation: 1, alpha: true}
	length := int64(binary.LittleEndian.Uint32(data[4:])) + 8
	if length > int64(len(data)) {
		return head, reject(Truncated, "ends after %d of %d bytes", len(data), length)
	}
	for at := 12; at+8 <= len(data); {
		size := int64(binary.LittleEndian.Uint32(data[at+4:]))
		if size > int64(len(data)-at-8) {
			return head, reject(Truncated, "ends after %d bytes, within the %q chunk", len(data), data[at:at+4])
		}
		body := data[at+8 : at+8+int(size)]
		switch string(data[at : at+4]) {
		case "EXIF":
			head.orientation = exifOrientation(body)
		case "VP8X":
			const animated = 1 << 1
			if size > 0 && body[0]&animated != 0 {
				return head, reject(Unsupported, "an animation")
			}
		case "ANIM", "ANMF":
			return head, reject(Unsupported, "an animation")
		}
		at += 8 + int(size+size%2)
	}
	config, err := webp.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return head, webpRejection(err)
	}
	head.width, head.height = config.Width, config.Height
	return head, nil
}

func checkWebP(data []byte, head header, _ Limits) *Rejection {
	decoded, err := webp.Decode(bytes.NewReader(data))
	if err != nil {
		return webpRejection(err)
	}
	if size := decoded.Bounds().Size(); size.X != head.width || size.Y != head.height {
		return reject(HeaderLies, "claims %d×%d px, the data has %d×%d", head.width, head.height, size.X, size.Y)
	}
	return nil
}

func webpRejection(err error) *Rejection {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return reject(Truncated, "%v", err)
	}
	return reject(Corrupt, "%v", err)
}
