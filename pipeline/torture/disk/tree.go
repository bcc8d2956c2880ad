package disk

import (
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A Tree is what lies on a disk: contents of files by path, and folders, whose
// paths end with /, with nothing.
type Tree map[string][]byte

// Read is what lies in some folders of a root; one that is not there is empty.
func Read(root string, folders ...string) (Tree, error) {
	tree := Tree{}
	for _, folder := range folders {
		err := filepath.WalkDir(filepath.Join(root, folder), func(file string, item fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			} else if err != nil {
				return err
			}
			name, err := filepath.Rel(root, file)
			if err != nil {
				return err
			}
			if item.IsDir() {
				tree[filepath.ToSlash(name)+"/"] = nil
				return nil
			}
			tree[filepath.ToSlash(name)], err = os.ReadFile(file)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return tree, nil
}

var seed = maphash.MakeSeed()

// Digest is the same for trees that are, within this process.
func (t Tree) Digest() uint64 {
	var hash maphash.Hash
	hash.SetSeed(seed)
	for _, name := range slices.Sorted(maps.Keys(t)) {
		fmt.Fprintf(&hash, "%d %s %d ", len(name), name, len(t[name]))
		hash.Write(t[name])
	}
	return hash.Sum64()
}

// Lay writes the tree into a folder.
func (t Tree) Lay(folder string) error {
	for _, name := range slices.Sorted(maps.Keys(t)) { // a folder before what is in it
		path := filepath.Join(folder, name)
		if strings.HasSuffix(name, "/") {
			if err := os.MkdirAll(path, 0o777); err != nil {
				return err
			}
			continue
		}
		if err := os.WriteFile(path, t[name], 0o666); err != nil {
			return err
		}
	}
	return nil
}

// Difference names the first path in which two trees differ, "" if none.
func (t Tree) Difference(other Tree) string {
	both := maps.Clone(t)
	maps.Copy(both, other)
	for _, name := range slices.Sorted(maps.Keys(both)) {
		mine, here := t[name]
		theirs, there := other[name]
		if here != there || !bytes.Equal(mine, theirs) {
			return name
		}
	}
	return ""
}
