package params

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// sweep reads and checks the grid: dotted keys, each with a list of values that
// SET could give it.
func (d *document) sweep() ([]Axis, error) {
	var axes []Axis
	for section, grid := range d.pairs(d.root) {
		if section.Value != "sweep" {
			continue
		}
		if grid.Kind != yaml.MappingNode {
			return nil, d.wrong(grid, "sweep", "a mapping from keys to lists of values, {} for none")
		}
		for key, values := range d.pairs(grid) {
			name := "sweep." + key.Value
			if slices.ContainsFunc(axes, func(axis Axis) bool { return axis.Key == key.Value }) {
				return nil, d.wrong(key, name, "to stand once; it stands twice")
			}
			if values.Kind != yaml.SequenceNode || len(values.Content) == 0 {
				return nil, d.wrong(values, name, "a list of values")
			}
			axis := Axis{Key: key.Value}
			for _, value := range values.Content {
				text, err := overrideText(value)
				if err == nil {
					err = checkOverride(Override{key.Value, text})
				}
				if err != nil {
					return nil, fmt.Errorf("%s: sweep: %s", d.place(value), strings.TrimPrefix(strings.TrimPrefix(err.Error(), "SET"), ": "))
				}
				axis.Values = append(axis.Values, text)
			}
			axes = append(axes, axis)
		}
	}
	return axes, nil
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
