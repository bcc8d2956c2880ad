// Package drawn is the sample data set: cartoon cats and dogs drawn by the
// program, no two alike, with planted oddities whose list is known. The same
// seed gives the same bytes on every amd64 machine (elsewhere Go fuses products
// and sums, which rounds otherwise), however many workers draw.
package drawn

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sync/errgroup"
)

// Draw writes the sample of the given seed and number of files (at least 60)
// into folder, in Kaggle's layout (train/cat.0.jpg), and calls drawn after each
// file, from any goroutine.
func Draw(ctx context.Context, folder string, seed, images int, drawn func()) error {
	if err := os.MkdirAll(filepath.Join(folder, "train"), 0o777); err != nil {
		return fmt.Errorf("draw the sample: %w", err)
	}
	group, working := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for _, f := range plan(seed, images) {
		if working.Err() != nil {
			break
		}
		group.Go(func() error {
			if err := working.Err(); err != nil {
				return err
			}
			data, err := f.bytes(seed)
			if err != nil {
				return fmt.Errorf("draw %s: %w", f.planted.Path, err)
			}
			if err := os.WriteFile(filepath.Join(folder, filepath.FromSlash(f.planted.Path)), data, 0o666); err != nil {
				return fmt.Errorf("draw the sample: %w", err)
			}
			drawn()
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

// size is the width and height in pixels of what is drawn into the file; r is
// the file's generator, as new.
func (f *file) size(r *random) (width, height int) {
	width, height = dimensions(r)
	switch f.planted.Kind {
	case SizeOutlier:
		if f.number%2 == 0 {
			return 28 + r.int(20), 28 + r.int(16)
		}
		return 2200 + r.int(300), 1700 + r.int(200)
	case AspectOutlier:
		if f.number%2 == 0 {
			return 900 + r.int(100), 150 + r.int(20)
		}
		return 110 + r.int(20), 800 + r.int(100)
	case OnePixel:
		return 1, height
	}
	return width, height
}

// bytes is the content of one file of the sample.
func (f *file) bytes(seed int) ([]byte, error) {
	r := newRandom(seed, f.name)
	width, height := f.size(r)
	kind, clarity := f.class, 0.0
	switch f.planted.Kind {
	case Empty:
		return nil, nil
	case NotAnImage:
		return fmt.Appendf(nil, "<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head>\n<body><h1>Not Found</h1><p>The photo %s is not here any more.</p></body></html>\n", f.planted.Path), nil
	case CopyAcross:
		kind = 1 - kind // the original's
	case WrongLabel:
		kind, clarity = 1-kind, 1
	}

	var c *canvas
	if f.planted.Kind == Neither {
		c = takeOther(r, f.number, width, height)
	} else {
		c = takePhoto(r, kind, width, height, clarity)
	}
	quality := int(math.Min(96, math.Max(35, r.normal(80, 12))))
	switch f.planted.Kind {
	case CMYK:
		return encodeCMYK(c.image, quality)
	case SixteenBit:
		return encodePNG(deepen(c.image, r))
	case Grey:
		return encodeJPEG(grey(c.image), quality)
	case Transparent:
		return encodePNG(sticker(c.image))
	case Rotated:
		c.mark()
		orientation := orientations[f.number%len(orientations)]
		data, err := encodeJPEG(stored(c.image, orientation), 92)
		return withOrientation(data, orientation), err
	}
	if f.png {
		return encodePNG(c.image)
	}
	data, err := encodeJPEG(c.image, quality)
	if err != nil {
		return nil, err
	}
	switch f.planted.Kind {
	case Truncated:
		data = data[:len(data)*(3+f.number%5)/10]
	case HeaderLies:
		// Four times as high and wide as the data that follows.
		_, err = segments(data, func(marker byte, payload []byte) {
			if marker == markerSOF0 {
				copy(payload[1:], []byte{byte(4 * height >> 8), byte(4 * height), byte(4 * width >> 8), byte(4 * width)})
			}
		})
	}
	return bytes.Clone(data), err
}
