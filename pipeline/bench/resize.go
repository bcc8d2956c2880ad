package bench

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/h2non/bimg"
	"golang.org/x/sync/errgroup"

	"catdog/pipeline/artifact"
	"catdog/pipeline/photo"
)

var resizePart = part{
	name: "resize", title: "Resizing",
	about: "Photos a second from JPEG files, whose bytes the system has in memory, to 64×64 RGB without regard to the aspect ratio. " +
		"Without `PHOTOS=` they are 400 drawn ones of 500×375. " +
		"Ours is what the stage does for a photo before storing it: read the file, verify its digest, have it decoded and resized by libvips (Lanczos) in a guarded worker process, one a core, and get the pixels back. " +
		"Pillow has as many processes, which read, decode in draft mode (libjpeg halves the size while it decodes, as for ours), resize by its bicubic filter and send the pixels back. " +
		"vipsthumbnail is started once a core with its share of the names and writes a file for each.",
	measure: measureResizing,
}

const (
	side      = 64   // px of what photos are resized to
	maxPhotos = 1000 // taken from PHOTOS
)

func measureResizing(s *session) (rows []Row, err error) {
	if err := s.needPython("peers", "requirements.txt"); err != nil {
		return nil, err
	}
	names, err := s.photos()
	if err != nil {
		return nil, err
	}
	list := filepath.Join(s.folder, "photos.txt")
	if err := os.WriteFile(list, []byte(strings.Join(names, "\n")), 0o666); err != nil {
		return nil, err
	}

	var all []*contender
	defer func() { s.closeAll(all) }()
	c, err := ours(s, "ours", assignment{Kind: "resize", File: list})
	if err != nil {
		return nil, err
	}
	all = append(all, c)
	const pillow = "Pillow, draft mode, bicubic"
	if c, err = s.python("peers", pillow, "resize.py", list, fmt.Sprint(side)); err != nil {
		return nil, err
	}
	all = append(all, c)
	if err := s.needVipsThumbnail(); err != nil {
		s.note("vipsthumbnail is left out: %v", err)
	} else {
		if c, err = ours(s, "vipsthumbnail", assignment{Kind: "vips", File: list, Folder: s.folder}); err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	samples, err := rates(s, all, s.rounds(), s.turn())
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("%d photos to %d×%d", len(names), side, side)
	rows = append(rows, more(name, "photos/s", samples[0], pillow, samples[1]))
	if len(samples) > 2 {
		rows = append(rows, more(name, "photos/s", samples[0], "vipsthumbnail", samples[2]))
	}
	return rows, nil
}

// photos are the names of the JPEGs to resize, drawn if none are given.
func (s *session) photos() ([]string, error) {
	if len(s.Photos) == 0 {
		count := 400
		if s.Quick {
			count = 8
		}
		return drawPhotos(s, filepath.Join(s.folder, "photos"), count)
	}
	var names []string
	for _, root := range s.Photos {
		err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			extension := strings.ToLower(filepath.Ext(name))
			if !entry.Type().IsRegular() || extension != ".jpg" && extension != ".jpeg" || strings.Contains(name, "\n") {
				return nil
			}
			name, err = filepath.Abs(name)
			names = append(names, name)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("list PHOTOS: %w", err)
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("there is no JPEG in PHOTOS=%s", strings.Join(s.Photos, " "))
	}
	slices.Sort(names)
	return names[:min(len(names), maxPhotos)], nil
}

// needVipsThumbnail installs Debian's package if vipsthumbnail is missing.
func (s *session) needVipsThumbnail() error {
	if _, err := exec.LookPath("vipsthumbnail"); err == nil {
		return nil
	}
	return runQuietly(s, exec.CommandContext(s, "sh", "stages/install.sh", "libvips-tools"))
}

// newResizing resizes all photos of a list as the stage resize does.
func newResizing(a assignment) (*work, error) {
	names, err := readNames(a.File)
	if err != nil {
		return nil, err
	}
	files := make([]artifact.File, len(names))
	for i, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		digest := sha256.Sum256(data)
		files[i] = artifact.File{Path: filepath.Base(name), Size: int64(len(data)), SHA256: hex.EncodeToString(digest[:])}
	}
	pool := photo.NewPool(0, photo.Limits{MinimumSide: 8, MaximumMegapixels: 100})
	target := photo.Target{Height: side, Width: side, Mode: photo.Stretch}
	pass := func() (float64, error) {
		group, ctx := errgroup.WithContext(context.Background())
		group.SetLimit(pool.Size() + 1) // one reads while the workers work
		for i, file := range files {
			group.Go(func() error {
				data, err := photo.Read(filepath.Dir(names[i]), file)
				if err != nil {
					return err
				}
				_, err = pool.Resize(ctx, data, target)
				var rejection *photo.Rejection
				if errors.As(err, &rejection) { // costs its time and nothing else
					return nil
				}
				return err
			})
		}
		return float64(len(files)), group.Wait()
	}
	w := &work{unit: pass, close: func() error { pool.Close(); return nil }}
	w.Versions = map[string]string{"libvips": bimg.VipsVersion}
	if _, err := pass(); err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

// newVipsThumbnails resizes all photos of a list by the command vipsthumbnail,
// as many processes of it as there are cores.
func newVipsThumbnails(a assignment) (*work, error) {
	names, err := readNames(a.File)
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp(a.Folder, "vipsthumbnail")
	if err != nil {
		return nil, err
	}
	size := fmt.Sprintf("%dx%d!", side, side)
	shares := slices.Collect(slices.Chunk(names, (len(names)+runtime.NumCPU()-1)/runtime.NumCPU()))
	pass := func() (float64, error) {
		var group errgroup.Group
		for _, share := range shares {
			group.Go(func() error {
				arguments := append([]string{"--size", size, "-o", filepath.Join(folder, "%s.ppm")}, share...)
				command := exec.Command("vipsthumbnail", arguments...)
				command.Env = append(os.Environ(), "VIPS_CONCURRENCY=1")
				// It fails if any photo is broken, after doing the others.
				var failed *exec.ExitError
				if err := command.Run(); err != nil && !errors.As(err, &failed) {
					return err
				}
				return nil
			})
		}
		return float64(len(names)), group.Wait()
	}
	if _, err := pass(); err != nil {
		return nil, err
	}
	made, err := os.ReadDir(folder)
	if err == nil && len(made) == 0 {
		err = errors.New("vipsthumbnail made no file")
	}
	return &work{unit: pass, close: func() error { return os.RemoveAll(folder) }}, err
}

// readNames reads a list of files, one a line.
func readNames(file string) ([]string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return strings.Split(string(text), "\n"), nil
}
