package photo

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
)

// chunk is a part of a PNG file.
type chunk struct {
	kind string
	data []byte
}

// pngChunks yields the chunks, their checksums verified, until and with IEND.
func pngChunks(data []byte, yield func(chunk) bool) *Rejection {
	for at := 8; ; {
		if len(data)-at < 12 {
			return reject(Truncated, "ends after %d bytes, before the IEND chunk", len(data))
		}
		length := int64(binary.BigEndian.Uint32(data[at:]))
		if length > int64(len(data)-at-12) {
			if kind := data[at+4 : at+8]; !isLetters(kind) {
				return reject(Corrupt, "a chunk named %q at byte %d", kind, at)
			}
			return reject(Truncated, "ends after %d bytes, within the %s chunk", len(data), data[at+4:at+8])
		}
		body := data[at+4 : at+8+int(length)]
		if crc32.ChecksumIEEE(body) != binary.BigEndian.Uint32(data[at+8+int(length):]) {
			return reject(Corrupt, "the %q chunk at byte %d has a wrong checksum", body[:4], at)
		}
		kind := string(body[:4])
		if !isLetters(body[:4]) {
			return reject(Corrupt, "a chunk named %q at byte %d", kind, at)
		}
		if !yield(chunk{kind, body[4:]}) || kind == "IEND" {
			return nil
		}
		at += 12 + int(length)
	}
}

func isLetters(kind []byte) bool {
	for _, c := range kind {
		if c|0x20 < 'a' || c|0x20 > 'z' {
			return false
		}
	}
	return true
}

// pngLayout is what the IHDR chunk says.
type pngLayout struct {
	width, height   int
	depth, colour   byte
	interlaced      bool
	samplesPerPixel int
}

// layout reads and checks an IHDR chunk (PNG specification, 11.2.2).
func layout(ihdr []byte) (l pngLayout, rejection *Rejection) {
	if len(ihdr) != 13 {
		return l, reject(Corrupt, "an IHDR chunk of %d bytes", len(ihdr))
	}
	width, height := binary.BigEndian.Uint32(ihdr), binary.BigEndian.Uint32(ihdr[4:])
	if width == 0 || height == 0 || width > 1<<31-1 || height > 1<<31-1 {
		return l, reject(Corrupt, "claims %d×%d px", width, height)
	}
	l = pngLayout{width: int(width), height: int(height), depth: ihdr[8], colour: ihdr[9], interlaced: ihdr[12] == 1}
	depths := map[byte]string{0: "\x01\x02\x04\x08\x10", 2: "\x08\x10", 3: "\x01\x02\x04\x08", 4: "\x08\x10", 6: "\x08\x10"}
	if !bytes.ContainsRune([]byte(depths[l.colour]), rune(l.depth)) || ihdr[10] != 0 || ihdr[11] != 0 || ihdr[12] > 1 {
		return l, reject(Corrupt, "an IHDR chunk with depth %d, colour type %d, methods %d", l.depth, l.colour, ihdr[10:13])
	}
	l.samplesPerPixel = map[byte]int{0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[l.colour]
	return l, nil
}

func pngHeader(data []byte) (head header, rejection *Rejection) {
	head = header{format: "png", orientation: 1}
	first := true
	var wrong *Rejection
	rejection = pngChunks(data, func(c chunk) bool {
		switch {
		case first && c.kind != "IHDR":
			wrong = reject(Corrupt, "starts with the chunk %q instead of IHDR", c.kind)
		case c.kind == "IHDR" && first:
			var l pngLayout
			l, wrong = layout(c.data)
			head.width, head.height = l.width, l.height
			head.alpha = l.colour == 4 || l.colour == 6
		case c.kind == "tRNS":
			head.alpha = true
		case c.kind == "eXIf":
			head.orientation = exifOrientation(c.data)
		}
		first = false
		return wrong == nil && c.kind != "IDAT"
	})
	if wrong != nil {
		rejection = wrong
	}
	return head, rejection
}

// checkPNG verifies all checksums and that the compressed data has exactly as
// many bytes as the header says, each row with a filter that exists.
func checkPNG(data []byte, head header, _ Limits) *Rejection {
	var parts []io.Reader
	var l pngLayout
	var wrong *Rejection
	palette, ended := false, false
	rejection := pngChunks(data, func(c chunk) bool {
		switch c.kind {
		case "IHDR":
			if l.width != 0 {
				wrong = reject(Corrupt, "two IHDR chunks")
				return false
			}
			l, wrong = layout(c.data)
		case "PLTE":
			palette = len(c.data) > 0 && len(c.data)%3 == 0 && len(c.data) <= 3*256
		case "IDAT":
			if ended {
				wrong = reject(Corrupt, "IDAT chunks with others between them")
			}
			parts = append(parts, bytes.NewReader(c.data))
		default:
			if c.kind[0]&0x20 == 0 && c.kind != "IEND" {
				wrong = reject(Corrupt, "a critical chunk %q that no one knows", c.kind)
			}
		}
		ended = len(parts) > 0 && c.kind != "IDAT"
		return wrong == nil
	})
	switch {
	case wrong != nil:
		return wrong
	case rejection != nil:
		return rejection
	case l.colour == 3 && !palette:
		return reject(Corrupt, "no palette")
	case len(parts) == 0:
		return reject(Truncated, "no IDAT chunk")
	}
	return checkPixels(io.MultiReader(parts...), l)
}

// checkPixels inflates the image data.
func checkPixels(compressed io.Reader, l pngLayout) *Rejection {
	inflated, err := zlib.NewReader(compressed)
	if err != nil {
		return reject(Corrupt, "%v", err)
	}
	row := []byte(nil)
	for _, pass := range passes(l) {
		length := 1 + (int64(pass.width)*int64(l.samplesPerPixel)*int64(l.depth)+7)/8
		if int64(len(row)) < length {
			row = make([]byte, length)
		}
		for y := range pass.height {
			if _, err := io.ReadFull(inflated, row[:length]); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return reject(HeaderLies, "claims %d×%d px, the data ends at row %d", l.width, l.height, y)
			} else if err != nil {
				return reject(Corrupt, "%v", err)
			}
			if row[0] > 4 {
				return reject(Corrupt, "a row with filter %d", row[0])
			}
		}
	}
	// The end of the stream is where zlib's checksum is compared.
	switch n, err := inflated.Read(row[:1]); {
	case n > 0:
		return reject(HeaderLies, "claims %d×%d px, there is data for more", l.width, l.height)
	case err != io.EOF:
		return reject(Corrupt, "%v", err)
	}
	return nil
}

type size struct{ width, height int }

// passes are the sizes of the images that a PNG file holds: one, or Adam7's
// seven (PNG specification, 8.2), without those that have no pixels.
func passes(l pngLayout) []size {
	if !l.interlaced {
		return []size{{l.width, l.height}}
	}
	var sizes []size
	for _, p := range [7]struct{ x, y, stepX, stepY int }{
		{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4}, {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2},
	} {
		width, height := (l.width-p.x+p.stepX-1)/p.stepX, (l.height-p.y+p.stepY-1)/p.stepY
		if width > 0 && height > 0 {
			sizes = append(sizes, size{width, height})
		}
	}
	return sizes
}
