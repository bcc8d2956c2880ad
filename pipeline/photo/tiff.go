package photo

import (
	"bytes"
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
	if _, err := tiff.Decode(bytes.NewReader(data)); err != nil {
		return tiffRejection(err)
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
