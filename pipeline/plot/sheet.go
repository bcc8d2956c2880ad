package plot

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"
	"golang.org/x/image/draw"
	"gonum.org/v1/plot/vg"
	vgdraw "gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

// A Tile is a photo of a sheet with a few words below it.
type Tile struct {
	Image   image.Image
	Caption string
	// Wrong makes the words stand out.
	Wrong bool
}

// Sheet shows photos side by side, each cut to the square in its middle, in
// rows of columns. The file ends in .jpg.
func Sheet(path string, columns int, tiles []Tile) error {
	if columns < 1 || len(tiles) == 0 {
		return fmt.Errorf("draw %s: %d photos in rows of %d", path, len(tiles), columns)
	}
	if ending := strings.ToLower(filepath.Ext(path)); ending != ".jpg" {
		return fmt.Errorf("draw %s: a sheet ends in .jpg", path)
	}
	const (
		side, gap, caption = 168, 16, 34 // px
		dpi                = 144
		point              = dpi / 72 // px
	)
	rows := (len(tiles) + columns - 1) / columns
	width, height := gap+columns*(side+gap), gap+rows*(side+caption)
	page := vgimg.NewWith(vgimg.UseWH(vg.Length(width)/point, vg.Length(height)/point), vgimg.UseDPI(dpi))
	sheet, canvas := page.Image(), vgdraw.New(page)
	for i, tile := range tiles {
		x, y := gap+i%columns*(side+gap), gap+i/columns*(side+caption)
		draw.CatmullRom.Scale(sheet, image.Rect(x, y, x+side, y+side), tile.Image, middle(tile.Image.Bounds()), draw.Over, nil)
		shade := color.Color(softInk)
		if tile.Wrong {
			shade = palette[1]
		}
		style := textStyle(tickSize, tile.Wrong, shade)
		if width := style.Width(tile.Caption); width > side/point {
			style.Font.Size *= side / point / width
		}
		style.XAlign, style.YAlign = vgdraw.XCenter, vgdraw.YTop
		canvas.FillText(style, vg.Point{X: vg.Length(x+side/2) / point, Y: vg.Length(height-y-side-6) / point}, tile.Caption)
	}
	var content bytes.Buffer
	if err := jpeg.Encode(&content, page.Image(), &jpeg.Options{Quality: 85}); err != nil {
		return fmt.Errorf("draw %s: %w", path, err)
	}
	if err := renameio.WriteFile(path, content.Bytes(), 0o644, renameio.WithTempDir(filepath.Dir(path))); err != nil {
		return fmt.Errorf("write figure: %w", err)
	}
	return nil
}

// middle is the largest square in the middle of a rectangle.
func middle(r image.Rectangle) image.Rectangle {
	side := min(r.Dx(), r.Dy())
	corner := r.Min.Add(image.Pt((r.Dx()-side)/2, (r.Dy()-side)/2))
	return image.Rectangle{Min: corner, Max: corner.Add(image.Pt(side, side))}
}
