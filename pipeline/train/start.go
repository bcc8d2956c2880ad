package train

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"catdog/pipeline/weights"
)

var hexDigest = regexp.MustCompile(`^[0-9a-f]{64}$`)

// findWeights looks for the weights' file of that SHA-256 below the folder of
// models: those of any data set's runs and the published ones.
func findWeights(models, digest string) (path string, tensors []weights.Tensor, err error) {
	if !hexDigest.MatchString(digest) {
		return "", nil, fmt.Errorf("train.from: %q is not a SHA-256 (64 digits of 0-9 and a-f)", digest)
	}
	var candidates []string
	for _, name := range []string{"best.safetensors", "final.safetensors"} {
		found, err := filepath.Glob(filepath.Join(models, "*", "*", name))
		if err != nil {
			return "", nil, fmt.Errorf("train.from: look for weights: %w", err)
		}
		candidates = append(candidates, found...)
	}
	// Published weights may have other names; their folders match twice.
	published, err := filepath.Glob(filepath.Join(models, "published", "*", "*.safetensors"))
	if err != nil {
		return "", nil, fmt.Errorf("train.from: look for weights: %w", err)
	}
	candidates = append(candidates, published...)
	slices.Sort(candidates)
	candidates = slices.Compact(candidates)
	// Files of other data sets may be on their way while this one looks.
	var unread error
	for _, candidate := range candidates {
		sum, err := fileDigest(candidate)
		if err != nil {
			unread = cmp.Or(unread, err)
			continue
		}
		if sum == digest {
			tensors, _, err := weights.Read(candidate)
			if err != nil {
				return "", nil, fmt.Errorf("train.from: %w", err)
			}
			return candidate, tensors, nil
		}
	}
	err = fmt.Errorf("train.from: none of the %d files of weights below %s has the SHA-256 %s", len(candidates), models, digest)
	if unread != nil {
		err = fmt.Errorf("%w, of those that can be read: %w", err, unread)
	}
	return "", nil, err
}

func fileDigest(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}
