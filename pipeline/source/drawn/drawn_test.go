package drawn

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"image"
	"image/color"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// golden is the digest of the sample of seed 1 with 60 files: one seed gives
// the same bytes on amd64, however many workers draw. It changes only when what
// is drawn is meant to change.
const golden = "14adc0f302d5a6f17c02a474b88d548b285376f2ca444faf1af48c51da621d55"

// sample draws the sample of seed 1 with 60 files and reads it.
func sample(t *testing.T) map[string][]byte {
	t.Helper()
	const images = 60
	folder := t.TempDir()
	var count atomic.Int64
	if err := Draw(t.Context(), folder, 1, images, func() { count.Add(1) }); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(filepath.Join(folder, "train"))
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != images || count.Load() != images {
		t.Errorf("%d files were drawn and %d counted, not %d", len(entries), count.Load(), images)
	}
	files := map[string][]byte{}
	for _, entry := range entries {
		if files["train/"+entry.Name()], err = os.ReadFile(filepath.Join(folder, "train", entry.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

func digest(files map[string][]byte) string {
	hash := sha256.New()
	for _, f := range plan(1, len(files)) {
		content := sha256.Sum256(files[f.planted.Path])
		hash.Write([]byte(f.planted.Path + "\x00"))
		hash.Write(content[:])
	}
	return hex.EncodeToString(hash.Sum(nil))
}

func TestGolden(t *testing.T) {
	files := sample(t)
	if got := digest(files); runtime.GOARCH == "amd64" && got != golden {
		t.Errorf("the sample has the digest %s, not %s", got, golden)
	}
	t.Run("planted", func(t *testing.T) { checkPlanted(t, files) })
	t.Run("one worker", func(t *testing.T) {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
		if got := digest(sample(t)); got != golden {
			t.Errorf("one worker draws a sample of the digest %s, not %s", got, golden)
		}
	})
}

// checkPlanted holds that the list names all that is odd, and rightly.
func checkPlanted(t *testing.T, files map[string][]byte) {
	planted := map[string]Planted{}
	kindsSeen := map[string]bool{}
	for _, p := range List(1, len(files)) {
		planted[p.Path] = p
		kindsSeen[p.Kind] = true
	}
	for _, k := range kinds {
		if !kindsSeen[k.kind] {
			t.Errorf("nothing of the kind %s is planted", k.kind)
		}
	}
	seen := map[string]string{}
	for _, f := range plan(1, len(files)) {
		path := f.planted.Path
		data, p := files[path], planted[path]
		if p != f.planted && f.planted.Kind != "" {
			t.Errorf("%s is not listed", path)
		}
		if p.Kind == Copy || p.Kind == CopyAcross {
			if !bytes.Equal(data, files[p.Detail]) || len(data) == 0 {
				t.Errorf("%s is no copy of %s", path, p.Detail)
			}
			if same := path[:9] == p.Detail[:9]; same != (p.Kind == Copy) {
				t.Errorf("%s, a copy of %s, is listed as %s", path, p.Detail, p.Kind)
			}
			continue
		}
		if twin := seen[string(data)]; twin != "" {
			t.Errorf("%s is a copy of %s", path, twin)
		}
		seen[string(data)] = path

		if format := "jpeg"; p.Problem == "" {
			if strings.HasSuffix(path, ".png") {
				format = "png"
			}
			if _, got, err := image.DecodeConfig(bytes.NewReader(data)); got != format {
				t.Errorf("%s is of the format %q (%v)", path, got, err)
			}
		}
		m, _, err := image.Decode(bytes.NewReader(data))
		if decodes := p.Problem == "" || p.Kind == OnePixel; decodes != (err == nil) {
			t.Errorf("%s (%s): %v", path, p.Kind, err)
			continue
		}
		config, _, _ := image.DecodeConfig(bytes.NewReader(data))
		right := true
		switch p.Kind {
		case Empty:
			right = len(data) == 0
		case Truncated:
			right = config.Width > 100 && !bytes.HasSuffix(data, []byte{0xff, markerEOI})
		case HeaderLies:
			right = config.Width > 1000 && bytes.HasSuffix(data, []byte{0xff, markerEOI})
		case NotAnImage:
			right = config.Width == 0 && len(data) > 100
		case OnePixel:
			right = config.Width == 1 && config.Height > 100
		case CMYK:
			right = config.ColorModel == color.CMYKModel
		case SixteenBit:
			right = config.ColorModel == color.RGBA64Model
		case Grey:
			right = config.ColorModel == color.GrayModel
		case Transparent:
			right = alpha(m, 0, 0) == 0 && alpha(m, m.Bounds().Dx()/2, m.Bounds().Dy()/2) == 0xffff
		}
		if !right {
			t.Errorf("%s is not of the kind %s", path, p.Kind)
		}
	}
}

func alpha(m image.Image, x, y int) uint32 {
	_, _, _, a := m.At(x, y).RGBA()
	return a
}

func TestSeedsDiffer(t *testing.T) {
	one, other := plan(1, 60), plan(2, 60)
	same := 0
	for i := range one {
		if one[i].planted == other[i].planted && one[i].planted.Kind != "" {
			same++
		}
	}
	if same > 5 {
		t.Errorf("%d files are planted alike under two seeds", same)
	}
	a, err := one[slices.IndexFunc(one, func(f file) bool { return f.planted.Kind == "" })].bytes(1)
	if err != nil {
		t.Fatal(err)
	}
	b, err := one[slices.IndexFunc(one, func(f file) bool { return f.planted.Kind == "" })].bytes(2)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(a, b) {
		t.Error("two seeds draw the same photo")
	}
}

func TestCancelledDrawingEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	if err := Draw(ctx, t.TempDir(), 1, 100000, cancel); err != context.Canceled {
		t.Error(err)
	}
}
