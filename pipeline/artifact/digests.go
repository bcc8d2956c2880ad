package artifact

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
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
	"time"

	"github.com/gofrs/flock"
	"golang.org/x/sys/unix"
)

// Digests remembers the digests of files, so that a file is read again only
// when its size, times or inode changed. It is a cache: losing it costs time,
// and a damaged one is noticed and thrown away.
type Digests struct {
	path    string
	mutex   sync.Mutex
	entries map[string]entry
	changed bool
}

type entry struct {
	stamp  stamp
	digest [sha256.Size]byte
}

// A stamp changes whenever a file's content does, but for changes within one
// tick of the file system's clock; see settled.
type stamp struct {
	size            int64
	modified, moved int64 // mtime and ctime, ns
	inode           uint64
}

var digestsMagic = []byte("digests1")

// OpenDigests reads the cache at path, or starts an empty one.
func OpenDigests(path string) *Digests {
	d := &Digests{path: path, entries: map[string]entry{}}
	text, err := os.ReadFile(path)
	if err != nil || len(text) < len(digestsMagic)+sha256.Size || !bytes.HasPrefix(text, digestsMagic) {
		return d
	}
	body, check := text[:len(text)-sha256.Size], text[len(text)-sha256.Size:]
	if sum := sha256.Sum256(body); !bytes.Equal(sum[:], check) {
		return d
	}
	const fixed = 2 + 4*8 + sha256.Size
	for body = body[len(digestsMagic):]; len(body) >= fixed; {
		var e entry
		length := int(binary.LittleEndian.Uint16(body))
		if len(body) < fixed+length {
			break
		}
		e.stamp.size = int64(binary.LittleEndian.Uint64(body[2:]))
		e.stamp.modified = int64(binary.LittleEndian.Uint64(body[10:]))
		e.stamp.moved = int64(binary.LittleEndian.Uint64(body[18:]))
		e.stamp.inode = binary.LittleEndian.Uint64(body[26:])
		copy(e.digest[:], body[34:])
		d.entries[string(body[fixed:fixed+length])] = e
		body = body[fixed+length:]
	}
	return d
}

// Save writes the cache if anything changed since it was opened.
func (d *Digests) Save() error {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	if !d.changed {
		return nil
	}
	var text bytes.Buffer
	text.Write(digestsMagic)
	paths := make([]string, 0, len(d.entries))
	for path := range d.entries {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	for _, path := range paths {
		e := d.entries[path]
		fixed := binary.LittleEndian.AppendUint16(nil, uint16(len(path)))
		fixed = binary.LittleEndian.AppendUint64(fixed, uint64(e.stamp.size))
		fixed = binary.LittleEndian.AppendUint64(fixed, uint64(e.stamp.modified))
		fixed = binary.LittleEndian.AppendUint64(fixed, uint64(e.stamp.moved))
		fixed = binary.LittleEndian.AppendUint64(fixed, e.stamp.inode)
		text.Write(append(fixed, e.digest[:]...))
		text.WriteString(path)
	}
	sum := sha256.Sum256(text.Bytes())
	text.Write(sum[:])
	if err := os.MkdirAll(filepath.Dir(d.path), 0o777); err != nil {
		return err
	}
	// Other than stages, those who only ask save what they learnt at any time.
	lock := flock.New(d.path + ".lock")
	if err := lock.Lock(); err != nil {
		return fmt.Errorf("lock %s: %w", d.path, err)
	}
	defer lock.Close()
	if err := WriteFile(d.path, text.Bytes()); err != nil {
		return err
	}
	d.changed = false
	return nil
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
	e, known := d.entries[name]
	d.mutex.Unlock()
	if !known || e.stamp != now {
		asked := time.Now()
		if e, err = hash(name); err != nil {
			return File{}, err
		}
		if e.stamp.settled(asked) && len(name) < 1<<16 {
			d.mutex.Lock()
			d.entries[name] = e
			d.changed = true
			d.mutex.Unlock()
		}
	}
	return File{Path: path, Size: e.stamp.size, SHA256: hex.EncodeToString(e.digest[:])}, nil
}

// Scan is File for every regular file below folder, sorted by path. Entries of
// files that are gone are forgotten. Whatever is not a regular file or a
// folder is an error: links could lead anywhere.
func (d *Digests) Scan(folder string) ([]File, error) {
	var paths []string
	err := filepath.WalkDir(folder, func(path string, item fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case item.IsDir():
			return nil
		case !item.Type().IsRegular():
			return fmt.Errorf("%s is neither a file nor a folder", path)
		}
		paths = append(paths, filepath.ToSlash(path[len(folder)+1:]))
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.Sort(paths)
	files := make([]File, len(paths))
	var group sync.WaitGroup
	errs := make([]error, 4)
	for worker := range errs {
		group.Go(func() {
			for i := worker; i < len(paths); i += len(errs) {
				var err error
				if files[i], err = d.File(folder, paths[i]); err != nil {
					errs[worker] = err
					return
				}
			}
		})
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	d.forget(folder, paths)
	return files, nil
}

// Moved tells the cache that a folder was renamed, which leaves its files'
// stamps as they are.
func (d *Digests) Moved(from, to string) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	prefix := from + string(filepath.Separator)
	for name, e := range d.entries {
		if path, below := strings.CutPrefix(name, prefix); below {
			delete(d.entries, name)
			d.entries[filepath.Join(to, path)] = e
			d.changed = true
		}
	}
}

// forget drops entries below folder that are not among the sorted paths.
func (d *Digests) forget(folder string, paths []string) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	prefix := folder + string(filepath.Separator)
	for name := range d.entries {
		if path, below := strings.CutPrefix(name, prefix); below {
			if _, found := slices.BinarySearch(paths, filepath.ToSlash(path)); !found {
				delete(d.entries, name)
				d.changed = true
			}
		}
	}
}

func stampOf(name string) (stamp, error) {
	var stat unix.Stat_t
	if err := unix.Lstat(name, &stat); err != nil {
		return stamp{}, &fs.PathError{Op: "stat", Path: name, Err: err}
	}
	return stampFrom(&stat), nil
}

func stampFrom(stat *unix.Stat_t) stamp {
	return stamp{stat.Size, stat.Mtim.Nano(), stat.Ctim.Nano(), stat.Ino}
}

// settled says whether the file was last written so long before it was read
// that any later write gets other times. (Git calls the opposite "racily
// clean".) A file system's clock moves in ticks: some milliseconds, or, where
// times are whole seconds, up to two of them.
func (s stamp) settled(read time.Time) bool {
	tick := 20 * time.Millisecond
	if s.modified%int64(time.Second) == 0 && s.moved%int64(time.Second) == 0 {
		tick = 2 * time.Second
	}
	return read.UnixNano()-max(s.modified, s.moved) > int64(tick)
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
