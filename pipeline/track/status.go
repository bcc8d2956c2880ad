package track

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"catdog/pipeline/progress"
	"catdog/pipeline/stage"
)

// status prints each stage's state and reasons, a line each; with --json, or
// JSON in the environment, the same for programs.
func status(words []string, out io.Writer) error {
	project, states, err := planned()
	if err != nil {
		return err
	}
	if slices.Contains(words, "--json") || os.Getenv("JSON") != "" {
		type row struct {
			Stage   string   `json:"stage"`
			Verdict string   `json:"verdict"`
			Reasons []string `json:"reasons"`
			Key     string   `json:"key,omitempty"`
		}
		rows := []row{}
		for _, state := range states {
			r := row{state.Definition.Name, state.Verdict.String(), append([]string{}, state.Reasons...), ""}
			if state.Recipe != nil {
				r.Key = state.Recipe.Key()
			}
			rows = append(rows, r)
		}
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(rows)
	}
	fmt.Fprintf(out, "%s/%s\n", project.Params.Dataset, project.Params.Experiment)
	for _, state := range states {
		fmt.Fprintf(out, "  %-9s %s\n", state.Definition.Name, describe(state))
	}
	return nil
}

// describe is a state in words.
func describe(state *stage.State) string {
	switch state.Verdict {
	case stage.Fresh:
		return "fresh"
	case stage.Restorable:
		return "computed before, to be taken again: " + strings.Join(state.Reasons, "; ")
	case stage.Depends:
		return "runs if what it reads comes out different"
	}
	return "stale: " + strings.Join(state.Reasons, "; ")
}

// accept declares that the code of the named stages changed without changing
// what they compute.
func accept(words []string, out io.Writer) error {
	if len(words) == 0 {
		return WrongUsage("which stage? make accept STAGE=train")
	}
	project, err := open()
	if err != nil {
		return err
	}
	unlock, err := stage.Lock(context.Background(), project.Params.Dataset, progress.New("accept", os.Stderr))
	if err != nil {
		return err
	}
	defer unlock()
	for _, name := range words {
		line, err := project.Accept(name)
		if err != nil {
			return err
		}
		fmt.Fprintln(out, line)
	}
	return nil
}
