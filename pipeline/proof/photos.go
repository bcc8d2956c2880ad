package main

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"io"
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

// photosName is the archive of photos in a bundle, if it has any: JPEGs of the
// stored size, SPLIT/CLASS/NUMBER.jpg.
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

func encodePhotos(p *pack.Pack, quality int) ([]byte, error) {
	var out bytes.Buffer
	archive := zip.NewWriter(&out)
	for _, split := range []pack.Split{pack.Train, pack.Validation, pack.Test} {
		images := p.Images(split)
		encoded := make([]bytes.Buffer, len(images))
		var group errgroup.Group
		group.SetLimit(16)
		for i := range images {
			group.Go(func() error {
				picture := image.NewRGBA(image.Rect(0, 0, p.Width, p.Height))
				for at := range p.Width * p.Height {
					copy(picture.Pix[4*at:], images[i].Pixels[3*at:3*at+3])
					picture.Pix[4*at+3] = 255
				}
				return jpeg.Encode(&encoded[i], picture, &jpeg.Options{Quality: quality})
			})
		}
		if err := group.Wait(); err != nil {
			return nil, err
		}
		for i := range images {
			name := fmt.Sprintf("%s/%s/%06d.jpg", split, p.Classes[images[i].Class], i)
			file, err := archive.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
			if err != nil {
				return nil, err
			}
			if _, err := file.Write(encoded[i].Bytes()); err != nil {
				return nil, err
			}
		}
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
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
	table := pack.Table{Mode: "stretch", Background: []int{128, 128, 128}}
	splits := map[string]pack.Split{}
	for _, split := range []pack.Split{pack.Train, pack.Validation, pack.Test} {
		splits[split.String()] = split
	}
	for _, file := range files {
		class := strings.Split(file.Name, "/")[1]
		if !slices.Contains(table.Classes, class) {
			table.Classes = append(table.Classes, class)
		}
	}
	slices.Sort(table.Classes)
	pixels := make([][]byte, len(files))
	var group errgroup.Group
	group.SetLimit(16)
	for i, file := range files {
		parts := strings.Split(file.Name, "/")
		table.Rows = append(table.Rows, pack.Row{Path: file.Name, Class: slices.Index(table.Classes, parts[1]), Split: splits[parts[0]]})
		group.Go(func() (err error) {
			pixels[i], err = decodePhoto(file)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	side := 1
	for side*side*3 < len(pixels[0]) {
		side++
	}
	table.Height, table.Width = side, side
	table.Pixels = func(row int) ([]byte, error) { return pixels[row], nil }
	_, err = pack.Write(filepath.Join(folder, packName), table)
	return err
}

func decodePhoto(file *zip.File) ([]byte, error) {
	stored, err := file.Open()
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(stored)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file.Name, err)
	}
	picture, err := jpeg.Decode(bytes.NewReader(content))
	if err != nil {
		return nil, fmt.Errorf("decode %s: %w", file.Name, err)
	}
	size := picture.Bounds().Size()
	pixels := make([]byte, 0, size.X*size.Y*3)
	for y := range size.Y {
		for x := range size.X {
			r, g, b, _ := picture.At(x, y).RGBA()
			pixels = append(pixels, byte(r>>8), byte(g>>8), byte(b>>8))
		}
	}
	return pixels, nil
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
// accuracy, the shortest training whose model reaches it on the test split.
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
