package code

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
)

// A source is a package of this module as declarations.
type source struct {
	// declarations by name; a type's methods stand under the type's name.
	declarations map[string][]declaration
	// roots are the names that count as soon as the package is imported.
	roots []string
}

// A declaration is a top-level function, type, variable or group of constants.
type declaration struct {
	digest string
	// names are all identifiers in it; those that are declared at the top level
	// of the package are taken as references, which may name too many (a field
	// or a local variable of the same name) and never too few.
	names map[string]bool
	// qualified are the references to other packages.
	qualified []qualified
}

type qualified struct{ path, name string }

// reach is the digests of all declarations that main and the packages'
// initialisation can reach, by package.
func reach(main string, sources map[string]*source) map[string]map[string]bool {
	reached := map[string]map[string]bool{}
	done := map[qualified]bool{}
	queue := []qualified{{main, "main"}}
	for path, source := range sources {
		for _, name := range source.roots {
			queue = append(queue, qualified{path, name})
		}
	}
	for len(queue) > 0 {
		next := queue[0]
		queue = queue[1:]
		source := sources[next.path]
		if source == nil || done[next] {
			continue
		}
		done[next] = true
		for _, declaration := range source.declarations[next.name] {
			if reached[next.path] == nil {
				reached[next.path] = map[string]bool{}
			}
			reached[next.path][declaration.digest] = true
			for name := range declaration.names {
				queue = append(queue, qualified{next.path, name})
			}
			queue = append(queue, declaration.qualified...)
		}
	}
	return reached
}

// parseSource reads the Go files of a package.
func parseSource(p *listed, packages map[string]*listed) (*source, error) {
	s := &source{declarations: map[string][]declaration{}}
	for _, name := range append(append([]string{}, p.GoFiles...), p.CgoFiles...) {
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, fmt.Errorf("digest of the code: %w", err)
		}
		s.add(file, packages)
	}
	return s, nil
}

// add takes in the declarations of a file.
func (s *source) add(file *ast.File, packages map[string]*listed) {
	imports, context := map[string]string{}, fileContext(file)
	for _, spec := range file.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue
		}
		alias := path[strings.LastIndex(path, "/")+1:]
		if p := packages[path]; p != nil {
			alias = p.Name
		}
		if spec.Name != nil {
			alias = spec.Name.Name
		}
		imports[alias] = path
	}
	for _, node := range file.Decls {
		switch node := node.(type) {
		case *ast.FuncDecl:
			name := node.Name.Name
			if node.Recv != nil && len(node.Recv.List) > 0 {
				name = receiver(node.Recv.List[0].Type)
			}
			s.declare(name, node, node.Doc, context, imports)
			if node.Recv == nil && name == "init" {
				s.roots = append(s.roots, name)
			}
		case *ast.GenDecl:
			for _, spec := range node.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					s.declare(spec.Name.Name, spec, node.Doc, context, imports)
				case *ast.ValueSpec:
					var whole ast.Node = spec
					if node.Tok == token.CONST {
						whole = node // iota: each depends on those before it
					}
					for _, name := range spec.Names {
						s.declare(name.Name, whole, doc(node.Doc, spec.Doc), context, imports)
						if name.Name == "_" {
							s.roots = append(s.roots, "_")
						}
					}
				}
			}
		}
	}
}

// declare hashes a declaration: its tree, its directives and what the file
// says about all of its declarations.
func (s *source) declare(name string, node ast.Node, doc *ast.CommentGroup, context string, imports map[string]string) {
	sum := sha256.New()
	fmt.Fprintf(sum, "%q %q ", context, directives(doc))
	addNode(sum, reflect.ValueOf(node))
	d := declaration{names: map[string]bool{}}
	ast.Inspect(node, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.SelectorExpr:
			if alias, ok := node.X.(*ast.Ident); ok && imports[alias.Name] != "" {
				path := imports[alias.Name]
				fmt.Fprintf(sum, "%s.%s ", path, node.Sel.Name)
				d.qualified = append(d.qualified, qualified{path, node.Sel.Name})
			}
		case *ast.Ident:
			d.names[node.Name] = true
		}
		return true
	})
	d.digest = hex.EncodeToString(sum.Sum(nil))
	s.declarations[name] = append(s.declarations[name], d)
}

// receiver is the name of the type that a method belongs to.
func receiver(expression ast.Expr) string {
	switch expression := expression.(type) {
	case *ast.StarExpr:
		return receiver(expression.X)
	case *ast.IndexExpr:
		return receiver(expression.X)
	case *ast.IndexListExpr:
		return receiver(expression.X)
	case *ast.ParenExpr:
		return receiver(expression.X)
	case *ast.Ident:
		return expression.Name
	}
	return ""
}

// fileContext is a file's build constraint and cgo preamble.
func fileContext(file *ast.File) string {
	var context strings.Builder
	preambles := map[*ast.CommentGroup]bool{}
	for _, node := range file.Decls {
		if general, ok := node.(*ast.GenDecl); ok && general.Tok == token.IMPORT {
			for _, spec := range general.Specs {
				if spec := spec.(*ast.ImportSpec); spec.Path.Value == `"C"` {
					preambles[general.Doc], preambles[spec.Doc] = true, true
				}
			}
		}
	}
	for _, group := range file.Comments {
		for _, comment := range group.List {
			if preambles[group] || constraint.IsGoBuild(comment.Text) {
				context.WriteString(comment.Text + "\n")
			}
		}
	}
	return context.String()
}

// doc joins the comments before a group and before one of its members.
func doc(groups ...*ast.CommentGroup) *ast.CommentGroup {
	joined := new(ast.CommentGroup)
	for _, group := range groups {
		if group != nil {
			joined.List = append(joined.List, group.List...)
		}
	}
	return joined
}

// directives are the lines of a doc comment that the compiler reads.
func directives(doc *ast.CommentGroup) string {
	if doc == nil {
		return ""
	}
	var lines []string
	for _, comment := range doc.List {
		if strings.HasPrefix(comment.Text, "//go:") || strings.HasPrefix(comment.Text, "//export ") {
			lines = append(lines, comment.Text)
		}
	}
	return strings.Join(lines, "\n")
}
