package bench

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"

	"catdog/pipeline/pack"
)

var packPart = part{
	name: "pack", title: "Reading the pack",
	about: "Megabytes (10⁶) a second from opening an Arrow file of 20,000 images of 64×64, which the system has in memory, to having looked at every image (at one byte of 64). " +
		"Ours verifies the file's SHA-256, checks its structure and keeps the images; " +
		"pyarrow maps the file, with and without Python's hashlib verifying its SHA-256 first, and numpy looks at whole record batches.",
	measure: measurePack,
}

// stride is the distance of the bytes that are looked at: a line of the cache.
const stride = 64

func measurePack(s *session) ([]Row, error) {
	if err := s.needPython("peers", "requirements.txt"); err != nil {
		return nil, err
	}
	file := filepath.Join(s.folder, "pack.arrow")
	count := 20_000
	if s.Quick {
		count = 300
	}
	digest, err := writePack(file, count)
	if err != nil {
		return nil, err
	}
	const (
		verified   = "pyarrow and hashlib"
		unverified = "pyarrow, not verified"
	)
	var all []*contender
	defer func() { s.closeAll(all) }()
	for _, begin := range []func() (*contender, error){
		func() (*contender, error) {
			return ours(s, "ours", assignment{Kind: "pack", File: file, SHA256: digest})
		},
		func() (*contender, error) { return s.python("peers", verified, "pack.py", file, digest) },
		func() (*contender, error) { return s.python("peers", unverified, "pack.py", file) },
	} {
		c, err := begin()
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	samples, err := rates(s, all, s.rounds(), s.turn())
	if err != nil {
		return nil, err
	}
	for _, sample := range samples {
		for i := range sample {
			sample[i] /= 1e6
		}
	}
	const name = "open the pack and look at all images"
	return []Row{
		more(name, "MB/s", samples[0], verified, samples[1]),
		more(name, "MB/s", samples[0], unverified, samples[2]),
	}, nil
}

// writePack writes a pack of noise and returns its digest.
func writePack(name string, count int) (string, error) {
	random := rand.New(rand.NewPCG(4, 4))
	noise := make([]byte, side*side*3+count)
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	table := pack.Table{
		Classes: classes, Height: side, Width: side, Origin: "noise",
		Rows:   make([]pack.Row, count),
		Pixels: func(row int) ([]byte, error) { return noise[row:][:side*side*3], nil },
	}
	for i := range table.Rows {
		table.Rows[i] = pack.Row{Path: fmt.Sprintf("%06d.jpg", i), Class: i % len(classes), Split: pack.Split(i % 10 / 8 * (1 + i%2))}
	}
	if _, err := pack.Write(name, table); err != nil {
		return "", err
	}
	return digestOf(name)
}

// digestOf is a file's SHA-256.
func digestOf(name string) (string, error) {
	file, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer file.Close()
	digest := sha256.New()
	if _, err := io.Copy(digest, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(digest.Sum(nil)), nil
}

// newPackReading opens a pack and looks at all its images.
func newPackReading(a assignment) (*work, error) {
	pass := func() (float64, error) {
		information, err := os.Stat(a.File)
		if err != nil {
			return 0, err
		}
		p, err := pack.Open(a.File, a.SHA256)
		if err != nil {
			return 0, err
		}
		sum := 0
		for split := pack.Train; split <= pack.Test; split++ {
			for _, image := range p.Images(split) {
				for i := 0; i < len(image.Pixels); i += stride {
					sum += int(image.Pixels[i])
				}
			}
		}
		if sum == 0 {
			return 0, errors.New("the pack is black")
		}
		return float64(information.Size()), nil
	}
	_, err := pass()
	return &work{unit: pass, close: func() error { return nil }}, err
}
