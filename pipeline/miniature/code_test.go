package miniature

import (
	"bytes"
	"go/ast"
	"go/format"
	"go/parser"
	"go/printer"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"catdog/pipeline/code"
	"catdog/pipeline/stage"
)

// TestCodeThatChanges edits sources and really builds: comments and formatting
// anywhere make nothing run, a change of a stage's code that stage alone as
// long as its output stays the same.
func TestCodeThatChanges(t *testing.T) {
	if !*long {
		t.Skip("takes minutes: make test-long")
	}
	p := project(t)
	check(t, p.OwnBinaries())
	before := snapshot(t, p)
	try := func(name string, want ...string) {
		t.Helper()
		asked := p.Make("-n")
		made := p.Make()
		if made.Status != 0 {
			t.Fatalf("%s: %s", name, made.Errors)
		}
		if difference := cmp.Diff(want, made.Events()); difference != "" {
			t.Errorf("%s (-want +got): %s", name, difference)
		}
		if certain, _ := asked.Planned(); len(certain) != len(want) {
			t.Errorf("%s: make -n named %v", name, certain)
		}
		if difference := cmp.Diff(before, snapshot(t, p)); difference != "" {
			t.Errorf("%s changed the reports: %s", name, difference)
		}
		if left, _ := filepath.Glob(p.Path("bin/*.new")); len(left) > 0 {
			t.Errorf("%s left %q", name, left)
		}
	}

	check(t, rewrite(p, "", func(_ *token.FileSet, _ *ast.File, text []byte) ([]byte, error) {
		return append(text, "\n\n// More words.\n"...), nil
	}))
	try("comments and blank lines in every package")
	check(t, rewrite(p, "", reformat))
	try("another formatting of every package")

	body := regexp.MustCompile(`(?m)^func Run\(.*\{$`)
	for stage, source := range map[string]string{
		"fetch": "source/source.go", "explore": "catalogue/catalogue.go", "resize": "resize/resize.go", "pack": "pack/run.go",
		"train": "train/train.go", "evaluate": "evaluate/evaluate.go", "report": "report/report.go",
	} {
		name := "pipeline/" + source
		text, err := os.ReadFile(p.Path(name))
		check(t, err)
		if !body.Match(text) {
			t.Fatalf("%s has no Run", name)
		}
		check(t, os.WriteFile(p.Path(name), body.ReplaceAll(text, []byte("$0\n\t_ = 1\n")), 0o666))
		try("a statement in "+name, stage+" runs: its code changed")
	}

	check(t, os.WriteFile(p.Path("pipeline/progress/looks.go"), []byte("package progress\n\nvar looks = 1\n\nfunc init() { looks++ }\n"), 0o666))
	try("how progress is shown")

	replaceModule(t, p, "github.com/dustin/go-humanize")
	try("another go-humanize in go.mod", "fetch runs: its code changed", "explore runs: its code changed",
		"resize runs: its code changed", "evaluate runs: its code changed", "report runs: its code changed")

	lines := strings.Count(p.Make("accept", "STAGE=train").Output, "\n")
	if lines != 1 {
		t.Errorf("accept prints %d lines", lines)
	}
}

// TestEveryPackage changes every package in turn, and asks for the digests of the
// stages' code as make build does: a comment or another formatting changes none,
// a statement more in every function those of stages that link the package and
// of no other.
func TestEveryPackage(t *testing.T) {
	if !*long {
		t.Skip("takes minutes: make test-long")
	}
	checkout, err := Checkout()
	check(t, err)
	p := &Project{Folder: t.TempDir()}
	for _, name := range []string{"go.mod", "go.sum", "pipeline", "stages"} {
		check(t, copyTree(filepath.Join(checkout, name), p.Path(name)))
	}
	t.Chdir(p.Folder)
	var names []string
	links := map[string][]string{} // the stages that link a package
	for _, definition := range stage.All {
		names = append(names, definition.Name)
		for _, name := range strings.Fields(p.Run("go", "list", "-deps", "./stages/"+definition.Name).Output) {
			if folder, ours := strings.CutPrefix(name, "catdog/"); ours {
				links[folder] = append(links[folder], definition.Name)
			}
		}
	}
	digests := func() map[string]string {
		t.Helper()
		digests, err := code.Digests(names, "", map[string]string{"vips": "8", "dnnl": "2"})
		check(t, err)
		return digests
	}
	base := digests()
	for name, change := range map[string]func(*token.FileSet, *ast.File, []byte) ([]byte, error){
		"a comment": func(_ *token.FileSet, file *ast.File, text []byte) ([]byte, error) {
			at := int(file.Name.End() - file.FileStart)
			return slices.Concat(text[:at], []byte("\n\n// More words.\n"), text[at:]), nil
		},
		"another formatting": reformat,
	} {
		for folder := range links {
			check(t, rewrite(p, folder, change))
		}
		if difference := cmp.Diff(base, digests()); difference != "" {
			t.Errorf("%s in every package: %s", name, difference)
		}
	}
	// These decide no bytes; the first four for no stage.
	presents := map[string][]string{
		"pipeline/progress": names, "pipeline/params": names, "pipeline/artifact": names, "pipeline/stage": names,
		"pipeline/plot": {"train"}, "pipeline/network/present": {"train"},
	}
	if len(links) < 20 {
		t.Fatalf("the stages link only %d packages of ours", len(links))
	}
	for folder, stages := range links {
		sources := map[string][]byte{}
		check(t, rewrite(p, folder, func(files *token.FileSet, file *ast.File, text []byte) ([]byte, error) {
			sources[files.File(file.Pos()).Name()] = text
			statement(file)
			var changed bytes.Buffer
			err := format.Node(&changed, files, file)
			return changed.Bytes(), err
		}))
		now := digests()
		for name, text := range sources {
			check(t, os.WriteFile(name, text, 0o666))
		}
		var changed []string
		for _, name := range names {
			if now[name] != base[name] {
				changed = append(changed, name)
			}
		}
		for _, name := range changed {
			if !slices.Contains(stages, name) || slices.Contains(presents[folder], name) {
				t.Errorf("a change of %s counts for %s", folder, name)
			}
		}
		var count []string
		for _, name := range stages {
			if !slices.Contains(presents[folder], name) {
				count = append(count, name)
			}
		}
		if len(changed) == 0 && len(count) > 0 {
			t.Errorf("a change of %s, which %v link, counts for none", folder, count)
		}
		t.Logf("%s: %v of %v", folder, changed, stages)
	}
}

// rewrite changes the Go files of one package of the project, or of all below
// pipeline if folder is "".
func rewrite(p *Project, folder string, change func(*token.FileSet, *ast.File, []byte) ([]byte, error)) error {
	root := p.Path(folder)
	if folder == "" {
		root = p.Path("pipeline")
	}
	return filepath.WalkDir(root, func(name string, item fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if item.IsDir() && folder != "" && name != root {
			return fs.SkipDir
		}
		if filepath.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, name, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		changed, err := change(files, file, text)
		if err != nil {
			return err
		}
		return os.WriteFile(name, changed, 0o666)
	})
}

// reformat indents and aligns by spaces instead of tabs.
func reformat(files *token.FileSet, file *ast.File, _ []byte) ([]byte, error) {
	var text bytes.Buffer
	settings := printer.Config{Mode: printer.UseSpaces, Tabwidth: 3}
	err := settings.Fprint(&text, files, file)
	return text.Bytes(), err
}

// statement puts a statement without effect at the beginning of every function.
func statement(file *ast.File) {
	for _, declaration := range file.Decls {
		if function, ok := declaration.(*ast.FuncDecl); ok && function.Body != nil {
			nothing := &ast.AssignStmt{Lhs: []ast.Expr{ast.NewIdent("_")}, Tok: token.ASSIGN, Rhs: []ast.Expr{&ast.BasicLit{Kind: token.INT, Value: "1"}}}
			function.Body.List = append([]ast.Stmt{nothing}, function.Body.List...)
		}
	}
}

// replaceModule has go.mod take a copy of a module, with a declaration more, in
// its place.
func replaceModule(t *testing.T, p *Project, path string) {
	t.Helper()
	folder := strings.TrimSpace(p.Run("go", "list", "-m", "-f", "{{.Dir}}", path).Output)
	check(t, copyTree(folder, p.Path("replaced")))
	check(t, filepath.WalkDir(p.Path("replaced"), func(name string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chmod(name, 0o777) // the cache of modules is read-only
	}))
	name := strings.TrimSpace(p.Run("go", "list", "-f", "{{.Name}}", path).Output)
	check(t, os.WriteFile(p.Path("replaced/more.go"), []byte("package "+name+"\n\n// More is new.\nconst More = 1\n"), 0o666))
	if edited := p.Run("go", "mod", "edit", "-replace="+path+"=./replaced"); edited.Status != 0 {
		t.Fatal(edited.Errors)
	}
}
