package train

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"catdog/pipeline/artifact"
	"catdog/pipeline/engine"
	"catdog/pipeline/train/record"
	"catdog/pipeline/weights"
)

// checkpointName is the file in a run's folder that holds its last checkpoint.
const checkpointName = "checkpoint.safetensors"

// A progressState is where a run is and what it has seen, apart from arrays.
type progressState struct {
	Epoch int `json:"epoch"` // under way, from 1
	Step  int `json:"step"`  // complete ones of this epoch
	// Sums over the images of those steps.
	Loss    float64      `json:"loss"`
	Correct int          `json:"correct"`
	Records record.State `json:"records"`
}

// A checkpoint is everything that the rest of a run depends on.
type checkpoint struct {
	progressState
	trainer []weights.Tensor // engine.Trainer.State
	best    []weights.Tensor // weights of the best epoch so far, none before the first
}

// A checkpoint's file is a safetensors file: arrays of the trainer's and the
// best weights under these prefixes, the rest as JSON in the metadata, beside
// the SHA-256 of the file as it would be without that entry.
const (
	trainerPrefix = "trainer/"
	bestPrefix    = "best/"
	stateEntry    = "state"
	sha256Entry   = "sha256"
)

// save replaces the file at path; the one before stays until this one is
// complete and on the disk.
func (c *checkpoint) save(path string) error {
	content, err := c.encode()
	if err == nil {
		err = artifact.WriteFile(path, content)
	}
	if err != nil {
		return fmt.Errorf("save checkpoint: %w", err)
	}
	return nil
}

// saveState saves a checkpoint of a trainer's state.
func saveState(state engine.State, at progressState, best []weights.Tensor, path string) error {
	arrays, err := state.State()
	if err != nil {
		return fmt.Errorf("save checkpoint: %w", err)
	}
	return (&checkpoint{at, arrays, best}).save(path)
}

// encode returns the bytes of a checkpoint's file.
func (c *checkpoint) encode() ([]byte, error) {
	state, err := json.Marshal(c.progressState)
	if err != nil {
		return nil, err
	}
	var tensors []weights.Tensor
	add := func(prefix string, from []weights.Tensor) {
		for _, tensor := range from {
			tensor.Name = prefix + tensor.Name
			tensors = append(tensors, tensor)
		}
	}
	add(trainerPrefix, c.trainer)
	add(bestPrefix, c.best)
	return seal(tensors, map[string]string{stateEntry: string(state)})
}

// seal encodes with the checksum among the metadata.
func seal(tensors []weights.Tensor, metadata map[string]string) ([]byte, error) {
	content, err := weights.Encode(tensors, metadata)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(content)
	metadata[sha256Entry] = hex.EncodeToString(sum[:])
	return weights.Encode(tensors, metadata)
}

// unreadable is the error of a checkpoint that may well be whole.
type unreadable struct{ error }

// loadCheckpoint reads a checkpoint; nil if there is none. Any error that is not
// unreadable means that the file is damaged: it is not, to the byte, what save
// writes.
func loadCheckpoint(path string) (*checkpoint, error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil && !errors.Is(err, syscall.EISDIR) {
		return nil, unreadable{fmt.Errorf("read the checkpoint: %w", err)}
	} else if err != nil {
		return nil, err
	}
	tensors, metadata, err := weights.Decode(content)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	c := &checkpoint{}
	if err := json.Unmarshal([]byte(metadata[stateEntry]), &c.progressState); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	for _, tensor := range tensors {
		if name, ok := strings.CutPrefix(tensor.Name, trainerPrefix); ok {
			tensor.Name = name
			c.trainer = append(c.trainer, tensor)
		} else if name, ok := strings.CutPrefix(tensor.Name, bestPrefix); ok {
			tensor.Name = name
			c.best = append(c.best, tensor)
		}
	}
	// Other bytes than those with that checksum may stand for the same content: a
	// name in the header in capitals, other white space.
	if written, err := c.encode(); err != nil || !bytes.Equal(written, content) {
		return nil, fmt.Errorf("read %s: its bytes are not as they were written", path)
	}
	return c, nil
}
