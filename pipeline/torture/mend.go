package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
)

// mends flips bytes and has make mend them by computing again.
func (t *torturer) mends() (string, error) {
	count := number("MENDS", 200)
	var list []string
	err := t.alone(func(p *place) error {
		targets, err := p.targets()
		for _, target := range targets {
			list = append(list, target.path)
		}
		return err
	})
	if err != nil {
		return "", err
	}
	// What is committed may be damaged too.
	for path := range t.references[sample].files {
		if strings.HasPrefix(path, "reports/") && !strings.HasSuffix(path, "/") {
			list = append(list, path)
		}
	}
	slices.Sort(list)
	counts := newTally()
	err = t.each("mends", count, func(p *place, random *rand.Rand, _ int) error {
		path := list[random.IntN(len(list))]
		offset, err := p.damage(path, random)
		if err != nil {
			return err
		}
		what := fmt.Sprintf("a flip at byte %d of %s", offset, path)
		status := p.project.Run(p.project.Path("bin/track"), "status", "--json")
		var stages []struct{ Reasons []string }
		if err := json.Unmarshal([]byte(status.Output), &stages); err != nil {
			p.say("status of %s: %s", what, status.Errors)
		} else if strings.Contains(fmt.Sprint(stages), path) {
			counts.add("named")
		} else {
			p.say("status does not name %s: %v", what, stages)
		}
		_, ok, err := p.recovers(what, sample)
		counts.addIf(ok, "mended")
		return err
	})
	if err != nil {
		return "", err
	}
	section := fmt.Sprintf("Of %d random flips in artifacts, manifests, pointers and committed reports, `make status` named %d, and the next `make` mended %d to the same bytes.\n\n", count, counts.of("named"), counts.of("mended"))
	checkpoints, err := t.checkpoints()
	return section + checkpoints, err
}

// damage flips a random bit of a file and says in which byte.
func (p *place) damage(path string, random *rand.Rand) (offset int, err error) {
	content, err := os.ReadFile(p.project.Path(path))
	if err != nil {
		return 0, err
	}
	offset = random.IntN(len(content))
	content[offset] ^= byte(1) << random.IntN(8)
	return offset, os.WriteFile(p.project.Path(path), content, 0o666)
}
