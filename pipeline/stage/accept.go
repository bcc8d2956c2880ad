package stage

import (
	"fmt"
	"os"
	"path/filepath"

	"catdog/pipeline/artifact"
)

// Accept gives a stage's current output the key of today's code: the caller
// says that the change of code does not matter. The manifest keeps the digest
// of the code that really ran. Experiments may share an output, which then need
// be accepted only once.
func (p *Project) Accept(name string) (string, error) {
	definition := Find(name)
	if definition == nil || name == "fetch" {
		return "", fmt.Errorf("%q is not a stage whose code can be accepted", name)
	}
	manifest, err := p.current(definition)
	if err != nil {
		return "", fmt.Errorf("%s has no output to accept: %w", name, err)
	}
	if manifest.Code == p.codes[name] {
		return name + ": its code has not changed", nil
	}
	accepted := *manifest
	if accepted.Accepted == "" {
		accepted.Accepted = manifest.Code
	}
	accepted.Code = p.codes[name]
	accepted.Key = accepted.Recipe.Key()
	if kept, err := p.kept(definition, accepted.Key); err == nil {
		if kept.Digest != manifest.Digest {
			return "", fmt.Errorf("%s: today's code has given another output already, so its change matters: run make", name)
		}
		if err := p.point(definition, kept); err != nil {
			return "", err
		}
		return name + ": its output stands for today's code already", p.Save()
	}
	from, to := p.folder(definition, manifest), p.folder(definition, &accepted)
	if err := artifact.Verify(from, manifest, nil, p.reread); err != nil {
		return "", err
	}
	if err := os.RemoveAll(to); err != nil {
		return "", err
	}
	if err := artifact.WriteFile(filepath.Join(from, artifact.ManifestName), accepted.Encode()); err != nil {
		return "", err
	}
	if err := os.Rename(from, to); err != nil {
		return "", err
	}
	p.digests.Moved(from, to)
	if err := p.point(definition, &accepted); err != nil {
		return "", err
	}
	return name + ": its output stands for today's code", p.Save()
}
