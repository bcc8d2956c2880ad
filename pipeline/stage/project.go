package stage

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"catdog/pipeline/artifact"
	"catdog/pipeline/params"
)

// ParametersFile is where the parameters stand, relative to the project.
const ParametersFile = "params.yaml"

// PublishedFolder holds the models that are committed, each in a folder of the
// name params.Params.PublishedName.
const PublishedFolder = "models/published"

// A Project is one data set and experiment as they lie in the working folder.
type Project struct {
	Params  *params.Params
	from    []string // photos named in the environment
	codes   map[string]string
	digests *artifact.Digests

	raw      *rawFolder // the photos as they lie there, once looked at
	computes bool       // and not only plans: this process opens what computes
	computer string     // what that is, once asked for
	noGPU    error      // why it is not a GPU
}

type rawFolder struct {
	files  []artifact.File
	digest string
}

// OpenProject reads params.yaml for what the environment asks for: DATASET,
// EXPERIMENT, FROM (one path a line, or several separated by spaces) and SET.
// codes are the digests of the stages' code.
func OpenProject(codes map[string]string) (*Project, error) {
	dataset := os.Getenv("DATASET")
	if dataset == "" {
		dataset = "sample"
	}
	project, err := OpenVariant(codes, dataset, os.Getenv("EXPERIMENT"), os.Getenv("SET"))
	if err != nil {
		return nil, err
	}
	project.from = Paths(os.Getenv("FROM"))
	return project, nil
}

// OpenVariant is OpenProject for a named data set, experiment ("" is the data
// set's usual one) and overrides as in SET.
func OpenVariant(codes map[string]string, dataset, experiment, set string) (*Project, error) {
	overrides, err := params.ParseOverrides(set)
	if err != nil {
		return nil, err
	}
	parameters, err := params.Load(ParametersFile, dataset, experiment, overrides)
	if err != nil {
		return nil, err
	}
	return &Project{
		Params:  parameters,
		codes:   codes,
		digests: artifact.OpenDigests(filepath.Join("data/interim", dataset, "digests")),
	}, nil
}

// Paths reads FROM or PHOTOS: one path a line where there are several lines, else
// the whole text if such a file exists, else words.
func Paths(text string) []string {
	text = strings.TrimSpace(text)
	if strings.Contains(text, "\n") {
		return strings.FieldsFunc(text, func(r rune) bool { return r == '\n' })
	}
	if _, err := os.Lstat(text); text != "" && err == nil {
		return []string{text}
	}
	return strings.Fields(text)
}

// Save keeps what was learnt about files' contents.
func (p *Project) Save() error { return p.digests.Save() }

// Pointer is where a stage's current manifest lies.
func (p *Project) Pointer(definition *Definition) string {
	return definition.Pointer(p.Params.Dataset, p.Params.Experiment)
}

// Reports is the folder of this experiment's committed results.
func (p *Project) Reports() string { return Reports(p.Params.Dataset, p.Params.Experiment) }

// Raw is the folder of the data set's photos.
func (p *Project) Raw() string { return filepath.Join("data/raw", p.Params.Dataset) }

// scanRaw looks at the photos, once.
func (p *Project) scanRaw() (*rawFolder, error) {
	if p.raw == nil {
		files, err := p.digests.Scan(p.Raw())
		if err != nil {
			return nil, fmt.Errorf("look at the raw photos: %w", err)
		}
		p.raw = &rawFolder{files, artifact.JointDigest(files)}
	}
	return p.raw, nil
}

// engine is what a stage's numbers are computed with, "" where that is all one.
func (p *Project) engine(definition *Definition) string {
	if !definition.Engine {
		return ""
	}
	if p.computer == "" {
		p.computer, p.noGPU = describeEngine(p.Params.Train, p.computes)
	}
	return p.computer
}

// parameters are a stage's own, as JSON by dotted key.
func (p *Project) parameters(definition *Definition) map[string]string {
	flat, sections := map[string]string{}, params.Named(p.Params.Sections)
	if definition.PrintsNames {
		flat["dataset"], flat["experiment"] = strconv.Quote(p.Params.Dataset), strconv.Quote(p.Params.Experiment)
	}
	if definition.ReadsAll {
		flatten("", sections, flat)
		return flat
	}
	flatten("", sections[definition.Name].(map[string]any), flat)
	if definition.Name == "train" {
		// The engine says what became of these.
		for _, key := range params.EngineKeys {
			delete(flat, key)
		}
	}
	return flat
}

// Parameters are the named stage's own today, as its manifest would hold them.
func (p *Project) Parameters(name string) map[string]string { return p.parameters(Find(name)) }

// recipe is what decides a stage's output, given the digests of what it reads.
func (p *Project) recipe(definition *Definition, inputs map[string]string) artifact.Recipe {
	return artifact.Recipe{
		Stage:      definition.Name,
		Parameters: p.parameters(definition),
		Code:       p.codes[definition.Name],
		Engine:     p.engine(definition),
		Inputs:     inputs,
	}
}

// current is the manifest that a stage's pointer holds: nil and
// fs.ErrNotExist without one.
func (p *Project) current(definition *Definition) (*artifact.Manifest, error) {
	return artifact.ReadManifest(p.Pointer(definition))
}

// kept is the artifact of that key, if there is a sound one.
func (p *Project) kept(definition *Definition, key string) (*artifact.Manifest, error) {
	folder := definition.Folder(p.Params.Dataset, key)
	manifest, err := artifact.ReadManifest(filepath.Join(folder, artifact.ManifestName))
	if err != nil {
		return nil, err
	}
	if manifest.Key != key {
		return nil, fmt.Errorf("%s is %w", filepath.Join(folder, artifact.ManifestName), artifact.ErrDamaged)
	}
	return manifest, artifact.Verify(folder, manifest, definition.Published, p.digests.File)
}

// flatten writes the leaves of nested maps, as JSON by dotted key.
func flatten(prefix string, nested map[string]any, flat map[string]string) {
	for key, value := range nested {
		if below, ok := value.(map[string]any); ok {
			flatten(prefix+key+".", below, flat)
			continue
		}
		text, err := json.Marshal(value)
		if err != nil {
			panic(err) // numbers, texts and lists only
		}
		if string(text) == "null" {
			text = []byte("[]") // an empty list, however it was read
		}
		flat[prefix+key] = string(text)
	}
}

func absent(err error) bool { return errors.Is(err, fs.ErrNotExist) }
