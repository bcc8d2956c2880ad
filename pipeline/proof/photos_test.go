package main

import (
	"fmt"
	"path/filepath"
	"testing"

	"catdog/pipeline/pack"
)

// Photos that travelled as JPEGs are in the same splits and classes, in the
// same order, and nearly the same.
func TestPhotosTravel(t *testing.T) {
	const side = 24
	folder, arrived := t.TempDir(), t.TempDir()
	table := pack.Table{Classes: []string{"cat", "dog"}, Height: side, Width: side, Mode: "stretch", Background: []int{0, 0, 0}}
	for i := range 12 {
		table.Rows = append(table.Rows, pack.Row{Path: fmt.Sprintf("x/%02d", i), Class: i % 2, Split: pack.Split(i % 3)})
	}
	table.Pixels = func(row int) ([]byte, error) {
		pixels := make([]byte, side*side*3)
		for i := range pixels {
			pixels[i] = byte(10*row + i/(side*3)*3)
		}
		return pixels, nil
	}
	if _, err := pack.Write(filepath.Join(folder, packName), table); err != nil {
		t.Fatal(err)
	}
	archive := filepath.Join(folder, photosName)
	if err := packPhotos(filepath.Join(folder, packName), archive, 1<<20); err != nil {
		t.Fatal(err)
	}
	if err := packPhotos(filepath.Join(folder, packName), archive, 100); err == nil {
		t.Error("12 photos fit 100 bytes")
	}
	if err := unpackPhotos(archive, arrived); err != nil {
		t.Fatal(err)
	}
	before, after := openIn(t, folder), openIn(t, arrived)
	for _, split := range []pack.Split{pack.Train, pack.Validation, pack.Test} {
		for i, image := range before.Images(split) {
			got := byClass(after, split, image.Class)[countBefore(before, split, i, image.Class)]
			for j, v := range image.Pixels {
				if off := int(v) - int(got.Pixels[j]); off < -6 || off > 6 {
					t.Fatalf("%s %d: value %d is %d, was %d", split, i, j, got.Pixels[j], v)
				}
			}
		}
	}
}

func openIn(t *testing.T, folder string) *pack.Pack {
	t.Helper()
	data, err := input(folder)
	if err != nil {
		t.Fatal(err)
	}
	p, err := pack.Open(filepath.Join(folder, packName), data.Manifest.Files[0].SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func byClass(p *pack.Pack, split pack.Split, class int) (images []pack.Image) {
	for _, image := range p.Images(split) {
		if image.Class == class {
			images = append(images, image)
		}
	}
	return images
}

// countBefore is how many images of a class come before image i of a split.
func countBefore(p *pack.Pack, split pack.Split, i, class int) (count int) {
	for _, image := range p.Images(split)[:i] {
		if image.Class == class {
			count++
		}
	}
	return count
}
