package main

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"slices"

	"github.com/h2non/bimg"
	"golang.org/x/image/bmp"

	"catdog/pipeline/photo"
	"catdog/pipeline/source/drawn"
)

// A seed is a good image of one format that mutations start from.
type seed struct {
	format string
	name   string // the variant of the format
	data   []byte
}

// pictureWidth is small, so that mutations hit what matters.
const pictureWidth, pictureHeight = 72, 60

// seeds are images of every format that libvips reads here, those that are not
// let in among them, all made of one drawn photo.
func (t *trial) seeds(ctx context.Context) ([]seed, error) {
	folder := filepath.Join(t.scratch, "drawn")
	if err := drawn.Draw(ctx, folder, 1, 60, func() {}); err != nil {
		return nil, err
	}
	original, err := firstGood(folder)
	if err != nil {
		return nil, err
	}
	var list []seed
	for _, variant := range []struct {
		format, name string
		options      bimg.Options
	}{
		{"jpeg", "baseline", bimg.Options{Type: bimg.JPEG, Quality: 85}},
		{"jpeg", "progressive", bimg.Options{Type: bimg.JPEG, Quality: 85, Interlace: true}},
		{"jpeg", "grey", bimg.Options{Type: bimg.JPEG, Quality: 85, Interpretation: bimg.InterpretationBW}},
		{"png", "colour", bimg.Options{Type: bimg.PNG}},
		{"png", "interlaced", bimg.Options{Type: bimg.PNG, Interlace: true}},
		{"png", "palette", bimg.Options{Type: bimg.PNG, Palette: true}},
		{"png", "grey", bimg.Options{Type: bimg.PNG, Interpretation: bimg.InterpretationBW}},
		{"gif", "colour", bimg.Options{Type: bimg.GIF}},
		{"webp", "lossy", bimg.Options{Type: bimg.WEBP, Quality: 80}},
		{"webp", "lossless", bimg.Options{Type: bimg.WEBP, Lossless: true}},
		{"tiff", "colour", bimg.Options{Type: bimg.TIFF}},
		{"tiff", "grey", bimg.Options{Type: bimg.TIFF, Interpretation: bimg.InterpretationBW}},
		{"heif", "HEVC", bimg.Options{Type: bimg.HEIF}},
		{"heif", "AVIF", bimg.Options{Type: bimg.AVIF, Speed: 8}},
	} {
		if !bimg.IsTypeSupportedSave(variant.options.Type) {
			t.reporter.Say("this libvips does not write %s (%s)", variant.format, variant.name)
			continue
		}
		options := variant.options
		options.Width, options.Height, options.Force = pictureWidth, pictureHeight, true
		data, err := bimg.Resize(original, options)
		if err != nil {
			t.reporter.Say("this libvips does not write %s (%s)", variant.format, variant.name)
			continue
		}
		list = append(list, seed{variant.format, variant.name, data})
	}
	if !slices.ContainsFunc(list, func(s seed) bool { return s.format == "gif" }) {
		return nil, fmt.Errorf("this libvips writes no GIF")
	}
	others, err := otherSeeds(original)
	return append(list, others...), err
}

// firstGood is a drawn photo that is not one of the planted oddities.
func firstGood(folder string) ([]byte, error) {
	found, err := filepath.Glob(filepath.Join(folder, "train", "*.jpg"))
	if err != nil {
		return nil, err
	}
	for _, name := range found {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		if info := photo.Check(data, limits); info.Problem == "" && info.Format == "jpeg" {
			return data, nil
		}
	}
	return nil, fmt.Errorf("no drawn photo in %s is good", folder)
}

// otherSeeds are of formats that only ever come in from outside.
func otherSeeds(original []byte) ([]seed, error) {
	data, err := bimg.Resize(original, bimg.Options{Type: bimg.PNG, Width: pictureWidth, Height: pictureHeight, Force: true})
	if err != nil {
		return nil, err
	}
	picture, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	var bitmap, pixmap bytes.Buffer
	if err := bmp.Encode(&bitmap, picture); err != nil {
		return nil, err
	}
	fmt.Fprintf(&pixmap, "P6\n%d %d\n255\n", pictureWidth, pictureHeight)
	bounds := image.Rect(0, 0, pictureWidth, pictureHeight)
	for y := range bounds.Dy() {
		for x := range bounds.Dx() {
			r, g, b, _ := picture.At(x, y).RGBA()
			pixmap.Write([]byte{byte(r >> 8), byte(g >> 8), byte(b >> 8)})
		}
	}
	vector := `<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="72" height="60"><rect width="72" height="60" fill="red"/><image xlink:href="file:///etc/passwd" width="9" height="9"/></svg>`
	return []seed{
		{"bmp", "colour", bitmap.Bytes()},
		{"ppm", "colour", pixmap.Bytes()},
		{"svg", "with a file in it", []byte(vector)},
		{"pdf", "empty", []byte("%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj 2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n")},
		{"mvg", "with a command in it", []byte("push graphic-context\nviewbox 0 0 72 60\nimage over 0,0 0,0 'https://127.0.0.1/x.jpg\"|touch owned\"'\npop graphic-context\n")},
	}, nil
}
