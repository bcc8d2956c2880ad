package report

import (
	"fmt"
	"image"
	_ "image/jpeg" // what drawn photos are
	_ "image/png"
	"os"
	"path/filepath"
	"slices"

	"catdog/pipeline/artifact"
	"catdog/pipeline/plot"
	"catdog/pipeline/stage"
)

const (
	sheetColumns  = 6
	sheetPhotos   = 2 * sheetColumns
	sheetMistakes = 3 // of them, if there are so many
)

// drawSheet shows some test photos and what the network says of them, if the
// program drew them itself. No pixel of other photos belongs in a report.
func (f *findings) drawSheet(job *stage.Job, folder string) error {
	if !f.drawn {
		return nil
	}
	var tiles []plot.Tile
	for _, row := range f.shown() {
		photo, err := decode(job.Input("fetch"), row[0])
		if err != nil {
			continue // e.g. of a kind that only libvips reads
		}
		tile := plot.Tile{Image: photo, Caption: fmt.Sprintf("%s %.0f %%", row[2], 100*number(row[3])), Wrong: row[1] != row[2]}
		if tile.Wrong {
			tile.Caption += ", not " + row[1]
		}
		tiles = append(tiles, tile)
	}
	if len(tiles) == 0 {
		return nil
	}
	path := filepath.Join(folder, "photos.jpg")
	if err := plot.Sheet(path, sheetColumns, tiles); err != nil {
		return err
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("draw figures: %w", err)
	}
	f.figures["photos.jpg"] = content
	return nil
}

// shown are the predictions of the photos to show: some from all over the test
// split, then the most confident mistakes.
func (f *findings) shown() [][]string {
	wrong := f.mistakes[:min(len(f.mistakes), sheetMistakes)]
	var others [][]string
	for _, row := range f.predictions {
		if !slices.ContainsFunc(wrong, func(mistake []string) bool { return mistake[0] == row[0] }) {
			others = append(others, row)
		}
	}
	n := min(sheetPhotos-len(wrong), len(others))
	var rows [][]string
	for i := range n {
		rows = append(rows, others[(2*i+1)*len(others)/(2*n)])
	}
	return append(rows, wrong...)
}

// decode reads a raw photo, named as in a table.
func decode(raw *stage.Input, name string) (image.Image, error) {
	path, err := artifact.UnescapePath(name)
	if err != nil {
		return nil, err
	}
	file, err := os.Open(raw.Path(path))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	photo, _, err := image.Decode(file)
	return photo, err
}
