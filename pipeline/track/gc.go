package track

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"catdog/pipeline/artifact"
	"catdog/pipeline/params"
	"catdog/pipeline/progress"
	"catdog/pipeline/segment"
	"catdog/pipeline/stage"
)

// gc removes what no pointer of any experiment needs: artifacts, what killed
// stages left, values in the stores. With DRY it only says so. Raw photos,
// published models and reports are never touched.
func gc(_ []string, out io.Writer) error {
	if _, err := open(); err != nil {
		return err
	}
	dry := os.Getenv("DRY") != ""
	datasets, err := datasets()
	if err != nil {
		return err
	}
	total := int64(0)
	for _, dataset := range datasets {
		freed, err := sweepDataset(dataset, dry, out)
		if err != nil {
			return err
		}
		total += freed
	}
	verb := "freed"
	if dry {
		verb = "would free"
	}
	_, err = fmt.Fprintf(out, "%s %s\n", verb, megabytes(total))
	return err
}

func megabytes(bytes int64) string { return fmt.Sprintf("%.1f MB", float64(bytes)/1e6) }

// datasets are all that anything was computed for.
func datasets() ([]string, error) {
	found := map[string]bool{}
	for _, pattern := range []string{"data/interim/*", "data/processed/*", "models/*"} {
		folders, err := filepath.Glob(pattern)
		if err != nil {
			return nil, err
		}
		for _, folder := range folders {
			name := filepath.Base(folder)
			if information, err := os.Stat(folder); err == nil && information.IsDir() && folder != stage.PublishedFolder && params.Name.MatchString(name) {
				found[name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found)), nil
}

// resumable are the folders of killed runs that params.yaml's experiments and
// sweeps, or what the environment asks for, would go on in.
func resumable(dataset string) (map[string]bool, error) {
	if left, err := filepath.Glob(filepath.Join("models", dataset, "*.partial")); err != nil || len(left) == 0 {
		return nil, err
	}
	asked, err := open()
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(stage.ParametersFile)
	if err != nil {
		return nil, err
	}
	var named struct {
		Experiments map[string]any `yaml:"experiments"`
	}
	if err := yaml.Unmarshal(text, &named); err != nil {
		return nil, fmt.Errorf("read %s: %w", stage.ParametersFile, err)
	}
	sets := []string{"", os.Getenv("SET")}
	for _, set := range slices.Clone(sets) {
		for _, sweep := range asked.Params.Sweeps {
			for _, point := range pointsOf(&sweep, set) {
				sets = append(sets, point.set)
			}
		}
	}
	codes, err := codes()
	if err != nil {
		return nil, err
	}
	folders := map[string]bool{}
	for experiment := range named.Experiments {
		for _, set := range sets {
			project, err := stage.OpenVariant(codes, dataset, experiment, set)
			if err != nil {
				continue // e.g. a sweep's values that do not fit this experiment
			}
			states, err := project.Plan()
			if err != nil {
				return nil, err
			}
			for _, state := range states {
				if state.Definition.Resumes && state.Recipe != nil {
					folders[filepath.Join(state.Definition.Root(dataset), state.Recipe.Key()+".partial")] = true
				}
			}
		}
	}
	return folders, nil
}

// sweepDataset frees what nothing of a data set needs.
func sweepDataset(dataset string, dry bool, out io.Writer) (freed int64, err error) {
	unlock, err := stage.Lock(context.Background(), dataset, progress.New("gc", os.Stderr))
	if err != nil {
		return 0, err
	}
	defer unlock()
	resumable, err := resumable(dataset)
	if err != nil {
		return 0, err
	}
	kept := map[string][]*artifact.Manifest{}
	for i := range stage.All {
		definition := &stage.All[i]
		if definition.Name == "fetch" {
			continue
		}
		current, err := pointers(definition, dataset)
		if err != nil {
			return freed, fmt.Errorf("%w: run make first, then what it points to is known", err)
		}
		needed := map[string]bool{}
		for _, manifest := range current {
			needed[manifest.Key] = true
			kept[definition.Name] = append(kept[definition.Name], manifest)
		}
		root := definition.Root(dataset)
		entries, err := os.ReadDir(root)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return freed, err
		}
		for _, entry := range entries {
			folder := filepath.Join(root, entry.Name())
			key, partial := strings.CutSuffix(entry.Name(), ".partial")
			if !entry.IsDir() || !artifact.IsKey(key) || needed[key] && !partial || resumable[folder] {
				continue
			}
			size, err := sizeOf(folder)
			if err != nil {
				return freed, err
			}
			fmt.Fprintf(out, "%10s  %s\n", megabytes(size), folder)
			freed += size
			if dry {
				continue
			}
			if err := removeWhole(folder); err != nil {
				return freed, err
			}
		}
	}
	keep, err := neededValues(dataset, kept)
	if err != nil {
		return freed, err
	}
	store := filepath.Join("data/interim", dataset, "store")
	size, err := segment.Sweep(store, keep, dry)
	if err != nil {
		return freed, err
	}
	if size > 0 {
		fmt.Fprintf(out, "%10s  in %s\n", megabytes(size), store)
	}
	return freed + size, nil
}

// removeWhole takes an artifact's name away first, so that a killed gc leaves no
// half of one under it.
func removeWhole(folder string) error {
	if !strings.HasSuffix(folder, ".partial") {
		partial := folder + ".partial"
		if err := os.RemoveAll(partial); err != nil {
			return err
		}
		if err := os.Rename(folder, partial); err != nil {
			return err
		}
		folder = partial
	}
	return os.RemoveAll(folder)
}

// neededValues says which keys of a data set's store kept artifacts need: of
// the photos in kept catalogues what kept versions of explore and resize found
// out, and the pixels that kept indexes name.
func neededValues(dataset string, kept map[string][]*artifact.Manifest) (func(key string) bool, error) {
	steps, photos, contents := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, name := range []string{"explore", "resize"} {
		file, columns := "catalogue.csv", map[string]map[string]bool{"sha256": photos}
		if name == "resize" {
			file, columns = "index.csv", map[string]map[string]bool{"pixels": contents}
		}
		for _, manifest := range kept[name] {
			steps[manifest.StepKey()] = true
			if manifest.Accepted != "" {
				recipe := manifest.Recipe
				recipe.Code = manifest.Accepted
				steps[recipe.StepKey()] = true
			}
			path := filepath.Join(stage.Find(name).Root(dataset), manifest.Key, file)
			// An artifact that is gone needs nothing.
			if err := readColumns(path, columns); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
		}
	}
	return func(key string) bool {
		first, second, _ := strings.Cut(key, "/")
		if segment.ContentKey(second) == key {
			return contents[second]
		}
		return photos[first] && steps[second]
	}, nil
}

// readColumns adds the values of a CSV file's columns to sets.
func readColumns(path string, sets map[string]map[string]bool) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("what is kept of the store is not known: %w", err)
	}
	defer file.Close()
	rows := csv.NewReader(file)
	names, err := rows.Read()
	for err == nil {
		var row []string
		if row, err = rows.Read(); err != nil {
			break
		}
		for i, name := range names {
			if sets[name] != nil {
				sets[name][row[i]] = true
			}
		}
	}
	if err != io.EOF {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

// sizeOf is the size of all files below a folder, in bytes.
func sizeOf(folder string) (size int64, err error) {
	err = filepath.WalkDir(folder, func(_ string, item fs.DirEntry, err error) error {
		if err != nil || item.IsDir() {
			return err
		}
		information, err := item.Info()
		if err == nil {
			size += information.Size()
		}
		return err
	})
	return size, err
}
