package track

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"catdog/pipeline/stage"
)

// verify says whether the reports that are committed are what this checkout
// gives. It wants everything fresh (make verify runs make first) and compares
// every file that the artifacts publish with git's commit REV.
//
// On a machine that computes in the same way, as the training's history tells,
// they are equal to the byte. Other CPUs round otherwise, so there only what does
// not come out of training must be; of the trained network it is asked that each
// accuracy lies within the other's 95 % interval, on as many photos.
func verify(_ []string, out io.Writer) error {
	rev, err := resolve(os.Getenv("REV"))
	if err != nil {
		return err
	}
	project, states, err := planned()
	if err != nil {
		return err
	}
	committed, err := rev.files(project.Reports())
	if err != nil {
		return err
	}
	if len(committed) == 0 {
		return fmt.Errorf("%s has no reports of %s", rev.name, project.Reports())
	}
	now, err := workingFiles(project.Reports())
	if err != nil {
		return err
	}
	same := func(name string) bool {
		name = path.Join(project.Reports(), name)
		was, known := committed[name]
		return known && was == now[name]
	}
	alike := same("history.csv") && same("metrics.json")
	var equal int
	var trained, wrong []string
	for _, state := range states {
		if state.Verdict != stage.Fresh {
			return fmt.Errorf("%s is %s; run make first", state.Definition.Name, describe(state))
		}
		for _, file := range project.Copies(state.Definition, state.Manifest) {
			name := path.Join(project.Reports(), file.Path)
			was, known := committed[name]
			delete(committed, name)
			switch {
			case known && was == now[name]:
				equal++
			case !known:
				wrong = append(wrong, name+" (not committed)")
			case !alike && (state.Definition.Engine || state.Definition.ReadsAll):
				trained = append(trained, name)
			default:
				wrong = append(wrong, name)
			}
		}
	}
	for name := range committed {
		if sweep, _ := path.Match("sweep-*.md", path.Base(name)); !sweep {
			wrong = append(wrong, name+" (nothing makes it any more)")
		}
	}
	slices.Sort(wrong)
	wrong = slices.Compact(wrong)
	if len(trained) > 0 {
		if err := withinTolerance(rev, path.Join(project.Reports(), "metrics.json")); err != nil {
			wrong = append(wrong, err.Error())
		}
	}
	if len(wrong) > 0 {
		return fmt.Errorf("the reports of %s are not what this checkout gives: %s", rev.name, strings.Join(wrong, ", "))
	}
	if len(trained) > 0 {
		_, err = fmt.Fprintf(out, "%s: %d committed files are what this checkout gives to the byte; %d come from training and differ within its tolerance (%s)\n",
			project.Reports(), equal, len(trained), strings.Join(trained, ", "))
		return err
	}
	_, err = fmt.Fprintf(out, "%s: all %d committed files are what this checkout gives, to the byte\n", project.Reports(), equal)
	return err
}

// withinTolerance compares the measured accuracies with those of a commit.
func withinTolerance(rev revision, name string) error {
	text, err := rev.read(name)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is not committed", name)
	} else if err != nil {
		return err
	}
	before, err := parseMetrics(rev.name+":"+name, text)
	if err != nil {
		return err
	}
	current, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if bytes.Equal(text, current) {
		return nil
	}
	now, err := parseMetrics(name, current)
	if err != nil {
		return err
	}
	for _, split := range []string{"train", "validation", "test"} {
		was, is := before.Splits[split], now.Splits[split]
		if was.N != is.N || was.Accuracy < is.Low || was.Accuracy > is.High || is.Accuracy < was.Low || is.Accuracy > was.High {
			return fmt.Errorf("%s: %s accuracy %s on %d photos was %s on %d",
				name, split, interval(is.Accuracy, is.Low, is.High), is.N, interval(was.Accuracy, was.Low, was.High), was.N)
		}
	}
	return nil
}
