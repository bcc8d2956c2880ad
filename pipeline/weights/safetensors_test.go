package weights

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func example() ([]Tensor, map[string]string) {
	return []Tensor{
		{"block1.conv.weight", []int{2, 1, 1, 2}, []float32{1, -2, 0.5, float32(math.Inf(1))}},
		{"step", []int{}, []float32{7}},
		{"head.bias", []int{3}, []float32{1e-45, 0, float32(math.Copysign(0, -1))}},
		{"nothing", []int{0, 5}, []float32{}},
	}, map[string]string{"format": "pt", "a": "b"}
}

// build makes a file of a header and data, for headers that Write would not.
func build(header string, data int) []byte {
	content := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(content, header...), make([]byte, data)...)
}

// TestFormat checks the rules that the reference implementation, in Rust and
// Python, holds files to.
func TestFormat(t *testing.T) {
	tensors, metadata := example()
	content, err := Encode(tensors, metadata)
	if err != nil {
		t.Fatal(err)
	}
	length := binary.LittleEndian.Uint64(content[:8])
	if length%8 != 0 || content[8] != '{' {
		t.Fatalf("a header of %d bytes that begins with %q", length, content[8])
	}
	header, data := content[8:8+length], content[8+length:]
	if want := `{"__metadata__":{"a":"b","format":"pt"},"block1.conv.weight":{"dtype":"F32","shape":[2,1,1,2],"data_offsets":[0,16]},` +
		`"step":{"dtype":"F32","shape":[],"data_offsets":[16,20]},"head.bias":{"dtype":"F32","shape":[3],"data_offsets":[20,32]},` +
		`"nothing":{"dtype":"F32","shape":[0,5],"data_offsets":[32,32]}}`; strings.TrimRight(string(header), " ") != want {
		t.Errorf("header\n%s, want\n%s", header, want)
	}
	var parsed map[string]json.RawMessage
	if err := json.Unmarshal(header, &parsed); err != nil || len(parsed) != 5 {
		t.Errorf("header has %d members: %v", len(parsed), err)
	}
	if len(data) != 32 || binary.LittleEndian.Uint32(data[4:]) != math.Float32bits(-2) {
		t.Errorf("data % x", data)
	}
}

func TestWriteRead(t *testing.T) {
	tensors, metadata := example()
	path := filepath.Join(t.TempDir(), "w.safetensors")
	if err := Write(path, tensors, metadata); err != nil {
		t.Fatal(err)
	}
	read, readMetadata, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	same(t, tensors, read)
	if len(readMetadata) != 2 || readMetadata["format"] != "pt" {
		t.Errorf("metadata %v", readMetadata)
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
	if err := os.WriteFile(path, []byte("short"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Read(path); err == nil || !strings.Contains(err.Error(), "w.safetensors: truncated after 5 bytes") {
		t.Errorf("error %v", err)
	}
}

func TestEmpty(t *testing.T) {
	content, err := Encode(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if tensors, _, err := Decode(content); err != nil || len(tensors) != 0 {
		t.Errorf("%v, %v", tensors, err)
	}
}

func TestWriteRefuses(t *testing.T) {
	for name, tensors := range map[string][]Tensor{
		"is taken":           {{"a", []int{1}, []float32{1}}, {"a", []int{1}, []float32{1}}},
		"3 values for shape": {{"a", []int{2, 2}, []float32{1, 2, 3}}},
		"negative dimension": {{"a", []int{-1}, nil}},
		"not UTF-8":          {{"\xff", []int{}, []float32{1}}},
		`"__metadata__" is`:  {{"__metadata__", []int{}, []float32{1}}},
		"more than":          {{"a", []int{1 << 40, 1 << 40}, nil}},
	} {
		path := filepath.Join(t.TempDir(), "w.safetensors")
		if err := Write(path, tensors, nil); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v", name, err)
		}
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s: a file was written", name)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	for name, content := range map[string][]byte{
		"truncated after 0 bytes":    {},
		"not a safetensors file":     []byte("\xff\xd8\xff\xe0\x00\x10JFIF and so on"),
		"the header alone has 99":    append(binary.LittleEndian.AppendUint64(nil, 99), '{'),
		"not a JSON object":          build(`[]`, 0),
		"not UTF-8":                  build("{\"\xff\":{}}", 0),
		"comes twice":                build(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 4),
		"something follows":          build(`{} {}`, 0),
		`type "F64"`:                 build(`{"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}}`, 8),
		"no shape":                   build(`{"a":{"dtype":"F32","data_offsets":[0,4]}}`, 4),
		"1 data offsets":             build(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}}`, 4),
		"unknown field":              build(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}}`, 4),
		"begins at 4, not at 0":      build(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, 8),
		"begins at 0, not at 4":      build(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 8),
		"does not fit shape [2]":     build(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}`, 8),
		"more than 1 elements":       build(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 4),
		"more than 2 elements":       build(`{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`, 8),
		"negative dimension":         build(`{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,-4]}}`, 4),
		"cannot unmarshal number":    build(`{"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}}`, 4),
		"header describes 4":         build(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 8),
		"cannot unmarshal object":    build(`{"__metadata__":{"a":{}}}`, 0),
		"4 bytes of data, the heade": build(`{}`, 4),
	} {
		if _, _, err := Decode(content); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// TestReadAnyOrder reads a file whose header names the tensors in another
// order than their data, as Python's writer does, and has no padding.
func TestReadAnyOrder(t *testing.T) {
	content := build(`{"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]},"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"e":{"dtype":"F32","shape":[0],"data_offsets":[4,4]}}`, 8)
	tensors, _, err := Decode(content)
	if err != nil {
		t.Fatal(err)
	}
	if len(tensors) != 3 || tensors[0].Name != "a" || tensors[1].Name != "e" || tensors[2].Name != "b" {
		t.Errorf("tensors %v", tensors)
	}
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.String().Filter(func(s string) bool { return s != metadataKey }), 0, 5, rapid.ID[string]).Draw(t, "names")
		var tensors []Tensor
		for _, name := range names {
			shape := rapid.SliceOfN(rapid.IntRange(0, 4), 0, 4).Draw(t, "shape")
			count, _ := elements(shape, 1<<20)
			tensors = append(tensors, Tensor{name, shape, rapid.SliceOfN(rapid.Float32(), count, count).Draw(t, "values")})
		}
		metadata := rapid.MapOf(rapid.String(), rapid.String()).Draw(t, "metadata")
		content, err := Encode(tensors, metadata)
		if err != nil {
			t.Fatal(err)
		}
		read, readMetadata, err := Decode(content)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Encode(read, readMetadata)
		if err != nil {
			t.Fatal(err)
		}
		if reordered := slices.ContainsFunc(tensors, func(t Tensor) bool { return len(t.Values) == 0 }); !reordered && !bytes.Equal(content, again) {
			t.Fatalf("written again: %q, first %q", again, content)
		}
	})
}

// FuzzDecode: any input gives an error or tensors that are written back and
// read to the same.
func FuzzDecode(f *testing.F) {
	tensors, metadata := example()
	content, _ := Encode(tensors, metadata)
	f.Add(content)
	f.Add(build(`{}`, 0))
	f.Add(build(`{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}}`, 8))
	f.Add(build(`{"__metadata__":null}`, 1))
	f.Fuzz(func(t *testing.T, content []byte) {
		tensors, metadata, err := Decode(content)
		if err != nil {
			return
		}
		again, err := Encode(tensors, metadata)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		read, _, err := Decode(again)
		if err != nil {
			t.Fatal(err)
		}
		same(t, tensors, read)
	})
}

func same(t *testing.T, want, got []Tensor) {
	t.Helper()
	if len(want) != len(got) {
		t.Fatalf("%d tensors, want %d", len(got), len(want))
	}
	for i := range want {
		equal := slices.EqualFunc(want[i].Values, got[i].Values, func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) })
		if want[i].Name != got[i].Name || !slices.Equal(want[i].Shape, got[i].Shape) || !equal {
			t.Errorf("tensor %v, want %v", got[i], want[i])
		}
	}
}
