package plot

import (
	"image"
	"image/color"
	"image/jpeg"
	"os"
	"path/filepath"
	"testing"
)

// stripes is a picture whose middle square is of one colour.
func stripes(width, height int, middle color.Color) image.Image {
	picture := image.NewRGBA(image.Rect(0, 0, width, height))
	side := min(width, height)
	for y := range height {
		for x := range width {
			picture.Set(x, y, color.Black)
			if (x >= (width-side)/2 && x < (width+side)/2) && (y >= (height-side)/2 && y < (height+side)/2) {
				picture.Set(x, y, middle)
			}
		}
	}
	return picture
}

func TestSheet(t *testing.T) {
	folder := t.TempDir()
	if *gallery != "" {
		folder = *gallery
	}
	path := filepath.Join(folder, "sheet.jpg")
	red, green := color.RGBA{200, 0, 0, 255}, color.RGBA{0, 200, 0, 255}
	tiles := []Tile{{stripes(90, 60, red), "cat 99 %", false}, {stripes(40, 70, green), "dog 81 %, labelled cat", true}, {stripes(30, 30, red), "cat 70 %", false}}
	if err := Sheet(path, 2, tiles); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	sheet, err := jpeg.Decode(file)
	if err != nil {
		t.Fatal(err)
	}
	if size := sheet.Bounds().Size(); size != image.Pt(16+2*184, 16+2*202) {
		t.Errorf("the sheet is %v", size)
	}
	for _, test := range []struct {
		at   image.Point
		want color.RGBA
	}{{image.Pt(100, 100), red}, {image.Pt(20, 100), red}, {image.Pt(284, 100), green}, {image.Pt(100, 302), red}, {image.Pt(284, 302), color.RGBA{255, 255, 255, 255}}} {
		r, g, b, _ := sheet.At(test.at.X, test.at.Y).RGBA()
		for i, got := range []uint32{r >> 8, g >> 8, b >> 8} {
			want := []uint8{test.want.R, test.want.G, test.want.B}[i]
			if int(got)-int(want) > 20 || int(want)-int(got) > 20 {
				t.Errorf("at %v: %d %d %d, want %v", test.at, r>>8, g>>8, b>>8, test.want)
				break
			}
		}
	}
	for _, bad := range []error{Sheet(filepath.Join(folder, "x.svg"), 2, tiles), Sheet(path, 0, tiles), Sheet(path, 2, nil)} {
		if bad == nil {
			t.Error("no error")
		}
	}
}
