package weights

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"catdog/pipeline/artifact"
)

// A safetensors file is the header's length (8 bytes, little endian), the
// header (JSON, padded with spaces so that the data begins at a multiple of 8)
// and the tensors' bytes, one after the other without a gap.
const (
	lengthSize    = 8
	alignment     = 8
	maximumHeader = 100_000_000 // what the reference implementation accepts
	metadataKey   = "__metadata__"
	float32Type   = "F32"
	float16Type   = "F16"
)

// sizes are the bytes of a value by type.
var sizes = map[string]int{float32Type: 4, float16Type: 2}

// entry is what the header says of one tensor.
type entry struct {
	Type    string `json:"dtype"`
	Shape   []int  `json:"shape"`
	Offsets []int  `json:"data_offsets"` // first byte and the one behind the last, from the end of the header
}

// Write writes a safetensors file with the tensors in the given order. The
// same arguments give the same bytes, and path appears only when it is whole.
func Write(path string, tensors []Tensor, metadata map[string]string) error {
	content, err := Encode(tensors, metadata)
	if err != nil {
		return fmt.Errorf("write weights %s: %w", path, err)
	}
	return artifact.WriteFile(path, content)
}

// Encode returns the bytes that Write writes.
func Encode(tensors []Tensor, metadata map[string]string) ([]byte, error) {
	return encode(tensors, metadata, func(Tensor) string { return float32Type })
}

// EncodeHalf is Encode with values rounded to float16 in all tensors of two
// dimensions or more. The others (biases, scales, statistics) are small, and
// a variance may be beyond what float16 holds. A value that would overflow is
// an error.
func EncodeHalf(tensors []Tensor, metadata map[string]string) ([]byte, error) {
	return encode(tensors, metadata, func(t Tensor) string {
		if len(t.Shape) >= 2 {
			return float16Type
		}
		return float32Type
	})
}

func encode(tensors []Tensor, metadata map[string]string, typeOf func(Tensor) string) ([]byte, error) {
	header, size, err := encodeHeader(tensors, metadata, typeOf)
	if err != nil {
		return nil, err
	}
	content := make([]byte, 0, lengthSize+len(header)+size)
	content = binary.LittleEndian.AppendUint64(content, uint64(len(header)))
	content = append(content, header...)
	for _, tensor := range tensors {
		if typeOf(tensor) == float16Type {
			for _, value := range tensor.Values {
				if !(math.Abs(float64(value)) <= largestHalf) {
					return nil, fmt.Errorf("%s: %g does not fit into float16", tensor.Name, value)
				}
				content = binary.LittleEndian.AppendUint16(content, uint16(toHalf(value)))
			}
			continue
		}
		for _, value := range tensor.Values {
			content = binary.LittleEndian.AppendUint32(content, math.Float32bits(value))
		}
	}
	return content, nil
}

// encodeHeader returns the padded header and the size of the data behind it.
func encodeHeader(tensors []Tensor, metadata map[string]string, typeOf func(Tensor) string) (header []byte, size int, err error) {
	var out bytes.Buffer
	separator := byte('{')
	member := func(name string, value any) error {
		if !utf8.ValidString(name) {
			return fmt.Errorf("name %q is not UTF-8", name)
		}
		key, err := json.Marshal(name)
		if err != nil {
			return err
		}
		encoded, err := json.Marshal(value)
		if err != nil {
			return err
		}
		out.WriteByte(separator)
		out.Write(key)
		out.WriteByte(':')
		out.Write(encoded)
		separator = ','
		return nil
	}
	if len(metadata) > 0 {
		if err := member(metadataKey, metadata); err != nil {
			return nil, 0, err
		}
	}
	seen := map[string]bool{metadataKey: true}
	for _, tensor := range tensors {
		if seen[tensor.Name] {
			return nil, 0, fmt.Errorf("the name %q is taken", tensor.Name)
		}
		seen[tensor.Name] = true
		kind := typeOf(tensor)
		count, err := elements(tensor.Shape, math.MaxInt/sizes[kind])
		if err != nil {
			return nil, 0, fmt.Errorf("%s: %w", tensor.Name, err)
		}
		if count != len(tensor.Values) {
			return nil, 0, fmt.Errorf("%s: %d values for shape %v", tensor.Name, len(tensor.Values), tensor.Shape)
		}
		end := size + count*sizes[kind]
		shape := append([]int{}, tensor.Shape...) // [] rather than null for a scalar
		if err := member(tensor.Name, entry{kind, shape, []int{size, end}}); err != nil {
			return nil, 0, err
		}
		size = end
	}
	if separator == '{' {
		out.WriteByte('{')
	}
	out.WriteByte('}')
	for out.Len()%alignment != 0 {
		out.WriteByte(' ')
	}
	if out.Len() > maximumHeader {
		return nil, 0, fmt.Errorf("a header of %d bytes, more than %d", out.Len(), maximumHeader)
	}
	return out.Bytes(), size, nil
}

// Read reads a safetensors file of float32 and float16 tensors and its metadata; the
// tensors come in the order of their data. A file that breaks a rule of the
// format, or holds other types, gives an error (but for keys within a tensor's
// entry in other letters, or twice).
func Read(path string) ([]Tensor, map[string]string, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, fmt.Errorf("read weights: %w", err)
	}
	tensors, metadata, err := Decode(content)
	if err != nil {
		return nil, nil, fmt.Errorf("read weights %s: %w", path, err)
	}
	return tensors, metadata, nil
}

// Decode is Read for a file's content.
func Decode(content []byte) ([]Tensor, map[string]string, error) {
	if len(content) < lengthSize {
		return nil, nil, fmt.Errorf("truncated after %d bytes", len(content))
	}
	length := binary.LittleEndian.Uint64(content)
	if length > maximumHeader {
		return nil, nil, fmt.Errorf("not a safetensors file: a header of %d bytes", length)
	}
	if length > uint64(len(content)-lengthSize) {
		return nil, nil, fmt.Errorf("truncated after %d bytes, the header alone has %d", len(content), length)
	}
	data := content[lengthSize+int(length):]
	entries, metadata, err := decodeHeader(content[lengthSize:lengthSize+int(length)], len(data))
	if err != nil {
		return nil, nil, err
	}
	var tensors []Tensor
	for _, e := range entries {
		data := data[e.Offsets[0]:e.Offsets[1]]
		values := make([]float32, len(data)/sizes[e.Type])
		for i := range values {
			if e.Type == float16Type {
				values[i] = half(binary.LittleEndian.Uint16(data[2*i:])).float32()
			} else {
				values[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
			}
		}
		tensors = append(tensors, Tensor{Name: e.name, Shape: e.Shape, Values: values})
	}
	return tensors, metadata, nil
}

// decodeHeader returns the tensors' entries in the order of their data, which
// fill size exactly.
func decodeHeader(header []byte, size int) ([]namedEntry, map[string]string, error) {
	entries, metadata, err := parseHeader(header)
	if err != nil {
		return nil, nil, fmt.Errorf("header: %w", err)
	}
	end := 0
	for _, e := range entries {
		if e.Offsets[0] != end {
			return nil, nil, fmt.Errorf("%q: data begins at %d, not at %d where the one before ends", e.name, e.Offsets[0], end)
		}
		valueSize := sizes[e.Type]
		count, err := elements(e.Shape, size/valueSize)
		if err != nil {
			return nil, nil, fmt.Errorf("%q: %w", e.name, err)
		}
		if e.Offsets[1] != end+count*valueSize {
			return nil, nil, fmt.Errorf("%q: data from %d to %d does not fit shape %v", e.name, e.Offsets[0], e.Offsets[1], e.Shape)
		}
		if end = e.Offsets[1]; end > size {
			break
		}
	}
	if end != size {
		return nil, nil, fmt.Errorf("%d bytes of data, the header describes %d", size, end)
	}
	return entries, metadata, nil
}

type namedEntry struct {
	name string
	entry
}

// parseHeader returns the header's entries by their offsets. It reads member
// by member, since a map would hide that a name comes twice.
func parseHeader(header []byte) ([]namedEntry, map[string]string, error) {
	if len(header) == 0 || header[0] != '{' {
		return nil, nil, errors.New("not a JSON object")
	}
	if !utf8.Valid(header) {
		return nil, nil, errors.New("not UTF-8")
	}
	decoder := json.NewDecoder(bytes.NewReader(header))
	decoder.DisallowUnknownFields()
	if _, err := decoder.Token(); err != nil {
		return nil, nil, err
	}
	var entries []namedEntry
	var metadata map[string]string
	seen := map[string]bool{}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, nil, err
		}
		name, ok := token.(string)
		if !ok {
			return nil, nil, fmt.Errorf("%v in place of a name", token)
		}
		if seen[name] {
			return nil, nil, fmt.Errorf("%q comes twice", name)
		}
		seen[name] = true
		if name == metadataKey {
			if err := decoder.Decode(&metadata); err != nil {
				return nil, nil, fmt.Errorf("%s: %w", metadataKey, err)
			}
			continue
		}
		e := namedEntry{name: name}
		if err := decoder.Decode(&e.entry); err != nil {
			return nil, nil, fmt.Errorf("%q: %w", name, err)
		}
		switch {
		case sizes[e.Type] == 0:
			return nil, nil, fmt.Errorf("%q: values of type %q, only %s and %s are read", name, e.Type, float32Type, float16Type)
		case e.Shape == nil:
			return nil, nil, fmt.Errorf("%q: no shape", name)
		case len(e.Offsets) != 2:
			return nil, nil, fmt.Errorf("%q: %d data offsets in place of 2", name, len(e.Offsets))
		}
		entries = append(entries, e)
	}
	if _, err := decoder.Token(); err != nil {
		return nil, nil, err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, nil, errors.New("something follows the JSON object")
	}
	slices.SortFunc(entries, func(a, b namedEntry) int {
		for i := range 2 {
			if a.Offsets[i] != b.Offsets[i] {
				return a.Offsets[i] - b.Offsets[i]
			}
		}
		return strings.Compare(a.name, b.name)
	})
	return entries, metadata, nil
}
