package report

import (
	"bytes"
	"fmt"
	"slices"

	"gopkg.in/yaml.v3"

	"catdog/pipeline/params"
	"catdog/pipeline/stage"
)

func (f *findings) writeParameters(d *document, job *stage.Job) {
	d.heading(2, "Parameters")
	d.paragraph("As they were after the data set's and the experiment's changes to %s:", code("params.yaml"))
	text, err := resolved(job.Params.Sections)
	if err != nil {
		d.paragraph("*They cannot be written: %s.*", plain(err.Error()))
		return
	}
	d.folded("All parameters", func() { d.block("yaml", text) })
	if !f.missing(d, "train", "hyperparameters.json") {
		d.paragraph("The training was computed by %s: what %s came to, as far as that changes a digit.", code(f.engine.Device), listOf(engineKeys(), "and"))
	}
}

// engineKeys are the keys of section train that say what computes.
func engineKeys() []string {
	var keys []string
	for _, key := range params.EngineKeys {
		keys = append(keys, code(key))
	}
	return keys
}

// resolved writes the sections as params.yaml does, lists on one line. Where
// the photos lay is nobody's business but their owner's.
func resolved(sections params.Sections) (string, error) {
	if !slices.Equal(sections.Fetch.From, []string{params.FromDrawn}) {
		sections.Fetch.From = []string{}
	}
	var node yaml.Node
	if err := node.Encode(sections); err != nil {
		return "", fmt.Errorf("write parameters: %w", err)
	}
	flow(&node)
	var text bytes.Buffer
	encoder := yaml.NewEncoder(&text)
	encoder.SetIndent(2)
	if err := encoder.Encode(&node); err != nil {
		return "", fmt.Errorf("write parameters: %w", err)
	}
	return text.String(), nil
}

// flow puts lists on one line.
func flow(node *yaml.Node) {
	if node.Kind == yaml.SequenceNode {
		node.Style = yaml.FlowStyle
	}
	for _, child := range node.Content {
		flow(child)
	}
}

func (f *findings) writeReproduction(d *document, job *stage.Job) {
	d.heading(2, "How to reproduce")
	command := fmt.Sprintf("make DATASET=%s EXPERIMENT=%s", job.Params.Dataset, job.Params.Experiment)
	if !f.drawn {
		command += ` FROM="data.zip"`
	}
	d.block("sh", command)
	if !f.drawn {
		d.paragraph("`data.zip` stands for the zips or folders that the photos come from; they are needed the first time only.")
	}
	rows := [][]string{}
	for _, content := range []struct{ name, digest string }{
		{"photos (names and contents)", f.photos}, {"pack.arrow", f.pack}, {"weights", f.metrics.Model.Digest},
	} {
		if content.digest != "" {
			rows = append(rows, []string{content.name, code(content.digest)})
		}
	}
	d.paragraph("The same photos, parameters and code give the same bytes on the same kind of machine. What this report is about:")
	d.table("ll", []string{"content", "SHA-256"}, rows)
}
