package photo

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"

	"catdog/pipeline/artifact"
)

// Read reads a raw photo and makes sure that it is the one whose digest is
// known.
func Read(folder string, file artifact.File) ([]byte, error) {
	name := filepath.Join(folder, filepath.FromSlash(file.Path))
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read photo: %w", err)
	}
	digest := sha256.Sum256(data)
	if hex.EncodeToString(digest[:]) != file.SHA256 {
		return nil, fmt.Errorf("read photo: %q was changed meanwhile; run make again", name)
	}
	return data, nil
}
