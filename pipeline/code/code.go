// Package code computes the digest of a stage's code: what would have to
// change for its output to change. It is made of the declarations that the
// stage's main function can reach, as syntax trees; comments, formatting and
// packages that only present or carry are left out; build constraints,
// embedded files, cgo preambles, C sources and the versions of what is linked
// are in.
package code

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/token"
	"hash"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// presents are packages whose code decides no bytes of an artifact: they show
// progress, read parameters (whose values are in the key by themselves) or
// carry artifacts about. Below them nothing is looked at either.
var presents = []string{"pipeline/progress", "pipeline/params", "pipeline/artifact", "pipeline/stage"}

// presentsFor are packages that only present for one stage: training's plots
// and drawings are not part of its output's digest, and a better one should
// retrain nothing.
var presentsFor = map[string][]string{"train": {"pipeline/plot", "pipeline/network/present"}}

// listed is what `go list -json` says of a package.
type listed struct {
	ImportPath, Name, Dir            string
	Standard                         bool
	Module                           *module
	GoFiles, CgoFiles                []string
	CFiles, CXXFiles, HFiles, SFiles []string
	EmbedFiles                       []string
	Imports                          []string
}

// module is what it says of a module.
type module struct {
	Path, Version string
	Main          bool
	// Replace is what go.mod has in its place: another version, or a folder, which
	// has none.
	Replace *module
}

// Digests are the digests of the named stages' code, each in stages/NAME, as
// built with the build tags, which count by the files that they choose.
// libraries are the versions of what is linked that is not a Go module, by the
// word that a package, ours or a module's, has in its cgo flags (#cgo LDFLAGS:
// -ldnnl, #cgo pkg-config: vips).
func Digests(stages []string, tags string, libraries map[string]string) (map[string]string, error) {
	arguments := []string{"list", "-deps", "-json=ImportPath,Name,Dir,Standard,Module,GoFiles,CgoFiles,CFiles,CXXFiles,HFiles,SFiles,EmbedFiles,Imports", "-tags=" + tags}
	for _, stage := range stages {
		arguments = append(arguments, "./stages/"+stage)
	}
	command := exec.Command("go", arguments...)
	command.Stderr = os.Stderr
	output, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("list the stages' packages: %w", err)
	}
	packages, module := map[string]*listed{}, ""
	for decoder := json.NewDecoder(bytes.NewReader(output)); ; {
		p := new(listed)
		if err := decoder.Decode(p); err == io.EOF {
			break
		} else if err != nil {
			return nil, fmt.Errorf("read go list's answer: %w", err)
		}
		packages[p.ImportPath] = p
		if p.Module != nil && p.Module.Main {
			module = p.Module.Path
		}
	}
	version, err := exec.Command("go", "env", "GOVERSION").Output()
	if err != nil {
		return nil, fmt.Errorf("ask for Go's version: %w", err)
	}
	digests := map[string]string{}
	for _, stage := range stages {
		sum := sha256.New()
		fmt.Fprintf(sum, "go %s\n", strings.TrimSpace(string(version)))
		skip := map[string]bool{}
		for _, name := range append(slices.Clone(presents), presentsFor[stage]...) {
			skip[module+"/"+name] = true
		}
		if err := addStage(sum, module+"/stages/"+stage, packages, skip, libraries); err != nil {
			return nil, err
		}
		digests[stage] = hex.EncodeToString(sum.Sum(nil))
	}
	return digests, nil
}

// addStage hashes what a stage's main function can reach.
func addStage(sum hash.Hash, main string, packages map[string]*listed, skip map[string]bool, libraries map[string]string) error {
	closure := map[string]bool{}
	imported(main, packages, skip, closure)
	sources := map[string]*source{}
	for path := range closure {
		if p := packages[path]; p.Module == nil || p.Module.Main {
			parsed, err := parseSource(p, packages)
			if err != nil {
				return err
			}
			sources[path] = parsed
		}
	}
	reached := reach(main, sources)
	for _, path := range slices.Sorted(maps.Keys(closure)) {
		p := packages[path]
		var err error
		switch {
		case sources[path] == nil:
			err = addModule(sum, p)
		case len(reached[path]) == 0:
			continue
		default:
			fmt.Fprintf(sum, "package %s\n%s\n", path, strings.Join(slices.Sorted(maps.Keys(reached[path])), "\n"))
			err = addFiles(sum, p, p.CFiles, p.CXXFiles, p.HFiles, p.SFiles, p.EmbedFiles)
		}
		if err != nil {
			return err
		}
		if err := addLibraries(sum, p, libraries); err != nil {
			return err
		}
	}
	return nil
}

// addLibraries hashes the versions of the C libraries that a package links.
func addLibraries(sum hash.Hash, p *listed, libraries map[string]string) error {
	linked, err := links(p)
	if err != nil {
		return err
	}
	for _, word := range slices.Sorted(maps.Keys(libraries)) {
		if slices.Contains(linked, word) {
			fmt.Fprintf(sum, "library %s %s\n", word, libraries[word])
		}
	}
	return nil
}

// addModule hashes which version of another module's package is linked. One that
// is replaced by a folder has no version: there the files count.
func addModule(sum hash.Hash, p *listed) error {
	fmt.Fprintf(sum, "module %s %s package %s\n", p.Module.Path, p.Module.Version, p.ImportPath)
	switch replace := p.Module.Replace; {
	case replace == nil:
	case replace.Version != "":
		fmt.Fprintf(sum, "replaced by %s %s\n", replace.Path, replace.Version)
	default:
		return addFiles(sum, p, p.GoFiles, p.CgoFiles, p.CFiles, p.CXXFiles, p.HFiles, p.SFiles, p.EmbedFiles)
	}
	return nil
}

// addFiles hashes files of a package, byte for byte.
func addFiles(sum hash.Hash, p *listed, lists ...[]string) error {
	for _, name := range slices.Concat(lists...) {
		content, err := os.ReadFile(filepath.Join(p.Dir, name))
		if err != nil {
			return err
		}
		fmt.Fprintf(sum, "file %s %d\n%s", name, len(content), content)
	}
	return nil
}

// imported marks every package that a package imports, directly or not, but
// for skipped ones and those of the standard library, which Go's version
// stands for.
func imported(path string, packages map[string]*listed, skip, seen map[string]bool) {
	p := packages[path]
	if p == nil || p.Standard || skip[path] || seen[path] {
		return
	}
	seen[path] = true
	for _, next := range p.Imports {
		imported(next, packages, skip, seen)
	}
}

var cgoLine = regexp.MustCompile(`(?m)^(?://)?\s*#cgo [^\n]*(?:pkg-config|LDFLAGS):(.*)$`)

// links are the C libraries that a package's cgo flags name.
func links(p *listed) ([]string, error) {
	var words []string
	for _, name := range p.CgoFiles {
		content, err := os.ReadFile(filepath.Join(p.Dir, name))
		if err != nil {
			return nil, err
		}
		for _, match := range cgoLine.FindAllSubmatch(content, -1) {
			for _, word := range strings.Fields(string(match[1])) {
				words = append(words, strings.TrimPrefix(word, "-l"))
			}
		}
	}
	return words, nil
}

var (
	positionType = reflect.TypeFor[token.Pos]()
	commentType  = reflect.TypeFor[*ast.CommentGroup]()
)

// addNode walks a syntax tree by reflection. Positions count only as present
// or not, since some carry meaning (an ellipsis, parentheses of a
// declaration do not).
func addNode(sum hash.Hash, node reflect.Value) {
	switch node.Kind() {
	case reflect.Interface, reflect.Pointer:
		if node.IsNil() {
			io.WriteString(sum, "nil ")
			return
		}
		addNode(sum, node.Elem())
	case reflect.Struct:
		structure := node.Type()
		fmt.Fprintf(sum, "%s{", structure.Name())
		for i := range structure.NumField() {
			field := structure.Field(i)
			switch {
			case field.Type == commentType:
			case field.Type == positionType:
				if field.Name == "Ellipsis" || field.Name == "Assign" || field.Name == "Arrow" {
					fmt.Fprintf(sum, "%t ", node.Field(i).Interface().(token.Pos).IsValid())
				}
			default:
				addNode(sum, node.Field(i))
			}
		}
		io.WriteString(sum, "} ")
	case reflect.Slice:
		fmt.Fprintf(sum, "%d[", node.Len())
		for i := range node.Len() {
			addNode(sum, node.Index(i))
		}
		io.WriteString(sum, "] ")
	case reflect.String:
		fmt.Fprintf(sum, "%q ", node.String())
	default:
		fmt.Fprintf(sum, "%v ", node.Interface())
	}
}
