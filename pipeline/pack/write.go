package pack

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"strconv"
	"unicode/utf8"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"golang.org/x/sync/errgroup"
)

// batchBytes is about how many bytes of pixels a record batch holds.
const batchBytes = 8 << 20

// smallestStd keeps normalised values finite where a channel is constant.
const smallestStd = 1.0 / 255

// A Row is an image of a pack to be written.
type Row struct {
	Path  string
	Class int
	Split Split
}

// A Table is what a pack is written from.
type Table struct {
	Classes       []string
	Height, Width int
	// Mode and Background are how photos became images of this size, as in
	// params.Resize.
	Mode       string
	Background []int
	// Origin is the digest of the index that the rows were made from.
	Origin string
	// Rows are sorted by path.
	Rows []Row
	// Pixels are the Height·Width·3 bytes of a row, which are only read, and
	// until the next call at most. It is called from several goroutines, and
	// twice for rows of the train split.
	Pixels func(row int) ([]byte, error)
}

// A Summary is what pack.json says about a pack.
type Summary struct {
	Classes []string `json:"classes"`
	Height  int      `json:"height"`
	Width   int      `json:"width"`
	// Images are the numbers of images by class and split.
	Images map[string]map[string]int `json:"images"`
	Mean   [channels]float32         `json:"mean"`
	Std    [channels]float32         `json:"std"`
}

// Write writes a pack, whole or not at all. Equal tables give equal bytes.
func Write(path string, t Table) (*Summary, error) {
	if err := t.check(); err != nil {
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	summary, err := t.summary()
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	partial := path + ".partial"
	file, err := os.Create(partial)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	err = errors.Join(t.write(file, t.schema(summary)), file.Close())
	if err == nil {
		err = os.Rename(partial, path)
	}
	if err != nil {
		os.Remove(partial)
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	return summary, nil
}

func (t *Table) check() error {
	if t.Height < 1 || t.Width < 1 || t.Height > math.MaxInt32/channels/t.Width {
		return fmt.Errorf("images of %d×%d pixels do not fit", t.Width, t.Height)
	}
	if len(t.Classes) < 1 || len(t.Classes) > math.MaxUint16 {
		return fmt.Errorf("%d classes, must be 1 to %d", len(t.Classes), math.MaxUint16)
	}
	for i, row := range t.Rows {
		switch {
		case !utf8.ValidString(row.Path):
			return fmt.Errorf("row %d: path %q is not UTF-8", i, row.Path)
		case i > 0 && row.Path <= t.Rows[i-1].Path:
			return fmt.Errorf("row %d: path %q does not sort behind %q", i, row.Path, t.Rows[i-1].Path)
		case row.Class < 0 || row.Class >= len(t.Classes):
			return fmt.Errorf("%s: class %d of %d", row.Path, row.Class, len(t.Classes))
		case row.Split < 0 || row.Split >= splits:
			return fmt.Errorf("%s: there is no %v", row.Path, row.Split)
		}
	}
	return nil
}

func (t *Table) rowBytes() int { return t.Height * t.Width * channels }

// pixels is Pixels with its result's length checked.
func (t *Table) pixels(row int) ([]byte, error) {
	pixels, err := t.Pixels(row)
	if err == nil && len(pixels) != t.rowBytes() {
		err = fmt.Errorf("%d bytes of pixels, must be %d×%d×%d = %d",
			len(pixels), t.Height, t.Width, channels, t.rowBytes())
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.Rows[row].Path, err)
	}
	return pixels, nil
}

// eachRow calls work for the rows from first to before end, on all cores,
// with the number of the worker.
func eachRow(first, end int, work func(worker, row int) error) error {
	workers := runtime.GOMAXPROCS(0)
	var group errgroup.Group
	for worker := range workers {
		group.Go(func() error {
			for row := first + worker; row < end; row += workers {
				if err := work(worker, row); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// summary counts images, and measures the train split. It counts values in
// whole numbers, so that the result does not depend on the order.
func (t *Table) summary() (*Summary, error) {
	s := &Summary{Classes: t.Classes, Height: t.Height, Width: t.Width, Images: map[string]map[string]int{}}
	for _, class := range t.Classes {
		s.Images[class] = map[string]int{}
		for split := range splits {
			s.Images[class][split.String()] = 0
		}
	}
	for _, row := range t.Rows {
		s.Images[t.Classes[row.Class]][row.Split.String()]++
	}
	type histogram [channels][256]uint64
	counts := make([]histogram, runtime.GOMAXPROCS(0))
	err := eachRow(0, len(t.Rows), func(worker, row int) error {
		if t.Rows[row].Split != Train {
			return nil
		}
		pixels, err := t.pixels(row)
		if err != nil {
			return err
		}
		count := &counts[worker]
		for ; len(pixels) >= channels; pixels = pixels[channels:] {
			count[0][pixels[0]]++
			count[1][pixels[1]]++
			count[2][pixels[2]]++
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for c := range channels {
		var number, sum, squares uint64
		for worker := range counts {
			for value, times := range counts[worker][c] {
				number += times
				sum += times * uint64(value)
				squares += times * uint64(value*value)
			}
		}
		n := float64(max(number, 1))
		mean := float64(sum) / n
		variance := max(0, float64(squares)/n-mean*mean)
		s.Mean[c] = float32(mean / 255)
		s.Std[c] = float32(max(math.Sqrt(variance)/255, smallestStd))
	}
	return s, nil
}

func (t *Table) schema(s *Summary) *arrow.Schema {
	text := func(value any) string {
		encoded, _ := json.Marshal(value)
		return string(encoded)
	}
	metadata := arrow.NewMetadata(
		[]string{"format", "classes", "splits", "height", "width", "mean", "std", "mode", "background", "origin"},
		[]string{format, text(t.Classes), text(splitNames), strconv.Itoa(t.Height), strconv.Itoa(t.Width),
			text(s.Mean), text(s.Std), t.Mode, text(t.Background), t.Origin})
	return arrow.NewSchema(fields(t.rowBytes()), &metadata)
}

func fields(rowBytes int) []arrow.Field {
	return []arrow.Field{
		{Name: "path", Type: arrow.BinaryTypes.String},
		{Name: "class", Type: arrow.PrimitiveTypes.Uint16},
		{Name: "split", Type: arrow.PrimitiveTypes.Uint8},
		{Name: "pixels", Type: &arrow.FixedSizeBinaryType{ByteWidth: rowBytes}},
	}
}

// write writes the Arrow file. The pixels of a record batch are gathered in one
// buffer that the arrays refer to, so that they are copied once.
func (t *Table) write(file *os.File, schema *arrow.Schema) error {
	writer, err := ipc.NewFileWriter(file, ipc.WithSchema(schema))
	if err != nil {
		return err
	}
	rowBytes := t.rowBytes()
	batch := max(1, batchBytes/rowBytes)
	buffer := make([]byte, min(batch, len(t.Rows))*rowBytes)
	for first := 0; first < len(t.Rows); first += batch {
		end := min(first+batch, len(t.Rows))
		err := eachRow(first, end, func(_, row int) error {
			pixels, err := t.pixels(row)
			copy(buffer[(row-first)*rowBytes:], pixels)
			return err
		})
		if err != nil {
			return err
		}
		record := t.record(schema, t.Rows[first:end], buffer[:(end-first)*rowBytes])
		err = writer.Write(record)
		record.Release()
		if err != nil {
			return err
		}
	}
	return writer.Close()
}

func (t *Table) record(schema *arrow.Schema, rows []Row, pixels []byte) arrow.Record {
	paths := array.NewStringBuilder(memory.DefaultAllocator)
	classes := array.NewUint16Builder(memory.DefaultAllocator)
	splits := array.NewUint8Builder(memory.DefaultAllocator)
	for _, row := range rows {
		paths.Append(row.Path)
		classes.Append(uint16(row.Class))
		splits.Append(uint8(row.Split))
	}
	images := array.NewData(schema.Field(3).Type, len(rows), []*memory.Buffer{nil, memory.NewBufferBytes(pixels)}, nil, 0, 0)
	return array.NewRecord(schema,
		[]arrow.Array{paths.NewArray(), classes.NewArray(), splits.NewArray(), array.NewFixedSizeBinaryData(images)},
		int64(len(rows)))
}
