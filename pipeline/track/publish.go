package track

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"catdog/pipeline/artifact"
	"catdog/pipeline/stage"
	"catdog/pipeline/weights"
)

// publish copies the current model, which must be fresh and measured, to
// models/published/, see params.Params.PublishedName: weights, model.json, a
// model card, and a manifest of its own. With HALF=1 in the environment the
// weights are rounded to float16.
func publish(_ []string, out io.Writer) error {
	project, states, err := planned()
	if err != nil {
		return err
	}
	manifests := map[string]*artifact.Manifest{}
	for _, state := range states {
		if state.Verdict != stage.Fresh {
			return fmt.Errorf("%s is %s; run make first", state.Definition.Name, describe(state))
		}
		manifests[state.Definition.Name] = state.Manifest
	}
	dataset := project.Params.Dataset
	model := stage.Find("train").Folder(dataset, manifests["train"].Key)
	var described struct{ Weights, SHA256 string }
	description, err := readJSON(filepath.Join(model, "model.json"), &described)
	if err != nil {
		return err
	}
	values, err := os.ReadFile(filepath.Join(model, described.Weights))
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	if fmt.Sprintf("%x", sha256.Sum256(values)) != described.SHA256 {
		return fmt.Errorf("publish: %s is %w", filepath.Join(model, described.Weights), artifact.ErrDamaged)
	}
	if half := os.Getenv("HALF"); half == "1" {
		if values, description, err = round(values, description, described.SHA256); err != nil {
			return fmt.Errorf("publish %s: %w", model, err)
		}
	} else if half != "" {
		return fmt.Errorf("HALF=%s: 1 rounds the weights to float16, nothing leaves them", half)
	}
	metrics := filepath.Join(project.Reports(), "metrics.json")
	folder := filepath.Join(stage.PublishedFolder, project.Params.PublishedName())
	card, err := modelCard(cardOptions{
		description: description, metrics: metrics, report: filepath.Join(project.Reports(), "report.md"), folder: folder,
		code: manifests["train"].Code, from: project.Params.Train.From,
	})
	if err != nil {
		return err
	}
	files := map[string][]byte{"model.json": description, "README.md": card, described.Weights: values}
	if files["metrics.json"], err = os.ReadFile(metrics); err != nil {
		return fmt.Errorf("publish: %w", err)
	}

	partial := folder + ".partial"
	if err := os.RemoveAll(partial); err != nil {
		return err
	}
	if err := os.MkdirAll(partial, 0o777); err != nil {
		return err
	}
	for name, content := range files {
		if err := artifact.WriteFile(filepath.Join(partial, name), content); err != nil {
			return fmt.Errorf("publish: %w", err)
		}
	}
	recipe := artifact.Recipe{Stage: "publish", Inputs: map[string]string{"train": manifests["train"].Digest, "evaluate": manifests["evaluate"].Digest}}
	digests := artifact.OpenDigests(filepath.Join(os.TempDir(), "no-such-cache"))
	manifest, err := artifact.Commit(partial, stage.PublishedFolder, recipe, nil, nil, digests)
	if err != nil {
		return err
	}
	// The model that was published before goes as a whole, too.
	if err := os.Rename(folder, partial); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Rename(filepath.Join(stage.PublishedFolder, manifest.Key), folder); err != nil {
		return err
	}
	if err := errors.Join(artifact.SyncFolder(stage.PublishedFolder), os.RemoveAll(partial)); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "published %s (%s)\n", folder, strings.Join(names(manifest.Files), ", "))
	return err
}

// round is a model with its weights as float16, and model.json for it: with
// their digest and, since they were measured, that of the weights before.
func round(content, description []byte, digest string) (rounded, model []byte, err error) {
	tensors, metadata, err := weights.Decode(content)
	if err != nil {
		return nil, nil, err
	}
	if rounded, err = weights.EncodeHalf(tensors, metadata); err != nil {
		return nil, nil, err
	}
	before := fmt.Appendf(nil, `"sha256": %q`, digest)
	if bytes.Count(description, before) != 1 {
		return nil, nil, fmt.Errorf("model.json does not name its weights' digest once")
	}
	after := fmt.Appendf(nil, "\"sha256\": \"%x\",\n  \"rounded_from\": %q", sha256.Sum256(rounded), digest)
	return rounded, bytes.Replace(description, before, after, 1), nil
}

func names(files []artifact.File) []string {
	var list []string
	for _, file := range files {
		list = append(list, file.Path)
	}
	return list
}

func readJSON(path string, into any) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return text, nil
}

// cardOptions are what a model card is made of.
type cardOptions struct {
	description     []byte // model.json
	metrics, report string // files
	folder          string // where the model is published
	code            string // digest of the code that trained it
	from            string // digest of the weights that it began with, "" for random ones
}

// modelCard is what a stranger should know before using the model, after
// Mitchell et al., "Model Cards for Model Reporting", 2019.
func modelCard(o cardOptions) ([]byte, error) {
	type split struct {
		N               int
		Accuracy, Loss  float64
		Low             float64 `json:"accuracy_low"`
		High            float64 `json:"accuracy_high"`
		AUC, Brier, ECE float64
		Confusion       [][]int
	}
	type Size struct{ Height, Width int }
	var card struct {
		Metrics struct {
			Dataset, Experiment string
			Classes             []string
			Splits              map[string]split
			Model               struct {
				Digest     string
				BestEpoch  int `json:"best_epoch"`
				Parameters int
			}
		}
		Model struct {
			Weights, SHA256 string
			RoundedFrom     string `json:"rounded_from"`
			Stored          struct {
				Size
				Mode string
			}
			Input, Network Size
		}
		Report, Folder, Code, From string // as in cardOptions
	}
	if _, err := readJSON(o.metrics, &card.Metrics); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(o.description, &card.Model); err != nil {
		return nil, fmt.Errorf("read model.json: %w", err)
	}
	card.Report, card.Folder = filepath.ToSlash(filepath.Join("../../..", o.report)), filepath.ToSlash(o.folder)
	card.Code, card.From = o.code, o.from
	var text bytes.Buffer
	if err := cardTemplate.Execute(&text, card); err != nil {
		return nil, fmt.Errorf("write the model card: %w", err)
	}
	return text.Bytes(), nil
}

var cardTemplate = template.Must(template.New("card").Funcs(template.FuncMap{
	"percent": func(share float64) string { return fmt.Sprintf("%.2f %%", 100*share) },
	"recall": func(row []int, class int) string {
		total := 0
		for _, n := range row {
			total += n
		}
		return fmt.Sprintf("%d of %d (%.1f %%)", row[class], total, 100*float64(row[class])/float64(max(total, 1)))
	},
}).Parse(`# Model card: {{.Metrics.Dataset}}, experiment {{.Metrics.Experiment}}
{{with .Metrics}}
Tells {{range $i, $c := .Classes}}{{if $i}} from {{end}}{{$c}}{{end}} in a photo. {{if .Model.BestEpoch}}Trained from {{if $.From}}weights with the sha256 {{$.From}}{{else}}random weights{{end}} on the {{.Splits.train.N}} photos of the data set's
training split; the weights are those after epoch {{.Model.BestEpoch}}, chosen on {{.Splits.validation.N}} validation photos.{{else}}The weights were trained before (sha256 {{$.From}}) and are taken as they are.{{end}}

| split | photos | accuracy | 95 % interval | loss |
|---|---:|---:|---:|---:|
{{range $name, $split := .Splits}}| {{$name}} | {{$split.N}} | {{percent $split.Accuracy}} | {{percent $split.Low}} – {{percent $split.High}} | {{printf "%.4f" $split.Loss}} |
{{end}}
Only the test split, which took no part in any choice, says how good it is on photos like these.
AUC {{printf "%.4f" .Splits.test.AUC}}, Brier score {{printf "%.4f" .Splits.test.Brier}}, expected calibration error {{printf "%.4f" .Splits.test.ECE}}.

| true class | recognised in the test split |
|---|---:|
{{$test := .Splits.test}}{{range $i, $c := .Classes}}| {{$c}} | {{recall (index $test.Confusion $i) $i}} |
{{end}}{{end}}
## Input

Photos turned upright by EXIF, brought to {{.Model.Stored.Height}}×{{.Model.Stored.Width}} (mode {{.Model.Stored.Mode}}), {{if eq .Model.Input .Model.Stored.Size}}whole{{else}}cropped to the central {{.Model.Input.Height}}×{{.Model.Input.Width}}{{end}}
(it learnt from parts at {{.Model.Network.Height}}×{{.Model.Network.Width}}), normalised with the mean and deviation in model.json. {{.Metrics.Model.Parameters}} parameters, in {{.Model.Weights}} (sha256 {{.Model.SHA256}}).{{if .Model.RoundedFrom}}
The weights were rounded to float16 after they had been measured as float32 (sha256 {{.Model.RoundedFrom}}).{{end}}

## Where it fails

It always answers with one of its classes, also for a photo that shows neither. Photos unlike those of the data set
(drawings, several animals, animals that fill little of the picture, unusual crops) were not measured and will fail more
often than the table says. The most confident mistakes are listed in [the report]({{.Report}}).

## Use

    make classify PHOTOS=photo.jpg MODEL={{.Folder}}
`))
