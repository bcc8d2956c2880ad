package catalogue

import (
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"

	"catdog/pipeline/artifact"
	"catdog/pipeline/photo"
)

// A Row is what catalogue.csv says of one raw file.
type Row struct {
	// Path is slash-separated, within the raw folder.
	Path string
	// Class is "" if the path names none.
	Class  string
	Bytes  int64
	SHA256 string
	// Format, Width and Height are as in photo.Info: the size is upright.
	Format        string
	Width, Height int
	// Problem is why the file is left out, "" if it is not.
	Problem photo.Problem
	// Detail says more of the problem; it stands in rejected.csv.
	Detail string
}

// Good says that the row's photo is not left out.
func (r Row) Good() bool { return r.Problem == "" }

var columns = []string{"path", "class", "bytes", "sha256", "format", "width", "height", "problem"}

// writeRows writes catalogue.csv.
func writeRows(path string, rows []Row) error {
	return WriteCSV(path, columns, func(write func(...string)) {
		for _, r := range rows {
			write(artifact.EscapePath(r.Path), artifact.EscapePath(r.Class), strconv.FormatInt(r.Bytes, 10), r.SHA256,
				r.Format, strconv.Itoa(r.Width), strconv.Itoa(r.Height), string(r.Problem))
		}
	})
}

// Read reads a catalogue.csv. Details of problems are not in it.
func Read(path string) ([]Row, error) {
	records, err := ReadCSV(path, columns)
	if err != nil {
		return nil, err
	}
	rows := make([]Row, len(records))
	for i, record := range records {
		wrong := func(err error) error { return fmt.Errorf("%s: row %d: %w", path, i+1, err) }
		row := Row{SHA256: record[3], Format: record[4], Problem: photo.Problem(record[7])}
		if row.Path, err = artifact.UnescapePath(record[0]); err != nil {
			return nil, wrong(err)
		}
		if row.Class, err = artifact.UnescapePath(record[1]); err != nil {
			return nil, wrong(err)
		}
		if row.Bytes, err = strconv.ParseInt(record[2], 10, 64); err != nil {
			return nil, wrong(err)
		}
		if row.Width, err = strconv.Atoi(record[5]); err != nil {
			return nil, wrong(err)
		}
		if row.Height, err = strconv.Atoi(record[6]); err != nil {
			return nil, wrong(err)
		}
		rows[i] = row
	}
	return rows, nil
}

// WriteCSV writes a file of rows below the names of its columns.
func WriteCSV(path string, columns []string, rows func(write func(fields ...string))) error {
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	defer file.Close()
	writer := csv.NewWriter(file)
	writer.Write(columns)
	rows(func(fields ...string) { writer.Write(fields) })
	writer.Flush()
	if err := writer.Error(); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	return nil
}

// ReadCSV reads a file that must have exactly the named columns.
func ReadCSV(path string, columns []string) ([][]string, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read table: %w", err)
	}
	defer file.Close()
	reader := csv.NewReader(file)
	reader.FieldsPerRecord = len(columns)
	first, err := reader.Read()
	if err != nil && err != io.EOF {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if !slices.Equal(first, columns) {
		return nil, fmt.Errorf("read %s: its columns are %q instead of %q", path, first, columns)
	}
	records, err := reader.ReadAll()
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return records, nil
}
