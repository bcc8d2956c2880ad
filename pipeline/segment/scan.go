package segment

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"
	"os"
)

// scan calls found for every whole record of a file and returns where the last
// one ends.
func scan(file *os.File, size int64, found func(key string, at location)) (end int64, err error) {
	heads := view{file: file, buffer: make([]byte, 4<<10)}
	for offset := int64(0); offset < size; {
		key, at, next, err := readHead(&heads, size, offset)
		if err != nil {
			return 0, err
		}
		if next == 0 {
			if offset, err = nextMark(file, offset+1); err != nil {
				return 0, err
			}
			if offset < 0 {
				break
			}
			continue
		}
		found(key, at)
		offset, end = next, next
	}
	return end, nil
}

// A view is a part of a file in memory, so that the heads of small records,
// which lie close to each other, are not read one by one.
type view struct {
	file   io.ReaderAt
	buffer []byte
	start  int64 // of what is in the buffer
	length int
}

// at is so many bytes from offset on, fewer at the file's end, until the next
// call.
func (v *view) at(offset int64, length int) ([]byte, error) {
	if offset < v.start || offset+int64(length) > v.start+int64(v.length) {
		if length > len(v.buffer) {
			v.buffer = make([]byte, length)
		}
		n, err := v.file.ReadAt(v.buffer, offset)
		if err != nil && err != io.EOF {
			return nil, err
		}
		v.start, v.length = offset, n
	}
	from := int(offset - v.start)
	return v.buffer[from:min(from+length, v.length)], nil
}

// readHead reads the record at offset; next is 0 if there is no whole one.
func readHead(heads *view, size, offset int64) (key string, at location, next int64, err error) {
	head, err := heads.at(offset, headSize)
	if err != nil || len(head) < headSize || string(head[:len(mark)]) != mark {
		return "", at, 0, err
	}
	numbers := head[len(mark):]
	keyLength := binary.LittleEndian.Uint32(numbers)
	length := binary.LittleEndian.Uint32(numbers[4:])
	checksum := binary.LittleEndian.Uint32(numbers[8:])
	headChecksum := binary.LittleEndian.Uint32(numbers[12:])
	next = offset + int64(headSize) + int64(keyLength) + int64(length)
	if keyLength > maximumKey || length > maximumValue || next > size {
		return "", at, 0, nil
	}
	if head, err = heads.at(offset, headSize+int(keyLength)); err != nil || len(head) < headSize+int(keyLength) {
		return "", at, 0, err
	}
	name := head[headSize : headSize+int(keyLength)]
	if crc32.Update(crc32.Checksum(head[:headSize-4], castagnoli), castagnoli, name) != headChecksum {
		return "", at, 0, nil
	}
	at = location{offset: offset + int64(headSize) + int64(keyLength), length: length, checksum: checksum}
	return string(name), at, next, nil
}

// nextMark is the offset of the next mark at or behind from, -1 if there is
// none.
func nextMark(file *os.File, from int64) (int64, error) {
	buffer := make([]byte, 1<<20)
	for {
		n, err := file.ReadAt(buffer, from)
		if err != nil && err != io.EOF {
			return 0, err
		}
		if i := bytes.Index(buffer[:n], []byte(mark)); i >= 0 {
			return from + int64(i), nil
		}
		if err == io.EOF {
			return -1, nil
		}
		from += int64(n - len(mark) + 1)
	}
}
