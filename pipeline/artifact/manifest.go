// Package artifact is how the pipeline knows that only what changed must rerun:
// keys, manifests, the cache of digests, and the atomic commit of a stage's
// output.
package artifact

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// ManifestName is the manifest's file within an artifact's folder.
const ManifestName = "manifest.json"

// A File is a file of an artifact, or a raw photo: its slash-separated path
// within its folder, its size in bytes and the hex SHA-256 of its content.
type File struct {
	Path   string `json:"path"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// A Recipe is everything that decides an artifact's bytes.
type Recipe struct {
	Stage      string            `json:"stage"`
	Parameters map[string]string `json:"parameters"`       // of the stage's own section, as JSON, by dotted key
	Code       string            `json:"code"`             // digest of the stage's code
	Engine     string            `json:"engine,omitempty"` // where bytes depend on what computes
	Inputs     map[string]string `json:"inputs"`           // content digests, by stage
}

// keyLength is how many hex digits of the digest name an artifact: 80 bits.
const keyLength = 20

// Key is the artifact's name: a digest of its recipe.
func (r Recipe) Key() string { return digestJSON(r)[:keyLength] }

// IsKey says whether a folder's name can be an artifact's key.
func IsKey(name string) bool {
	return len(name) == keyLength && strings.Trim(name, "0123456789abcdef") == ""
}

// StepKey is the key of the same work on any input.
func (r Recipe) StepKey() string {
	r.Inputs = nil
	return r.Key()
}

// A Manifest says what an artifact is and what it was made from. It lies in
// the artifact's folder and, as the pointer to the current version, beside it.
type Manifest struct {
	Recipe
	Key string `json:"key"`

	// Digest is the joint digest of Files. Informational files (plots,
	// runtime.json) are listed but are not part of it.
	Digest        string `json:"digest"`
	Files         []File `json:"files"`
	Informational []File `json:"informational,omitempty"`

	// Accepted is the digest of the code that really made this, where a later
	// code was declared to make the same.
	Accepted string `json:"accepted,omitempty"`
	// Origin says where raw photos came from.
	Origin json.RawMessage `json:"origin,omitempty"`
	// Check is the digest of all of the above.
	Check string `json:"check"`
}

// JointDigest is the digest of a sorted list of files: of their paths and
// contents, not of where the folder lies.
func JointDigest(files []File) string {
	hash := sha256.New()
	var line []byte
	for _, file := range files {
		line = append(line[:0], file.SHA256...)
		line = strconv.AppendInt(append(line, ' '), int64(len(file.Path)), 10)
		line = append(append(append(line, ':'), file.Path...), '\n')
		hash.Write(line)
	}
	return hex.EncodeToString(hash.Sum(nil))
}

// Find is the listed file of that path, nil if there is none.
func (m *Manifest) Find(path string) *File {
	for _, files := range [][]File{m.Files, m.Informational} {
		for i := range files {
			if files[i].Path == path {
				return &files[i]
			}
		}
	}
	return nil
}

// Encode is the manifest as a file's content.
func (m *Manifest) Encode() []byte {
	m.Check = ""
	m.Check = digestJSON(m)
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		panic(err) // strings, numbers and valid raw JSON only
	}
	return append(text, '\n')
}

// ErrDamaged is in the chain of errors about files that are not what their
// manifest says.
var ErrDamaged = errors.New("damaged")

// ReadManifest reads and checks a manifest. The error is fs.ErrNotExist where
// there is none, ErrDamaged where it is not as Encode left it.
func ReadManifest(path string) (*Manifest, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fs.ErrNotExist
		}
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	manifest, err := DecodeManifest(text)
	if err != nil {
		return nil, fmt.Errorf("%s is %w", path, err)
	}
	return manifest, nil
}

// DecodeManifest checks and reads what Encode gave. Any error is ErrDamaged.
func DecodeManifest(text []byte) (*Manifest, error) {
	manifest := new(Manifest)
	if err := json.Unmarshal(text, manifest); err != nil || !bytes.Equal(manifest.Encode(), text) {
		return nil, ErrDamaged
	}
	return manifest, nil
}

func digestJSON(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // only called with types that cannot fail
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
