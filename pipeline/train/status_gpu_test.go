//go:build gpu

package train

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"catdog/pipeline/artifact"
	"catdog/pipeline/stage"
)

// A project is a folder in which the real stage trains for two epochs on a GPU
// that stands in.
type project struct {
	t           *testing.T
	folder      string
	binary      string
	checkpoints map[int]string // what those hold that failing runs left, by their epochs
}

// newProject needs two variables: STANDIN_TRAIN, the stage's binary, and
// STANDIN_STATUSES, the stand-in driver's list of statuses.
func newProject(t *testing.T) (*project, []status) {
	binary, list := os.Getenv("STANDIN_TRAIN"), os.Getenv("STANDIN_STATUSES")
	if binary == "" || list == "" {
		t.Skip("needs the stand-in driver: make gpu-check")
	}
	p := &project{t, t.TempDir(), binary, map[int]string{}}
	parameters, err := os.ReadFile("../../params.yaml")
	p.must(err)
	// The section of experiments comes last.
	for name, device := range experiments {
		epochs := 2
		fmt.Sscanf(name, "gpu-%d", &epochs)
		parameters = fmt.Appendf(parameters, "  %s:\n    train: {device: %s, epochs: %d, batch: 8, threads: 1, "+
			"network: {height: 8, width: 8, channels: [4, 4], residuals: [0, 1], pools: [2, 2], dropout: 0.2}}\n", name, device, epochs)
	}
	p.must(os.WriteFile(p.path("params.yaml"), parameters, 0o666))
	work := p.path("data/processed/sample/pack.partial")
	p.must(os.MkdirAll(work, 0o777))
	writePack(t, filepath.Join(work, "pack.arrow"), 20, 8)
	t.Chdir(p.folder)
	variant, err := stage.OpenVariant(nil, "sample", "gpu", "")
	p.must(err)
	recipe := artifact.Recipe{Stage: "pack", Code: "none", Parameters: variant.Parameters("pack")}
	manifest, err := artifact.Commit(work, "data/processed/sample", recipe, nil, nil, artifact.OpenDigests("digests"))
	p.must(err)
	for name := range experiments {
		p.must(artifact.WriteFile("data/processed/sample/"+name+".json", manifest.Encode()))
	}

	text, err := os.ReadFile(list)
	p.must(err)
	var statuses []status
	for _, match := range regexp.MustCompile(`(?m)^\{(\w+), (\d+),`).FindAllStringSubmatch(string(text), -1) {
		number, err := strconv.Atoi(match[2])
		p.must(err)
		if number != 0 {
			statuses = append(statuses, status{match[1], number})
		}
	}
	return p, statuses
}

// experiments are the project's, each with its device; gpu-4 and gpu-6 train for
// so many epochs, the others for two.
var experiments = map[string]string{"auto": "auto", "gpu": "gpu", "gpu-4": "gpu", "gpu-6": "gpu"}

// A status is one of CUDA's, or of cuDNN's.
type status struct {
	name   string
	number int
}

// ofCuDNN are statuses that cuDNN's calls return.
var ofCuDNN = []status{
	{"CUDNN_STATUS_NOT_INITIALIZED", 1001}, {"CUDNN_STATUS_BAD_PARAM", 2000},
	{"CUDNN_STATUS_INTERNAL_ERROR", 4000}, {"CUDNN_STATUS_EXECUTION_FAILED", 5000},
}

func (p *project) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *project) path(name string) string { return filepath.Join(p.folder, name) }

// checkpoint is where the run under way keeps its own, "" if none is there.
func (p *project) checkpoint() string {
	found, err := filepath.Glob(p.path("models/sample/*.partial/" + checkpointName))
	p.must(err)
	if len(found) == 0 {
		return ""
	}
	return found[0]
}

// train runs the stage for an experiment and returns its exit status and what
// it said on its standard error.
func (p *project) train(experiment string, environment ...string) (int, string) {
	p.t.Helper()
	command := exec.CommandContext(p.t.Context(), p.binary)
	command.Dir = p.folder
	command.Env = append(os.Environ(), "DATASET=sample", "EXPERIMENT="+experiment, "SET=")
	command.Env = append(command.Env, slices.DeleteFunc(environment, func(s string) bool { return s == "" })...)
	var said strings.Builder
	command.Stderr = &said
	hung := time.AfterFunc(2*time.Minute, func() { command.Process.Kill() })
	err := command.Run()
	if !hung.Stop() {
		p.t.Errorf("%v: hung", environment)
	}
	if err != nil && !errors.As(err, new(*exec.ExitError)) {
		p.t.Fatal(err)
	}
	return command.ProcessState.ExitCode(), said.String()
}

// A call is one that the driver was asked, with what for.
type call struct{ name, detail string }

// A site is the call of that number, from 1, among those of its kind, as
// STANDIN_FAIL has it.
type site struct {
	call
	number int
}

func (s site) String() string {
	return fmt.Sprintf("%s#%d", strings.TrimRight(s.name+" "+s.detail, " "), s.number)
}

func (p *project) trace(experiment string) (calls []call) {
	file := p.path("trace")
	if code, said := p.train(experiment, "STANDIN_TRACE="+file); code != 0 {
		p.t.Fatalf("exit status %d: %s", code, said)
	}
	text, err := os.ReadFile(file)
	p.must(err)
	p.must(os.Remove(file))
	for line := range strings.Lines(string(text)) {
		name, detail, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		calls = append(calls, call{name, detail})
	}
	return calls
}

// A failing call ends the run with exit status 1 and one line that names the
// status and the call; there is no crash, no stack trace and no hang, and the
// checkpoint that was there can be gone on with. Every kind of call (a function
// with what it is for) fails where it is first made and where it is last made,
// with statuses in turn; STANDIN_EVERY=1 tries each status at each of these.
// Images that there is no room for may stay in the host's memory instead, and
// epochs that end while a checkpoint is being written are written together, so
// that the last of some calls may not be made: then the run ends as it would have.
func TestEveryStatusEndsTheRunWithItsName(t *testing.T) {
	p, statuses := newProject(t)
	whole := p.trace("gpu-4")
	want := p.best()
	p.must(os.RemoveAll(p.path("models")))

	// The first run fails in a later epoch and leaves a checkpoint, which is
	// written while the next epoch is under way.
	path := ""
	for percent := 40; path == "" && percent < 100; percent += 5 {
		if code, said := p.train("gpu-4", fmt.Sprintf("STANDIN_FAIL=#%d=%d", len(whole)*percent/100, 719)); code != 1 {
			t.Fatalf("exit status %d: %s", code, said)
		}
		path = p.checkpoint()
	}
	if path == "" {
		t.Fatal("no checkpoint after the first epoch")
	}
	saved, err := os.ReadFile(path)
	p.must(err)
	restore := func() {
		p.must(os.RemoveAll(p.path("models")))
		p.must(os.MkdirAll(filepath.Dir(path), 0o777))
		p.must(os.WriteFile(path, saved, 0o666))
	}
	restore()
	calls := p.trace("gpu-4")

	counts := map[call]int{}
	for _, c := range calls {
		counts[c]++
	}
	sites := map[site]bool{} // first and last
	for c, count := range counts {
		sites[site{c, 1}], sites[site{c, count}] = true, true
	}
	ordered := slices.SortedFunc(maps.Keys(sites), func(a, b site) int {
		return cmp.Or(strings.Compare(a.name, b.name), strings.Compare(a.detail, b.detail), a.number-b.number)
	})
	rounds := (len(statuses) + len(ordered) - 1) / len(ordered)
	if os.Getenv("STANDIN_EVERY") == "1" {
		rounds = len(statuses)
	}
	next, missed := 0, 0
	for range rounds {
		for _, at := range ordered {
			s := statuses[next%len(statuses)]
			if strings.HasPrefix(at.name, "cudnn") {
				s = ofCuDNN[next%len(ofCuDNN)]
			}
			next++
			restore()
			code, said := p.train("gpu-4", fmt.Sprintf("STANDIN_FAIL=%s=%d", at, s.number))
			happened := strings.Contains(said, "stand-in: ")
			switch what := fmt.Sprintf("%s at %s", s.name, at); {
			case !happened, code == 0 && s.name == "CUDA_ERROR_OUT_OF_MEMORY" && at.name == "cuMemAlloc":
				if code != 0 {
					t.Errorf("%s: exit status %d: %s", what, code, said)
				} else if !bytes.Equal(p.best(), want) {
					t.Errorf("%s: the run went on to other weights:\n%s", what, said)
				}
			default:
				p.checkFailure(what, code, said, s.name, at.name)
			}
			if !happened {
				missed++
			}
		}
		next++ // another status at each call than the round before
	}
	t.Logf("%d kinds of calls; %d places tried with %d of %d statuses each, %d times not reached", len(counts), len(ordered), rounds, len(statuses), missed)
	if 10*missed > rounds*len(ordered) {
		t.Errorf("%d of %d failures never happened", missed, rounds*len(ordered))
	}

	restore()
	if code, said := p.train("gpu-4"); code != 0 || !strings.Contains(said, "goes on in epoch ") {
		t.Errorf("going on without a failure: exit status %d: %s", code, said)
	} else if !bytes.Equal(p.best(), want) {
		t.Errorf("going on without a failure leads to other weights:\n%s", said)
	}
}

// checkFailure looks at how a run ended.
func (p *project) checkFailure(what string, code int, said string, names ...string) {
	p.t.Helper()
	lines := 0
	for line := range strings.Lines(said) {
		if !strings.HasPrefix(line, "train: ") {
			continue
		}
		lines++
		for _, name := range names {
			if !strings.Contains(line, name) {
				p.t.Errorf("%s: %q does not name %s", what, line, name)
			}
		}
	}
	if code != 1 || lines != 1 || strings.Contains(said, "goroutine ") || strings.Contains(said, "panic") {
		p.t.Errorf("%s: exit status %d, %d lines of error:\n%s", what, code, lines, said)
	}
	path := p.checkpoint()
	if path == "" {
		p.t.Errorf("%s: the checkpoint is gone", what)
		return
	}
	c, err := loadCheckpoint(path)
	if err != nil || c.Epoch < 2 {
		p.t.Errorf("%s: the checkpoint is damaged: %v", what, err)
		return
	}
	c.progressState = progressState{Epoch: c.Epoch, Step: c.Step} // without times
	content, err := c.encode()
	p.must(err)
	if known, seen := p.checkpoints[c.Epoch]; seen && known != string(content) {
		p.t.Errorf("%s: the checkpoint of epoch %d holds other numbers than another's", what, c.Epoch)
	}
	p.checkpoints[c.Epoch] = string(content)
}

// best are the weights that a run left that has ended.
func (p *project) best() []byte {
	found, err := filepath.Glob(p.path("models/sample/*/" + bestName))
	p.must(err)
	if len(found) != 1 {
		p.t.Fatalf("weights of runs: %v", found)
	}
	content, err := os.ReadFile(found[0])
	p.must(err)
	return content
}

func (p *project) partial() string {
	found, err := filepath.Glob(p.path("models/sample/*.partial"))
	p.must(err)
	if len(found) != 1 {
		p.t.Fatalf("unfinished runs: %v", found)
	}
	return found[0]
}

// auto takes the CPU where the GPU can't be opened, says why in one line, and
// the manifest names the device that made the model.
func TestAutoSaysWhyNotTheGPU(t *testing.T) {
	p, _ := newProject(t)
	for _, test := range []struct{ environment, said, engine string }{
		{"", "device    gpu ", "gpu "},
		{"LD_LIBRARY_PATH=", "no NVIDIA driver: libcuda.so.1 is not there", "cpu "},
		{"STANDIN_FAIL=cuInit#1=100", "the NVIDIA driver finds no GPU", "cpu "},
		{"STANDIN_FAIL=cuInit#1=803", "the NVIDIA driver does not start: cuInit: CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", "cpu "},
		{"STANDIN_DEVICES=0", "the NVIDIA driver finds no GPU", "cpu "},
		{"STANDIN_VERSION=11040", "the NVIDIA driver is too old: it is for CUDA 11.4", "cpu "},
		{"CUDNN_LIBRARY=/none/libcudnn.so.9", "no cuDNN 9", "cpu "},
		{"STANDIN_FAIL=cuDevicePrimaryCtxRetain#1=2", "cuDevicePrimaryCtxRetain: CUDA_ERROR_OUT_OF_MEMORY", "cpu "},
		{"STANDIN_FAIL=cuModuleLoadData#1=218", "cuModuleLoadData: CUDA_ERROR_INVALID_PTX", "cpu "},
	} {
		p.must(os.RemoveAll(p.path("models")))
		code, said := p.train("auto", test.environment)
		if code != 0 || strings.Count(said, "device    ") != 1 || !strings.Contains(said, test.said) {
			t.Errorf("%s: exit status %d: %s", test.environment, code, said)
			continue
		}
		manifest, err := artifact.ReadManifest("models/sample/auto.json")
		p.must(err)
		if !strings.HasPrefix(manifest.Engine, test.engine) {
			t.Errorf("%s: the manifest says the model was made by %s", test.environment, manifest.Engine)
		}
	}
	p.must(os.RemoveAll(p.path("models")))
	if code, said := p.train("gpu", "STANDIN_MEMORY=100000"); code != 1 || !strings.Contains(said, "CUDA_ERROR_OUT_OF_MEMORY") || !strings.Contains(said, "MB") {
		t.Errorf("a GPU with too little memory: exit status %d: %s", code, said)
	}
}

// An epoch allocates and frees nothing and launches nothing by itself: the
// captured step is replayed for each batch, training's and validation's. All
// copies are between the GPU and pinned memory, and nothing is left.
func TestEpochsOnTheGPUOnlyReplay(t *testing.T) {
	p, _ := newProject(t)
	ledger := func(experiment string) (counts map[string]float64) {
		report := p.path("report")
		p.must(os.RemoveAll(report))
		if code, said := p.train(experiment, "STANDIN_REPORT="+report); code != 0 {
			t.Fatalf("exit status %d: %s", code, said)
		}
		text, err := os.ReadFile(report)
		p.must(err)
		var all map[string]any
		p.must(json.Unmarshal(text, &all))
		counts = map[string]float64{}
		for name, value := range all {
			switch value := value.(type) {
			case float64:
				counts[name] = value
			case []any:
				if len(value) > 0 {
					t.Errorf("%s: %s: %v", experiment, name, value)
				}
			}
		}
		return counts
	}
	two, four, six := ledger("gpu"), ledger("gpu-4"), ledger("gpu-6")
	const batches = 20/8 + 8/8 // of the training split and of the validation split
	for name := range two {
		before, epoch := (four[name]-two[name])/2, (six[name]-four[name])/2
		switch name {
		case "events", "copies_within", "copies_out", "waits":
			// How many epochs share a checkpoint, which is written beside them,
			// depends on time.
			continue
		}
		if epoch != before {
			t.Errorf("%s: %g in each of epochs 3 and 4, %g in 5 and 6", name, before, epoch)
		}
		want, listed := map[string]float64{
			"allocations": 0, "frees": 0, "launches": 0, "sets": 0, "pageable": 0, "graph_nodes": 0, "peak_bytes": 0, "graph_launches": batches,
		}[name]
		if listed && epoch != want {
			t.Errorf("%s: %g in an epoch, want %g", name, epoch, want)
		}
		t.Logf("%s: %g in an epoch, checkpoint included", name, epoch)
	}
	if six["waits"]-two["waits"] != six["copies_out"]-two["copies_out"] {
		t.Errorf("%g waits for %g copies to the host in four epochs", six["waits"]-two["waits"], six["copies_out"]-two["copies_out"])
	}
}
