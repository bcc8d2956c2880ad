package track

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"catdog/pipeline/stage"
)

// A revision is a commit of this project.
type revision struct{ name, commit string }

// resolve finds the commit that a person calls name.
func resolve(name string) (revision, error) {
	if name == "" {
		name = "HEAD"
	}
	commit, err := git("rev-parse", "--verify", "--quiet", "--end-of-options", name+"^{commit}")
	if err != nil {
		return revision{}, fmt.Errorf("REV %q is no commit of this git repository", name)
	}
	return revision{name, strings.TrimSpace(string(commit))}, nil
}

// read is a file as the commit has it; fs.ErrNotExist if it has none.
func (r revision) read(name string) ([]byte, error) {
	found, err := git("ls-tree", "--name-only", r.commit, "--", name)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fs.ErrNotExist
	}
	return git("show", r.commit+":./"+name)
}

// files are the blobs below a folder, by path.
func (r revision) files(folder string) (map[string]string, error) {
	listing, err := git("ls-tree", "-r", "-z", r.commit, "--", folder)
	if err != nil {
		return nil, err
	}
	blobs := map[string]string{}
	for line := range strings.SplitSeq(string(listing), "\x00") {
		attributes, name, _ := strings.Cut(line, "\t")
		if words := strings.Fields(attributes); len(words) == 3 {
			blobs[name] = words[2]
		}
	}
	return blobs, nil
}

func git(words ...string) ([]byte, error) {
	var complaint bytes.Buffer
	command := exec.Command("git", words...)
	command.Stderr = &complaint
	output, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("git %s: %w %s", words[0], err, strings.TrimSpace(complaint.String()))
	}
	return output, nil
}

// diff prints as Markdown what is different between a commit and the working
// folder: parameters, metrics and figures.
func diff(_ []string, out io.Writer) error {
	rev, err := resolve(os.Getenv("REV"))
	if err != nil {
		return err
	}
	before, err := rev.read(stage.ParametersFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	now, err := os.ReadFile(stage.ParametersFile)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if err := diffParameters(&text, before, now); err != nil {
		return err
	}
	if err := diffReports(&text, rev); err != nil {
		return err
	}
	if text.Len() == 0 {
		_, err = fmt.Fprintf(out, "No parameter, metric or figure differs from %s.\n", rev.name)
		return err
	}
	fmt.Fprintf(out, "# What changed since %s\n", rev.name)
	_, err = out.Write(text.Bytes())
	return err
}

// diffParameters lists keys of params.yaml, overlays included, whose values
// differ. The texts need not be valid parameters of today.
func diffParameters(out io.Writer, before, now []byte) error {
	was, err := leaves(before)
	if err != nil {
		return err
	}
	is, err := leaves(now)
	if err != nil {
		return err
	}
	all := maps.Clone(was)
	maps.Copy(all, is)
	begun := false
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if was[key] == is[key] {
			continue
		}
		if !begun {
			fmt.Fprint(out, "\n## Parameters\n\n")
			header(out, []string{"parameter", "before", "now"})
			begun = true
		}
		tableRow(out, "`"+key+"`", cmp.Or(was[key], "–"), cmp.Or(is[key], "–"))
	}
	return nil
}

// leaves are the values of a YAML file on one line each, by dotted key.
func leaves(text []byte) (map[string]string, error) {
	var document map[string]any
	if err := yaml.Unmarshal(text, &document); err != nil {
		return nil, fmt.Errorf("read %s: %w", stage.ParametersFile, err)
	}
	flat := map[string]string{}
	var walk func(prefix string, value any)
	walk = func(prefix string, value any) {
		if below, ok := value.(map[string]any); ok && len(below) > 0 {
			for key, value := range below {
				walk(strings.TrimPrefix(prefix+"."+key, "."), value)
			}
			return
		}
		flat[prefix] = strings.TrimSpace(flowed(value))
	}
	walk("", document)
	delete(flat, "")
	return flat, nil
}

// flowed is a value as YAML on one line.
func flowed(value any) string {
	var node yaml.Node
	if err := node.Encode(value); err != nil {
		return fmt.Sprint(value)
	}
	node.Style |= yaml.FlowStyle
	text, err := yaml.Marshal(&node)
	if err != nil {
		return fmt.Sprint(value)
	}
	return strings.Join(strings.Fields(string(text)), " ")
}

// diffReports lists metrics and figures below reports/ that differ.
func diffReports(out io.Writer, rev revision) error {
	before, err := rev.files("reports")
	if err != nil {
		return err
	}
	now, err := workingFiles("reports")
	if err != nil {
		return err
	}
	all := maps.Clone(before)
	maps.Copy(all, now)
	var figures []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		was, is := before[name], now[name]
		if was == is {
			continue
		}
		switch {
		case path.Base(name) == "metrics.json":
			if err := diffMetrics(out, rev, name, was != "", is != ""); err != nil {
				return err
			}
		case path.Base(path.Dir(name)) == "figures":
			state := "changed"
			if was == "" {
				state = "new"
			} else if is == "" {
				state = "gone"
			}
			figures = append(figures, fmt.Sprintf("- [%s](%s): %s", name, name, state))
		}
	}
	if len(figures) > 0 {
		fmt.Fprintf(out, "\n## Figures\n\n%s\n", strings.Join(figures, "\n"))
	}
	return nil
}

// workingFiles are the files below a folder of the working tree by path, each
// with the name that git would give its content; ignored ones are left out.
func workingFiles(folder string) (map[string]string, error) {
	blobs := map[string]string{}
	listing, err := git("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", folder)
	if err != nil {
		return nil, err
	}
	var names []string
	for name := range strings.SplitSeq(string(listing), "\x00") {
		if information, err := os.Lstat(name); name != "" && err == nil && information.Mode().IsRegular() && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for some := range slices.Chunk(names, 500) {
		hashes, err := git(append([]string{"hash-object", "--"}, some...)...)
		if err != nil {
			return nil, err
		}
		for i, hash := range strings.Fields(string(hashes)) {
			blobs[some[i]] = hash
		}
	}
	return blobs, nil
}

// diffMetrics is a table of what differs in one metrics.json. Two accuracies
// whose intervals overlap may differ by chance alone.
func diffMetrics(out io.Writer, rev revision, name string, was, is bool) error {
	var before, now metrics
	if was {
		text, err := rev.read(name)
		if err != nil {
			return err
		}
		if before, err = parseMetrics(rev.name+":"+name, text); err != nil {
			return err
		}
	}
	if is {
		var err error
		if now, err = readMetrics(filepath.FromSlash(name)); err != nil {
			return err
		}
	}
	fmt.Fprintf(out, "\n## %s\n\n", strings.TrimPrefix(path.Dir(name), "reports/"))
	switch {
	case !was:
		test := now.Splits["test"]
		fmt.Fprintf(out, "New: test accuracy %s.\n", interval(test.Accuracy, test.Low, test.High))
		return nil
	case !is:
		fmt.Fprintln(out, "Gone.")
		return nil
	}
	header(out, []string{"metric"}, "before", "now", "change", "intervals")
	for _, split := range []string{"train", "validation", "test"} {
		was, is := before.Splits[split], now.Splits[split]
		if was.Accuracy != is.Accuracy || was.N != is.N {
			overlap := "overlap"
			if was.Low > is.High || is.Low > was.High {
				overlap = "**apart**"
			}
			tableRow(out, split+" accuracy", interval(was.Accuracy, was.Low, was.High), interval(is.Accuracy, is.Low, is.High),
				fmt.Sprintf("%+.2f points", 100*(is.Accuracy-was.Accuracy)), overlap)
		}
		for _, row := range []struct {
			name    string
			was, is float64
		}{{"loss", was.Loss, is.Loss}, {"AUC", was.AUC, is.AUC}, {"Brier score", was.Brier, is.Brier}, {"calibration error", was.ECE, is.ECE}} {
			if row.was != row.is {
				tableRow(out, split+" "+row.name, fmt.Sprintf("%.4f", row.was), fmt.Sprintf("%.4f", row.is), fmt.Sprintf("%+.4f", row.is-row.was), "")
			}
		}
		if was.N != is.N {
			tableRow(out, split+" photos", fmt.Sprint(was.N), fmt.Sprint(is.N), fmt.Sprintf("%+d", is.N-was.N), "")
		}
	}
	return nil
}

func interval(accuracy, low, high float64) string {
	return fmt.Sprintf("%.2f %% (%.2f – %.2f)", 100*accuracy, 100*low, 100*high)
}
