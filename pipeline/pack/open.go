package pack

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/ipc"
)

// Open reads the pack at path into memory, once. Its bytes must have the given
// SHA-256 (hex), which is checked before anything is parsed; then its
// structure is checked, so that hostile bytes with a matching digest give an
// error too.
func Open(path, sha256 string) (*Pack, error) {
	data, digest, err := load(path)
	if err != nil {
		return nil, fmt.Errorf("open pack: %w", err)
	}
	if !strings.EqualFold(digest, sha256) {
		return nil, fmt.Errorf("open pack %s: damaged: its sha256 is %s, must be %s", path, digest, sha256)
	}
	p, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("open pack %s: %w", path, err)
	}
	return p, nil
}

// load reads a file and its digest; while one piece is read the one before is
// hashed.
func load(path string) ([]byte, string, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, "", err
	}
	defer file.Close()
	information, err := file.Stat()
	if err != nil {
		return nil, "", err
	}
	if !information.Mode().IsRegular() {
		return nil, "", fmt.Errorf("%s: not a file", path)
	}
	const piece = 4 << 20
	data := make([]byte, information.Size())
	pieces, digest := make(chan []byte, 4), make(chan string, 1)
	go func() {
		hash := sha256.New()
		for piece := range pieces {
			hash.Write(piece)
		}
		digest <- hex.EncodeToString(hash.Sum(nil))
	}()
	for rest := data; len(rest) > 0 && err == nil; {
		next := rest[:min(piece, len(rest))]
		if _, err = io.ReadFull(file, next); err == nil {
			pieces <- next
		}
		rest = rest[len(next):]
	}
	close(pieces)
	sum := <-digest
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", path, err)
	}
	return data, sum, nil
}

// parse checks an Arrow file's structure and returns views of it.
func parse(data []byte) (p *Pack, err error) {
	// Flatbuffers are offsets into the bytes, followed without checks of their
	// own: where one leads outside, the slice access panics.
	defer func() {
		if cause := recover(); cause != nil {
			p, err = nil, fmt.Errorf("not a whole Arrow file: %v", cause)
		}
	}()
	batches, err := layout(data)
	if err != nil {
		return nil, err
	}
	// The schema's size has been checked by layout; here Arrow reads it.
	reader, err := ipc.NewReader(bytes.NewReader(data[preamble:]))
	if err != nil {
		return nil, err
	}
	defer reader.Release()
	schema := reader.Schema()
	if p, err = header(schema); err != nil {
		return nil, err
	}
	if p.images, err = p.rows(schema, batches); err != nil {
		return nil, err
	}
	return p, nil
}

// header is a pack without rows, from its schema.
func header(schema *arrow.Schema) (*Pack, error) {
	metadata := schema.Metadata()
	value := func(key string) string {
		if i := metadata.FindKey(key); i >= 0 {
			return metadata.Values()[i]
		}
		return ""
	}
	if version := value("format"); version != format {
		return nil, fmt.Errorf("format %q, this program reads %q", version, format)
	}
	p := &Pack{Mode: value("mode"), Origin: value("origin")}
	for key, size := range map[string]*int{"height": &p.Height, "width": &p.Width} {
		n, err := strconv.Atoi(value(key))
		if err != nil || n < 1 || n > math.MaxInt16 {
			return nil, fmt.Errorf("%s %q, must be 1 to %d", key, value(key), math.MaxInt16)
		}
		*size = n
	}
	for key, into := range map[string]any{"classes": &p.Classes, "mean": &p.Mean, "std": &p.Std, "background": &p.Background} {
		if err := json.Unmarshal([]byte(value(key)), into); err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
	}
	if len(p.Classes) < 1 || len(p.Classes) > math.MaxUint16 {
		return nil, fmt.Errorf("%d classes, must be 1 to %d", len(p.Classes), math.MaxUint16)
	}
	for c := range channels {
		if !(p.Std[c] > 0) {
			return nil, fmt.Errorf("std %v, must be above 0", p.Std)
		}
	}
	for i, want := range fields(p.Height * p.Width * channels) {
		if got := schema.Field(i); !got.Equal(want) {
			return nil, fmt.Errorf("column %d is %v, must be %v", i, got, want)
		}
	}
	return p, nil
}

// rows makes the images of all record batches, and checks them.
func (p *Pack) rows(schema *arrow.Schema, batches []batch) (images [splits][]Image, err error) {
	last := ""
	for i, b := range batches {
		if have, want := len(b.buffers[pixelsColumn+1]), b.rows*p.Height*p.Width*channels; have < want {
			return images, fmt.Errorf("batch %d: %d bytes of pixels, must be %d", i, have, want)
		}
		paths := array.NewStringData(b.column(schema, 0))
		classes := array.NewUint16Data(b.column(schema, 1))
		parts := array.NewUint8Data(b.column(schema, 2))
		pixels := array.NewFixedSizeBinaryData(b.column(schema, 3))
		for row := range b.rows {
			image := Image{Path: paths.Value(row), Class: int(classes.Value(row)), Pixels: pixels.Value(row)}
			split := Split(parts.Value(row))
			switch {
			case !utf8.ValidString(image.Path):
				return images, fmt.Errorf("batch %d, row %d: path %q is not UTF-8", i, row, image.Path)
			case image.Path <= last && (i > 0 || row > 0):
				return images, fmt.Errorf("batch %d, row %d: path %q does not sort behind %q", i, row, image.Path, last)
			case image.Class >= len(p.Classes):
				return images, fmt.Errorf("%s: class %d of %d", image.Path, image.Class, len(p.Classes))
			case split >= splits:
				return images, fmt.Errorf("%s: there is no %v", image.Path, split)
			}
			last = image.Path
			images[split] = append(images[split], image)
		}
	}
	return images, nil
}
