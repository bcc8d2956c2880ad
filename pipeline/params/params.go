// Package params reads params.yaml, strictly: every key must be known, present,
// of its type and in its range, and an error names the file, the line, the key,
// the value, what is allowed and, for a misspelt key, the nearest right one.
package params

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/viper"
	"gopkg.in/yaml.v3"
)

// DefaultExperiment is the experiment of data sets that name none.
const DefaultExperiment = "64px"

// Name is what data sets and experiments may be called.
var Name = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)

// Params is what params.yaml says for one data set and experiment.
type Params struct {
	Dataset, Experiment string
	Usual               string // the data set's usual experiment
	Sections
	// Sweeps are what make sweep can run, in the order of the file.
	Sweeps []Sweep
}

// PublishedName is what a published model is called: the data set, and the
// experiment where that is not the usual one.
func (p *Params) PublishedName() string {
	if p.Experiment == p.Usual {
		return p.Dataset
	}
	return p.Dataset + "-" + p.Experiment
}

// An Override changes one key on top of params.yaml, e.g. Key "train.epochs",
// Value "5" (YAML).
type Override struct{ Key, Value string }

// ParseOverrides reads "train.epochs=5 train.seed=2", as given in SET.
func ParseOverrides(text string) ([]Override, error) {
	var overrides []Override
	for _, word := range strings.Fields(text) {
		key, value, found := strings.Cut(word, "=")
		if !found || key == "" {
			return nil, fmt.Errorf("SET: %q is not of the form section.key=value", word)
		}
		overrides = append(overrides, Override{key, value})
	}
	slices.SortStableFunc(overrides, func(a, b Override) int { return strings.Compare(a.Key, b.Key) })
	return overrides, nil
}

// Load reads file for a data set and an experiment; an empty experiment is the
// data set's usual one. Overlays are merged in the order data set, experiment,
// overrides.
func Load(file, dataset, experiment string, overrides []Override) (*Params, error) {
	if !Name.MatchString(dataset) {
		return nil, fmt.Errorf("DATASET %q: a name is made of a-z, 0-9 and -", dataset)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read parameters: %w", err)
	}
	document, err := parse(file, text)
	if err != nil {
		return nil, err
	}
	if err := document.check(); err != nil {
		return nil, err
	}
	sweeps, err := document.sweeps()
	if err != nil {
		return nil, err
	}

	reader := viper.New()
	reader.SetConfigType("yaml")
	if err := reader.ReadConfig(bytes.NewReader(text)); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	datasets, experiments := reader.GetStringMap("datasets"), reader.GetStringMap("experiments")

	merged := map[string]any{}
	for _, section := range sectionNames() {
		merged[section] = reader.Get(section)
	}
	sections := viper.New()
	if err := sections.MergeConfigMap(merged); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	usual := DefaultExperiment
	if overlay, ok := datasets[dataset].(map[string]any); ok {
		if name, ok := overlay["experiment"].(string); ok {
			usual = name
		}
		if fetch, ok := overlay["fetch"]; ok {
			if err := sections.MergeConfigMap(map[string]any{"fetch": fetch}); err != nil {
				return nil, fmt.Errorf("%s: data set %s: %w", file, dataset, err)
			}
		}
	}
	if experiment == "" {
		experiment = usual
	}
	overlay, ok := experiments[experiment]
	if !ok {
		names := slices.Sorted(maps.Keys(experiments))
		return nil, fmt.Errorf("%s: there is no experiment %q; there are %s", file, experiment, strings.Join(names, ", "))
	}
	if overlay, ok := overlay.(map[string]any); ok {
		if err := sections.MergeConfigMap(overlay); err != nil {
			return nil, fmt.Errorf("%s: experiment %s: %w", file, experiment, err)
		}
	}
	for _, override := range overrides {
		var value any
		if err := yaml.Unmarshal([]byte(override.Value), &value); err != nil {
			return nil, fmt.Errorf("SET %s=%s: not a YAML value", override.Key, override.Value)
		}
		if err := checkOverride(override); err != nil {
			return nil, err
		}
		sections.Set(override.Key, value)
	}

	params := &Params{Dataset: dataset, Experiment: variant(experiment, overrides), Usual: usual, Sweeps: sweeps}
	strict := func(config *mapstructure.DecoderConfig) {
		config.TagName = "yaml"
		config.ErrorUnset = true
		config.WeaklyTypedInput = false
	}
	if err := sections.UnmarshalExact(&params.Sections, strict); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if err := params.validate(); err != nil {
		return nil, fmt.Errorf("%s, experiment %s: %w", file, experiment, err)
	}
	return params, nil
}

// variant is the name of an experiment with overrides: results of different
// ones never overwrite each other.
func variant(experiment string, overrides []Override) string {
	if len(overrides) == 0 {
		return experiment
	}
	sum := sha256.Sum256(fmt.Append(nil, overrides))
	return experiment + "-set-" + hex.EncodeToString(sum[:4])
}

// validate checks what concerns several keys at once.
func (p *Params) validate() error {
	network, augmented := p.Train.Network, p.Resize
	switch {
	case len(network.Channels) == 0:
		return fmt.Errorf("train.network.channels: at least one block is needed")
	case len(network.Residuals) != len(network.Channels):
		return fmt.Errorf("train.network.residuals: %d numbers for %d blocks (train.network.channels)", len(network.Residuals), len(network.Channels))
	case len(network.Pools) != len(network.Channels):
		return fmt.Errorf("train.network.pools: %d numbers for %d blocks (train.network.channels)", len(network.Pools), len(network.Channels))
	case network.Height > augmented.Height || network.Width > augmented.Width:
		return fmt.Errorf("train.network: an input of %d×%d cannot be cropped from images of %d×%d (resize)", network.Height, network.Width, augmented.Height, augmented.Width)
	case p.Train.View == Whole && network.Head == "flatten" && (network.Height != augmented.Height || network.Width != augmented.Width):
		return fmt.Errorf("train.view: a network with train.network.head flatten takes %d×%d only, whole images have %d×%d (resize)", network.Height, network.Width, augmented.Height, augmented.Width)
	case p.Train.Epochs == 0 && p.Train.From == "":
		return fmt.Errorf("train.epochs: 0 needs weights to take as they are (train.from)")
	case p.Pack.Validation+p.Pack.Test >= 1:
		return fmt.Errorf("pack: validation %g and test %g leave nothing to train on", p.Pack.Validation, p.Pack.Test)
	}
	return nil
}
