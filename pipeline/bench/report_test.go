package bench

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func fresh(machine Machine, partName string, ratio float64) *Report {
	return &Report{
		Machine: machine,
		Runs: []Run{{Part: partName, About: "What it is.", Command: "make bench ONLY=" + partName, Load: 0.25,
			Versions: map[string]string{partName + "'s peer": "1"}}},
		Rows: []Row{{
			Part: partName, Name: "what", Ours: 1234.5, Peer: 1000, PeerName: "peer", Unit: "images/s", Ratio: ratio,
			Rounds: 5, OursRange: &[2]float64{1200, 1300}, PeerRange: &[2]float64{990, 1010},
		}},
	}
}

// Measuring one part keeps the others' rows and their order.
func TestMerge(t *testing.T) {
	here := Machine{Processor: "one", Cores: 2}
	report := new(Report)
	for _, step := range []struct {
		part  string
		ratio float64
	}{{"pack", 1}, {"train", 2}, {"pack", 3}} {
		var dropped bool
		if report, dropped = report.merge(fresh(here, step.part, step.ratio)); dropped {
			t.Error("rows of the same machine were dropped")
		}
	}
	var got []float64
	for _, row := range report.Rows {
		got = append(got, row.Ratio)
	}
	if want := []float64{2, 3}; !reflect.DeepEqual(got, want) || len(report.Runs) != 2 {
		t.Errorf("ratios %v of %d runs, want %v of 2", got, len(report.Runs), want)
	}
	report, dropped := report.merge(fresh(Machine{Processor: "another"}, "train", 4))
	if !dropped || len(report.Rows) != 1 || len(report.Runs) != 1 {
		t.Errorf("numbers of another machine stand beside this one's: %+v", report)
	}
}

// What is written is read again, and people's text has what the contract names.
func TestWrite(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "reports")
	want := fresh(Machine{Processor: "Some CPU", Instructions: "AVX2", Cores: 2, MemoryGiB: 8, System: "Debian"}, "train", 1.2345)
	want.Runs[0].Notes = []string{"something is left out"}
	want.Rows = append(want.Rows,
		Row{Part: "train", Name: "nothing", Ours: 0, Peer: 7, PeerName: "peer", Unit: "allocations"},
		Row{Part: "train", Name: "layer", Ours: 1.5, Unit: "ms", OfPeak: 0.5, OfBandwidth: 0.123})
	if err := want.write(folder); err != nil {
		t.Fatal(err)
	}
	got, err := readReport(folder)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	text, err := os.ReadFile(filepath.Join(folder, markdownName))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Machine: Some CPU, 2 cores (AVX2), 8 GiB, Debian.",
		"## Training\n\nWhat it is.",
		"Note: something is left out.",
		"| what | images/s | 1,235 (1,200–1,300) | 1,000 (990–1,010) | peer | 1.23 |  |  |",
		"| nothing | allocations | 0.00 | 7.00 | peer | – |  |  |",
		"| layer | ms | 1.50 |  |  |  | 50.0 % | 12.3 % |",
		"`make bench ONLY=train`, load of the machine in the minute before: 0.2. train's peer 1.",
		"## How to get them",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	entries, err := os.ReadDir(folder)
	if err != nil || len(entries) != 2 {
		t.Errorf("%v in the folder, %v; want the two files", entries, err)
	}
}

func TestReadReport(t *testing.T) {
	folder := t.TempDir()
	if r, err := readReport(folder); err != nil || len(r.Rows) != 0 {
		t.Errorf("got %v, %v for no report", r, err)
	}
	name := filepath.Join(folder, jsonName)
	if err := os.WriteFile(name, []byte("{"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := readReport(folder); err == nil || !strings.Contains(err.Error(), name) {
		t.Errorf("got %v, want an error that names %s", err, name)
	}
}

func TestFigure(t *testing.T) {
	for value, want := range map[float64]string{
		0: "0.00", 0.0123: "0.012", 1.234: "1.23", 12.34: "12.3", 1234.5: "1,235", 1e6: "1,000,000",
	} {
		if got := figure(value); got != want {
			t.Errorf("figure(%g) = %s, want %s", value, got, want)
		}
	}
}

// Every part can be told from the others and says what it measures.
func TestParts(t *testing.T) {
	names := map[string]bool{}
	for _, p := range parts {
		if p.name == "" || p.title == "" || p.about == "" || p.measure == nil || names[p.name] {
			t.Errorf("part %+v", p)
		}
		names[p.name] = true
	}
}
