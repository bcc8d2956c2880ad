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
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofrs/flock"
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

// A stamp changes whenever a file's content does, but for changes within one
// tick of the file system's clock; see settled.
type stamp struct {
	size            int64
	modified, moved int64 // mtime and ctime, ns
	inode           uint64
}

// OpenDigests reads the cache at path, or starts an empty one.
func OpenDigests(path string) *Digests {
	d := &Digests{path: path}
	text, _ := os.ReadFile(path) // without it the cache is empty
	d.folders = decodeDigests(text)
	return d
}

// The cache is this, for each folder its length, the number of its files and
// its name, for each of those length, stamp, digest and name, and then the
// digest of it all. Numbers are little-endian.
var digestsMagic = []byte("digests2")

const (
	folderHead = 2 + 4
	entryHead  = 2 + 4*8 + sha256.Size
)

// decodeDigests gives nothing where a byte is not as it was written.
func decodeDigests(text []byte) map[string]map[string]entry {
	folders := map[string]map[string]entry{}
	if len(text) < len(digestsMagic)+sha256.Size || !bytes.HasPrefix(text, digestsMagic) {
		return folders
	}
	body, check := text[:len(text)-sha256.Size], text[len(text)-sha256.Size:]
	if sum := sha256.Sum256(body); !bytes.Equal(sum[:], check) {
		return folders
	}
	body = body[len(digestsMagic):]
	names := string(body) // all of them are parts of this one
	take := func(length int) (string, bool) {
		if length > len(body) {
			return "", false
		}
		name := names[len(names)-len(body):][:length]
		body = body[length:]
		return name, true
	}
	for len(body) >= folderHead {
		length, count := int(binary.LittleEndian.Uint16(body)), int(binary.LittleEndian.Uint32(body[2:]))
		body = body[folderHead:]
		folder, whole := take(length)
		if !whole || count > len(body)/entryHead {
			break
		}
		entries := make(map[string]entry, count)
		for range count {
			if len(body) < entryHead {
				break
			}
			var e entry
			length := int(binary.LittleEndian.Uint16(body))
			e.stamp.size = int64(binary.LittleEndian.Uint64(body[2:]))
			e.stamp.modified = int64(binary.LittleEndian.Uint64(body[10:]))
			e.stamp.moved = int64(binary.LittleEndian.Uint64(body[18:]))
			e.stamp.inode = binary.LittleEndian.Uint64(body[26:])
			copy(e.digest[:], body[34:])
			body = body[entryHead:]
			name, whole := take(length)
			if !whole {
				break
			}
			entries[name] = e
		}
		folders[folder] = entries
	}
	return folders
}

func encodeDigests(folders map[string]map[string]entry) []byte {
	text := slices.Clone(digestsMagic)
	for _, folder := range slices.Sorted(maps.Keys(folders)) {
		entries := folders[folder]
		text = binary.LittleEndian.AppendUint16(text, uint16(len(folder)))
		text = binary.LittleEndian.AppendUint32(text, uint32(len(entries)))
		text = append(text, folder...)
		for _, name := range slices.Sorted(maps.Keys(entries)) {
			e := entries[name]
			text = binary.LittleEndian.AppendUint16(text, uint16(len(name)))
			text = binary.LittleEndian.AppendUint64(text, uint64(e.stamp.size))
			text = binary.LittleEndian.AppendUint64(text, uint64(e.stamp.modified))
			text = binary.LittleEndian.AppendUint64(text, uint64(e.stamp.moved))
			text = binary.LittleEndian.AppendUint64(text, e.stamp.inode)
			text = append(text, e.digest[:]...)
			text = append(text, name...)
		}
	}
	sum := sha256.Sum256(text)
	return append(text, sum[:]...)
}

// Save writes the cache if anything changed since it was opened.
func (d *Digests) Save() error {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	if !d.changed {
		return nil
	}
	if err := MakeFolder(filepath.Dir(d.path)); err != nil {
		return err
	}
	// A loss of power may take a file's content and leave its times. So all that
	// the cache vouches for must be on the disk before the cache is.
	if err := SyncFileSystem(filepath.Dir(d.path)); err != nil {
		return err
	}
	// Other than stages, those who only ask save what they learnt at any time.
	lock := flock.New(d.path + ".lock")
	if err := lock.Lock(); err != nil {
		return fmt.Errorf("lock %s: %w", d.path, err)
	}
	defer lock.Close()
	if err := WriteFile(d.path, encodeDigests(d.folders)); err != nil {
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
	e, known := d.folders[filepath.Dir(name)][filepath.Base(name)]
	d.mutex.Unlock()
	if !known || e.stamp != now {
		if e, err = d.read(name); err != nil {
			return File{}, err
		}
	}
	return e.file(path), nil
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
