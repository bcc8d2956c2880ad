package miniature

import (
	"fmt"
	"os"
	"strings"

	"gopkg.in/yaml.v3"
)

// Set changes one value in the project's params.yaml, named by its dotted key,
// and leaves every other byte as it is.
func (p *Project) Set(key, value string) error {
	name := p.Path("params.yaml")
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	changed, err := setKey(text, key, value)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return os.WriteFile(name, changed, 0o666)
}

// Get is the value of a key in the project's params.yaml, as it is written there.
func (p *Project) Get(key string) (string, error) {
	text, err := os.ReadFile(p.Path("params.yaml"))
	if err != nil {
		return "", err
	}
	start, end, err := findKey(text, key)
	return string(text[start:end]), err
}

func setKey(text []byte, key, value string) ([]byte, error) {
	start, end, err := findKey(text, key)
	if err != nil {
		return nil, err
	}
	return append(append(append([]byte{}, text[:start]...), value...), text[end:]...), nil
}

// findKey is where a key's value, a scalar or a list on one line, stands.
func findKey(text []byte, key string) (start, end int, err error) {
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return 0, 0, err
	}
	if len(document.Content) == 0 {
		return 0, 0, fmt.Errorf("it is empty")
	}
	node := document.Content[0]
	for _, word := range strings.Split(key, ".") {
		var next *yaml.Node
		for i := 0; i+1 < len(node.Content) && node.Kind == yaml.MappingNode; i += 2 {
			if node.Content[i].Value == word {
				next = node.Content[i+1]
			}
		}
		if next == nil {
			return 0, 0, fmt.Errorf("there is no key %s", key)
		}
		node = next
	}
	for line := 1; line < node.Line; line++ {
		start += strings.IndexByte(string(text[start:]), '\n') + 1
	}
	start += len(string([]rune(string(text[start:]))[:node.Column-1]))
	switch {
	case node.Kind == yaml.SequenceNode || node.Kind == yaml.MappingNode:
		end = start + strings.IndexAny(string(text[start:]), "]}") + 1
	case node.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0:
		end = start + len(node.Value) + 2
	default:
		end = start + len(node.Value)
	}
	return start, end, nil
}
