// Package model is a trained network as it lies on disk, weights beside a
// model.json with all that is needed to use them, and how it is used.
package model

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"catdog/pipeline/artifact"
	"catdog/pipeline/network"
	"catdog/pipeline/params"
	"catdog/pipeline/weights"
)

// Version is the version of model.json's format that this package writes, and
// the only one that it reads.
const Version = 1

// FileName is the name of a model's description within its folder.
const FileName = "model.json"

// Info is what model.json holds: how photos become the network's input, the
// network, and which file its weights are in.
type Info struct {
	Version int      `json:"version"`
	Classes []string `json:"classes"` // in the order of the logits
	Stored  Stored   `json:"stored"`
	Input   Input    `json:"input"`
	Network Network  `json:"network"`
	// Weights is the weights' file name within the folder, SHA256 the hex
	// digest of its content.
	Weights string `json:"weights"`
	SHA256  string `json:"sha256"`
	// RoundedFrom is the digest of the float32 weights of which these are the
	// float16 ones, "" if these are the ones that were trained.
	RoundedFrom string `json:"rounded_from,omitempty"`
	// BestEpoch is the epoch (from 1) after which the weights were taken.
	BestEpoch int `json:"best_epoch"`
	// Average says that the weights are the moving average of the ones that
	// the optimiser left; of weights that were taken as they are, that they
	// would be by the parameters.
	Average bool `json:"average"`
}

// Stored is how a photo is brought to the size at which images are stored.
type Stored struct {
	Height     int    `json:"height"` // px
	Width      int    `json:"width"`
	Mode       string `json:"mode"`       // as params.Resize
	Background []int  `json:"background"` // RGB, 0–255
}

// Input is how a stored image becomes the network's input: the centre of that
// size or, where that is less than 5/6 of the image's sides, 5/6 of them
// resampled; (value/255 − mean)/std for each of the channels R, G, B. It may be
// larger than what the network was trained on (Network's size), where its head
// pools over all positions.
type Input struct {
	Height int        `json:"height"` // px
	Width  int        `json:"width"`
	Mean   [3]float32 `json:"mean"`
	Std    [3]float32 `json:"std"`
}

// Network is the section train.network of params.yaml, its keys named as there.
type Network params.Network

// MarshalJSON names the keys as params.yaml does.
func (n Network) MarshalJSON() ([]byte, error) {
	return json.Marshal(params.Named(params.Network(n)))
}

// UnmarshalJSON is the inverse of MarshalJSON; an unknown key is an error.
func (n *Network) UnmarshalJSON(text []byte) error {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	err := decoder.Decode((*params.Network)(n))
	var mismatch *yaml.TypeError
	if errors.As(err, &mismatch) {
		return fmt.Errorf("network: %s", strings.Join(mismatch.Errors, "; "))
	}
	return err
}

// A Model is a network with its weights.
type Model struct {
	Info
	Description *network.Description
	Tensors     []weights.Tensor
}

// Write writes model.json into a folder that already holds the weights' file,
// whose digest it fills in.
func Write(folder string, info Info) error {
	content, err := os.ReadFile(filepath.Join(folder, info.Weights))
	if err != nil {
		return fmt.Errorf("write model: %w", err)
	}
	info.Version, info.SHA256 = Version, digest(content)
	text, err := json.MarshalIndent(info, "", "  ")
	if err != nil {
		return fmt.Errorf("write model %s: %w", folder, err)
	}
	return artifact.WriteFile(filepath.Join(folder, FileName), append(text, '\n'))
}

// Read reads a model's folder. The weights' digest is verified, and that their
// names and shapes are the network's.
func Read(folder string) (*Model, error) {
	path := filepath.Join(folder, FileName)
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read model: %w", err)
	}
	m := &Model{}
	if m.Info, err = decode(text); err != nil {
		return nil, fmt.Errorf("read model %s: %w", path, err)
	}
	path = filepath.Join(folder, m.Weights)
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read model: %w", err)
	}
	if found := digest(content); found != m.SHA256 {
		return nil, fmt.Errorf("read model %s: its sha256 is %.12s…, %s says %.12s…", path, found, FileName, m.SHA256)
	}
	if m.Tensors, _, err = weights.Decode(content); err != nil {
		return nil, fmt.Errorf("read model %s: %w", path, err)
	}
	if m.Description, err = m.Predicting(); err != nil {
		return nil, fmt.Errorf("read model %s: %w", folder, err)
	}
	if err := Fits(m.Description, m.Tensors); err != nil {
		return nil, fmt.Errorf("read model %s: %w", path, err)
	}
	return m, nil
}

// Predicting is the network for inputs of the model's size.
func (i Info) Predicting() (*network.Description, error) {
	predicting := params.Network(i.Network)
	predicting.Height, predicting.Width = i.Input.Height, i.Input.Width
	return network.New(predicting, i.Classes)
}

// decode parses and checks model.json.
func decode(text []byte) (Info, error) {
	var version struct{ Version int }
	if err := json.Unmarshal(text, &version); err != nil {
		return Info{}, err
	}
	if version.Version != Version {
		return Info{}, fmt.Errorf("format version %d, only %d is read", version.Version, Version)
	}
	var info Info
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&info); err != nil {
		return Info{}, err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return Info{}, fmt.Errorf("something follows the JSON object")
	}
	side := func(v int) bool { return v >= 1 && v <= maximumSide }
	switch {
	case !filepath.IsLocal(info.Weights) || filepath.Base(info.Weights) != info.Weights:
		return Info{}, fmt.Errorf("weights: %q is not the name of a file beside it", info.Weights)
	case len(info.Classes) < 2:
		return Info{}, fmt.Errorf("classes: %d, at least 2 are needed", len(info.Classes))
	case !side(info.Stored.Height) || !side(info.Stored.Width) || !side(info.Input.Height) || !side(info.Input.Width):
		return Info{}, fmt.Errorf("stored or input size is not within 1…%d px", maximumSide)
	case info.Input.Height > info.Stored.Height || info.Input.Width > info.Stored.Width:
		return Info{}, fmt.Errorf("an input of %d×%d cannot be cut from images of %d×%d",
			info.Input.Height, info.Input.Width, info.Stored.Height, info.Stored.Width)
	case len(info.Stored.Background) != 3:
		return Info{}, fmt.Errorf("stored.background: %d numbers in place of 3", len(info.Stored.Background))
	}
	for i := range info.Input.Std {
		if !(info.Input.Std[i] > 0) {
			return Info{}, fmt.Errorf("input.std: %g is not above 0", info.Input.Std[i])
		}
	}
	return info, nil
}

// maximumSide bounds image sizes, as params.yaml does.
const maximumSide = 1024

// Fits says what of the tensors is not as the network's parameters are named
// and shaped.
func Fits(d *network.Description, tensors []weights.Tensor) error {
	found := map[string][]int{}
	for _, tensor := range tensors {
		found[tensor.Name] = tensor.Shape
	}
	wanted := d.Parameters()
	for _, parameter := range wanted {
		shape, ok := found[parameter.Name]
		switch {
		case !ok:
			return fmt.Errorf("weights lack %s of the network", parameter.Name)
		case !slices.Equal(shape, parameter.Shape):
			return fmt.Errorf("weights have %s with shape %v, the network %v", parameter.Name, shape, parameter.Shape)
		}
	}
	if len(tensors) != len(wanted) {
		return fmt.Errorf("weights hold %d arrays, the network has %d", len(tensors), len(wanted))
	}
	return nil
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}
