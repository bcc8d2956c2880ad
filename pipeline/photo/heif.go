package photo

import (
	"encoding/binary"
	"slices"

	"github.com/h2non/bimg"
)

// HEIC and AVIF are boxes within boxes: four bytes of length, four of type, the
// content (ISO/IEC 14496-12, "ISO base media file format"). The box meta
// describes the file's items (ISO/IEC 23008-12, "Image file format"): which is
// the primary one (pitm), which properties it has (iprp), where its bytes lie
// (iloc).

// isHEIF recognises HEIC and AVIF.
func isHEIF(data []byte) bool {
	if len(data) < 12 || string(data[4:8]) != "ftyp" {
		return false
	}
	switch string(data[8:12]) {
	case "heic", "heix", "hevc", "heim", "heis", "mif1", "msf1", "avif", "avis":
		return true
	}
	return false
}

// A box is one box's type and content.
type box struct {
	kind string
	body []byte
}

// boxes splits data into boxes. What goes on behind the end of data makes it
// Truncated.
func boxes(data []byte) (all []box, rejection *Rejection) {
	for len(data) > 0 {
		if len(data) < 8 {
			return nil, reject(Truncated, "ends within a box's header")
		}
		length, start := uint64(binary.BigEndian.Uint32(data)), uint64(8)
		switch {
		case length == 0: // up to the end
			length = uint64(len(data))
		case length == 1 && len(data) >= 16:
			length, start = binary.BigEndian.Uint64(data[8:]), 16
		}
		kind := string(data[4:8])
		switch {
		case length < start:
			return nil, reject(Corrupt, "a box %q of %d bytes", kind, length)
		case length > uint64(len(data)):
			return nil, reject(Truncated, "ends %d bytes into the box %q of %d", len(data), kind, length)
		}
		all = append(all, box{kind, data[start:length]})
		data = data[length:]
	}
	return all, nil
}

// inBox is the content of the first box of a kind behind the given number of
// bytes (4 in a box that has version and flags), nil if there is none.
func inBox(data []byte, skip int, kind string) ([]byte, *Rejection) {
	if len(data) < skip {
		return nil, reject(Corrupt, "no room for a box %q", kind)
	}
	all, rejection := boxes(data[skip:])
	for _, b := range all {
		if b.kind == kind {
			return b.body, nil
		}
	}
	return nil, rejection
}

// fields reads numbers one after another; short says that they went on behind
// the end.
type fields struct {
	data  []byte
	short bool
}

// next reads a big-endian number of 0 to 8 bytes.
func (f *fields) next(bytes int) (value uint64) {
	if len(f.data) < bytes {
		f.data, f.short = nil, true
		return 0
	}
	for _, b := range f.data[:bytes] {
		value = value<<8 | uint64(b)
	}
	f.data = f.data[bytes:]
	return value
}

// heifHeader reads the size of the primary item. libheif turns it upright while
// decoding, so that it is given as people see it.
func heifHeader(data []byte) (header, *Rejection) {
	head := header{format: "heif", orientation: 1, alpha: true}
	if !bimg.IsTypeSupported(bimg.HEIF) {
		return head, reject(Unsupported, "the libvips of this machine reads no HEIF")
	}
	top, rejection := boxes(data)
	if rejection != nil {
		return head, rejection
	}
	i := slices.IndexFunc(top, func(b box) bool { return b.kind == "meta" })
	if i < 0 {
		return head, reject(Unsupported, "no picture, but a film or something else")
	}
	meta := top[i].body
	primary, rejection := inBox(meta, 4, "pitm")
	if rejection != nil {
		return head, rejection
	}
	f := &fields{data: primary}
	item := f.next(itemBytes(f.next(4)))
	properties, rejection := propertiesOf(meta, item)
	if rejection != nil {
		return head, rejection
	}
	for _, property := range properties {
		f := &fields{data: property.body}
		switch property.kind {
		case "ispe":
			f.next(4)
			head.width, head.height = int(f.next(4)), int(f.next(4))
		case "clap": // cut off around, given as fractions
			width, height := f.next(4)/max(1, f.next(4)), f.next(4)/max(1, f.next(4))
			head.width, head.height = int(width), int(height)
		case "irot":
			if f.next(1)%2 == 1 {
				head.width, head.height = head.height, head.width
			}
		}
	}
	if head.width <= 0 || head.height <= 0 {
		return head, reject(Corrupt, "no size of the primary picture")
	}
	return head, whole(meta, int64(len(data)))
}

// itemBytes is the length of an item's number in a box with the given version
// and flags, where version 0 has 16 bits.
func itemBytes(versionAndFlags uint64) int {
	if versionAndFlags>>24 == 0 {
		return 2
	}
	return 4
}

// propertiesOf are an item's properties, in the order in which they apply.
func propertiesOf(meta []byte, item uint64) ([]box, *Rejection) {
	iprp, rejection := inBox(meta, 4, "iprp")
	if rejection != nil {
		return nil, rejection
	}
	ipco, rejection := inBox(iprp, 0, "ipco")
	if rejection != nil {
		return nil, rejection
	}
	all, rejection := boxes(ipco)
	if rejection != nil {
		return nil, rejection
	}
	ipma, rejection := inBox(iprp, 0, "ipma")
	if rejection != nil {
		return nil, rejection
	}
	f := &fields{data: ipma}
	version := f.next(4)
	large := version&1 == 1
	var properties []box
	for entries := f.next(4); entries > 0 && !f.short; entries-- {
		of, number := f.next(itemBytes(version)), f.next(1)
		for ; number > 0 && !f.short; number-- {
			index := f.next(1) & 0x7f
			if large {
				index = index<<8 | f.next(1)
			}
			if of == item && index >= 1 && index <= uint64(len(all)) {
				properties = append(properties, all[index-1])
			}
		}
	}
	if f.short {
		return nil, reject(Corrupt, "the list of properties ends early")
	}
	return properties, nil
}

// whole says whether all that iloc places in the file is there.
func whole(meta []byte, length int64) *Rejection {
	iloc, rejection := inBox(meta, 4, "iloc")
	if rejection != nil || iloc == nil {
		return rejection
	}
	f := &fields{data: iloc}
	version := f.next(4) >> 24
	sizes := f.next(2)
	offsetBytes, lengthBytes, baseBytes, indexBytes := int(sizes>>12), int(sizes>>8&15), int(sizes>>4&15), int(sizes&15)
	if version == 0 {
		indexBytes = 0
	}
	if max(offsetBytes, lengthBytes, baseBytes, indexBytes) > 8 {
		return reject(Corrupt, "the places of items have numbers of more than 8 bytes")
	}
	idBytes := 2
	if version >= 2 {
		idBytes = 4
	}
	for items := f.next(idBytes); items > 0 && !f.short; items-- {
		f.next(idBytes)
		method := uint64(0)
		if version > 0 {
			method = f.next(2) & 15
		}
		f.next(2)
		base := f.next(baseBytes)
		for extents := f.next(2); extents > 0 && !f.short; extents-- {
			f.next(indexBytes)
			offset, size := f.next(offsetBytes), f.next(lengthBytes)
			end := base + offset + size
			if method == 0 && (end > uint64(length) || end < base) {
				return reject(Truncated, "ends after %d of at least %d bytes", length, end)
			}
		}
	}
	if f.short {
		return reject(Corrupt, "the list of places ends early")
	}
	return nil
}
