package bench

import (
	"context"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"math/rand/v2"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"
)

// Drawn photos are of the size that most photos of the real data set have, and
// their files as long as those.
const (
	photoWidth   = 500
	photoHeight  = 375
	photoQuality = 85
)

// drawPhotos draws JPEGs into a folder and returns their absolute names.
func drawPhotos(ctx context.Context, folder string, count int) ([]string, error) {
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return nil, err
	}
	names := make([]string, count)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(4)
	for i := range names {
		names[i] = filepath.Join(folder, fmt.Sprintf("photo%d.jpg", i))
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return writeJPEG(names[i], clouds(uint64(i), photoWidth, photoHeight))
		})
	}
	return names, group.Wait()
}

func writeJPEG(name string, picture image.Image) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := jpeg.Encode(file, picture, &jpeg.Options{Quality: photoQuality}); err != nil {
		return fmt.Errorf("draw %s: %w", name, err)
	}
	return file.Close()
}

// clouds is a picture of soft random colours: grids of random values, the finer
// the fainter, each interpolated linearly, summed. Photos have most of their
// energy in coarse detail too.
func clouds(seed uint64, width, height int) image.Image {
	random := rand.New(rand.NewPCG(seed, 3))
	sum := make([]float32, width*height*3)
	for _, octave := range []struct {
		cells     int
		amplitude float32
	}{{3, 130}, {12, 60}, {50, 30}, {200, 22}} {
		cells := octave.cells
		grid := make([]float32, (cells+2)*(cells+2)*3)
		for i := range grid {
			grid[i] = (random.Float32() - 0.5) * octave.amplitude
		}
		for y := range height {
			row, down := cell(y, height, cells)
			for x := range width {
				column, across := cell(x, width, cells)
				for channel := range 3 {
					at := func(r, c int) float32 { return grid[(r*(cells+2)+c)*3+channel] }
					above := at(row, column)*(1-across) + at(row, column+1)*across
					below := at(row+1, column)*(1-across) + at(row+1, column+1)*across
					sum[(y*width+x)*3+channel] += above*(1-down) + below*down
				}
			}
		}
	}
	picture := image.NewRGBA(image.Rect(0, 0, width, height))
	level := func(v float32) uint8 { return uint8(max(0, min(255, 128+v))) }
	for i := range width * height {
		picture.SetRGBA(i%width, i/width, color.RGBA{level(sum[3*i]), level(sum[3*i+1]), level(sum[3*i+2]), 255})
	}
	return picture
}

// cell is the cell of a grid that a pixel lies in, and how far in.
func cell(pixel, pixels, cells int) (int, float32) {
	at := float32(pixel) * float32(cells) / float32(pixels)
	return int(at), at - float32(int(at))
}
