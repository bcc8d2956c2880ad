package stage

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"catdog/pipeline/artifact"
	"catdog/pipeline/params"
)

// An origin is the part of fetch's record that decisions need.
type origin struct {
	Drawn    bool `json:"drawn"`
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

// originOf is what a record says; one that can't be read speaks of a person's
// own photos.
func originOf(current *artifact.Manifest) (recorded origin) {
	if json.Unmarshal(current.Origin, &recorded) != nil {
		return origin{}
	}
	return recorded
}

func (p *Project) drawn() bool { return slices.Equal(p.wanted(), []string{params.FromDrawn}) }

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
	case p.drawn() && !originOf(current).Drawn:
		state.Reasons = []string{p.Raw() + " holds photos that were not drawn"}
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

// otherPhotos says whether the archives asked for are others than those, if any,
// that the raw folder was filled from. Archives that are gone, and folders, are
// not looked at: the photos are here.
func (p *Project) otherPhotos(current *artifact.Manifest) []string {
	archives := originOf(current).Archives
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
		for _, archive := range archives {
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
	partial := p.Raw() + ".partial"
	switch {
	case present && current != nil && !(p.drawn() && originOf(current).Drawn):
		return "", fmt.Errorf("%s; choose another DATASET, or remove %s and %s first", state.Reasons[0], p.Raw(), p.Pointer(definition))
	case present && !p.drawn() && len(p.from) > 0:
		return "", fmt.Errorf("%s holds photos already: leave FROM out to take them as they are, or choose another DATASET", p.Raw())
	case present && !p.drawn():
		return p.recordRaw(definition, *state.Recipe)
	case !present && current != nil:
		if named, err := p.nameRaw(partial, current.Digest); named || err != nil {
			return "named what was fetched before", err
		}
	}
	if !present && len(p.wanted()) == 0 {
		return "", fmt.Errorf(`data set %q has no photos yet: give FROM="photos.zip", or put them into %s`, p.Params.Dataset, p.Raw())
	}

	sidecar, before := partial+".origin.json", partial+".before"
	job.Folder, job.Params.Fetch.From = partial, p.wanted()
	for _, left := range []string{partial, before} {
		if err := os.RemoveAll(left); err != nil {
			return "", err
		}
	}
	if err := artifact.MakeFolder(partial); err != nil {
		return "", err
	}
	summary, err := work()
	var record []byte
	if err == nil {
		record, err = os.ReadFile(sidecar)
	}
	if err == nil && present {
		err = p.replaceable(current, partial)
	}
	if err != nil {
		os.RemoveAll(partial)
		os.Remove(sidecar)
		return "", err
	}
	if err := artifact.SyncFileSystem(partial); err != nil {
		return "", err
	}
	files, err := p.digests.Scan(partial)
	if err != nil {
		return "", err
	}
	// The photos get their name last: as long as they have none, the next make
	// runs fetch, which finds and removes what this one left.
	if present {
		if err := errors.Join(os.Rename(p.Raw(), before), os.RemoveAll(before)); err != nil {
			return "", err
		}
	}
	if err := os.Remove(sidecar); err != nil {
		return "", err
	}
	digest := artifact.JointDigest(files)
	if err := p.pointRaw(definition, *state.Recipe, digest, record); err != nil {
		return "", err
	}
	_, err = p.nameRaw(partial, digest)
	return summary, err
}

// nameRaw gives a folder of photos the name of the raw folder, if its content is
// what the digest says; else it does nothing.
func (p *Project) nameRaw(partial, digest string) (named bool, err error) {
	files, err := p.digests.Scan(partial)
	if absent(err) || err == nil && artifact.JointDigest(files) != digest {
		return false, nil
	}
	if err == nil {
		err = os.Rename(partial, p.Raw())
	}
	if err != nil {
		return false, err
	}
	p.digests.Moved(partial, p.Raw())
	return true, artifact.SyncFolder(filepath.Dir(p.Raw()))
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

// recordRaw takes the photos that lie in the raw folder as they are.
func (p *Project) recordRaw(definition *Definition, recipe artifact.Recipe) (string, error) {
	raw, err := p.scanRaw()
	if err != nil {
		return "", err
	}
	if len(raw.files) == 0 {
		return "", fmt.Errorf("%s is empty", p.Raw())
	}
	return "recorded", p.pointRaw(definition, recipe, raw.digest, json.RawMessage("{}"))
}

// pointRaw writes the pointer of the raw photos. It lists no files: the
// catalogue does.
func (p *Project) pointRaw(definition *Definition, recipe artifact.Recipe, digest string, record json.RawMessage) error {
	manifest := &artifact.Manifest{Recipe: recipe, Key: recipe.Key(), Digest: digest, Origin: record}
	return artifact.WriteFile(p.Pointer(definition), manifest.Encode())
}
