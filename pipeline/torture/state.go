package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"catdog/pipeline/artifact"
	"catdog/pipeline/miniature"
)

// A state is every file that make leaves: its path, and a digest of what must be
// the same in it.
type state struct{ files map[string]string }

// stateOf is what lies there of a data set. What is of none counts for sample.
func stateOf(p *miniature.Project, dataset string) (*state, error) {
	s := &state{map[string]string{}}
	for _, folder := range append([]string{"build"}, made...) {
		err := filepath.WalkDir(p.Path(folder), func(name string, item fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) && name == p.Path(folder) {
				return nil
			}
			if err != nil {
				return err
			}
			path, err := filepath.Rel(p.Folder, name)
			if err != nil {
				return err
			}
			if (strings.Contains("/"+path, "/"+pets)) != (dataset == pets) {
				return nil
			}
			if item.IsDir() {
				s.files[path+"/"] = ""
				return nil
			}
			s.files[path], err = essence(name)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return s, nil
}

// essence is the digest of what is the same in every run.
func essence(name string) (string, error) {
	base := filepath.Base(name)
	switch {
	case base == "runtime.json", strings.HasPrefix(base, "digests"), base == "lock", strings.HasSuffix(base, ".segment"):
		return "", nil
	case filepath.Ext(base) == ".json":
		if manifest, err := artifact.ReadManifest(name); err == nil {
			return manifest.Key + " " + manifest.Digest, nil
		}
	}
	content, err := os.ReadFile(name)
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:]), err
}

// difference says how another state differs, "" if it does not.
func (s *state) difference(other *state) string {
	all := maps.Clone(s.files)
	maps.Copy(all, other.files)
	var lines []string
	for _, path := range slices.Sorted(maps.Keys(all)) {
		want, known := s.files[path]
		got, present := other.files[path]
		switch {
		case !known:
			lines = append(lines, path+" is left over")
		case !present:
			lines = append(lines, path+" is missing")
		case want != got:
			lines = append(lines, path+" differs")
		}
	}
	if len(lines) > 8 {
		lines = append(lines[:8], fmt.Sprintf("and %d more", len(lines)-8))
	}
	return strings.Join(lines, ", ")
}
