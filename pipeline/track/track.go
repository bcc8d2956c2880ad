// Package track holds the commands that look at the pipeline from outside: what
// is stale and why, what was computed before, what to build.
package track

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"catdog/pipeline/stage"
)

// commands are track's subcommands: each gets the words behind its name and
// where to print.
var commands = map[string]func(words []string, out io.Writer) error{
	"build":   build,
	"plan":    plan,
	"status":  status,
	"dag":     dag,
	"result":  result,
	"accept":  accept,
	"publish": publish,
	"diff":    diff,
	"history": history,
	"params":  printParameters,
	"gc":      gc,
	"verify":  verify,
	"sweep":   sweep,
}

// takeWords are the commands that make something of words behind their names.
var takeWords = []string{"accept", "dag", "status"}

// WrongUsage says how a command was called wrongly.
type WrongUsage string

func (w WrongUsage) Error() string { return string(w) }

// Run runs a command: its name and the words behind it. The environment says
// the rest, as for the stages.
func Run(words []string, out io.Writer) error {
	if len(words) == 0 || commands[words[0]] == nil || len(words) > 1 && !slices.Contains(takeWords, words[0]) {
		return WrongUsage("usage: track " + strings.Join(slices.Sorted(maps.Keys(commands)), "|"))
	}
	if err := commands[words[0]](words[1:], out); err != nil {
		return fmt.Errorf("%s: %w", words[0], err)
	}
	return nil
}

// CodesFile holds the digests of the stages' code as they were built.
const CodesFile = "bin/code.json"

// open reads the project as the stages' binaries would.
func open() (*stage.Project, error) {
	codes, err := codes()
	if err != nil {
		return nil, err
	}
	return stage.OpenProject(codes)
}

// codes are the digests of the stages' code as they were built.
func codes() (map[string]string, error) {
	text, err := os.ReadFile(CodesFile)
	if err != nil {
		return nil, errors.New("nothing is built yet: run make")
	}
	var codes map[string]string
	if err := json.Unmarshal(text, &codes); err != nil {
		return nil, fmt.Errorf("read %s: %w", CodesFile, err)
	}
	return codes, nil
}

// planned opens the project, plans and keeps what was learnt about files.
func planned() (*stage.Project, []*stage.State, error) {
	project, err := open()
	if err != nil {
		return nil, nil, err
	}
	states, err := project.Plan()
	if err != nil {
		return nil, nil, err
	}
	return project, states, project.Save()
}
