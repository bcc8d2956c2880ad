// Package segment is a store of many small values by key in a few append-only
// files, so that 25,000 resized photos are not 25,000 files, and ten new ones
// cost ten.
//
// On disk, a store is a folder with the files 000001.segment, 000002.segment, …
// and lock. A segment is a sequence of records:
//
//	8 bytes  mark, the same for every record
//	4        length of the key in bytes, little-endian as all numbers
//	4        length of the value
//	4        CRC-32C of the value
//	4        CRC-32C of the 20 bytes before and of the key
//	…        key
//	…        value
//
// Records are only ever added, at the end of the last segment; of two with one
// key the later counts. There is no index file: opening a store reads the
// records' heads, a read a record.
//
// A killed writer leaves at most one record that is cut off at the end of the
// last segment. Readers take no notice of it and the next writer overwrites it.
// What Flush has returned for survives a loss of power. A damaged value is
// found by its checksum when it is read, and a damaged head when the store is
// opened: the search for the next mark goes on behind it, so it costs that one
// record.
package segment

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/gofrs/flock"

	"catdog/pipeline/artifact"
)

const (
	mark       = "\xc5\x9frecord"
	headSize   = len(mark) + 16
	suffix     = ".segment"
	maximumKey = 4 << 10
	// maximumValue is far above any image that is stored (1024×1024×3 bytes).
	maximumValue = 1 << 28
)

// segmentSize is the size beyond which a new segment is begun.
var segmentSize int64 = 256 << 20

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrDamaged says that a value is in the store but not as it was put there.
// Putting it again mends it.
var ErrDamaged = errors.New("damaged")

// ErrInUse says that another process is adding to the store.
var ErrInUse = errors.New("another process is writing to it")

// A Store is an open store. Its methods may be called from any goroutine. Any
// number of processes may read a store while one adds to it; what is added by
// others after Open is not seen, except by the first Put.
type Store struct {
	folder string

	mutex    sync.RWMutex
	segments []*segment
	index    map[string]location
	lock     *flock.Flock // nil until the first Put
}

// segment is one open file.
type segment struct {
	file *os.File
	// end is where the next record goes, behind the last whole one.
	end int64
	// loaded is the file as it was when its records were read.
	loaded os.FileInfo
}

// location is where a value lies.
type location struct {
	segment  *segment
	offset   int64
	length   uint32
	checksum uint32
}

// Open opens the store in a folder, an empty one if there is none. The folder
// is created by the first Put.
func Open(folder string) (*Store, error) {
	store := &Store{folder: folder}
	if err := store.load(); err != nil {
		store.closeFiles()
		return nil, err
	}
	return store, nil
}

// load reads the heads of all records.
func (s *Store) load() error {
	s.closeFiles()
	s.index = map[string]location{}
	names, err := segments(s.folder)
	if err != nil {
		return err
	}
	for _, name := range names {
		file, err := os.Open(filepath.Join(s.folder, name))
		if err != nil {
			return fmt.Errorf("open store: %w", err)
		}
		opened := &segment{file: file}
		s.segments = append(s.segments, opened)
		if opened.loaded, err = file.Stat(); err != nil {
			return fmt.Errorf("open store: %w", err)
		}
		opened.end, err = scan(file, opened.loaded.Size(), func(key string, at location) {
			at.segment = opened
			s.index[key] = at
		})
		if err != nil {
			return fmt.Errorf("read store: %w", err)
		}
	}
	return nil
}

// segments are the names of a folder's segments in the order of their numbers.
func segments(folder string) ([]string, error) {
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("open store: %w", err)
	}
	var names []string
	for _, entry := range entries {
		if stem, ok := strings.CutSuffix(entry.Name(), suffix); ok {
			if _, err := strconv.ParseUint(stem, 10, 32); err == nil {
				names = append(names, entry.Name())
			}
		}
	}
	slices.Sort(names)
	return names, nil
}

// ContentKey is the key of a value that is named by its own hex SHA-256: what
// comes out the same, whatever made it, is kept once.
func ContentKey(sha256 string) string { return "content/" + sha256 }

// Has says whether there is a value for key, without reading it.
func (s *Store) Has(key string) bool {
	s.mutex.RLock()
	defer s.mutex.RUnlock()
	_, ok := s.index[key]
	return ok
}

// Get is the value for key; false if there is none. A value whose checksum is
// wrong is an error that wraps ErrDamaged.
func (s *Store) Get(key string) (value []byte, ok bool, err error) {
	s.mutex.RLock()
	defer s.mutex.RUnlock()
	at, ok := s.index[key]
	if !ok {
		return nil, false, nil
	}
	if value, err = s.read(key, at); err != nil {
		return nil, false, err
	}
	return value, true, nil
}

// read reads and checks a value.
func (s *Store) read(key string, at location) ([]byte, error) {
	value := make([]byte, at.length)
	if _, err := at.segment.file.ReadAt(value, at.offset); err != nil && err != io.EOF {
		return nil, fmt.Errorf("read %s from store: %w", key, err)
	}
	if crc32.Checksum(value, castagnoli) != at.checksum {
		return nil, fmt.Errorf("%s in %s at byte %d: %w", key, at.segment.file.Name(), at.offset, ErrDamaged)
	}
	return value, nil
}

// Put adds a value. The first Put takes the store's lock, which is held until
// Close; it fails with an error that wraps ErrInUse where another process
// holds it.
func (s *Store) Put(key string, value []byte) error {
	if len(key) > maximumKey || len(value) > maximumValue {
		return fmt.Errorf("put %.100s into store: a key of %d and a value of %d bytes are too long", key, len(key), len(value))
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if err := s.put(key, value); err != nil {
		return fmt.Errorf("put %s into store: %w", key, err)
	}
	return nil
}

func (s *Store) put(key string, value []byte) error {
	if s.lock == nil {
		if err := s.takeLock(); err != nil {
			return err
		}
	}
	last := len(s.segments) - 1
	if last < 0 || s.segments[last].end >= segmentSize {
		if err := s.begin(last + 1); err != nil {
			return err
		}
		last++
	}
	current := s.segments[last]
	checksum := crc32.Checksum(value, castagnoli)
	record := make([]byte, 0, headSize+len(key)+len(value))
	record = append(record, mark...)
	record = binary.LittleEndian.AppendUint32(record, uint32(len(key)))
	record = binary.LittleEndian.AppendUint32(record, uint32(len(value)))
	record = binary.LittleEndian.AppendUint32(record, checksum)
	sum := crc32.Update(crc32.Checksum(record, castagnoli), castagnoli, []byte(key))
	record = binary.LittleEndian.AppendUint32(record, sum)
	record = append(record, key...)
	record = append(record, value...)
	if _, err := current.file.WriteAt(record, current.end); err != nil {
		// What was written of it is overwritten by the next record; cutting it
		// off gives the space back at once where the disk is full.
		current.file.Truncate(current.end)
		return err
	}
	s.index[key] = location{
		segment: current, offset: current.end + int64(headSize+len(key)),
		length: uint32(len(value)), checksum: checksum,
	}
	current.end += int64(len(record))
	return nil
}

// takeLock makes this process the store's writer: it sees what others have
// added meanwhile, and cuts off what a killed one left half-written.
func (s *Store) takeLock() error {
	if err := artifact.MakeFolder(s.folder); err != nil {
		return err
	}
	lock := flock.New(filepath.Join(s.folder, "lock"))
	taken, err := lock.TryLock()
	if err != nil {
		return err
	}
	if !taken {
		return fmt.Errorf("%s: %w", s.folder, ErrInUse)
	}
	if err := s.reopen(); err != nil {
		lock.Close()
		return err
	}
	s.lock = lock
	return nil
}

// reopen opens the last segment for writing, and loads the store again if others
// have changed it.
func (s *Store) reopen() error {
	changed, err := s.changed()
	if err == nil && changed {
		err = s.load()
	}
	if err != nil {
		return err
	}
	if len(s.segments) == 0 {
		return nil
	}
	last := s.segments[len(s.segments)-1]
	file, err := os.OpenFile(last.file.Name(), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	last.file.Close()
	last.file = file
	return file.Truncate(last.end)
}

// changed says whether the store's files may be others, or hold more, than those
// that were loaded. They are only ever added to or replaced; but behind the last
// whole record a writer puts something else, which may be as long.
func (s *Store) changed() (bool, error) {
	names, err := segments(s.folder)
	if err != nil || len(names) != len(s.segments) {
		return true, err
	}
	for i, loaded := range s.segments {
		now, err := os.Stat(filepath.Join(s.folder, names[i]))
		if err != nil {
			return false, fmt.Errorf("open store: %w", err)
		}
		if !os.SameFile(now, loaded.loaded) || now.Size() != loaded.loaded.Size() || now.Size() != loaded.end {
			return true, nil
		}
	}
	return false, nil
}

// begin makes a new segment behind the others.
func (s *Store) begin(number int) error {
	if number > 0 {
		if err := s.segments[number-1].file.Sync(); err != nil {
			return err
		}
	}
	highest := uint64(0)
	if number > 0 {
		stem := strings.TrimSuffix(filepath.Base(s.segments[number-1].file.Name()), suffix)
		highest, _ = strconv.ParseUint(stem, 10, 32)
	}
	name := filepath.Join(s.folder, fmt.Sprintf("%06d%s", highest+1, suffix))
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	s.segments = append(s.segments, &segment{file: file})
	return nil
}

// Flush returns when all that was put survives a loss of power.
func (s *Store) Flush() error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.flush()
}

func (s *Store) flush() error {
	if s.lock == nil || len(s.segments) == 0 {
		return nil
	}
	if err := s.segments[len(s.segments)-1].file.Sync(); err != nil {
		return fmt.Errorf("sync store: %w", err)
	}
	if err := artifact.SyncFolder(s.folder); err != nil {
		return fmt.Errorf("sync store: %w", err)
	}
	return nil
}

// Close flushes, gives the lock back and closes the files.
func (s *Store) Close() error {
	err := s.Flush()
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.closeFiles()
	if s.lock != nil {
		s.lock.Close()
		s.lock = nil
	}
	return err
}

func (s *Store) closeFiles() {
	for _, segment := range s.segments {
		segment.file.Close()
	}
	s.segments, s.index = nil, nil
}
