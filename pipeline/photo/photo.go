// Package photo is what is known of one photo file: its format, its size as
// people see it, whether it is whole, and its pixels at another size.
//
// Files come from anywhere, and decoders written in C crash on some of them. So
// the stages do not call Check and Resize themselves but a Pool's, which runs
// them in worker processes: a crash, a hang or a flood of memory costs the one
// photo.
package photo

import (
	"bytes"
	"fmt"

	"github.com/h2non/bimg"
)

// A Problem is why a photo is left out. "" is a good photo.
type Problem string

// The problems, as they stand in catalogue.csv and rejected.csv.
const (
	// Empty files have no bytes.
	Empty Problem = "empty"
	// NotAnImage files are of no image format that is known here.
	NotAnImage Problem = "not-an-image"
	// Truncated files end before the image does.
	Truncated Problem = "truncated"
	// Corrupt files have bytes that a strict decoder stumbles over.
	Corrupt Problem = "corrupt"
	// HeaderLies says that the header's size is not that of the data.
	HeaderLies Problem = "header-lies"
	// TooSmall images have a side below Limits.MinimumSide.
	TooSmall Problem = "too-small"
	// TooLarge images have more pixels than Limits.MaximumMegapixels, counting
	// all frames of an animation, or are files far too long for that.
	TooLarge Problem = "too-large"
	// Unsupported images are of a format, or a rare variant of one, that is not
	// let in.
	Unsupported Problem = "unsupported"
	// NoClass photos are good but their path names no class.
	NoClass Problem = "no-class"
	// DecoderCrash says that the decoder crashed, twice, or took too long.
	DecoderCrash Problem = "decoder-crash"
)

// Limits say which photos are let in.
type Limits struct {
	MinimumSide       int // px
	MaximumMegapixels int
	// Unverified lets formats in whose files cannot be checked to the last
	// byte: a damaged one may pass as some other picture.
	Unverified bool
}

func (l Limits) pixels() int64 { return int64(l.MaximumMegapixels) * 1e6 }

// maximumBytes is the length beyond which a file is TooLarge unread: no photo
// within the limit takes 8 bytes a pixel and 64 MB.
func (l Limits) maximumBytes() int64 { return 64e6 + 8*l.pixels() }

// Info is what is known of a photo.
type Info struct {
	// Format is jpeg, png, gif, webp, tiff, heif, one of those that are
	// recognised but not let in, or "".
	Format string `json:"format"`
	// Width and Height are in px and as people see the photo, turned upright by
	// its EXIF orientation. They are 0 where they are not known.
	Width  int `json:"width"`
	Height int `json:"height"`
	// Problem is why the photo is not let in, Detail says more in words.
	Problem Problem `json:"problem,omitempty"`
	Detail  string  `json:"detail,omitempty"`
}

// A Rejection is an error that concerns one photo and not the program.
type Rejection struct {
	Problem Problem
	Detail  string
}

func (r *Rejection) Error() string {
	if r.Detail == "" {
		return string(r.Problem)
	}
	return string(r.Problem) + ": " + r.Detail
}

func reject(problem Problem, format string, arguments ...any) *Rejection {
	return &Rejection{problem, fmt.Sprintf(format, arguments...)}
}

// header is what stands in a file before its pixels.
type header struct {
	format        string
	width, height int // as stored
	// orientation is EXIF's, 1 to 8: how the stored image is to be turned.
	orientation int
	// alpha says that there may be transparency.
	alpha bool
}

// upright is the size as people see it.
func (h header) upright() (width, height int) {
	if h.orientation >= 5 {
		return h.height, h.width
	}
	return h.width, h.height
}

// format reads the header of and checks one image format.
type format struct {
	name  string
	magic func(data []byte) bool
	// header reads what stands before the pixels. nil is a format that is
	// recognised but not let in.
	header func(data []byte) (header, *Rejection)
	// check reads all of the file as strictly as can be; the header has been
	// found good and small enough. nil is a format that libvips alone decodes,
	// so that damage may stay unseen, see Limits.Unverified.
	check func(data []byte, head header, limits Limits) *Rejection
}

// formats are those that are recognised. What is let in are the formats that
// libvips reads with loaders that it trusts with strangers' files and that can
// be checked here to the last byte; HEIF, which cannot, only on request. SVG,
// PDF and all that ImageMagick would be asked for (BMP among it) stay out.
var formats = []format{
	{"jpeg", prefix("\xff\xd8\xff"), jpegHeader, checkJPEG},
	{"png", prefix("\x89PNG\r\n\x1a\n"), pngHeader, checkPNG},
	{"gif", prefix("GIF87a", "GIF89a"), gifHeader, checkGIF},
	{"webp", func(data []byte) bool { return prefix("RIFF")(data) && len(data) >= 12 && string(data[8:12]) == "WEBP" }, webpHeader, checkWebP},
	{"tiff", prefix("II*\x00", "MM\x00*"), tiffHeader, checkTIFF},
	{"bmp", prefix("BM"), nil, nil},
	{"heif", isHEIF, heifHeader, nil},
	{"jxl", prefix("\xff\x0a", "\x00\x00\x00\x0cJXL \r\n\x87\n"), nil, nil},
	{"jp2", prefix("\x00\x00\x00\x0cjP  \r\n\x87\n", "\xff\x4f\xff\x51"), nil, nil},
	{"psd", prefix("8BPS"), nil, nil},
	{"ico", prefix("\x00\x00\x01\x00"), nil, nil},
	{"pdf", prefix("%PDF"), nil, nil},
	{"svg", isSVG, nil, nil},
}

func prefix(magics ...string) func(data []byte) bool {
	return func(data []byte) bool {
		for _, magic := range magics {
			if bytes.HasPrefix(data, []byte(magic)) {
				return true
			}
		}
		return false
	}
}

func isSVG(data []byte) bool {
	start := bytes.TrimLeft(data[:min(len(data), HeadLength)], "\ufeff \t\r\n")
	return bytes.HasPrefix(start, []byte("<svg")) ||
		bytes.HasPrefix(start, []byte("<?xml")) && bytes.Contains(start, []byte("<svg"))
}

// HeadLength is how many bytes at a file's beginning tell its format.
const HeadLength = 1000

// Recognise rejects a file whose first HeadLength bytes, or all that it has, are
// of no format that is let in.
func Recognise(head []byte) *Rejection {
	_, rejection := recognise(head)
	return rejection
}

// recognise is the format of a file, nil if it is none that is known.
func recognise(data []byte) (*format, *Rejection) {
	if len(data) == 0 {
		return nil, reject(Empty, "0 bytes")
	}
	for i := range formats {
		if !formats[i].magic(data) {
			continue
		}
		if formats[i].header == nil {
			return &formats[i], reject(Unsupported, "%s is not let in", formats[i].name)
		}
		return &formats[i], nil
	}
	return nil, reject(NotAnImage, "starts with %q", data[:min(len(data), 8)])
}

// Check reads all of a file and says what it is and whether it is whole. It
// accepts nothing that a strict decoder finds truncated or corrupt, nor what
// libvips cannot decode: two decoders that were written apart must agree.
func Check(data []byte, limits Limits) Info {
	info, rejection := check(data, limits)
	if rejection != nil {
		info.Problem, info.Detail = rejection.Problem, rejection.Detail
	}
	return info
}

func check(data []byte, limits Limits) (Info, *Rejection) {
	info, head, rejection := examine(data, limits)
	if rejection == nil && head.format != "jpeg" { // those are read by libjpeg here and there
		rejection = decodes(data, head)
	}
	return info, rejection
}

// examine is all of the check but for libvips' part.
func examine(data []byte, limits Limits) (info Info, head header, rejection *Rejection) {
	format, rejection := recognise(data)
	if format != nil {
		info.Format = format.name
	}
	if rejection != nil {
		return info, head, rejection
	}
	if format.check == nil && !limits.Unverified {
		return info, head, reject(Unsupported, "%s cannot be checked for damage", format.name)
	}
	if head, rejection = format.header(data); rejection != nil {
		return info, head, rejection
	}
	info.Width, info.Height = head.upright()
	switch {
	case min(head.width, head.height) < limits.MinimumSide:
		return info, head, reject(TooSmall, "%d×%d px, a side is below %d px", info.Width, info.Height, limits.MinimumSide)
	case float64(head.width)*float64(head.height) > float64(limits.pixels()): // as integers it may overflow
		return info, head, reject(TooLarge, "%d×%d px, more than %d megapixels", info.Width, info.Height, limits.MaximumMegapixels)
	}
	if format.check != nil {
		rejection = format.check(data, head, limits)
	}
	return info, head, rejection
}

// decodes has libvips decode a photo and compares its size with the header's.
func decodes(data []byte, head header) *Rejection {
	decoded, rejection := convert(data, bimg.Options{})
	if rejection != nil {
		return rejection
	}
	image, rejection := parseTIFF(decoded)
	if rejection != nil {
		return rejection
	}
	if image.width != head.width || image.height != head.height {
		return reject(HeaderLies, "claims %d×%d px, the data has %d×%d", head.width, head.height, image.width, image.height)
	}
	return nil
}
