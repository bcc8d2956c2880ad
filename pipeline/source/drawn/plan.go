package drawn

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strings"
)

// A Planted file is one that is not an ordinary photo of what its name says.
type Planted struct {
	Path string // within the sample, e.g. train/cat.12.jpg
	Kind string // one of the kinds below
	// Problem is the code under which explore must reject the file, "" if it
	// must be accepted.
	Problem string
	// Detail is the path of the original of a copy, the class that is to be seen
	// on a photo with a wrong label, what a photo that shows no animal shows, or
	// the EXIF orientation.
	Detail string
}

// The kinds of planted files.
const (
	Copy          = "copy"           // the same bytes as another file of its class
	CopyAcross    = "copy-across"    // the same bytes as a file of the other class
	WrongLabel    = "wrong-label"    // plainly an animal of the other class
	SizeOutlier   = "size-outlier"   // far smaller or larger than the others
	AspectOutlier = "aspect-outlier" // far wider or taller than the others
	Neither       = "neither"        // no animal at all

	Empty       = "empty"        // 0 bytes
	Truncated   = "truncated"    // the end of the file is missing
	HeaderLies  = "header-lies"  // the header claims more pixels than there are
	NotAnImage  = "not-an-image" // a web page by the name of a photo
	OnePixel    = "one-pixel"    // one pixel wide
	CMYK        = "cmyk"         // JPEG in four inks, as from Photoshop
	SixteenBit  = "16-bit"       // PNG with 16 bits a channel
	Grey        = "grey"         // JPEG with one channel
	Transparent = "palette"      // PNG with a palette, partly transparent
	Rotated     = "rotated"      // JPEG to be turned or mirrored by EXIF
)

// kinds says how many files of each kind there are: one in so many, and at
// least the given number.
var kinds = []struct {
	kind, problem string
	oneIn, least  int
}{
	{Copy, "", 160, 1},
	{CopyAcross, "", 330, 1},
	{WrongLabel, "", 65, 1},
	{SizeOutlier, "", 250, 2},
	{AspectOutlier, "", 250, 2},
	{Neither, "", 250, 1},
	{Empty, "empty", 1000, 1},
	{Truncated, "truncated", 500, 1},
	{HeaderLies, "header-lies", 1000, 1},
	{NotAnImage, "not-an-image", 1000, 1},
	{OnePixel, "too-small", 1000, 1},
	{CMYK, "", 1000, 1},
	{SixteenBit, "", 1000, 1},
	{Grey, "", 500, 1},
	{Transparent, "", 1000, 1},
	{Rotated, "", 280, 1},
}

// orientations are the EXIF orientations that are planted, in this order.
var orientations = []int{6, 8, 3, 2, 4, 5, 7}

// A file is what is drawn into one file of the sample.
type file struct {
	name    string // names what is drawn; copies have their original's
	planted Planted
	class   species // what the path says
	number  int     // of its kind
	png     bool
}

// plan is the sample's files, in the order of class and number. It depends on
// seed and images alone.
func plan(seed, images int) []file {
	r := newRandom(seed, "plan")
	files := make([]file, images)
	for i := range files {
		class, number := cat, i
		if half := (images + 1) / 2; i >= half {
			class, number = dog, i-half
		}
		files[i] = file{class: class, png: r.chance(0.05)}
		files[i].planted.Path = fmt.Sprintf("train/%s.%d", Classes[class], number)
	}
	order := r.shuffle(images)
	take := func() *file {
		f := &files[order[0]]
		order = order[1:]
		return f
	}
	var copies []*file
	for _, k := range kinds {
		for number := range max(k.least, images/k.oneIn) {
			f := take()
			f.planted.Kind, f.planted.Problem, f.number = k.kind, k.problem, number
			switch k.kind {
			case Copy, CopyAcross:
				copies = append(copies, f)
			case WrongLabel:
				f.planted.Detail = Classes[1-f.class]
			case Neither:
				f.planted.Detail = things[number%len(things)].name
			case Rotated:
				f.planted.Detail = fmt.Sprint(orientations[number%len(orientations)])
				f.png = false
			case SixteenBit, Transparent:
				f.png = true
			case Empty, Truncated, HeaderLies, NotAnImage, OnePixel, CMYK, Grey:
				f.png = false
			}
		}
	}
	// What is left is ordinary; originals of copies come from there.
	for i := range files {
		f := &files[i]
		f.name = f.planted.Path
		if f.png {
			f.planted.Path += ".png"
		} else {
			f.planted.Path += ".jpg"
		}
	}
	for _, f := range copies {
		at := slices.IndexFunc(order, func(i int) bool {
			return (files[i].class == f.class) == (f.planted.Kind == Copy)
		})
		original := files[order[at]]
		order = slices.Delete(order, at, at+1)
		f.name, f.png = original.name, original.png
		f.planted.Detail = original.planted.Path
		f.planted.Path = f.planted.Path[:strings.LastIndex(f.planted.Path, ".")] + original.planted.Path[strings.LastIndex(original.planted.Path, "."):]
	}
	return files
}

// List is what is planted in the sample of that seed and number of images, in
// the order of the paths' classes and numbers.
func List(seed, images int) []Planted {
	var list []Planted
	for _, f := range plan(seed, images) {
		if f.planted.Kind != "" {
			list = append(list, f.planted)
		}
	}
	return list
}

// WriteList writes a list as CSV, with the columns path, kind, problem and
// detail.
func WriteList(w io.Writer, list []Planted) error {
	out := csv.NewWriter(w)
	if err := out.Write([]string{"path", "kind", "problem", "detail"}); err != nil {
		return err
	}
	for _, p := range list {
		if err := out.Write([]string{p.Path, p.Kind, p.Problem, p.Detail}); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}
