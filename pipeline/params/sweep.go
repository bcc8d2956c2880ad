package params

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// A Sweep is a comparison that params.yaml names: every variant with every
// combination of the grid's values.
type Sweep struct {
	Name     string
	Grid     []Axis
	Variants []Variant
	// Test says that the test split is measured too, not only the validation
	// split.
	Test bool
}

// An Axis is a key and the values that a sweep gives it, each as SET has it.
type Axis struct {
	Key    string
	Values []string
}

// A Variant is a named set of changes.
type Variant struct {
	Name      string
	Overrides []Override
}

// FindSweep is the sweep with a name, the file's first one for "".
func (p *Params) FindSweep(name string) (*Sweep, error) {
	var names []string
	for i := range p.Sweeps {
		if p.Sweeps[i].Name == name || name == "" {
			return &p.Sweeps[i], nil
		}
		names = append(names, p.Sweeps[i].Name)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("params.yaml has no sweeps; give it one, e.g. sweeps: {seeds: {grid: {train.seed: [0, 1, 2]}}}")
	}
	return nil, fmt.Errorf("SWEEP %q: there is no such sweep; there are %s", name, strings.Join(names, ", "))
}

// sweeps reads and checks the section of that name.
func (d *document) sweeps() ([]Sweep, error) {
	var sweeps []Sweep
	for section, named := range d.pairs(d.root) {
		if section.Value != "sweeps" {
			continue
		}
		if named.Kind != yaml.MappingNode {
			return nil, d.wrong(named, "sweeps", "a mapping from names, {} for none")
		}
		for name, node := range d.pairs(named) {
			path := "sweeps." + name.Value
			if !Name.MatchString(name.Value) {
				return nil, d.wrong(name, path, "a name made of a-z, 0-9 and -")
			}
			if slices.ContainsFunc(sweeps, func(s Sweep) bool { return s.Name == name.Value }) {
				return nil, d.wrong(name, path, "to stand once; it stands twice")
			}
			sweep, err := d.sweep(path, node)
			if err != nil {
				return nil, err
			}
			sweep.Name = name.Value
			sweeps = append(sweeps, sweep)
		}
	}
	return sweeps, nil
}

func (d *document) sweep(path string, node *yaml.Node) (sweep Sweep, err error) {
	if node.Kind != yaml.MappingNode {
		return sweep, d.wrong(node, path, "a mapping with the keys grid, variants, test")
	}
	for key, value := range d.pairs(node) {
		at := path + "." + key.Value
		switch key.Value {
		case "grid":
			sweep.Grid, err = d.grid(at, value)
		case "variants":
			sweep.Variants, err = d.variants(at, value)
		case "test":
			if value.Tag != "!!bool" || value.Decode(&sweep.Test) != nil {
				err = d.wrong(value, at, "true or false")
			}
		default:
			err = d.unknown(key, path, []string{"grid", "variants", "test"})
		}
		if err != nil {
			return sweep, err
		}
	}
	if len(sweep.Grid) == 0 && len(sweep.Variants) == 0 {
		return sweep, d.wrong(node, path, "a grid, variants or both")
	}
	return sweep, nil
}

// grid reads keys, each with a list of values.
func (d *document) grid(path string, node *yaml.Node) ([]Axis, error) {
	if node.Kind != yaml.MappingNode {
		return nil, d.wrong(node, path, "a mapping from keys to lists of values")
	}
	var axes []Axis
	for key, values := range d.pairs(node) {
		name := join(path, key.Value)
		if slices.ContainsFunc(axes, func(axis Axis) bool { return axis.Key == key.Value }) {
			return nil, d.wrong(key, name, "to stand once; it stands twice")
		}
		if values.Kind != yaml.SequenceNode || len(values.Content) == 0 {
			return nil, d.wrong(values, name, "a list of values")
		}
		axis := Axis{Key: key.Value}
		for _, value := range values.Content {
			override, err := d.override(path, key, value)
			if err != nil {
				return nil, err
			}
			if slices.Contains(axis.Values, override.Value) {
				return nil, d.wrong(value, name, "a list of different values")
			}
			axis.Values = append(axis.Values, override.Value)
		}
		axes = append(axes, axis)
	}
	return axes, nil
}

// variants reads names, each with keys and their values.
func (d *document) variants(path string, node *yaml.Node) ([]Variant, error) {
	if node.Kind != yaml.MappingNode {
		return nil, d.wrong(node, path, "a mapping from names to changes")
	}
	var variants []Variant
	for name, changes := range d.pairs(node) {
		at := join(path, name.Value)
		if slices.ContainsFunc(variants, func(v Variant) bool { return v.Name == name.Value }) {
			return nil, d.wrong(name, at, "to stand once; it stands twice")
		}
		if changes.Kind != yaml.MappingNode {
			return nil, d.wrong(changes, at, "a mapping from keys to values, {} for none")
		}
		variant := Variant{Name: name.Value}
		for key, value := range d.pairs(changes) {
			override, err := d.override(at, key, value)
			if err != nil {
				return nil, err
			}
			variant.Overrides = append(variant.Overrides, override)
		}
		variants = append(variants, variant)
	}
	return variants, nil
}

// override reads a key, dotted as in SET, and a value that SET could give it.
func (d *document) override(path string, key, value *yaml.Node) (Override, error) {
	text, err := overrideText(value)
	if err == nil {
		err = checkOverride(Override{key.Value, text})
	}
	if err != nil {
		return Override{}, fmt.Errorf("%s: %s: %s", d.place(value), path, strings.TrimPrefix(strings.TrimPrefix(err.Error(), "SET"), ": "))
	}
	return Override{key.Value, text}, nil
}

// overrideText is a value as SET has it: without spaces.
func overrideText(node *yaml.Node) (string, error) {
	if node.Kind == yaml.ScalarNode && node.Style == 0 && !strings.Contains(node.Value, " ") {
		return node.Value, nil
	}
	var value any
	if err := node.Decode(&value); err != nil {
		return "", err
	}
	text, err := json.Marshal(value)
	if err != nil {
		return "", err
	}
	if strings.Contains(string(text), " ") {
		return "", fmt.Errorf("%s: a value with spaces cannot be varied", text)
	}
	return string(text), nil
}
