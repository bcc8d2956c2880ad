package artifact

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// Digests remembers the digests of files, so that a file is read again only
// when its size, times or inode changed. It is a cache: losing it costs time,
// and a damaged one is noticed and thrown away.
type Digests struct {
	path    string
	mutex   sync.Mutex
	folders map[string]map[string]entry // by folder and name within it
	changed bool
}

type entry struct {
	stamp  stamp
	digest [sha256.Size]byte
}

func (e *entry) file(path string) File {
	return File{Path: path, Size: e.stamp.size, SHA256: hex.EncodeToString(e.digest[:])}
}

// File is the size and digest of a regular file. Its path within folder names
// it in the result.
func (d *Digests) File(folder, path string) (File, error) {
	name := filepath.Join(folder, filepath.FromSlash(path))
	now, err := stampOf(name)
	if err != nil {
		return File{}, err
	}
	d.mutex.Lock()
	e, known := d.folders[filepath.Dir(name)][filepath.Base(name)]
	d.mutex.Unlock()
	if !known || e.stamp != now {
		if e, err = d.read(name); err != nil {
			return File{}, err
		}
	}
	return e.file(path), nil
}

// Reread is File by the file's content, whatever is remembered: a disk that
// changes bytes leaves no trace in a file's times.
func (d *Digests) Reread(folder, path string) (File, error) {
	e, err := d.read(filepath.Join(folder, filepath.FromSlash(path)))
	return e.file(path), err
}

// read reads a file and remembers its digest.
func (d *Digests) read(name string) (entry, error) {
	asked := time.Now()
	e, err := hash(name)
	if err != nil || !e.stamp.settled(asked) || len(name) >= 1<<16 {
		return e, err
	}
	d.mutex.Lock()
	defer d.mutex.Unlock()
	folder, base := filepath.Dir(name), filepath.Base(name)
	if d.folders[folder] == nil {
		d.folders[folder] = map[string]entry{}
	}
	d.folders[folder][base] = e
	d.changed = true
	return e, nil
}

// Scan is File for every regular file below folder, sorted by path. Entries of
// files that are gone are forgotten. Whatever is not a regular file or a
// folder is an error: links could lead anywhere.
func (d *Digests) Scan(folder string) ([]File, error) {
	folder = filepath.Clean(folder)
	listings, err := list(folder, "", nil)
	if err != nil {
		return nil, err
	}
	var files []File
	there := map[string]bool{}
	for _, l := range listings {
		there[l.folder] = true
		of, err := d.scan(l)
		if err != nil {
			return nil, err
		}
		files = append(files, of...)
	}
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	d.forget(folder, there)
	return files, nil
}

// A listing is a folder with the sorted names of its files.
type listing struct {
	folder string
	prefix string // of the files' paths
	names  []string
}

// list lists a folder and those below it.
func list(folder, prefix string, listings []listing) ([]listing, error) {
	opened, err := os.Open(folder)
	if err != nil {
		return nil, err
	}
	items, err := opened.ReadDir(-1)
	if err = errors.Join(err, opened.Close()); err != nil {
		return nil, err
	}
	l, subfolders := listing{folder: folder, prefix: prefix}, []string{}
	for _, item := range items {
		switch name := item.Name(); {
		case item.IsDir():
			subfolders = append(subfolders, name)
		case item.Type().IsRegular():
			l.names = append(l.names, name)
		default:
			return nil, fmt.Errorf("%s is neither a file nor a folder", filepath.Join(folder, name))
		}
	}
	slices.Sort(l.names)
	listings = append(listings, l)
	for _, name := range subfolders {
		if listings, err = list(filepath.Join(folder, name), prefix+name+"/", listings); err != nil {
			return nil, err
		}
	}
	return listings, nil
}

// scan is File for all of a listing.
func (d *Digests) scan(l listing) ([]File, error) {
	if len(l.names) == 0 {
		return nil, nil
	}
	opened, err := os.Open(l.folder)
	if err != nil {
		return nil, err
	}
	defer opened.Close()
	files, unread := make([]File, len(l.names)), make([]bool, len(l.names))
	var found atomic.Int64

	d.mutex.Lock()
	known := d.folders[l.folder]
	err = inParts(len(files), func(first, end int) error {
		for i := first; i < end; i++ {
			var stat unix.Stat_t
			if err := unix.Fstatat(int(opened.Fd()), l.names[i], &stat, unix.AT_SYMLINK_NOFOLLOW); err != nil {
				return &fs.PathError{Op: "stat", Path: filepath.Join(l.folder, l.names[i]), Err: err}
			}
			e, have := known[l.names[i]]
			if have {
				found.Add(1)
			}
			if unread[i] = !have || e.stamp != stampFrom(&stat); !unread[i] {
				files[i] = e.file(l.prefix + l.names[i])
			}
		}
		return nil
	})
	if int(found.Load()) < len(known) && err == nil {
		for name := range known {
			if _, there := slices.BinarySearch(l.names, name); !there {
				delete(known, name)
				d.changed = true
			}
		}
	}
	d.mutex.Unlock()

	if err != nil {
		return nil, err
	}
	err = inParts(len(files), func(first, end int) error {
		for i := first; i < end; i++ {
			if unread[i] {
				e, err := d.read(filepath.Join(l.folder, l.names[i]))
				if err != nil {
					return err
				}
				files[i] = e.file(l.prefix + l.names[i])
			}
		}
		return nil
	})
	return files, err
}

// inParts has several goroutines work on parts of 0…count.
func inParts(count int, work func(first, end int) error) error {
	const parts = 4
	var group errgroup.Group
	for part := range parts {
		group.Go(func() error { return work(count*part/parts, count*(part+1)/parts) })
	}
	return group.Wait()
}

// Moved tells the cache that a folder was renamed, which leaves its files'
// stamps as they are.
func (d *Digests) Moved(from, to string) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	for folder, entries := range d.folders {
		if path, within := below(folder, from); within {
			delete(d.folders, folder)
			d.folders[filepath.Join(to, path)] = entries
			d.changed = true
		}
	}
}

// forget drops the folders below one that are not there any more.
func (d *Digests) forget(folder string, there map[string]bool) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	for name := range d.folders {
		if _, within := below(name, folder); within && !there[name] {
			delete(d.folders, name)
			d.changed = true
		}
	}
}

// below is the path of a folder within another one, which may be the same.
func below(folder, within string) (path string, is bool) {
	if folder == within {
		return "", true
	}
	return strings.CutPrefix(folder, within+string(filepath.Separator))
}

// hash reads a file. Its stamp is taken from the open file, before the first
// byte is read.
func hash(name string) (entry, error) {
	file, err := os.Open(name)
	if err != nil {
		return entry{}, err
	}
	defer file.Close()
	var stat unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &stat); err != nil {
		return entry{}, &fs.PathError{Op: "stat", Path: name, Err: err}
	}
	e := entry{stamp: stampFrom(&stat)}
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return entry{}, fmt.Errorf("read %s: %w", name, err)
	}
	hash.Sum(e.digest[:0])
	return e, nil
}
