package classify

import (
	"archive/zip"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"catdog/pipeline/artifact"
	"catdog/pipeline/photo"
	"catdog/pipeline/source"
)

// A file is a photo to be classified, on disk or in a zip.
type file struct {
	name string // as people see it
	size int64  // bytes, as far as is known before it is read
	open func() (io.ReadCloser, error)
}

// files are the photos that paths name: files, all files below folders, and
// all in zips, sorted by name within each. Hidden ones are left out, and what is
// packed in a zip more than ratio to one is not read. The zips are open until
// close is called.
func files(paths []string, ratio int) (all []file, close func() error, err error) {
	var archives []io.Closer
	close = func() error {
		var failed []error
		for _, archive := range archives {
			failed = append(failed, archive.Close())
		}
		return errors.Join(failed...)
	}
	for _, name := range paths {
		info, err := os.Stat(name)
		if err != nil {
			return nil, nil, errors.Join(fmt.Errorf("look for photos: %w", err), close())
		}
		var found []file
		switch {
		case info.IsDir():
			found, err = inFolder(name)
		case strings.EqualFold(filepath.Ext(name), ".zip"):
			var archive *zip.ReadCloser
			if archive, err = zip.OpenReader(name); err != nil {
				err = fmt.Errorf("open %s: %w", name, err)
				break
			}
			archives = append(archives, archive)
			found = inArchive(name, info.Size(), archive.File, ratio)
		case !info.Mode().IsRegular():
			err = fmt.Errorf("%s is neither a file, a folder nor a zip", name)
		default:
			found = []file{onDisk(name, info.Size())}
		}
		if err != nil {
			return nil, nil, errors.Join(err, close())
		}
		slices.SortStableFunc(found, func(a, b file) int { return cmp.Compare(a.name, b.name) })
		all = append(all, found...)
	}
	return all, close, nil
}

func onDisk(name string, size int64) file {
	return file{artifact.EscapePath(filepath.ToSlash(name)), size, func() (io.ReadCloser, error) { return os.Open(name) }}
}

func inFolder(folder string) (found []file, err error) {
	err = filepath.WalkDir(folder, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name != folder && hidden(entry.Name()) && entry.IsDir():
			return fs.SkipDir
		case entry.IsDir() || hidden(entry.Name()):
			return nil
		}
		// A link to a photo is one, a link to a folder might lead in circles.
		if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() {
			found = append(found, onDisk(name, info.Size()))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for photos in %s: %w", folder, err)
	}
	return found, nil
}

func inArchive(archive string, archiveSize int64, entries []*zip.File, ratio int) (found []file) {
	for _, entry := range entries {
		parts := strings.Split(strings.TrimSuffix(entry.Name, "/"), "/")
		if !entry.Mode().IsRegular() || slices.ContainsFunc(parts, hidden) || parts[0] == "__MACOSX" {
			continue
		}
		found = append(found, file{
			name: artifact.EscapePath(path.Join(filepath.ToSlash(archive), path.Clean("/"+entry.Name))),
			size: int64(min(entry.UncompressedSize64, 1<<62)),
			open: func() (io.ReadCloser, error) {
				if entry.Flags&1 != 0 {
					return nil, errors.New("encrypted")
				}
				if err := source.CheckPacked(entry, archiveSize, ratio); err != nil {
					return nil, err
				}
				return entry.Open()
			},
		})
	}
	return found
}

func hidden(name string) bool { return len(name) > 1 && name[0] == '.' && name != ".." }

// read is the file's content. An error concerns this file alone.
func (f file) read(pool *photo.Pool) ([]byte, error) {
	if rejection := pool.TooLong(f.size); rejection != nil {
		return nil, rejection
	}
	in, err := f.open()
	if err != nil {
		return nil, err
	}
	defer in.Close()
	var content bytes.Buffer
	if _, err := io.CopyN(&content, in, min(f.size, photo.HeadLength)); err != nil && err != io.EOF {
		return nil, err
	}
	if rejection := photo.Recognise(content.Bytes()); rejection != nil {
		return nil, rejection // before memory is taken for all of it
	}
	content.Grow(int(f.size) + bytes.MinRead)
	_, err = content.ReadFrom(io.LimitReader(in, f.size+1-int64(content.Len())))
	if err == nil && int64(content.Len()) > f.size {
		err = fmt.Errorf("longer than the %d bytes that it should have", f.size)
	}
	return content.Bytes(), err
}
