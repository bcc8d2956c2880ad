package report

import (
	"fmt"
	"maps"
	"math"
	"path"
	"slices"
	"strings"

	"catdog/pipeline/params"
	"catdog/pipeline/stage"
)

// Lists in the report end after so many rows; the CSV files have the rest.
const listed = 12

// markdown is the content of report.md.
func (f *findings) markdown(job *stage.Job) []byte {
	d := &document{}
	d.heading(1, plain(f.title(job)))
	f.writeResult(d, job)
	f.writeData(d, job)
	f.writeNetwork(d)
	f.writeTraining(d, job)
	f.writeTest(d)
	f.writeMistakes(d)
	f.writeParameters(d, job)
	f.writeReproduction(d, job)
	return []byte(strings.TrimRight(d.String(), "\n") + "\n")
}

// missing says that a file is not there, if it is not.
func (f *findings) missing(d *document, stage, name string) bool {
	if !f.absent[stage+"/"+name] {
		return false
	}
	d.paragraph("*%s left no %s.*", stage, code(name))
	return true
}

// figure shows figures that there are, side by side where there is room.
func (f *findings) figure(d *document, names ...string) {
	var shown []string
	for _, name := range names {
		if _, ok := f.figures[name]; ok {
			words := strings.ReplaceAll(strings.TrimSuffix(name, path.Ext(name)), "-", " ")
			shown = append(shown, fmt.Sprintf("![%s](figures/%s)", words, strings.ReplaceAll(name, " ", "%20")))
		}
	}
	if len(shown) > 0 {
		d.paragraph("%s", strings.Join(shown, " "))
	}
}

func (f *findings) writeResult(d *document, job *stage.Job) {
	test := f.metrics.Splits.Test
	d.paragraph("**%s of %s are told right** (95 %% interval %s to %s): %s, data set %s, experiment %s.",
		percent(test.Accuracy), count(test.N, "test photo", "test photos"), percent(test.AccuracyLow), percent(test.AccuracyHigh),
		plain(listOf(f.metrics.Classes, "or")), code(job.Params.Dataset), code(job.Params.Experiment))
	var rows [][]string
	for _, split := range []struct {
		name string
		measures
	}{{"train", f.metrics.Splits.Train}, {"validation", f.metrics.Splits.Validation}, {"**test**", test}} {
		rows = append(rows, []string{split.name, comma(split.N), percent(split.Accuracy),
			fmt.Sprintf("%s to %s", percent(split.AccuracyLow), percent(split.AccuracyHigh)), fmt.Sprintf("%.4f", split.Loss)})
	}
	d.table("lrrrr", []string{"split", "photos", "accuracy", "95 % interval", "loss"}, rows)
	d.paragraph("The network learnt from the training photos and was chosen by the validation photos; the test photos decided nothing. " +
		"The intervals are Wilson's: what other photos of the same kind could give.")
	f.figure(d, "photos.jpg")
}

func (f *findings) writeData(d *document, job *stage.Job) {
	d.heading(2, "Data")
	if !f.missing(d, "explore", "exploration.json") {
		e := f.exploration
		d.paragraph("%s, of which %s can be used: median size %.0f × %.0f px, half of them between %.0f and %.0f px wide and between %.0f and %.0f px high. Formats: %s.",
			count(e.Files, "file", "files"), count(e.Photos, "photo", "photos"), e.All.Width.Median, e.All.Height.Median,
			e.All.Width.Lower, e.All.Width.Upper, e.All.Height.Lower, e.All.Height.Upper, tally(e.Formats))
	}
	f.writeClasses(d)
	f.figure(d, inOrder(f.explored, "sizes.svg", "width-height.svg", "aspect-ratios.svg", "fits.svg")...)
	if p := f.packed; p != nil {
		mode := map[string]string{
			"stretch": "stretched, whatever their aspect ratio",
			"crop":    "cropped in the centre",
			"pad":     "padded",
		}[job.Params.Resize.Mode]
		trained := job.Params.Train
		shown := "their centres at that size"
		if trained.View == params.Whole {
			shown = "whole ones"
		}
		d.paragraph("Images are stored at %d × %d px, %s. The network learns from parts of them at %d × %d px, and is validated and tested on %s.",
			p.Width, p.Height, mode, trained.Network.Width, trained.Network.Height, shown)
	}
	f.writeRejected(d)
	f.writeCopies(d)
	f.writeOutliers(d)
}

// writeClasses is the table of classes and splits.
func (f *findings) writeClasses(d *document) {
	if f.missing(d, "pack", "pack.json") {
		return
	}
	explored := map[string]statistics{}
	if f.exploration != nil {
		for _, class := range f.exploration.Classes {
			explored[class.Class] = class
		}
	}
	splits := []string{"train", "validation", "test"}
	var totals [4]int
	var rows [][]string
	for _, class := range f.packed.Classes {
		images, sum := f.packed.Images[class], 0
		row := []string{plain(class), ""}
		for i, split := range splits {
			row = append(row, comma(images[split]))
			totals[i+1] += images[split]
			sum += images[split]
		}
		row[1] = comma(sum)
		totals[0] += sum
		size := "–"
		if s, ok := explored[class]; ok {
			size = fmt.Sprintf("%.0f × %.0f", s.Width.Median, s.Height.Median)
		}
		rows = append(rows, append(row, size))
	}
	row := []string{"all"}
	for _, total := range totals {
		row = append(row, comma(total))
	}
	size := "–"
	if f.exploration != nil {
		size = fmt.Sprintf("%.0f × %.0f", f.exploration.All.Width.Median, f.exploration.All.Height.Median)
	}
	rows = append(rows, append(row, size))
	d.table("lrrrrr", []string{"class", "images", "train", "validation", "test", "median px"}, rows)
}

func (f *findings) writeRejected(d *document) {
	d.heading(3, "Left out")
	if f.missing(d, "explore", "rejected.csv") && f.rejected == nil {
		return
	}
	f.missing(d, "resize", "rejected.csv")
	if len(f.rejected) == 0 {
		d.paragraph("No file was rejected.")
		return
	}
	problems := map[string][][]string{}
	for _, row := range f.rejected {
		problems[row[1]] = append(problems[row[1]], row)
	}
	var rows [][]string
	for _, problem := range slices.Sorted(maps.Keys(problems)) {
		first := problems[problem][0]
		rows = append(rows, []string{code(problem), comma(len(problems[problem])), code(first[0]), plain(first[2])})
	}
	d.paragraph("%s rejected (the codes are explained in the README):", count(len(f.rejected), "file was", "files were"))
	d.table("lrll", []string{"problem", "files", "the first of them", "because"}, rows)
	if len(f.rejected) > len(problems) {
		d.folded("More of them", func() {
			var rows [][]string
			for _, row := range f.rejected[:min(len(f.rejected), 5*listed)] {
				rows = append(rows, []string{code(row[0]), code(row[1]), plain(row[2])})
			}
			d.table("lll", []string{"path", "problem", "because"}, rows)
			d.more(len(f.rejected)-len(rows), "rejected.csv")
		})
	}
}

// more says that a list goes on elsewhere.
func (d *document) more(n int, file string) {
	if n > 0 {
		d.paragraph("%s in %s.", count(n, "more row is", "more rows are"), code(file))
	}
}

func (f *findings) writeCopies(d *document) {
	d.heading(3, "Copies")
	if f.exploration != nil {
		c := f.exploration.Copies
		if c.Groups == 0 {
			d.paragraph("No photo is there twice.")
		} else {
			d.paragraph("%s there more than once, with %s in all; copies of one photo are always in the same split.",
				count(c.Groups, "photo is", "photos are"), count(c.Files, "superfluous file", "superfluous files"))
		}
	} else {
		f.missing(d, "explore", "exploration.json")
	}
	if f.missing(d, "pack", "conflicts.csv") || len(f.conflicts) == 0 {
		return
	}
	var rows [][]string
	for _, row := range f.conflicts[:min(len(f.conflicts), listed)] {
		rows = append(rows, []string{code(row[0]), plain(row[1])})
	}
	d.paragraph("%s left out, because a copy carries another label:", count(len(f.conflicts), "file is", "files are"))
	d.table("ll", []string{"path", "class"}, rows)
	d.more(len(f.conflicts)-len(rows), "conflicts.csv")
}

func (f *findings) writeOutliers(d *document) {
	d.heading(3, "Outliers")
	if f.missing(d, "explore", "outliers.csv") {
		return
	}
	if len(f.outliers) == 0 {
		d.paragraph("No photo is of an unusual size or shape.")
		return
	}
	farthest := slices.Clone(f.outliers)
	slices.SortStableFunc(farthest, func(a, b []string) int {
		x, y := math.Abs(number(a[5])), math.Abs(number(b[5]))
		switch {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return strings.Compare(a[0], b[0])
	})
	var rows [][]string
	for _, row := range farthest[:min(len(farthest), listed)] {
		rows = append(rows, []string{code(row[0]), plain(row[1]), row[2] + " × " + row[3], row[4], row[5]})
	}
	threshold := ""
	if f.exploration != nil {
		threshold = fmt.Sprintf(" (modified z-score beyond %g)", f.exploration.Outliers.Threshold)
	}
	d.paragraph("%s of an unusual area or aspect ratio%s. They are used like all others. The farthest:",
		count(len(f.outliers), "photo is", "photos are"), threshold)
	d.table("llrlr", []string{"path", "class", "px", "unusual", "z-score"}, rows)
	d.more(len(f.outliers)-len(rows), "outliers.csv")
}

func (f *findings) writeNetwork(d *document) {
	d.heading(2, "Network")
	f.missing(d, "train", "network.svg")
	f.figure(d, "network.svg")
	if f.missing(d, "train", "summary.txt") {
		return
	}
	d.folded("Layers", func() { d.block("text", string(f.summary)) })
}

func (f *findings) writeTraining(d *document, job *stage.Job) {
	d.heading(2, "Training")
	if f.missing(d, "train", "history.csv") {
		return
	}
	t := job.Params.Train
	if t.From != "" {
		d.paragraph("The network began with the weights whose SHA-256 is %s.", code(t.From))
	}
	if t.Epochs == 0 {
		d.paragraph("They are taken as they are: nothing was trained.")
		return
	}
	stopped := ""
	if len(f.history) < t.Epochs {
		stopped = fmt.Sprintf(" (of %d: it stopped when the validation loss had not fallen for %d)", t.Epochs, t.Patience)
	}
	d.paragraph("%s%s in batches of %d with %s, learning rate at most %g (%s); the best model is that of epoch %d.",
		count(len(f.history), "epoch", "epochs"), stopped, t.Batch,
		map[string]string{"sgd": "SGD", "adamw": "AdamW"}[t.Optimizer.Name], t.LearningRate.Peak, t.LearningRate.Schedule, f.metrics.Model.BestEpoch)
	f.figure(d, "loss.svg")
	f.figure(d, "accuracy.svg")
	d.paragraph("Training values are measured on augmented images while the network learns, so that they can be worse than the validation's. "+
		"Every epoch's numbers are in %s.", code("history.csv"))
}

func (f *findings) writeTest(d *document) {
	d.heading(2, "Test")
	test := f.metrics.Splits.Test
	d.table("lrl", []string{"measure", "value", "meaning"}, [][]string{
		{"accuracy", percent(test.Accuracy), "share of photos told right"},
		{"AUC", decimals(test.AUC, 4), "how often a photo of a class gets a higher probability for it than one of another class"},
		{"loss", fmt.Sprintf("%.4f", test.Loss), "cross-entropy in nats"},
		{"Brier score", decimals(test.Brier, 4), "mean squared error of the probabilities"},
		{"calibration error", decimals(test.ECE, 4), "mean distance between confidence and accuracy (ECE)"},
	})
	classes, confusion := f.metrics.Classes, test.Confusion
	if len(confusion) == len(classes) {
		var rows [][]string
		for i, class := range classes {
			total, called := 0, 0
			for j := range classes {
				if j < len(confusion[i]) {
					total += confusion[i][j]
				}
				if i < len(confusion[j]) {
					called += confusion[j][i]
				}
			}
			right := 0
			if i < len(confusion[i]) {
				right = confusion[i][i]
			}
			rows = append(rows, []string{plain(class), comma(total), comma(right), share(right, total), share(right, called)})
		}
		d.table("lrrrr", []string{"class", "photos", "told right", "recall", "precision"}, rows)
	}
	f.figure(d, inOrder(f.evaluated, "confusion.svg", "roc.svg", "reliability.svg")...)
	for _, name := range []string{"confusion.svg", "roc.svg", "reliability.svg"} {
		if !slices.Contains(f.evaluated, name) {
			d.paragraph("*evaluate left no %s.*", code("figures/"+name))
		}
	}
}

func (f *findings) writeMistakes(d *document) {
	d.heading(3, "Most confident mistakes")
	if f.missing(d, "evaluate", "mistakes.csv") {
		return
	}
	if len(f.mistakes) == 0 {
		d.paragraph("None.")
		return
	}
	var rows [][]string
	for _, row := range f.mistakes {
		rows = append(rows, []string{code(row[0]), plain(row[1]), plain(row[2]), percent(number(row[3]))})
	}
	d.paragraph("The test photos that the network is surest about, and wrong. A photo that carries the wrong label looks just so.")
	d.table("lllr", []string{"path", "labelled", "told to be", "probability"}, rows)
	d.paragraph("Every prediction is in %s.", code("predictions.csv"))
}

// inOrder are the names with those that are known first, in their order.
func inOrder(names []string, first ...string) []string {
	var ordered []string
	for _, name := range append(slices.Clone(first), names...) {
		if slices.Contains(names, name) && !slices.Contains(ordered, name) {
			ordered = append(ordered, name)
		}
	}
	return ordered
}

// listOf joins words: a, b or c.
func listOf(words []string, last string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	end := len(words) - 1
	return strings.Join(words[:end], ", ") + " " + last + " " + words[end]
}

// tally lists counts by name, most first.
func tally(counts map[string]int) string {
	names := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		if counts[a] != counts[b] {
			return counts[b] - counts[a]
		}
		return strings.Compare(a, b)
	})
	for i, name := range names {
		names[i] = fmt.Sprintf("%s %s", plain(name), comma(counts[name]))
	}
	return strings.Join(names, ", ")
}
