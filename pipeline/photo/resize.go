package photo

import (
	"math"
	"runtime"

	"github.com/h2non/bimg"
)

// A Mode is how a photo is fitted to a size of another aspect ratio.
type Mode string

// The modes.
const (
	Stretch Mode = "stretch" // the aspect ratio is ignored
	Crop    Mode = "crop"    // filled, what sticks out on two sides is cut off
	Pad     Mode = "pad"     // fitted in, the rest is background
)

// Target is what a photo is resized to.
type Target struct {
	Height, Width int
	Mode          Mode
	// Background is the RGB colour under transparency and around padded photos.
	Background [3]byte
}

// maximumAspect is how many times more one side may have to shrink than the
// other; the filters of libvips end not far above.
const maximumAspect = 200.0

// Resize decodes a photo that Check has found good and returns Height·Width·3
// bytes, RGB, row by row, upright by its EXIF orientation. Grey, CMYK, palettes
// and 16 bits become 8-bit sRGB; colour profiles other than CMYK's are not
// applied. An error is a *Rejection.
//
// libvips does the work through bimg: JPEGs are shrunk by libjpeg while they
// are decoded, by the power of two below what is wanted, and the rest of the
// way by a Lanczos filter; what has to grow does so by bicubic interpolation.
func Resize(data []byte, target Target) ([]byte, error) {
	pixels, rejection := resize(data, target)
	if rejection != nil {
		return nil, rejection
	}
	return pixels, nil
}

func resize(data []byte, target Target) ([]byte, *Rejection) {
	format, rejection := recognise(data)
	if rejection != nil {
		return nil, rejection
	}
	head, rejection := format.header(data)
	if rejection != nil {
		return nil, rejection
	}
	if head.alpha {
		if data, rejection = flattened(data, target.Background); rejection != nil {
			return nil, rejection
		}
		head.format = "tiff"
	}
	width, height := head.upright()
	width, height = scaledSize(width, height, target)
	if head.orientation >= 5 {
		width, height = height, width
	}
	pixels, rejection := scale(data, head, width, height)
	if rejection != nil {
		return nil, rejection
	}
	pixels, width, height = orient(pixels, width, height, head.orientation)
	return place(pixels, width, height, target), nil
}

// scaledSize is the size of an upright photo before it is cropped or padded.
func scaledSize(width, height int, target Target) (scaledWidth, scaledHeight int) {
	x, y := float64(target.Width)/float64(width), float64(target.Height)/float64(height)
	factor := 0.0
	switch target.Mode {
	case Crop:
		factor = max(x, y)
	case Pad:
		factor = min(x, y)
	default:
		return target.Width, target.Height
	}
	return max(1, int(math.Round(factor*float64(width)))), max(1, int(math.Round(factor*float64(height))))
}

// place puts a scaled photo into the middle of the target, which it fills in
// one direction at least.
func place(pixels []byte, width, height int, target Target) []byte {
	if width == target.Width && height == target.Height {
		return pixels
	}
	placed := make([]byte, 3*target.Height*target.Width)
	for i := 0; i < len(placed); i += 3 {
		copy(placed[i:], target.Background[:])
	}
	// Where the photo is larger than the target, skip is what is cut off before;
	// where it is smaller, gap is the background before.
	skipX, gapX := max(0, width-target.Width)/2, max(0, target.Width-width)/2
	skipY, gapY := max(0, height-target.Height)/2, max(0, target.Height-height)/2
	count := 3 * min(width, target.Width)
	for y := range min(height, target.Height) {
		copy(placed[3*((y+gapY)*target.Width+gapX):][:count], pixels[3*((y+skipY)*width+skipX):])
	}
	return placed
}

// scale decodes a photo without transparency to width×height RGB pixels,
// whatever its aspect ratio and orientation.
//
// bimg filters properly only where both sides shrink; else it interpolates
// between four pixels a side, which aliases a side that shrinks. So where one
// side shrinks and the other does not, that one is first enlarged to twice of
// what is wanted.
func scale(data []byte, head header, width, height int) ([]byte, *Rejection) {
	factorX, factorY := float64(head.width)/float64(width), float64(head.height)/float64(height)
	if max(factorX, factorY)/max(1, min(factorX, factorY)) > maximumAspect {
		return nil, reject(Unsupported, "%d×%d px are too long and narrow", head.width, head.height)
	}
	shrinksX, shrinksY := factorX > 1, factorY > 1
	switch {
	case shrinksX && shrinksY && head.format == "jpeg":
		if loadedEvenly(head, width, height) {
			return force(data, width, height, bimg.Bilinear)
		}
		whole, rejection := convert(data, bimg.Options{})
		if rejection != nil {
			return nil, rejection
		}
		data = whole
	case shrinksX && !shrinksY:
		larger, rejection := convert(data, forced(head.width, 2*height, bimg.Bicubic))
		if rejection != nil {
			return nil, rejection
		}
		data = larger
	case shrinksY && !shrinksX:
		larger, rejection := convert(data, forced(2*width, head.height, bimg.Bicubic))
		if rejection != nil {
			return nil, rejection
		}
		data = larger
	}
	return force(data, width, height, bimg.Bicubic)
}

// loadedEvenly predicts whether, after bimg has shrunk a JPEG while loading it
// (by 2, 4 or 8, and by a whole number beyond 16), both sides are still larger
// than wanted, or both exactly as wanted.
func loadedEvenly(head header, width, height int) bool {
	factor := min(float64(head.width)/float64(width), float64(head.height)/float64(height))
	shrink := 1
	for shrink < 8 && factor >= 2*float64(shrink) {
		shrink *= 2
	}
	loadedWidth, loadedHeight := (head.width+shrink-1)/shrink, (head.height+shrink-1)/shrink
	if rest := int(factor / float64(shrink)); rest > 1 {
		loadedWidth, loadedHeight = loadedWidth/rest, loadedHeight/rest
	}
	return loadedWidth > width && loadedHeight > height || loadedWidth == width && loadedHeight == height
}

// forced asks for exactly width×height. The interpolator is the one for
// enlarging, and what bimg decides by how far it shrinks while loading: down to
// the size with Bilinear, to 4/3 of it or more with Bicubic. Crop makes it
// consider the side that shrinks less.
func forced(width, height int, interpolator bimg.Interpolator) bimg.Options {
	return bimg.Options{
		Width: width, Height: height, Force: true, Crop: true,
		Interpolator: interpolator, Extend: bimg.ExtendCopy,
	}
}

func force(data []byte, width, height int, interpolator bimg.Interpolator) ([]byte, *Rejection) {
	converted, rejection := convert(data, forced(width, height, interpolator))
	if rejection != nil {
		return nil, rejection
	}
	image, rejection := parseTIFF(converted)
	if rejection != nil {
		return nil, rejection
	}
	if image.width != width || image.height != height || image.samples != 3 {
		return nil, reject(Unsupported, "decoded to %d×%d px of %d samples instead of %d×%d of 3",
			image.width, image.height, image.samples, width, height)
	}
	return image.pixels, nil
}

// flattened is the photo as a TIFF file without transparency.
func flattened(data []byte, background [3]byte) ([]byte, *Rejection) {
	converted, rejection := convert(data, bimg.Options{})
	if rejection != nil {
		return nil, rejection
	}
	image, rejection := parseTIFF(converted)
	if rejection != nil {
		return nil, rejection
	}
	switch image.samples {
	case 3:
		return converted, nil
	case 4:
		return image.flatten(background).bytes(), nil
	}
	return nil, reject(Unsupported, "decoded to %d samples a pixel", image.samples)
}

// libvips is told to keep nothing for the next photo, which is another one, and
// not to use its vector code: that gives other bytes than the plain code does,
// and which is taken depends on the machine. For small images it is slower, too.
func init() {
	bimg.VipsCacheSetMax(0)
	bimg.VipsVectorSetEnabled(false)
}

// decode is libvips. Tests make it crash.
var decode = bimg.Resize

// convert runs bimg, to an uncompressed TIFF of 8-bit sRGB samples.
func convert(data []byte, options bimg.Options) ([]byte, *Rejection) {
	options.Type = bimg.TIFF
	options.NoAutoRotate = true
	options.StripMetadata = true
	converted, err := decode(data, options)
	// libvips reads the bytes behind bimg's back until it is done.
	runtime.KeepAlive(data)
	if err != nil {
		return nil, reject(Corrupt, "libvips: %s", oneLine(err.Error()))
	}
	return converted, nil
}
