package params

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// document is params.yaml with its line numbers.
type document struct {
	file string
	root *yaml.Node
}

func parse(file string, text []byte) (*document, error) {
	var node yaml.Node
	if err := yaml.Unmarshal(text, &node); err != nil {
		return nil, fmt.Errorf("%s: %s", file, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if len(node.Content) == 0 || node.Content[0].Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s: no sections in it", file)
	}
	return &document{file, node.Content[0]}, nil
}

// check compares the whole document, each overlay included, with the sections'
// types and tags.
func (d *document) check() error {
	sections := reflect.TypeFor[Sections]()
	known := append(sectionNames(), "sweeps", "datasets", "experiments")
	var base yaml.Node
	base.Kind, base.Line = yaml.MappingNode, d.root.Line
	for key, value := range d.pairs(d.root) {
		switch key.Value {
		case "sweeps": // see sweeps
		case "datasets":
			if err := d.checkOverlays(value, key.Value); err != nil {
				return err
			}
		case "experiments":
			if err := d.checkOverlays(value, key.Value); err != nil {
				return err
			}
		default:
			if !slices.Contains(known, key.Value) {
				return d.unknown(key, "", known)
			}
			base.Content = append(base.Content, key, value)
		}
	}
	return d.checkStruct(&base, sections, "", true)
}

// checkOverlays checks the partial sections of data sets (an experiment's name
// and fetch) and of experiments (everything but fetch).
func (d *document) checkOverlays(node *yaml.Node, kind string) error {
	if node.Kind != yaml.MappingNode {
		return d.wrong(node, kind, "a mapping from names")
	}
	for name, overlay := range d.pairs(node) {
		path := kind + "." + name.Value
		if !Name.MatchString(name.Value) {
			return d.wrong(name, path, "a name made of a-z, 0-9 and -")
		}
		if overlay.Kind != yaml.MappingNode {
			return d.wrong(overlay, path, "a mapping, {} for none")
		}
		for key, value := range d.pairs(overlay) {
			switch {
			case kind == "datasets" && key.Value == "experiment":
				if value.Tag != "!!str" {
					return d.wrong(value, path+".experiment", "an experiment's name")
				}
				continue
			case kind == "datasets" && key.Value != "fetch":
				return d.unknown(key, path, []string{"experiment", "fetch"})
			case kind == "experiments" && key.Value == "fetch":
				return d.wrong(key, path+".fetch", "a section other than fetch: experiments share their data set's photos")
			}
			field, ok := fieldOf(reflect.TypeFor[Sections](), key.Value)
			if !ok {
				return d.unknown(key, path, sectionNames())
			}
			if err := d.checkStruct(value, field.Type, path+"."+key.Value, false); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkStruct checks a mapping against a struct; complete says that no key may
// be missing.
func (d *document) checkStruct(node *yaml.Node, structure reflect.Type, path string, complete bool) error {
	if node.Kind != yaml.MappingNode {
		return d.wrong(node, path, "a mapping with the keys "+strings.Join(keysOf(structure), ", "))
	}
	seen := map[string]bool{}
	for key, value := range d.pairs(node) {
		field, ok := fieldOf(structure, key.Value)
		if !ok {
			return d.unknown(key, path, keysOf(structure))
		}
		if seen[key.Value] {
			return d.wrong(key, join(path, key.Value), "to stand once; it stands twice")
		}
		seen[key.Value] = true
		name := join(path, key.Value)
		if field.Type.Kind() == reflect.Struct {
			if err := d.checkStruct(value, field.Type, name, complete); err != nil {
				return err
			}
		} else if allowed := violation(value, field); allowed != "" {
			return d.wrong(value, name, allowed)
		}
	}
	if complete {
		for _, key := range keysOf(structure) {
			if !seen[key] {
				return fmt.Errorf("%s:%d: %s is missing", d.file, node.Line, join(path, key))
			}
		}
	}
	return nil
}

// violation says what a value should have been, or nothing if it is right.
func violation(node *yaml.Node, field reflect.StructField) string {
	minimum, maximum := bound(field, "min", math.Inf(-1)), bound(field, "max", math.Inf(1))
	kind := field.Type.Kind()
	if kind == reflect.Slice {
		kind = field.Type.Elem().Kind()
		element := reflect.StructField{Type: field.Type.Elem(), Tag: field.Tag}
		allowed := "a list of " + plural[kind] + between(minimum, maximum)
		if length := field.Tag.Get("len"); length != "" {
			allowed = "a list of " + length + " " + plural[kind] + between(minimum, maximum)
			if strconv.Itoa(len(node.Content)) != length {
				return allowed
			}
		}
		if node.Kind != yaml.SequenceNode {
			return allowed
		}
		for _, item := range node.Content {
			if violation(item, element) != "" {
				return allowed
			}
		}
		return ""
	}
	ok := node.Kind == yaml.ScalarNode
	switch kind {
	case reflect.Int:
		allowed := "a whole number" + between(minimum, maximum)
		if !ok || !whole(node) {
			return allowed
		}
		if value, err := strconv.ParseInt(node.Value, 10, 64); err != nil || float64(value) < minimum || float64(value) > maximum {
			return allowed
		}
	case reflect.Float64:
		allowed := "a number" + between(minimum, maximum)
		value, err := strconv.ParseFloat(node.Value, 64)
		if !ok || !whole(node) && node.Tag != "!!float" || err != nil || math.IsNaN(value) || value < minimum || value > maximum {
			return allowed
		}
	case reflect.Bool:
		if !ok || node.Tag != "!!bool" {
			return "true or false"
		}
	case reflect.String:
		if words := strings.Fields(field.Tag.Get("enum")); len(words) > 0 {
			if !ok || !slices.Contains(words, node.Value) {
				return "one of " + strings.Join(words, ", ")
			}
		} else if !ok || node.Tag != "!!str" {
			return "a text"
		}
	}
	return ""
}

// whole says whether a node is a whole number as people write it; YAML takes 010
// for eight.
func whole(node *yaml.Node) bool {
	digits := strings.TrimPrefix(node.Value, "-")
	return node.Tag == "!!int" && digits != "" && strings.Trim(digits, "0123456789") == "" && (digits == "0" || digits[0] != '0')
}

var plural = map[reflect.Kind]string{reflect.Int: "whole numbers", reflect.Float64: "numbers", reflect.String: "texts"}

func between(minimum, maximum float64) string {
	switch {
	case !math.IsInf(minimum, 0) && !math.IsInf(maximum, 0):
		return fmt.Sprintf(" from %g to %g", minimum, maximum)
	case !math.IsInf(minimum, 0):
		return fmt.Sprintf(", %g or more", minimum)
	}
	return ""
}

func bound(field reflect.StructField, tag string, otherwise float64) float64 {
	value, err := strconv.ParseFloat(field.Tag.Get(tag), 64)
	if err != nil {
		return otherwise
	}
	return value
}

func checkOverride(override Override) error {
	structure := reflect.TypeFor[Sections]()
	path := strings.Split(override.Key, ".")
	if path[0] == "fetch" {
		return errors.New("SET: fetch cannot be changed: variants share their data set's photos")
	}
	for i, name := range path {
		where := &document{file: "SET", root: nil}
		field, ok := fieldOf(structure, name)
		if !ok {
			return where.unknown(&yaml.Node{Value: name}, strings.Join(path[:i], "."), keysOf(structure))
		}
		if field.Type.Kind() == reflect.Struct && i < len(path)-1 {
			structure = field.Type
			continue
		}
		var node yaml.Node
		if err := yaml.Unmarshal([]byte(override.Value), &node); err != nil || len(node.Content) == 0 || i < len(path)-1 || field.Type.Kind() == reflect.Struct {
			return fmt.Errorf("SET %s=%s: not a key with a value", override.Key, override.Value)
		}
		if allowed := violation(node.Content[0], field); allowed != "" {
			return where.wrong(&yaml.Node{Kind: yaml.ScalarNode, Value: override.Value}, override.Key, allowed)
		}
	}
	return nil
}

func (d *document) wrong(node *yaml.Node, key, allowed string) error {
	value := node.Value
	if node.Kind != yaml.ScalarNode {
		text, _ := yaml.Marshal(node)
		value = strings.Join(strings.Fields(string(text)), " ")
	}
	return fmt.Errorf("%s: %s is %q; allowed is %s", d.place(node), key, value, allowed)
}

func (d *document) unknown(key *yaml.Node, path string, known []string) error {
	hint := ""
	if near := nearest(key.Value, known); near != "" {
		hint = fmt.Sprintf("; did you mean %s?", join(path, near))
	} else {
		hint = "; known are " + strings.Join(known, ", ")
	}
	return fmt.Errorf("%s: %s is not a key%s", d.place(key), join(path, key.Value), hint)
}

func (d *document) place(node *yaml.Node) string {
	if node.Line == 0 {
		return d.file
	}
	return fmt.Sprintf("%s:%d", d.file, node.Line)
}

func (d *document) pairs(node *yaml.Node) func(yield func(key, value *yaml.Node) bool) {
	return func(yield func(key, value *yaml.Node) bool) {
		for i := 0; i+1 < len(node.Content); i += 2 {
			if !yield(node.Content[i], node.Content[i+1]) {
				return
			}
		}
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func sectionNames() []string { return keysOf(reflect.TypeFor[Sections]()) }

func keysOf(structure reflect.Type) []string {
	var keys []string
	for i := range structure.NumField() {
		keys = append(keys, structure.Field(i).Tag.Get("yaml"))
	}
	return keys
}

func fieldOf(structure reflect.Type, key string) (reflect.StructField, bool) {
	for i := range structure.NumField() {
		if field := structure.Field(i); field.Tag.Get("yaml") == key {
			return field, true
		}
	}
	return reflect.StructField{}, false
}

// nearest is the known word with the smallest edit distance, if that is small.
func nearest(word string, known []string) string {
	best, least := "", len(word)/2+1
	for _, candidate := range known {
		if distance := levenshtein(word, candidate); distance < least {
			best, least = candidate, distance
		}
	}
	return best
}

// levenshtein is the number of single-letter edits between two words.
func levenshtein(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
