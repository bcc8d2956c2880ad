package source

import (
	"archive/zip"
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"catdog/pipeline/params"
)

// ratioFrom is the unpacked size from which an entry's ratio is looked at: a
// small file of one colour may well shrink a lot.
const ratioFrom = 1 << 16

// readZip lists what a zip holds, after having looked for everything that a
// hostile or damaged one may do.
func readZip(name string, limits params.Limits) (_ *collection, err error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			file.Close()
			err = fmt.Errorf("%s: %w", name, err)
		}
	}()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if err := checkWhole(file, info.Size()); err != nil {
		return nil, err
	}
	reader, err := zip.NewReader(file, info.Size())
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return nil, fmt.Errorf("not a readable zip: %w", err)
	}
	if len(reader.File) > limits.Files {
		return nil, fmt.Errorf("%d entries, more than the %d allowed (fetch.limits.files)", len(reader.File), limits.Files)
	}
	c := &collection{label: filepath.Base(name), archive: true, close: file.Close}
	for _, f := range reader.File {
		clean, err := checkEntry(f)
		if err == nil {
			err = CheckPacked(f, info.Size(), limits.Ratio)
		}
		if err != nil {
			return nil, err
		}
		switch {
		case clean == ".":
		case f.Mode().IsDir():
			c.folders = append(c.folders, clean)
		default:
			for folder := path.Dir(clean); folder != "."; folder = path.Dir(folder) {
				c.folders = append(c.folders, folder)
			}
			c.entries = append(c.entries, entry{clean, int64(f.UncompressedSize64), f.Open})
		}
	}
	slices.Sort(c.folders)
	c.folders = slices.Compact(c.folders)
	if err := checkOverlaps(reader.File); err != nil {
		return nil, err
	}
	digest, err := sha256Of(io.NewSectionReader(file, 0, info.Size()))
	if err != nil {
		return nil, err
	}
	c.origin = Origin{Name: filepath.Base(name), SHA256: digest}
	return c, nil
}

// checkWhole refuses one part of a split archive, told by the numbers of disks
// in the record at the end, which package zip does not look at.
func checkWhole(file io.ReaderAt, size int64) error {
	const recordSize, longestComment = 22, 1<<16 - 1
	tail := make([]byte, min(size, recordSize+longestComment))
	if _, err := file.ReadAt(tail, size-int64(len(tail))); err != nil && err != io.EOF {
		return err
	}
	head := make([]byte, 4)
	if _, err := file.ReadAt(head, 0); err != nil && err != io.EOF {
		return err
	}
	at := bytes.LastIndex(tail, []byte("PK\x05\x06"))
	if at < 0 || len(tail) < at+recordSize {
		if string(head) == "PK\x07\x08" || string(head) == "PK\x03\x04" {
			return fmt.Errorf("its end is missing: it is cut off, or one part of a split archive")
		}
		return fmt.Errorf("neither a folder nor a zip")
	}
	record := tail[at:]
	disk, directoryDisk := binary.LittleEndian.Uint16(record[4:]), binary.LittleEndian.Uint16(record[6:])
	here, total := binary.LittleEndian.Uint16(record[8:]), binary.LittleEndian.Uint16(record[10:])
	const inZip64 = 0xffff
	if disk != 0 && disk != inZip64 || directoryDisk != 0 && directoryDisk != inZip64 || here != total || string(head) == "PK\x07\x08" {
		return fmt.Errorf("one part of a split archive: join it first (zip -s 0 split.zip --out whole.zip)")
	}
	return nil
}

// checkEntry is the cleaned path of an entry that may be unpacked.
func checkEntry(f *zip.File) (string, error) {
	name := f.Name
	const creatorFAT, creatorNTFS = 0, 10
	if creator := f.CreatorVersion >> 8; (creator == creatorFAT || creator == creatorNTFS) && !strings.Contains(name, "/") {
		name = strings.ReplaceAll(name, `\`, "/")
	}
	windows := strings.ReplaceAll(name, `\`, "/")
	switch {
	case strings.ContainsRune(name, 0):
		return "", fmt.Errorf("entry %q has a zero byte in its name", f.Name)
	case strings.HasPrefix(windows, "/"), len(windows) > 1 && windows[1] == ':':
		return "", fmt.Errorf("entry %q has an absolute path", f.Name)
	case slices.Contains(strings.Split(windows, "/"), ".."):
		return "", fmt.Errorf("entry %q leads out of the folder it is unpacked to", f.Name)
	}
	const encrypted, stronglyEncrypted, directoryEncrypted = 1 << 0, 1 << 6, 1 << 13
	if f.Flags&(encrypted|stronglyEncrypted|directoryEncrypted) != 0 {
		return "", fmt.Errorf("entry %q is encrypted", f.Name)
	}
	mode := f.Mode()
	switch {
	case mode&fs.ModeSymlink != 0:
		return "", fmt.Errorf("entry %q is a link", f.Name)
	case !mode.IsDir() && !mode.IsRegular():
		return "", fmt.Errorf("entry %q is not a regular file", f.Name)
	}
	return path.Clean(name), nil
}

// CheckPacked refuses an entry that unpacks to more than ratio times its packed
// size, or claims to be packed into more bytes than its archive has.
func CheckPacked(f *zip.File, archiveSize int64, ratio int) error {
	switch {
	case f.CompressedSize64 > uint64(archiveSize):
		return fmt.Errorf("entry %q claims %d packed bytes, the archive has %d", f.Name, f.CompressedSize64, archiveSize)
	case f.UncompressedSize64 >= ratioFrom && f.UncompressedSize64/uint64(ratio) >= max(f.CompressedSize64, 1):
		return fmt.Errorf("entry %q unpacks from %d to %d bytes, more than %d to one (fetch.limits.ratio)", f.Name, f.CompressedSize64, f.UncompressedSize64, ratio)
	}
	return nil
}

// checkOverlaps refuses archives whose entries share packed bytes, as those do
// that unpack to far more than each entry's ratio shows.
func checkOverlaps(files []*zip.File) error {
	type span struct {
		from, to int64
		name     string
	}
	spans := make([]span, 0, len(files))
	for _, f := range files {
		from, err := f.DataOffset()
		if err != nil {
			return fmt.Errorf("entry %q: %w", f.Name, err)
		}
		if f.CompressedSize64 > 0 {
			spans = append(spans, span{from, from + int64(f.CompressedSize64), f.Name})
		}
	}
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	for i := 1; i < len(spans); i++ {
		if spans[i].from < spans[i-1].to {
			return fmt.Errorf("entries %q and %q share their packed bytes", spans[i-1].name, spans[i].name)
		}
	}
	return nil
}
