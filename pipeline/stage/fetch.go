package stage

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"catdog/pipeline/artifact"
)

// drawnWord, where photos come from, asks for the drawn sample.
const drawnWord = "drawn"

// An origin is the part of fetch's record that decisions need.
type origin struct {
	Archives []struct {
		SHA256 string `json:"sha256"`
	} `json:"archives"`
}

// wanted is where the photos are to come from: the environment's word before
// params.yaml's.
func (p *Project) wanted() []string {
	if len(p.from) > 0 {
		return p.from
	}
	return p.Params.Fetch.From
}

func (p *Project) drawn() bool { return slices.Equal(p.wanted(), []string{drawnWord}) }

// fetchRecipe: a drawn sample is made by parameters and code; photos of
// people's own are what they are.
func (p *Project) fetchRecipe(definition *Definition) artifact.Recipe {
	recipe := artifact.Recipe{Stage: definition.Name, Parameters: map[string]string{}, Inputs: map[string]string{}}
	if p.drawn() {
		for key, value := range p.parameters(definition) {
			if strings.HasPrefix(key, "drawn.") {
				recipe.Parameters[key] = value
			}
		}
		recipe.Code = p.codes[definition.Name]
	}
	return recipe
}

// fetchState decides about the raw photos. They are filled in once and are the
// user's from then on, so what lies in the folder does not make fetch stale.
func (p *Project) fetchState(definition *Definition) (*State, error) {
	recipe := p.fetchRecipe(definition)
	state := &State{Definition: definition, Verdict: Stale, Recipe: &recipe}
	_, missing := os.Lstat(p.Raw())
	current, err := p.current(definition)
	switch {
	case missing != nil && current == nil:
		state.Reasons = []string{"no photos yet"}
	case missing != nil:
		state.Reasons = []string{p.Raw() + " is missing"}
	case absent(err):
		state.Reasons = []string{p.Raw() + " is not recorded yet"}
	case err != nil:
		state.Reasons = []string{err.Error()}
	case p.drawn():
		state.Reasons = p.differences(definition, current, recipe)
	default:
		state.Reasons = p.otherPhotos(current)
	}
	if len(state.Reasons) == 0 {
		state.Verdict, state.Manifest = Fresh, current
	}
	return state, nil
}

// otherPhotos says whether the archives asked for are others than those that
// the raw folder was filled from. Archives that are gone, and folders, are not
// looked at: the photos are here.
func (p *Project) otherPhotos(current *artifact.Manifest) []string {
	var recorded origin
	if err := json.Unmarshal(current.Origin, &recorded); err != nil || len(recorded.Archives) == 0 {
		return nil
	}
	for _, from := range p.wanted() {
		_, digest, isURL := strings.Cut(from, "#sha256=")
		if !isURL {
			information, err := os.Stat(from)
			if err != nil || !information.Mode().IsRegular() {
				continue
			}
			file, err := p.digests.File(filepath.Dir(from), filepath.Base(from))
			if err != nil {
				continue
			}
			digest = file.SHA256
		}
		found := false
		for _, archive := range recorded.Archives {
			found = found || strings.EqualFold(archive.SHA256, digest)
		}
		if !found {
			return []string{fmt.Sprintf("%s is not what %s was filled from", from, p.Raw())}
		}
	}
	return nil
}

// runFetch fills the raw folder, or records what is in it.
func (p *Project) runFetch(definition *Definition, state *State, job *Job, work func() (string, error)) (string, error) {
	current, _ := p.current(definition)
	_, missing := os.Lstat(p.Raw())
	present := missing == nil
	switch {
	case present && !p.drawn() && current != nil:
		return "", fmt.Errorf("%s; choose another DATASET, or remove %s and %s first", state.Reasons[0], p.Raw(), p.Pointer(definition))
	case present && !p.drawn():
		return p.recordRaw(definition, *state.Recipe, nil, "recorded")
	case !present && len(p.wanted()) == 0:
		return "", fmt.Errorf(`data set %q has no photos yet: give FROM="photos.zip", or put them into %s`, p.Params.Dataset, p.Raw())
	}

	partial := p.Raw() + ".partial"
	sidecar := partial + ".origin.json"
	job.Folder, job.Params.Fetch.From = partial, p.wanted()
	if err := os.RemoveAll(partial); err != nil {
		return "", err
	}
	if err := os.MkdirAll(partial, 0o777); err != nil {
		return "", err
	}
	summary, err := work()
	if err != nil {
		os.RemoveAll(partial)
		os.Remove(sidecar)
		return "", err
	}
	record, err := os.ReadFile(sidecar)
	if err != nil {
		return "", fmt.Errorf("the record of where the photos came from: %w", err)
	}
	if present {
		if err := p.replaceable(current, partial); err != nil {
			os.RemoveAll(partial)
			os.Remove(sidecar)
			return "", err
		}
		if err := os.RemoveAll(p.Raw()); err != nil {
			return "", err
		}
	}
	if err := syncFileSystem(partial); err != nil {
		return "", err
	}
	if _, err := p.digests.Scan(partial); err != nil {
		return "", err
	}
	if err := os.Rename(partial, p.Raw()); err != nil {
		return "", err
	}
	p.digests.Moved(partial, p.Raw())
	if err := os.Remove(sidecar); err != nil {
		return "", err
	}
	return p.recordRaw(definition, *state.Recipe, record, summary)
}

// replaceable says whether a drawn folder may be drawn anew: it holds what was
// drawn before, or what would be drawn now.
func (p *Project) replaceable(current *artifact.Manifest, partial string) error {
	raw, err := p.scanRaw()
	if err != nil {
		return err
	}
	p.raw = nil
	if current != nil && raw.digest == current.Digest {
		return nil
	}
	files, err := p.digests.Scan(partial)
	if err != nil {
		return err
	}
	if artifact.JointDigest(files) == raw.digest {
		return nil
	}
	return fmt.Errorf("%s was changed by hand and is not overwritten; remove it to have it drawn anew", p.Raw())
}

// recordRaw writes the pointer of the raw photos. It lists no files: the
// catalogue does.
func (p *Project) recordRaw(definition *Definition, recipe artifact.Recipe, record json.RawMessage, summary string) (string, error) {
	raw, err := p.scanRaw()
	if err != nil {
		return "", err
	}
	if len(raw.files) == 0 {
		return "", fmt.Errorf("%s is empty", p.Raw())
	}
	if record == nil {
		record = json.RawMessage(`{"kind":"folder"}`)
	}
	manifest := &artifact.Manifest{Recipe: recipe, Key: recipe.Key(), Digest: raw.digest, Origin: record}
	if err := artifact.WriteFile(p.Pointer(definition), manifest.Encode()); err != nil {
		return "", err
	}
	return summary, nil
}

// syncFileSystem is one barrier instead of a sync for each of many files.
func syncFileSystem(folder string) error {
	file, err := os.Open(folder)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := unix.Syncfs(int(file.Fd())); err != nil {
		return fmt.Errorf("sync %s: %w", folder, err)
	}
	return nil
}
