// Package onnx writes a trained model as one ONNX file, https://onnx.ai, which
// other runtimes read. Preprocessing is part of the graph: it takes the bytes
// of stored images, so that nobody has to repeat its arithmetic.
package onnx

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"catdog/pipeline/artifact"
	"catdog/pipeline/model"
	"catdog/pipeline/weights"
)

// Opset is the version of ONNX's operators that are used; irVersion, of the
// file format, is the one that came with it.
const (
	Opset     = 17
	irVersion = 8
)

// Encode is the model as an ONNX file. Its input "images" is uint8,
// N×height×width×3 (RGB) of the stored size; its outputs "logits" and
// "probabilities" are float32, N×classes. The file's metadata state that, the
// classes' names and how photos become stored images. The same model gives the
// same bytes.
func Encode(m *model.Model) ([]byte, error) {
	g := &graph{tensors: map[string]weights.Tensor{}}
	for _, t := range m.Tensors {
		g.tensors[t.Name] = t
	}
	x, err := g.input(m.Info)
	if err != nil {
		return nil, err
	}
	logits, err := g.layers(m.Description, x)
	if err != nil {
		return nil, err
	}
	g.node("Softmax", "probabilities", []string{logits}, integerAttribute("axis", 1))
	g.text(2, "catdog")
	g.bytes(11, value("images", uint8Type, m.Stored.Height, m.Stored.Width, 3))
	g.bytes(12, value("logits", float32Type, len(m.Classes)))
	g.bytes(12, value("probabilities", float32Type, len(m.Classes)))

	var opset, file message
	opset.text(1, "")
	opset.integer(2, Opset)
	file.integer(1, irVersion)
	file.text(2, "catdog")
	file.bytes(7, g.message)
	file.bytes(8, opset)
	for _, entry := range metadata(m.Info) {
		var property message
		property.text(1, entry[0])
		property.text(2, entry[1])
		file.bytes(14, property)
	}
	return file, nil
}

func metadata(info model.Info) [][2]string {
	s := info.Stored
	classes, _ := json.Marshal(info.Classes) // a list of texts always can be
	return [][2]string{
		{"classes", string(classes)},
		{"opset", fmt.Sprint(Opset)},
		{"input", fmt.Sprintf("images: uint8, N×%d×%d×3, RGB 0–255", s.Height, s.Width)},
		{"outputs", "logits, probabilities: float32, N×classes"},
		{"preprocessing", fmt.Sprintf("turn the photo upright by EXIF and resize it to %d×%d (height×width), mode %s, background %v; cropping to the central %d×%d and normalising are part of the graph",
			s.Height, s.Width, s.Mode, s.Background, info.Input.Height, info.Input.Width)},
		{"weights_sha256", info.SHA256},
	}
}

// Export writes the model in a folder as an ONNX file, which appears only when
// it is whole.
func Export(folder, path string) error {
	m, err := model.Read(folder)
	if err != nil {
		return err
	}
	content, err := Encode(m)
	if err != nil {
		return fmt.Errorf("export %s: %w", folder, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return fmt.Errorf("export %s: %w", folder, err)
	}
	return artifact.WriteOutput(path, content)
}
