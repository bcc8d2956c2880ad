package artifact

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/gofrs/flock"
)

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
