package main

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math/rand/v2"
	"slices"
)

// mutate damages an image as storage, networks and ill will do: flipped bits,
// other bytes, holes, pieces twice, missing or of another image of the format,
// numbers at their extremes, an end that is missing.
func mutate(random *rand.Rand, data, other []byte) []byte {
	data = slices.Clone(data)
	for range 1 + random.IntN(4) {
		if len(data) < 2 {
			return data
		}
		at, length := random.IntN(len(data)), 1+random.IntN(64)
		if random.IntN(3) == 0 {
			at = random.IntN(min(len(data), 64)) // headers
		}
		end := min(len(data), at+length)
		switch random.IntN(9) {
		case 0, 1:
			data[at] ^= 1 << random.IntN(8)
		case 2:
			data[at] = byte(random.Uint32())
		case 3:
			clear(data[at:end])
		case 4:
			data = slices.Delete(data, at, end)
		case 5:
			data = slices.Insert(data, at, slices.Clone(data[at:end])...)
		case 6:
			from := random.IntN(len(other))
			data = append(data[:at:at], other[from:]...)
		case 7:
			extremes := []uint32{0, 1, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff}
			number := binary.BigEndian.AppendUint32(nil, extremes[random.IntN(len(extremes))])
			if random.IntN(2) == 0 {
				slices.Reverse(number)
			}
			copy(data[at:], number)
		case 8:
			data = data[:at]
		}
	}
	if random.IntN(2) == 0 {
		data = rightChecksums(data)
	}
	return data
}

// rightChecksums gives the chunks of a PNG the checksums of what is in them now,
// so that mutations get beyond the first of them.
func rightChecksums(data []byte) []byte {
	if !bytes.HasPrefix(data, []byte("\x89PNG")) {
		return data
	}
	for at := 8; at+12 <= len(data); {
		length := int64(binary.BigEndian.Uint32(data[at:]))
		end := int64(at) + 8 + length
		if end+4 > int64(len(data)) {
			break
		}
		binary.BigEndian.PutUint32(data[end:], crc32.ChecksumIEEE(data[at+4:end]))
		at = int(end) + 4
	}
	return data
}
