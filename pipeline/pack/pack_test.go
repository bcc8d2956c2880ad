package pack

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// drawn is a table of random images.
func drawn(rows, height, width int, classes ...string) Table {
	random := rand.New(rand.NewPCG(1, 2))
	pixels := make([][]byte, rows)
	t := Table{Classes: classes, Height: height, Width: width, Origin: "test",
		Pixels: func(row int) ([]byte, error) { return pixels[row], nil }}
	for i := range rows {
		pixels[i] = make([]byte, height*width*channels)
		for j := range pixels[i] {
			pixels[i][j] = byte(random.Uint32())
		}
		t.Rows = append(t.Rows, Row{fmt.Sprintf("train/%06d.jpg", i), random.IntN(len(classes)), Split(random.IntN(int(splits)))})
	}
	return t
}

func write(t testing.TB, table Table) (path, digest string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "pack.arrow")
	if _, err := Write(path, table); err != nil {
		t.Fatal(err)
	}
	return path, digestOf(t, path)
}

func digestOf(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	table := drawn(2100, 40, 36, "cat", "dog", "zebra")
	path, digest := write(t, table)
	p, err := Open(path, digest)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(table.Classes, p.Classes) || p.Height != 40 || p.Width != 36 || p.Origin != "test" {
		t.Errorf("classes %v, %d×%d, origin %q", p.Classes, p.Width, p.Height, p.Origin)
	}
	var want [splits][]Image
	for i, row := range table.Rows {
		pixels, _ := table.Pixels(i)
		want[row.Split] = append(want[row.Split], Image{row.Path, row.Class, pixels})
	}
	for split := range splits {
		if !slices.EqualFunc(want[split], p.Images(split), func(a, b Image) bool {
			return a.Path == b.Path && a.Class == b.Class && bytes.Equal(a.Pixels, b.Pixels)
		}) {
			t.Errorf("%v: images differ", split)
		}
	}
}
