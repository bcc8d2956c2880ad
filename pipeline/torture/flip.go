package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"catdog/pipeline/artifact"
	"catdog/pipeline/miniature"
	"catdog/pipeline/stage"
)

// A target is a file whose every byte counts, and the artifact it belongs to.
type target struct {
	path     string // from the project
	folder   string // of the artifact, "" for a manifest or a pointer
	manifest *artifact.Manifest
}

// targets are all digested and published files of all artifacts, their
// manifests and the pointers to them.
func (p *place) targets() ([]target, error) {
	var list []target
	for i := range stage.All {
		definition := &stage.All[i]
		pointer := definition.Pointer(sample, miniature.Experiment)
		manifest, err := artifact.ReadManifest(p.project.Path(pointer))
		if err != nil {
			return nil, err
		}
		list = append(list, target{path: pointer})
		if definition.Name == "fetch" {
			continue
		}
		folder := definition.Folder(sample, manifest.Key)
		list = append(list, target{path: filepath.Join(folder, artifact.ManifestName)})
		for _, file := range slices.Concat(manifest.Files, manifest.Informational) {
			if !slices.Contains(manifest.Files, file) && !artifact.Matches(file.Path, definition.Published) {
				continue
			}
			list = append(list, target{filepath.Join(folder, file.Path), folder, manifest})
		}
	}
	return list, nil
}

// flips changes single bytes, evenly over all files, and asks whether each is
// found by what every stage does before it uses a file.
func (t *torturer) flips() (string, error) {
	count := number("FLIPS", 10000)
	var list []target
	var shares []int64
	err := t.alone(func(p *place) (err error) {
		if list, err = p.targets(); err == nil {
			shares, err = p.shares(list, int64(count))
		}
		return err
	})
	if err != nil {
		return "", err
	}
	counts := newTally()
	err = t.each("files with flips", len(list), func(p *place, random *rand.Rand, i int) error {
		digests := artifact.OpenDigests(filepath.Join(t.scratch, "no-such-cache"))
		target, size := list[i], fileSize(p.project.Path(list[i].path))
		for n := range shares[i] {
			offset := size * n / shares[i]
			err := p.flip(target.path, offset, byte(1)<<random.IntN(8), func() {
				counts.add("tried")
				if p.finds(target, digests) {
					counts.add("found")
				} else {
					p.say("a flip at byte %d of %s was not found", offset, target.path)
				}
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	var stored, intact int
	err = t.alone(func(p *place) (err error) {
		stored, intact, err = p.flipStore(t.random("flips of the store", 0), count/20)
		return err
	})
	if err != nil {
		return "", err
	}
	t.progress.Say("flips: %d of %d found; in the store %d of %d", counts.of("found"), counts.of("tried"), intact, stored)
	return fmt.Sprintf("## Flipped\n\nOne bit of one byte of an artifact, a manifest or a pointer, sampled evenly over %d files.\n\n", len(list)) +
		"| what | flips | found before use, and named |\n|---|---:|---:|\n" +
		fmt.Sprintf("| artifacts, manifests, pointers | %d | %d |\n| the store of photos' pixels and findings | %d | %d (no value was read that was not written) |\n\n",
			counts.of("tried"), counts.of("found"), stored, intact), nil
}

// shares are how many flips each file gets: half of all go to files by their
// size, half to all files alike.
func (p *place) shares(list []target, count int64) ([]int64, error) {
	var total int64
	for _, target := range list {
		total += fileSize(p.project.Path(target.path))
	}
	if total == 0 {
		return nil, errors.New("there is nothing to flip")
	}
	shares := make([]int64, len(list))
	for i, target := range list {
		size := fileSize(p.project.Path(target.path))
		shares[i] = min(count/2*size/total+count/2/int64(len(list))+1, size)
	}
	return shares, nil
}

// flip changes one byte of a file, calls while, and puts it back.
func (p *place) flip(path string, offset int64, mask byte, while func()) error {
	file, err := os.OpenFile(p.project.Path(path), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	one := make([]byte, 1)
	if _, err := file.ReadAt(one, offset); err != nil {
		return err
	}
	one[0] ^= mask
	if _, err := file.WriteAt(one, offset); err != nil {
		return err
	}
	while()
	one[0] ^= mask
	_, err = file.WriteAt(one, offset)
	return err
}

// finds says whether the check before use fails and names the file.
func (p *place) finds(target target, digests *artifact.Digests) bool {
	var err error
	if target.manifest == nil {
		_, err = artifact.ReadManifest(p.project.Path(target.path))
	} else {
		err = artifact.Verify(p.project.Path(target.folder), target.manifest, []string{"*", "figures/*"}, digests.File)
	}
	return errors.Is(err, artifact.ErrDamaged) && strings.Contains(err.Error(), target.path)
}
