package source

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// An entry is a file of a source.
type entry struct {
	path string // slash-separated, within the source
	size int64
	open func() (io.ReadCloser, error)
}

// A collection is what one source holds.
type collection struct {
	label   string // names the source in messages
	archive bool   // not a folder
	origin  Origin
	entries []entry
	folders []string
	close   func() error
}

// readFolder lists a folder's regular files. Hidden folders are left out; links
// and devices are refused. destination must not lie within the folder.
func readFolder(folder, destination string) (*collection, error) {
	root, err := filepath.EvalSymlinks(folder)
	if err != nil {
		return nil, err
	}
	if within(root, destination) {
		return nil, fmt.Errorf("%s: the data set's own folder lies in it", folder)
	}
	c := &collection{label: folder, close: func() error { return nil }}
	err = filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == root {
			return err
		}
		relative, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		relative = filepath.ToSlash(relative)
		switch {
		case d.IsDir() && hidden(relative):
			return fs.SkipDir
		case d.IsDir():
			c.folders = append(c.folders, relative)
			return nil
		case d.Type()&fs.ModeSymlink != 0:
			return fmt.Errorf("%s is a link; give the files themselves", name)
		case !d.Type().IsRegular():
			return fmt.Errorf("%s is not a regular file", name)
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		c.entries = append(c.entries, entry{relative, info.Size(), func() (io.ReadCloser, error) { return os.Open(name) }})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read folder %s: %w", folder, err)
	}
	return c, nil
}

// within says whether name lies in folder or is it.
func within(folder, name string) bool {
	folder, err := filepath.Abs(folder)
	if err != nil {
		return false
	}
	name, err = filepath.Abs(name)
	if err != nil {
		return false
	}
	if parent, err := filepath.EvalSymlinks(filepath.Dir(name)); err == nil {
		name = filepath.Join(parent, filepath.Base(name))
	}
	return name == folder || strings.HasPrefix(name, strings.TrimSuffix(folder, "/")+"/")
}
