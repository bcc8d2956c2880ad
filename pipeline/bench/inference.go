package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"catdog/pipeline/classify"
	"catdog/pipeline/device/cpu"
	"catdog/pipeline/model"
	"catdog/pipeline/network"
	"catdog/pipeline/onnx"
	"catdog/pipeline/progress"
	"catdog/pipeline/stage"
	"catdog/pipeline/weights"
)

var inferencePart = part{
	name: "inference", title: "Inference",
	about: "Images a second from decoded pixels (72×72 RGB bytes) to logits, cropping to 64×64 and normalising included, by both networks of the section on training; all cores. " +
		"Ours is what `evaluate` and `classify` do, in batches of 128. " +
		"ONNX Runtime runs the file that `make export` writes of the same model, as many threads as cores, with the batch size that it is fastest with of 8, 16, 32, 64, 128 and 256. " +
		"Then photos a second from JPEG files (400 drawn ones of 500×375, whose bytes the system has in memory) to classes, the mean of a photo's and its mirror image's probabilities, by the residual network: " +
		"ours is a whole run of `classify`, from looking for the photos through the strict checks to the table; " +
		"the peer decodes and resizes by Pillow (draft mode, bicubic) in as many processes as cores, and predicts by ONNX Runtime.",
	measure: measureInference,
}

const (
	storedSide  = 72 // px of the images that inputs are cropped from
	onnxRuntime = "ONNX Runtime"
)

func measureInference(s *session) (rows []Row, err error) {
	if err := s.needPython("peers", "requirements.txt"); err != nil {
		return nil, err
	}
	images, photos := 512, 400
	if s.Quick {
		images, photos = 16, 8
	}
	pixels := filepath.Join(s.folder, "pixels")
	if err := os.WriteFile(pixels, noise(images*storedSide*storedSide*3), 0o666); err != nil {
		return nil, err
	}
	for _, name := range []string{"four-blocks", "residual"} {
		s.Reporter.Say("measures inference by network %s", name)
		folder := filepath.Join(s.folder, name)
		if err := writeModel(folder, workloads[name]); err != nil {
			return nil, err
		}
		samples, err := s.beside(assignment{Kind: "infer", Folder: folder, File: pixels}, onnxRuntime,
			"infer.py", filepath.Join(folder, onnxName), pixels, fmt.Sprint(storedSide))
		if err != nil {
			return nil, err
		}
		rows = append(rows, more(workloads[name].label+", from decoded pixels", "images/s", samples[0], onnxRuntime, samples[1]))
	}

	names, err := drawPhotos(s, filepath.Join(s.folder, "photos"), photos)
	if err != nil {
		return nil, err
	}
	list := filepath.Join(s.folder, "photos.txt")
	if err := os.WriteFile(list, []byte(strings.Join(names, "\n")), 0o666); err != nil {
		return nil, err
	}
	const peer = "Pillow and ONNX Runtime"
	folder := filepath.Join(s.folder, "residual")
	samples, err := s.beside(assignment{Kind: "classify", Folder: folder, File: filepath.Dir(names[0])}, peer,
		"classify.py", list, fmt.Sprint(storedSide), filepath.Join(folder, onnxName))
	if err != nil {
		return nil, err
	}
	return append(rows, more("residual, from JPEG files", "photos/s", samples[0], peer, samples[1])), nil
}

// onnxName is the exported model's file name within the model's folder.
const onnxName = "model.onnx"

// noise is so many random bytes.
func noise(length int) []byte {
	random := rand.New(rand.NewPCG(7, 7))
	bytes := make([]byte, length)
	for i := range bytes {
		bytes[i] = byte(random.Uint32())
	}
	return bytes
}

// writeModel writes a network with its first weights as a model, and exports it.
func writeModel(folder string, load workload) error {
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return err
	}
	description, err := network.New(load.network, classes)
	if err != nil {
		return err
	}
	const file = "first.safetensors"
	if err := weights.Write(filepath.Join(folder, file), description.Initial(1), nil); err != nil {
		return err
	}
	info := model.Info{
		Classes: classes,
		Stored:  model.Stored{Height: storedSide, Width: storedSide, Mode: "stretch", Background: []int{0, 0, 0}},
		Input:   model.Input{Height: load.network.Height, Width: load.network.Width, Mean: [3]float32{0.5, 0.5, 0.5}, Std: [3]float32{0.25, 0.25, 0.25}},
		Network: model.Network(load.network),
		Weights: file,
	}
	if err := model.Write(folder, info); err != nil {
		return err
	}
	return onnx.Export(folder, filepath.Join(folder, onnxName))
}

// newInference predicts images from a file of pixels.
func newInference(a assignment) (*work, error) {
	m, err := model.Read(a.Folder)
	if err != nil {
		return nil, err
	}
	pixels, err := os.ReadFile(a.File)
	if err != nil {
		return nil, err
	}
	images := slices.Collect(slices.Chunk(pixels, storedSide*storedSide*3))
	d, err := cpu.New(cpu.Options{})
	if err != nil {
		return nil, err
	}
	predictor, err := m.On(d, 128)
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	w := &work{
		unit: func() (float64, error) {
			_, err := predictor.Logits(context.Background(), images, false)
			return float64(len(images)), err
		},
		close: func() error { return errors.Join(predictor.Close(), d.Close()) },
	}
	return w, w.warm(1)
}

// newClassifying runs the command classify on a folder of photos.
func newClassifying(a assignment) (*work, error) {
	project, err := stage.OpenVariant(nil, "sample", "", "")
	if err != nil {
		return nil, err
	}
	photos, err := os.ReadDir(a.File)
	if err != nil {
		return nil, err
	}
	options := classify.Options{Photos: []string{a.File}, Model: a.Folder, Project: project}
	w := &work{
		unit: func() (float64, error) {
			return float64(len(photos)), classify.Run(context.Background(), options, io.Discard, progress.Discard())
		},
		close: func() error { return nil },
	}
	_, err = w.unit()
	return w, err
}
