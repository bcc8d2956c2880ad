package track

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"catdog/pipeline/stage"
)

// plan prints what make must know, as a makefile: which stages run, which run
// only if the output before them differs, and where their pointers lie.
func plan(_ []string, out io.Writer) error {
	project, states, err := planned()
	if err != nil {
		return err
	}
	var stale, depends []string
	for _, state := range states {
		switch state.Verdict {
		case stage.Stale, stage.Restorable:
			stale = append(stale, state.Definition.Name)
		case stage.Depends:
			depends = append(depends, state.Definition.Name)
		}
	}
	var text bytes.Buffer // half a plan would be taken for one with less to do
	fmt.Fprintf(&text, "STALE := %s\n", strings.Join(stale, " "))
	fmt.Fprintf(&text, "DEPENDS := %s\n", strings.Join(depends, " "))
	for _, state := range states {
		fmt.Fprintf(&text, "pointer_%s := %s\n", state.Definition.Name, project.Pointer(state.Definition))
	}
	if len(stale)+len(depends) == 0 {
		line, err := resultLine(project)
		if err != nil {
			return err
		}
		fmt.Fprintf(&text, "NOTHING_TO_DO := %s\n", strings.NewReplacer("$", "$$", "#", `\#`).Replace("nothing to do: "+line))
	}
	_, err = out.Write(text.Bytes())
	return err
}

// result prints the line that ends a run.
func result(_ []string, out io.Writer) error {
	project, err := open()
	if err != nil {
		return err
	}
	line, err := resultLine(project)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, line)
	return err
}

// resultLine is the test accuracy and the report's path.
func resultLine(project *stage.Project) (string, error) {
	metrics, err := readMetrics(filepath.Join(project.Reports(), "metrics.json"))
	if err != nil {
		return "", err
	}
	test := metrics.Splits["test"]
	return fmt.Sprintf("%s/%s: test accuracy %.2f %% (95 %% interval %.2f to %.2f, %d photos), %s",
		project.Params.Dataset, project.Params.Experiment, 100*test.Accuracy, 100*test.Low, 100*test.High, test.N,
		filepath.Join(project.Reports(), "report.md")), nil
}
