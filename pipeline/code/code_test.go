package code

import (
	"crypto/sha256"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// digestOf is the digest of all declarations of a file.
func digestOf(t *testing.T, text string) string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "x.go", text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	s := &source{declarations: map[string][]declaration{}}
	s.add(file, nil)
	var digests []string
	for _, declarations := range s.declarations {
		for _, declaration := range declarations {
			digests = append(digests, declaration.digest)
		}
	}
	slices.Sort(digests)
	return strings.Join(digests, " ")
}

const example = `//go:build linux

// Package x is an example.
package x

// #cgo LDFLAGS: -lm
// #include <math.h>
import "C"

//go:embed data.txt
var data string

// Sum adds.
func Sum(numbers ...int) (sum int) {
	for _, n := range numbers {
		sum += n // one by one
	}
	return sum
}

type alias = map[string]chan<- int

var call = Sum([]int{1, 2}...)
`

func TestWhatCodeMeans(t *testing.T) {
	base := digestOf(t, example)
	for _, test := range []struct {
		name, old, new string
		differs        bool
	}{
		{"a comment", "// one by one", "// another word", false},
		{"a doc comment", "// Sum adds.", "// Sum returns the sum.\n//\n// Really.", false},
		{"formatting", "	for _, n := range numbers {\n", "	for _,n:=range  numbers   {\n\n", false},
		{"a composite literal on several lines", "{1, 2}", "{\n\t1,\n\t2,\n}", false},
		{"a name", "sum += n", "sum += n + 0", true},
		{"an operator", "sum += n", "sum -= n", true},
		{"a number", "{1, 2}", "{1, 3}", true},
		{"an ellipsis", "2}...)", "2}[0])", true},
		{"variadic or not", "numbers ...int", "numbers []int", true},
		{"an alias or a type", "alias =", "alias", true},
		{"a channel's direction", "chan<- int", "chan int", true},
		{"a build constraint", "build linux", "build darwin", true},
		{"what is embedded", "embed data.txt", "embed other.txt", true},
		{"the C preamble", "-lm", "-ldl", true},
		{"the C header", "<math.h>", "<stdio.h>", true},
	} {
		if !strings.Contains(example, test.old) {
			t.Fatalf("%s: no %q", test.name, test.old)
		}
		if differs := digestOf(t, strings.Replace(example, test.old, test.new, 1)) != base; differs != test.differs {
			t.Errorf("%s: differs is %t", test.name, differs)
		}
	}
}

// TestWhichPackagesCount builds a small module with the project's layout.
func TestWhichPackagesCount(t *testing.T) {
	t.Chdir(t.TempDir())
	files := map[string]string{
		"go.mod":                        "module catdog\n\ngo 1.26\n",
		"stages/train/main.go":          "package main\nimport (\"catdog/pipeline/train\"; \"catdog/pipeline/stage\")\nfunc main() { stage.Main(train.Run) }\n",
		"stages/pack/main.go":           "package main\nimport \"catdog/pipeline/plot\"\nfunc main() { plot.Draw() }\n",
		"pipeline/train/train.go":       "package train\nimport (\"catdog/pipeline/plot\"; \"catdog/pipeline/op\"; \"catdog/pipeline/progress\")\nfunc Run() { plot.Draw(); op.Do(); progress.Say() }\n",
		"pipeline/plot/plot.go":         "package plot\nfunc Draw() {}\n",
		"pipeline/progress/progress.go": "package progress\nfunc Say() {}\n",
		"pipeline/stage/stage.go":       "package stage\nfunc Main(f func()) { f() }\n",
		"pipeline/op/op.go":             "package op\nimport _ \"embed\"\n//go:embed kernel.ptx\nvar Kernel string\nfunc Do() { new(thing).run() }\ntype thing int\nfunc (t thing) run() { helper() }\nfunc helper() {}\n",
		"pipeline/op/kernel.ptx":        "ptx",
		"pipeline/op/c.go":              "package op\n\n// #include \"sum.h\"\nimport \"C\"\n\nfunc init() { C.sum() }\n",
		"pipeline/op/sum.c":             "#include \"sum.h\"\nint sum(void) { return 1; }\n",
		"pipeline/op/sum.h":             "int sum(void);\n",
		"pipeline/op/op_test.go":        "package op\n",
	}
	for name, content := range files {
		os.MkdirAll(filepath.Dir(name), 0o777)
		if err := os.WriteFile(name, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if output, err := exec.Command("go", "vet", "./...").CombinedOutput(); err != nil {
		t.Fatalf("%s", output)
	}
	digests := func() map[string]string {
		t.Helper()
		all, err := Digests([]string{"train", "pack"}, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	base := digests()
	for _, test := range []struct {
		file, extra string
		train, pack bool
	}{
		{"pipeline/train/train.go", "var x = 1", false, false}, // nothing reaches it
		{"pipeline/train/train.go", "func init() {}", true, false},
		{"pipeline/train/train.go", "var _ = op.Do", true, false},
		{"pipeline/train/train.go", "// words", false, false},
		{"pipeline/op/op.go", "func (t thing) String() string { return \"\" }", true, false},
		{"pipeline/op/op.go", "func other() { helper() }", false, false},
		{"pipeline/op/kernel.ptx", "more", true, false},
		{"pipeline/op/sum.c", "int more;", true, false},
		{"pipeline/op/sum.h", "int more(void);", true, false},
		{"pipeline/op/op_test.go", "var x = 1", false, false},
		{"pipeline/plot/plot.go", "func init() {}", false, true},
		{"pipeline/progress/progress.go", "func init() {}", false, false},
		{"pipeline/stage/stage.go", "func init() {}", false, false},
		{"stages/train/main.go", "func init() {}", true, false},
	} {
		if err := os.WriteFile(test.file, []byte(files[test.file]+test.extra+"\n"), 0o666); err != nil {
			t.Fatal(err)
		}
		changed := digests()
		if got := changed["train"] != base["train"]; got != test.train {
			t.Errorf("%s with %q: train's code changed is %t", test.file, test.extra, got)
		}
		if got := changed["pack"] != base["pack"]; got != test.pack {
			t.Errorf("%s with %q: pack's code changed is %t", test.file, test.extra, got)
		}
		if err := os.WriteFile(test.file, []byte(files[test.file]), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	// Three calls away: train.Run, op.Do, thing.run, helper.
	deep := strings.Replace(files["pipeline/op/op.go"], "func helper() {}", "func helper() { panic(1) }", 1)
	if err := os.WriteFile("pipeline/op/op.go", []byte(deep), 0o666); err != nil {
		t.Fatal(err)
	}
	if changed := digests(); changed["train"] == base["train"] || changed["pack"] != base["pack"] {
		t.Error("a change three calls away was not seen, or seen where nothing calls it")
	}
}

// Another version of a C library changes the code of the stages that link it,
// be it by a package of ours or of a module.
func TestLibrariesOfStages(t *testing.T) {
	t.Chdir("../..")
	names := []string{"fetch", "explore", "resize", "pack", "train", "evaluate", "report"}
	digests := func(changed string) map[string]string {
		t.Helper()
		libraries := map[string]string{"vips": "1", "libjpeg": "1", "dnnl": "1"}
		libraries[changed] = "2"
		all, err := Digests(names, "", libraries)
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	base := digests("none")
	for library, want := range map[string][]string{
		"vips": {"explore", "resize"}, "libjpeg": {"explore", "resize"}, "dnnl": {"train", "evaluate"},
	} {
		changed := digests(library)
		if got := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return changed[name] == base[name] }); !slices.Equal(got, want) {
			t.Errorf("another %s changes the code of %v, want %v", library, got, want)
		}
	}
}

// TestReplacedModule: what go.mod puts in a module's place counts.
func TestReplacedModule(t *testing.T) {
	t.Chdir(t.TempDir())
	write := func(name, content string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	digest := func() string {
		t.Helper()
		all, err := Digests([]string{"pack"}, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		return all["pack"]
	}
	const head = "module catdog\n\ngo 1.26\n\nrequire example.org/sum v1.0.0\n\nreplace example.org/sum => "
	write("go.mod", head+"./sum\n")
	write("stages/pack/main.go", "package main\nimport \"example.org/sum\"\nfunc main() { sum.Sum() }\n")
	for _, folder := range []string{"sum", "other"} {
		write(folder+"/go.mod", "module example.org/sum\n\ngo 1.26\n")
		write(folder+"/sum.go", "package sum\nfunc Sum() int { return 1 }\n")
		write(folder+"/sum_test.go", "package sum\n")
	}
	base := digest()
	write("go.mod", head+"./other\n")
	if digest() != base {
		t.Error("the same files in another folder are other code")
	}
	write("other/sum_test.go", "package sum\nvar x = 1\n")
	if digest() != base {
		t.Error("a test of the module is code")
	}
	write("other/sum.go", "package sum\nfunc Sum() int { return 2 }\n")
	if digest() == base {
		t.Error("other files in the module's place are the same code")
	}
	p := &listed{ImportPath: "example.org/sum"}
	sums := map[string]bool{}
	for _, version := range []string{"v1.0.0", "v1.0.1"} {
		for _, replaced := range []string{"", "v1.0.0", "v1.0.1"} {
			hash := sha256.New()
			p.Module = &module{Path: "example.org/sum", Version: version}
			if replaced != "" {
				p.Module.Replace = &module{Path: "example.org/sum", Version: replaced}
			}
			if err := addModule(hash, p); err != nil {
				t.Fatal(err)
			}
			sums[string(hash.Sum(nil))] = true
		}
	}
	if len(sums) != 6 {
		t.Errorf("%d digests of 6 versions", len(sums))
	}
}
