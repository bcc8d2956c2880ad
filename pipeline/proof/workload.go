package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"catdog/pipeline/network"
	"catdog/pipeline/pack"
	"catdog/pipeline/params"
)

// A workload is a network with its batch, as part one and compiled.py train it.
type workload struct {
	name    string
	network params.Network
	batch   int
	stored  int // side of the stored images, px
	images  int // an epoch
	epochs  int
}

var classes = []string{"cat", "dog"}

// tiny is for a driver that stands in, where nothing but the way counts.
func tiny() bool { return os.Getenv("PROOF_TINY") == "1" }

func workloads() []workload {
	all := []workload{
		{"four-blocks", network.FourBlocks(), 512, 72, 32 * 512, 360},
		{"residual", network.Residual(), 512, 72, 32 * 512, 225},
		{"192px", network.Large(), 128, 208, 32 * 128, 100},
	}
	if tiny() {
		for i := range all {
			w := &all[i]
			w.network.Height, w.network.Width, w.stored = 16+16*(i/2), 16+16*(i/2), 18+16*(i/2)
			for j := range w.network.Channels {
				w.network.Channels[j] = 4 * (1 + j/2)
			}
			w.batch, w.images, w.epochs = 4, 8, 2
		}
	}
	return all
}

// workloads are those that the session is asked for.
func (s *session) workloads() (wanted []workload) {
	all := workloads()
	var names []string
	for _, w := range all {
		names = append(names, w.name)
	}
	for _, w := range all {
		if s.wants(w.name, names) {
			wanted = append(wanted, w)
		}
	}
	return wanted
}

// recipe is how the workloads are trained: the photos' experiment's, with their
// network and batch. compiled.py has the same optimiser.
func (w workload) recipe(all *params.Params) *params.Params {
	p := *all
	p.Train.Network, p.Train.Batch, p.Train.Epochs, p.Train.Device = w.network, w.batch, w.epochs, "gpu"
	return &p
}

// writePack writes a pack of noise, in which one class is a little redder; a
// sixteenth as many as the training's images, but a batch at least, are there to
// validate.
func (w workload) writePack(folder string) error {
	validating := max(w.batch, w.images/16)
	random := rand.New(rand.NewPCG(3, 4))
	side := w.stored
	pixels := make([]byte, (w.images+validating+2)*side*side*3)
	for i := 0; i+8 <= len(pixels); i += 8 {
		bits := random.Uint64()
		for j := range 8 {
			pixels[i+j] = byte(bits>>(8*j)) & 127
		}
	}
	image := func(row int) []byte { return pixels[row*side*side*3:][:side*side*3] }
	table := pack.Table{Classes: classes, Height: side, Width: side, Mode: "stretch", Background: []int{0, 0, 0}}
	for i := range w.images + validating + 2 {
		row := pack.Row{Path: fmt.Sprintf("noise/%07d", i), Class: i % 2}
		if i >= w.images {
			row.Split = pack.Validation
		}
		if i >= w.images+validating {
			row.Split = pack.Test
		}
		for j := 0; j < side*side*3; j += 3 {
			image(i)[j] += byte(row.Class * 40)
		}
		table.Rows = append(table.Rows, row)
	}
	table.Pixels = func(row int) ([]byte, error) { return image(row), nil }
	_, err := pack.Write(filepath.Join(folder, packName), table)
	return err
}
