package pack

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/apache/arrow/go/v15/arrow"
	"gonum.org/v1/gonum/stat"
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

func TestMeanAndStdAreThoseOfTheTrainSplit(t *testing.T) {
	table := drawn(300, 9, 7, "cat", "dog")
	path, digest := write(t, table)
	p, err := Open(path, digest)
	if err != nil {
		t.Fatal(err)
	}
	for c := range channels {
		var values []float64
		for _, image := range p.Images(Train) {
			for i := c; i < len(image.Pixels); i += channels {
				values = append(values, float64(image.Pixels[i])/255)
			}
		}
		mean, std := stat.PopMeanStdDev(values, nil)
		if math.Abs(mean-float64(p.Mean[c])) > 1e-6 || math.Abs(std-float64(p.Std[c])) > 1e-6 {
			t.Errorf("channel %d: mean %g, std %g, must be %g, %g", c, p.Mean[c], p.Std[c], mean, std)
		}
	}
}

func TestAConstantChannelCanBeNormalised(t *testing.T) {
	black := make([]byte, 4*4*channels)
	table := drawn(10, 4, 4, "cat")
	table.Pixels = func(int) ([]byte, error) { return black, nil }
	path, digest := write(t, table)
	if p, err := Open(path, digest); err != nil || p.Std[0] <= 0 {
		t.Error(p, err)
	}
}

func TestEqualTablesGiveEqualBytes(t *testing.T) {
	_, one := write(t, drawn(500, 48, 48, "cat", "dog"))
	_, two := write(t, drawn(500, 48, 48, "cat", "dog"))
	if one != two {
		t.Error("bytes differ")
	}
	const golden = "18af494e72553d5b6df27ed808f73ea97a450ae4e29689a842c244484dd6ea2d"
	if _, got := write(t, drawn(20, 8, 8, "cat", "dog")); got != golden {
		t.Errorf("the bytes of a pack have changed: sha256 %s, was %s", got, golden)
	}
}

func TestNothingIsLeftOfAPackThatFails(t *testing.T) {
	table := drawn(1000, 48, 48, "cat")
	pixels := table.Pixels
	table.Pixels = func(row int) ([]byte, error) {
		if row == 900 {
			return nil, errors.New("gone")
		}
		return pixels(row)
	}
	table.Rows[900].Split = Test
	folder := t.TempDir()
	_, err := Write(filepath.Join(folder, "pack.arrow"), table)
	if err == nil || !strings.Contains(err.Error(), "train/000900.jpg: gone") {
		t.Error(err)
	}
	if left, _ := os.ReadDir(folder); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestWrongTablesAreRefused(t *testing.T) {
	for want, spoil := range map[string]func(*Table){
		"does not sort behind":       func(t *Table) { t.Rows[1].Path = t.Rows[0].Path },
		"is not UTF-8":               func(t *Table) { t.Rows[1].Path = "\xff" },
		"class 2 of 2":               func(t *Table) { t.Rows[1].Class = 2 },
		"there is no split 3":        func(t *Table) { t.Rows[1].Split = 3 },
		"0 classes":                  func(t *Table) { t.Classes = nil },
		"must be 4×5×3 = 60":         func(t *Table) { t.Width = 5 },
		"images of 4×0 pixels do no": func(t *Table) { t.Height = 0 },
	} {
		table := drawn(3, 4, 4, "cat", "dog")
		table.Rows[0].Split = Train
		spoil(&table)
		_, err := Write(filepath.Join(t.TempDir(), "pack.arrow"), table)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, must say %q", err, want)
		}
	}
}

func TestADamagedFileIsNotParsed(t *testing.T) {
	path, digest := write(t, drawn(20, 8, 8, "cat", "dog"))
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, digest); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Error(err)
	}
	if _, err := Open(filepath.Dir(path), digest); err == nil {
		t.Error("a folder is opened")
	}
}

// Files made by Arrow itself, so that all but one thing is right.
func TestOtherArrowFilesAreRefused(t *testing.T) {
	table := drawn(20, 8, 8, "cat", "dog")
	metadata := func(key, value string) func(*Table, *Summary) *arrow.Schema {
		return func(t *Table, s *Summary) *arrow.Schema {
			m := t.schema(s).Metadata()
			values := slices.Clone(m.Values())
			values[m.FindKey(key)] = value
			changed := arrow.NewMetadata(m.Keys(), values)
			return arrow.NewSchema(fields(t.rowBytes()), &changed)
		}
	}
	for want, schema := range map[string]func(*Table, *Summary) *arrow.Schema{
		`format "2"`:         metadata("format", "2"),
		`height "0"`:         metadata("height", "0"),
		`width "many"`:       metadata("width", "many"),
		"0 classes":          metadata("classes", "[]"),
		"class 1 of 1":       metadata("classes", `["cat"]`),
		"classes: unexpecte": metadata("classes", `["cat`),
		"must be above 0":    metadata("std", "[1, 0, 1]"),
		"column 3 is":        metadata("width", "9"),
	} {
		path := filepath.Join(t.TempDir(), "pack.arrow")
		file, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		summary, err := table.summary()
		if err == nil {
			err = table.write(file, schema(&table, summary))
		}
		if err != nil {
			t.Fatal(err)
		}
		file.Close()
		if _, err := Open(path, digestOf(t, path)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, must say %q", err, want)
		}
	}
}

// Hostile bytes with a matching digest give an error, or images whose parts can
// all be used.
func checkParse(t *testing.T, data []byte) {
	p, err := parse(data)
	if err != nil {
		return
	}
	for split := range splits {
		for _, image := range p.Images(split) {
			if len(image.Pixels) != p.Height*p.Width*channels || image.Class >= len(p.Classes) || !utf8.ValidString(image.Path) {
				t.Errorf("%q: class %d, %d bytes of pixels", image.Path, image.Class, len(image.Pixels))
			}
		}
	}
}

func TestHostileBytes(t *testing.T) {
	path, _ := write(t, drawn(20, 4, 4, "cat", "dog"))
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := range data {
		checkParse(t, data[:at])
		for _, value := range []uint32{0, 1, 0x80, 0x7fffffff, 0xfffffff8, 0xffffffff} {
			spoilt := bytes.Clone(data)
			binary.LittleEndian.PutUint32(spoilt[min(at, len(data)-4):], value)
			checkParse(t, spoilt)
		}
	}
}

func FuzzParse(f *testing.F) {
	path, _ := write(f, drawn(20, 8, 8, "cat", "dog"))
	data, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(data[:len(data)-1])
	f.Add([]byte("ARROW1\x00\x00\xff\xff\xff\xff\x10\x00\x00\x00ARROW1"))
	f.Add([]byte{})
	f.Fuzz(checkParse)
}

func TestPyarrowReadsIt(t *testing.T) {
	if exec.Command("python3", "-c", "import pyarrow").Run() != nil {
		t.Skip("python3 has no pyarrow")
	}
	table := drawn(2100, 40, 36, "cat", "dog")
	path, _ := write(t, table)
	program := `
import hashlib, json, sys, pyarrow as pa
table = pa.ipc.open_file(pa.memory_map(sys.argv[1])).read_all()
table.validate(full=True)
m = {k.decode(): v.decode() for k, v in table.schema.metadata.items()}
pixels = hashlib.sha256(b"".join(table["pixels"].to_pylist())).hexdigest()
print(table.num_rows, m["height"], m["width"], json.loads(m["classes"]), json.loads(m["splits"]))
print(table["path"][2099], sum(table["class"].to_pylist()), sum(table["split"].to_pylist()), pixels)
`
	got, err := exec.Command("python3", "-c", program, path).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, got)
	}
	hash := sha256.New()
	var classes, parts int
	for i, row := range table.Rows {
		pixels, _ := table.Pixels(i)
		hash.Write(pixels)
		classes += row.Class
		parts += int(row.Split)
	}
	want := fmt.Sprintf("2100 40 36 ['cat', 'dog'] ['train', 'validation', 'test']\ntrain/002099.jpg %d %d %x\n",
		classes, parts, hash.Sum(nil))
	if string(got) != want {
		t.Errorf("got\n%s\nmust be\n%s", got, want)
	}
}

func BenchmarkWrite(b *testing.B) {
	table := drawn(4000, 72, 72, "cat", "dog")
	path := filepath.Join(b.TempDir(), "pack.arrow")
	b.SetBytes(4000 * 72 * 72 * channels)
	for b.Loop() {
		if _, err := Write(path, table); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	path, digest := write(b, drawn(4000, 72, 72, "cat", "dog"))
	b.SetBytes(4000 * 72 * 72 * channels)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Open(path, digest); err != nil {
			b.Fatal(err)
		}
	}
}
