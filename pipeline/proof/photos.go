package main

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"catdog/pipeline/evaluate"
	"catdog/pipeline/pack"
	"catdog/pipeline/params"
	"catdog/pipeline/progress"
	"catdog/pipeline/stage"
)

// photosName is the archive of photos in a bundle, if it has any: JPEGs with
// many of the stored size each, see encodePhotos.
const photosName = "photos.zip"

// packPhotos writes a pack's images as JPEGs of the highest quality with which
// the archive has at most so many bytes.
func packPhotos(from, to string, most int) error {
	data, err := input(filepath.Dir(from))
	if err != nil {
		return err
	}
	p, err := pack.Open(from, data.Manifest.Files[0].SHA256)
	if err != nil {
		return err
	}
	for quality := 95; quality >= 70; quality -= 5 {
		archive, err := encodePhotos(p, quality)
		if err != nil {
			return err
		}
		if len(archive) > most {
			continue
		}
		fmt.Fprintf(os.Stderr, "%s: %d bytes, JPEG quality %d\n", to, len(archive), quality)
		return os.WriteFile(to, archive, 0o666)
	}
	return fmt.Errorf("%s: its photos do not fit %d bytes, even with quality 70", from, most)
}

// sheet is how many photos share a JPEG, one below the other: a JPEG of its own
// has tables as large as a small photo.
const sheet = 256

// tile is the height of a photo on a sheet: whole blocks of 16 px, so that
// neighbours don't mix; the last row fills what is left.
func tile(height int) int { return (height + 15) / 16 * 16 }

// encodePhotos writes sheets, SPLIT/CLASS/NUMBER-HEIGHT.jpg.
func encodePhotos(p *pack.Pack, quality int) ([]byte, error) {
	var out bytes.Buffer
	archive := zip.NewWriter(&out)
	for _, split := range []pack.Split{pack.Train, pack.Validation, pack.Test} {
		for class, name := range p.Classes {
			var images []pack.Image
			for _, image := range p.Images(split) {
				if image.Class == class {
					images = append(images, image)
				}
			}
			number := 0
			for part := range slices.Chunk(images, sheet) {
				file, err := archive.CreateHeader(&zip.FileHeader{
					Name: fmt.Sprintf("%s/%s/%04d-%d.jpg", split, name, number, p.Height), Method: zip.Store,
				})
				if err != nil {
					return nil, err
				}
				if err := jpeg.Encode(file, onSheet(part, p.Height, p.Width), &jpeg.Options{Quality: quality}); err != nil {
					return nil, err
				}
				number++
			}
		}
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func onSheet(images []pack.Image, height, width int) image.Image {
	step := tile(height)
	picture := image.NewRGBA(image.Rect(0, 0, width, len(images)*step))
	for i, photo := range images {
		for y := range step {
			for x := range width {
				at := picture.PixOffset(x, i*step+y)
				copy(picture.Pix[at:], photo.Pixels[(min(y, height-1)*width+x)*3:][:3])
				picture.Pix[at+3] = 255
			}
		}
	}
	return picture
}

// unpackPhotos writes the pack of an archive of photos.
func unpackPhotos(from, folder string) error {
	archive, err := zip.OpenReader(from)
	if err != nil {
		return fmt.Errorf("open %s: %w", from, err)
	}
	defer archive.Close()
	files := archive.File
	slices.SortFunc(files, func(a, b *zip.File) int { return strings.Compare(a.Name, b.Name) })
	sheets := make([][][]byte, len(files))
	var group errgroup.Group
	group.SetLimit(16)
	table := pack.Table{Mode: "stretch", Background: []int{128, 128, 128}}
	for i, file := range files {
		parts := strings.Split(file.Name, "/")
		if len(parts) != 3 {
			return fmt.Errorf("open %s: %s is no sheet of photos", from, file.Name)
		}
		if _, err := fmt.Sscanf(parts[2], "%d-%d.jpg", new(int), &table.Height); err != nil {
			return fmt.Errorf("open %s: %s is no sheet of photos", from, file.Name)
		}
		if !slices.Contains(table.Classes, parts[1]) {
			table.Classes = append(table.Classes, parts[1])
		}
		height := table.Height
		group.Go(func() (err error) {
			sheets[i], err = decodeSheet(file, height)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	slices.Sort(table.Classes)
	splits := map[string]pack.Split{}
	for _, split := range []pack.Split{pack.Train, pack.Validation, pack.Test} {
		splits[split.String()] = split
	}
	var pixels [][]byte
	for i, file := range files {
		parts := strings.Split(file.Name, "/")
		for j, photo := range sheets[i] {
			table.Rows = append(table.Rows, pack.Row{
				Path: fmt.Sprintf("%s/%03d", file.Name, j), Class: slices.Index(table.Classes, parts[1]), Split: splits[parts[0]],
			})
			table.Width = len(photo) / (3 * table.Height)
			pixels = append(pixels, photo)
		}
	}
	table.Pixels = func(row int) ([]byte, error) { return pixels[row], nil }
	_, err = pack.Write(filepath.Join(folder, packName), table)
	return err
}

// decodeSheet returns the photos of a sheet.
func decodeSheet(file *zip.File, height int) (photos [][]byte, err error) {
	stored, err := file.Open()
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file.Name, err)
	}
	picture, err := jpeg.Decode(stored)
	if err != nil {
		return nil, fmt.Errorf("decode %s: %w", file.Name, err)
	}
	size := picture.Bounds().Size()
	for top := 0; top+height <= size.Y; top += tile(height) {
		pixels := make([]byte, 0, height*size.X*3)
		for y := range height {
			for x := range size.X {
				r, g, b, _ := picture.At(x, top+y).RGBA()
				pixels = append(pixels, byte(r>>8), byte(g>>8), byte(b>>8))
			}
		}
		photos = append(photos, pixels)
	}
	return photos, nil
}

// schedules are the trainings that part three tries, from the shortest on:
// the experiment 64px with these changes.
func schedules() [][]string {
	if tiny() {
		return [][]string{{
			"train.epochs=1", "train.batch=4", "train.network.height=16", "train.network.width=16",
			"train.network.channels=[4,4]", "train.network.residuals=[0,1]", "train.network.pools=[2,2]",
		}}
	}
	var all [][]string
	for _, epochs := range []int{4, 6, 8, 12, 16, 24, 40, 80, 160} {
		for _, batch := range []int{128, 256, 512} {
			all = append(all, []string{fmt.Sprintf("train.epochs=%d", epochs), fmt.Sprintf("train.batch=%d", batch)})
		}
	}
	return all
}

// bars are test accuracies, with the seconds of training that they may take; 0
// asks nothing.
var bars = []struct{ accuracy, seconds float64 }{{0.93, 0}, {0.95, 10}, {0.96, 0}, {0.97, 60}}

// photos trains on the photos with ever longer schedules and keeps, for each
// accuracy, the shortest training whose model reaches it on the test split: how
// long a schedule has to be, not how good a model chosen by validation is.
func (s *session) photos() error {
	archive := filepath.Join(s.bundle, photosName)
	if _, err := os.Stat(archive); err != nil {
		return errors.Join(errors.New("this bundle was made without photos"), err)
	}
	if err := unpackPhotos(archive, s.scratch); err != nil {
		return err
	}
	data, err := input(s.scratch)
	if err != nil {
		return err
	}
	shortest := map[float64]float64{}
	for i, set := range schedules() {
		p, err := s.parameters("dogs-vs-cats", "64px", append(slices.Clone(set), "train.device=gpu")...)
		if err != nil {
			return err
		}
		accuracy, seconds, err := s.reach(p, data, filepath.Join(s.scratch, fmt.Sprint(i)))
		if s.ctx.Err() != nil {
			if err := s.found("the time is over, left out", fmt.Sprintf("%d of %d trainings", len(schedules())-i, len(schedules())), ""); err != nil {
				return err
			}
			break
		}
		if err != nil {
			return err
		}
		what := strings.ReplaceAll(strings.Join(set, ", "), "train.", "")
		if err := s.found(what, fmt.Sprintf("test accuracy %.2f %% after %.2f s of training", 100*accuracy, seconds), ""); err != nil {
			return err
		}
		for _, bar := range bars {
			if best, known := shortest[bar.accuracy]; accuracy >= bar.accuracy && (!known || seconds < best) {
				shortest[bar.accuracy] = seconds
			}
		}
	}
	return s.times(shortest)
}

func (s *session) times(shortest map[float64]float64) (err error) {
	for _, bar := range bars {
		what := fmt.Sprintf("shortest training to %.0f %% on the test split", 100*bar.accuracy)
		seconds, reached := shortest[bar.accuracy]
		value := any("not reached")
		if reached {
			value = seconds
		}
		if bar.seconds == 0 || tiny() {
			err = errors.Join(err, s.found(what, value, "s"))
		} else {
			err = errors.Join(err, s.must(what, value, "s", fmt.Sprintf("< %g s", bar.seconds), reached && seconds < bar.seconds))
		}
	}
	return err
}

// reach trains and measures the model on the test split.
func (s *session) reach(p *params.Params, data *stage.Input, folder string) (accuracy, seconds float64, err error) {
	defer os.RemoveAll(folder)
	model := filepath.Join(folder, "model")
	if err := s.train(s.ctx, p, data, model); err != nil {
		return 0, 0, err
	}
	var times struct {
		TotalSeconds float64 `json:"total_seconds"`
	}
	if err := readJSON(filepath.Join(model, "runtime.json"), &times); err != nil {
		return 0, 0, err
	}
	measured := filepath.Join(folder, "evaluate")
	if err := os.MkdirAll(measured, 0o777); err != nil {
		return 0, 0, err
	}
	_, err = evaluate.Run(s.ctx, &stage.Job{
		Params: p, Progress: progress.New("evaluate", os.Stderr), Folder: measured,
		Inputs: map[string]*stage.Input{"pack": data, "train": {Folder: model}},
	})
	if err != nil {
		return 0, 0, err
	}
	var metrics evaluate.Metrics
	err = readJSON(filepath.Join(measured, "metrics.json"), &metrics)
	return float64(metrics.Splits.Test.Accuracy), times.TotalSeconds, err
}

func readJSON(name string, into any) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	return nil
}
