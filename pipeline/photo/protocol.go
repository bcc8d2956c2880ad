package photo

import (
	"encoding/binary"
	"fmt"
	"io"
)

// What a Pool and its workers say to each other. A worker begins with the byte
// ready. Then, over and over, it is sent a request and the photo's bytes, and
// answers with a reply and as many bytes as that says. All little-endian.

const ready = 'R'

// Kinds of requests.
const (
	doCheck uint8 = iota
	doResize
)

// request comes before a photo's bytes.
type request struct {
	Kind              uint8
	Mode              uint8
	Background        [3]byte
	Height, Width     uint32
	MinimumSide       uint32
	MaximumMegapixels uint32
	Unverified        bool
	Length            uint64
}

var modes = []Mode{Stretch, Crop, Pad}

// Kinds of replies.
const (
	isInfo      uint8 = iota // the Info of a check, as JSON
	isPixels                 // the pixels of a resized photo
	isRejection              // the Rejection of a photo that could not be resized, as JSON
)

// reply comes before its bytes.
type reply struct {
	Kind   uint8
	Length uint32
}

// maximumReply is above any image that can be asked for.
const maximumReply = 1 << 30

func writeMessage(to io.Writer, head any, body []byte) error {
	if err := binary.Write(to, binary.LittleEndian, head); err != nil {
		return err
	}
	_, err := to.Write(body)
	return err
}

func readReply(from io.Reader) (reply, []byte, error) {
	var head reply
	if err := binary.Read(from, binary.LittleEndian, &head); err != nil {
		return head, nil, err
	}
	if head.Length > maximumReply {
		return head, nil, fmt.Errorf("a reply of %d bytes", head.Length)
	}
	body := make([]byte, head.Length)
	_, err := io.ReadFull(from, body)
	return head, body, err
}
