package track

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"catdog/pipeline/artifact"
	"catdog/pipeline/stage"
)

// A version is a kept artifact.
type version struct {
	*artifact.Manifest
	folder string
	made   time.Time // as the file system has it
	// pointers are the experiments whose current version it is.
	pointers []string
}

// versions are a stage's kept artifacts, the oldest first. Folders without a
// sound manifest are left out.
func versions(definition *stage.Definition, dataset string) ([]version, error) {
	root := definition.Root(dataset)
	experiments, err := pointers(definition, dataset)
	if err != nil && !errors.Is(err, artifact.ErrDamaged) {
		return nil, err
	}
	entries, err := os.ReadDir(root)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var kept []version
	for _, entry := range entries {
		path := filepath.Join(root, entry.Name(), artifact.ManifestName)
		information, err := os.Stat(path)
		if err != nil {
			continue
		}
		manifest, err := artifact.ReadManifest(path)
		if err != nil || manifest.Key != entry.Name() {
			continue
		}
		v := version{Manifest: manifest, folder: filepath.Dir(path), made: information.ModTime()}
		for experiment, current := range experiments {
			if current.Key == manifest.Key {
				v.pointers = append(v.pointers, experiment)
			}
		}
		slices.Sort(v.pointers)
		kept = append(kept, v)
	}
	slices.SortFunc(kept, func(a, b version) int { return cmp.Or(a.made.Compare(b.made), strings.Compare(a.Key, b.Key)) })
	return kept, nil
}

// pointers are a stage's current versions by experiment. Damaged ones are left
// out and make the error ErrDamaged.
func pointers(definition *stage.Definition, dataset string) (map[string]*artifact.Manifest, error) {
	found, err := filepath.Glob(filepath.Join(definition.Root(dataset), "*.json"))
	if err != nil {
		return nil, err
	}
	current := map[string]*artifact.Manifest{}
	var damaged error
	for _, path := range found {
		manifest, err := artifact.ReadManifest(path)
		if err != nil {
			damaged = errors.Join(damaged, err)
			continue
		}
		current[strings.TrimSuffix(filepath.Base(path), ".json")] = manifest
	}
	return current, damaged
}

// history prints the kept trained networks: key, date, test accuracy, whose
// current one it is, and which parameters differ from today's.
func history(_ []string, out io.Writer) error {
	project, err := open()
	if err != nil {
		return err
	}
	dataset := project.Params.Dataset
	trained, err := versions(stage.Find("train"), dataset)
	if err != nil {
		return err
	}
	measured, err := versions(stage.Find("evaluate"), dataset)
	if err != nil {
		return err
	}
	if len(trained) == 0 {
		_, err = fmt.Fprintf(out, "no versions of %s are kept yet\n", dataset)
		return err
	}
	fmt.Fprintf(out, "%-20s  %-16s  %8s  %s\n", "key", "made", "test", "parameters that differ from "+dataset+"/"+project.Params.Experiment)
	for _, v := range trained {
		accuracy := "–"
		for _, m := range measured {
			if metrics, err := readMetrics(filepath.Join(m.folder, "metrics.json")); m.Inputs["train"] == v.Digest && err == nil {
				accuracy = fmt.Sprintf("%.2f %%", 100*metrics.Splits["test"].Accuracy)
			}
		}
		recipe, err := ancestry(v, dataset)
		if err != nil {
			return err
		}
		var differ []string
		for _, name := range slices.Sorted(maps.Keys(recipe)) {
			today := project.Parameters(name)
			for _, key := range slices.Sorted(maps.Keys(recipe[name])) {
				if value := recipe[name][key]; value != today[key] {
					differ = append(differ, fmt.Sprintf("%s.%s=%s", name, key, value))
				}
			}
		}
		words := cmp.Or(strings.Join(differ, " "), "none")
		if len(v.pointers) > 0 {
			words += "  ← " + strings.Join(v.pointers, ", ")
		}
		fmt.Fprintf(out, "%-20s  %-16s  %8s  %s\n", v.Key, v.made.Format("2006-01-02 15:04"), accuracy, words)
	}
	return nil
}

// ancestry is the parameters, by stage, that gave a version: its own and those
// of the kept versions of the stages before it, found by their content.
func ancestry(v version, dataset string) (map[string]map[string]string, error) {
	parameters := map[string]map[string]string{v.Stage: v.Parameters}
	for _, input := range stage.Find(v.Stage).Inputs {
		if input == "fetch" {
			continue
		}
		before, err := versions(stage.Find(input), dataset)
		if err != nil {
			return nil, err
		}
		for _, candidate := range before {
			if candidate.Digest != v.Inputs[input] {
				continue
			}
			above, err := ancestry(candidate, dataset)
			if err != nil {
				return nil, err
			}
			for name, section := range above {
				if parameters[name] == nil {
					parameters[name] = section
				}
			}
			break
		}
	}
	return parameters, nil
}

// printParameters prints, as params.yaml has them, the parameters that gave the
// version whose key begins with KEY.
func printParameters(_ []string, out io.Writer) error {
	prefix := os.Getenv("KEY")
	if prefix == "" {
		return WrongUsage("which version? make params KEY=…, one of those that make history lists")
	}
	project, err := open()
	if err != nil {
		return err
	}
	var found []version
	for i := range stage.All {
		if stage.All[i].Name == "fetch" {
			continue
		}
		kept, err := versions(&stage.All[i], project.Params.Dataset)
		if err != nil {
			return err
		}
		for _, v := range kept {
			if strings.HasPrefix(v.Key, prefix) {
				found = append(found, v)
			}
		}
	}
	if len(found) != 1 {
		return fmt.Errorf("%d kept versions of %s have a key that begins with %q", len(found), project.Params.Dataset, prefix)
	}
	sections, err := ancestry(found[0], project.Params.Dataset)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	fmt.Fprintf(&text, "# What %s was made with.\n", found[0].folder)
	for i := range stage.All {
		section := sections[stage.All[i].Name]
		if section == nil || stage.All[i].ReadsAll {
			continue
		}
		nested := map[string]any{}
		for key, value := range section {
			if err := nest(nested, key, value); err != nil {
				return err
			}
		}
		if stage.All[i].PrintsNames {
			delete(nested, "dataset")
			delete(nested, "experiment")
		}
		encoder := yaml.NewEncoder(&text)
		encoder.SetIndent(2)
		if err := encoder.Encode(map[string]any{stage.All[i].Name: nested}); err != nil {
			return err
		}
	}
	if found[0].Engine != "" {
		fmt.Fprintf(&text, "# train.device, precision, convolution and threads: whatever comes to the engine %s\n", found[0].Engine)
	}
	_, err = out.Write(bytes.ReplaceAll(text.Bytes(), []byte("---\n"), nil))
	return err
}

// nest puts a value that is written as JSON under a dotted key.
func nest(into map[string]any, key, value string) error {
	words := strings.Split(key, ".")
	for _, word := range words[:len(words)-1] {
		below, ok := into[word].(map[string]any)
		if !ok {
			below = map[string]any{}
			into[word] = below
		}
		into = below
	}
	var node yaml.Node // keeps numbers as they are written
	if err := yaml.Unmarshal([]byte(value), &node); err != nil || len(node.Content) != 1 || !json.Valid([]byte(value)) {
		return fmt.Errorf("the value %s of %s is not JSON", value, key)
	}
	into[words[len(words)-1]] = node.Content[0]
	return nil
}
