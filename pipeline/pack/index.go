package pack

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"catdog/pipeline/params"
)

// An entry is a row of the resize stage's index.csv: a photo's path and class,
// and the digests of its file and of its resized pixels.
type entry struct{ path, class, photo, pixels string }

var indexHeader = []string{"path", "class", "photo", "pixels"}

// An index is the resize stage's index.csv, sorted by path, and the digest of
// the file.
type index struct {
	entries []entry
	digest  string
}

func readIndex(name string) (*index, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read index: %w", err)
	}
	sum := sha256.Sum256(text)
	reader := csv.NewReader(bytes.NewReader(text))
	reader.FieldsPerRecord = len(indexHeader)
	header, err := reader.Read()
	if err != nil || !slices.Equal(header, indexHeader) {
		return nil, fmt.Errorf("read index %s: its columns are %q, must be %q", name, header, indexHeader)
	}
	var entries []entry
	for {
		fields, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read index %s: %w", name, err)
		}
		entries = append(entries, entry{fields[0], fields[1], fields[2], fields[3]})
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.path, b.path) })
	return &index{entries, hex.EncodeToString(sum[:])}, nil
}

// writeEntries writes a CSV file like index.csv.
func writeEntries(name string, entries []entry) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	writer := csv.NewWriter(file)
	writer.Write(indexHeader)
	for _, e := range entries {
		writer.Write([]string{e.path, e.class, e.photo, e.pixels})
	}
	writer.Flush()
	return errors.Join(writer.Error(), file.Close())
}

// resized is what the resize stage's resize.json says.
type resized struct {
	Height     int    `json:"height"`
	Width      int    `json:"width"`
	Mode       string `json:"mode"`
	Background []int  `json:"background"`
}

func readResized(name string) (resized, error) {
	var r resized
	text, err := os.ReadFile(name)
	if err != nil {
		return r, fmt.Errorf("read resize's output: %w", err)
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return r, fmt.Errorf("read %s: %w", name, err)
	}
	return r, nil
}

// A plan is which image goes where.
type plan struct {
	classes []string
	entries []entry // those that are packed
	rows    []Row   // the same, as Write takes them
	// conflicts are copies of one image under two labels; nobody can say which
	// of them is right.
	conflicts []entry
}

// divide plans a pack from the index.
//
// Photos whose pixels are equal (copies of a file, or one saved again with
// other metadata) are one image: they share a split, or are left out when their
// classes differ. The image's split is that of its photo's digest, and of the
// smallest one where it has several. The photo rather than the pixels decides,
// so that all sizes and modes of resizing have the same test photos: weights
// trained on one size can go on with another without having seen its test
// split. The price is small: a photo can move when a file with its very pixels
// but other bytes is added.
func divide(index []entry, p params.Pack) (*plan, error) {
	type image struct {
		class, photo string
		conflict     bool
	}
	images := map[string]*image{}
	counts := map[string]*[splits]int{}
	for _, e := range index {
		if e.class == "" {
			return nil, fmt.Errorf("%s: no class", e.path)
		}
		if counts[e.class] == nil {
			counts[e.class] = new([splits]int)
		}
		known := images[e.pixels]
		if known == nil {
			images[e.pixels] = &image{class: e.class, photo: e.photo}
			continue
		}
		known.conflict = known.conflict || known.class != e.class
		known.photo = min(known.photo, e.photo)
	}
	var d plan
	for class := range counts {
		d.classes = append(d.classes, class)
	}
	slices.Sort(d.classes)
	for _, e := range index {
		image := images[e.pixels]
		if image.conflict {
			d.conflicts = append(d.conflicts, e)
			continue
		}
		class, _ := slices.BinarySearch(d.classes, e.class)
		split := Assign(image.photo, p.Seed, p.Validation, p.Test)
		counts[e.class][split]++
		d.entries = append(d.entries, e)
		d.rows = append(d.rows, Row{e.path, class, split})
	}
	if len(d.classes) == 0 {
		return nil, errors.New("there are no images")
	}
	for _, class := range d.classes {
		for split := range splits {
			if count := counts[class]; count[split] == 0 {
				return nil, fmt.Errorf("class %s: none of its %d images is in the %v split; it needs more images or another pack.seed",
					class, count[Train]+count[Validation]+count[Test], split)
			}
		}
	}
	return &d, nil
}
