// Package pack is the one file that training reads: all images of a data set
// with class and split, as an Arrow IPC file.
//
// The file has one row an image, sorted by path, in record batches of about
// 8 MB:
//
//	path    utf8                  slash-separated, within the raw folder, as
//	                              artifact.EscapePath writes it; classes too
//	class   uint16                index into the metadata's classes
//	split   uint8                 0 train, 1 validation, 2 test
//	pixels  fixed_size_binary     H·W·3 bytes: rows from the top, RGB, uint8
//
// No column has nulls, nothing is compressed (photos do not). The schema's
// metadata, all text:
//
//	format         version of this layout, "1"
//	classes        JSON list of names
//	splits         JSON list of names
//	height, width  decimal
//	mean, std      JSON lists: of the train split's red, green and blue, in 0…1
//	mode           stretch, crop or pad, as the images were resized
//	background     JSON list: the RGB under transparency and around padded ones
//	origin         digest of what the pack was made from
package pack

import "fmt"

// format is the version of the layout that this package writes and reads.
const format = "1"

// channels of an image: red, green, blue.
const channels = 3

// An Image is a row of a pack. Pixels are Height·Width·3 RGB bytes, rows from
// the top; they are shared with the pack and not to be changed.
type Image struct {
	Path   string
	Class  int
	Pixels []byte
}

// A Pack is an opened file. It lies in memory once; images are views of it.
type Pack struct {
	Classes       []string
	Height, Width int
	// Mean and Std are those of the train split's red, green and blue values,
	// scaled to 0…1.
	Mean, Std [channels]float32
	// Mode and Background are how photos became images of this size, as in
	// params.Resize.
	Mode       string
	Background []int
	// Origin is the digest of the index that the pack was made from.
	Origin string

	images [splits][]Image
}

// Images are the rows of a split, sorted by path.
func (p *Pack) Images(split Split) []Image {
	if split < 0 || split >= splits {
		panic(fmt.Sprintf("pack: there is no %v", split))
	}
	return p.images[split]
}
