package bench

import (
	"errors"
	"fmt"
	"image"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/dustin/go-humanize"
	"golang.org/x/sync/errgroup"

	"catdog/pipeline/miniature"
)

var makePart = part{
	name: "make", title: "Deciding what must run",
	about: "Seconds of a whole command on 25,000 raw photos (tiny ones: only their names and time stamps are looked at), seven stages that have run before, and a warm disk. " +
		"*Nothing to do*: `make`, `dvc repro` and `snakemake` say so. " +
		"*One key changed*: a parameter of train is another, and `make -n`, `dvc repro --dry` and `snakemake -n` say what would run. " +
		"*One photo added*: `make pack` finds, checks and resizes it and writes a new pack; beside it `make pack` with another seed, which only writes a new pack. " +
		"*Nothing to do* once more with ten times the photos, beside our own figure. " +
		"The peers have seven stages with the same arrows and one parameter each, explore and resize reading the folder of photos; DVC hashes contents as ours does, Snakemake looks at time stamps and parameters.",
	measure: measureMake,
}

// manyPhotos is the data set that is decided about.
const manyPhotos = "many"

func measureMake(s *session) ([]Row, error) {
	if err := s.needPython("peers-make", "requirements-make.txt"); err != nil {
		return nil, err
	}
	count := 25_000
	if s.Quick {
		count = 200
	}
	s.Reporter.Say("runs the pipeline on %d tiny photos", count)
	var contenders []*decider
	for _, prepare := range []func() (*decider, error){
		func() (*decider, error) { return s.prepareMake("make", count) }, s.prepareDVC, s.prepareSnakemake,
	} {
		d, err := prepare()
		if err != nil {
			return nil, err
		}
		contenders = append(contenders, d)
	}
	for name, command := range map[string]string{"DVC": "dvc", "Snakemake": "snakemake"} {
		output, err := s.tool(".", command, "--version").Output()
		if err != nil {
			return nil, fmt.Errorf("ask for %s's version: %w", name, err)
		}
		s.versions[name] = strings.TrimSpace(string(output))
	}

	var rows []Row
	compare := func(name string, action func(*decider) error) error {
		var actions []func() error
		for _, d := range contenders {
			if err := action(d); err != nil { // warms up
				return err
			}
			actions = append(actions, func() error { return action(d) })
		}
		samples, err := times(s.rounds(), actions...)
		if err != nil {
			return err
		}
		for i, d := range contenders[1:] {
			rows = append(rows, less(name, "s", samples[0], d.name, samples[i+1]))
		}
		return nil
	}
	if err := compare("nothing to do", (*decider).nothing); err != nil {
		return nil, err
	}
	row, err := s.tenTimes(contenders[0], count)
	if err != nil {
		return nil, err
	}
	rows = append(rows, row)
	for _, d := range contenders {
		if err := d.change(); err != nil {
			return nil, fmt.Errorf("change a parameter of %s: %w", d.name, err)
		}
	}
	if err := compare("one key changed", (*decider).decide); err != nil {
		return nil, err
	}
	if row, err = s.onePhoto(contenders[0].project, count); err != nil {
		return nil, err
	}
	return append(rows, row), nil
}

// tenTimes compares how long it takes to find nothing to do among ten times the
// photos.
func (s *session) tenTimes(usual *decider, count int) (Row, error) {
	s.Reporter.Say("runs the pipeline on %d tiny photos", 10*count)
	many, err := s.prepareMake("ten-times", 10*count)
	if err != nil {
		return Row{}, err
	}
	if err := many.nothing(); err != nil { // warms up
		return Row{}, err
	}
	samples, err := times(s.rounds(), many.nothing, usual.nothing)
	if err != nil {
		return Row{}, err
	}
	photos := func(n int) string { return humanize.Comma(int64(n)) + " photos" }
	return less("nothing to do, "+photos(10*count), "s", samples[0], "make, "+photos(count), samples[1]),
		os.RemoveAll(many.project.Folder)
}

// onePhoto compares a new pack because of one photo more with a new pack alone.
func (s *session) onePhoto(p *miniature.Project, count int) (Row, error) {
	round := 0
	pack := func(change func() error) func() error {
		return func() error {
			round++
			if err := change(); err != nil {
				return err
			}
			if made := p.Make("pack"); made.Status != 0 || !strings.Contains(made.Errors, "pack ") {
				return fmt.Errorf("make pack: status %d: %s", made.Status, made.Errors)
			}
			return nil
		}
	}
	added := pack(func() error { return writeTinyPhoto(p.Path("data/raw/"+manyPhotos+"/train"), count+round) })
	alone := pack(func() error { return p.Set("pack.seed", fmt.Sprint(round)) })
	samples, err := times(s.rounds(), added, alone)
	if err != nil {
		return Row{}, err
	}
	return less("one photo added, up to the pack", "s", samples[0], "make, the pack alone", samples[1]), nil
}

// A decider is a program that knows what must run, in a project where all has
// run.
type decider struct {
	name     string
	project  *miniature.Project // of ours
	command  func(arguments ...string) *exec.Cmd
	repeat   []string // arguments that run what must
	finished string   // part of what that says when there is nothing to do
	dry      []string // arguments that only list
	stale    string   // part of what that says when train must run
	change   func() error
}

func (d *decider) nothing() error { return d.expect(d.repeat, d.finished) }

// decide lists what would run, train among it.
func (d *decider) decide() error { return d.expect(d.dry, d.stale) }

// expect runs the command and wants a text in what it prints.
func (d *decider) expect(arguments []string, text string) error {
	output, err := d.command(arguments...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", d.name, err, (&tail{output}).last())
	}
	if !strings.Contains(string(output), text) {
		return fmt.Errorf("%s %s: said %q, which has no %q", d.name, strings.Join(arguments, " "), strings.TrimSpace(string(output)), text)
	}
	return nil
}

// prepareMake runs this project once in a folder of that name, with a network
// that is small.
func (s *session) prepareMake(name string, count int) (*decider, error) {
	checkout, err := miniature.Checkout()
	if err != nil {
		return nil, err
	}
	p, err := miniature.New(checkout, filepath.Join(s.folder, name))
	if err != nil {
		return nil, err
	}
	p.Env = []string{"DATASET=" + manyPhotos}
	if err := p.Set("train.batch", "64"); err != nil {
		return nil, err
	}
	if err := writeTiny(p.Path("data/raw/"+manyPhotos+"/train"), count); err != nil {
		return nil, err
	}
	if result := p.Make(); result.Status != 0 {
		return nil, fmt.Errorf("make in %s: %s", p.Folder, (&tail{[]byte(result.Errors)}).last())
	}
	return &decider{
		name: "make", project: p, command: func(arguments ...string) *exec.Cmd { return p.Command("make", arguments...) },
		finished: "nothing to do", dry: []string{"-n"}, stale: "bin/train",
		change: func() error { return p.Set("train.seed", "12345") },
	}, nil
}

// writeTiny writes photos of 16×16 px, no two alike.
func writeTiny(folder string, count int) error {
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return err
	}
	var group errgroup.Group
	group.SetLimit(8)
	for i := range count {
		group.Go(func() error { return writeTinyPhoto(folder, i) })
	}
	return group.Wait()
}

// writeTinyPhoto writes the one of that number.
func writeTinyPhoto(folder string, i int) error {
	random := rand.New(rand.NewPCG(uint64(i), 5))
	picture := image.NewRGBA(image.Rect(0, 0, 16, 16))
	for j := range picture.Pix {
		picture.Pix[j] = byte(random.Uint32())
	}
	return writeJPEG(filepath.Join(folder, fmt.Sprintf("%s.%d.jpg", classes[i%len(classes)], i)), picture)
}

// prepareDVC runs the stages of peers/dvc.yaml once.
func (s *session) prepareDVC() (*decider, error) {
	folder, err := s.peerProject("dvc", "dvc.yaml")
	if err != nil {
		return nil, err
	}
	for _, arguments := range [][]string{
		{"init", "--quiet", "--no-scm"}, {"config", "core.check_update", "false"}, {"config", "core.analytics", "false"}, {"repro"},
	} {
		if err := runQuietly(s, s.tool(folder, "dvc", arguments...)); err != nil {
			return nil, err
		}
	}
	return &decider{
		name: "DVC", command: func(arguments ...string) *exec.Cmd { return s.tool(folder, "dvc", arguments...) },
		repeat: []string{"repro"}, finished: "up to date", dry: []string{"repro", "--dry"}, stale: "Running stage 'train'",
		change: func() error { return writePeerParameters(folder, 1) },
	}, nil
}

// prepareSnakemake runs the rules of peers/Snakefile once.
func (s *session) prepareSnakemake() (*decider, error) {
	folder, err := s.peerProject("snakemake", "Snakefile")
	if err != nil {
		return nil, err
	}
	if err := runQuietly(s, s.tool(folder, "snakemake", "--cores", "all")); err != nil {
		return nil, err
	}
	return &decider{
		name: "Snakemake", command: func(arguments ...string) *exec.Cmd { return s.tool(folder, "snakemake", arguments...) },
		repeat: []string{"--cores", "all"}, finished: "Nothing to be done", dry: []string{"--dry-run"}, stale: "rule train:",
		change: func() error { return writePeerParameters(folder, 1) },
	}, nil
}

// peerProject is a folder with a peer's list of stages, their parameters, and
// the photos that our own project has.
func (s *session) peerProject(name, list string) (string, error) {
	folder := filepath.Join(s.folder, name)
	raw := filepath.Join(folder, "raw")
	if err := os.MkdirAll(raw, 0o777); err != nil {
		return "", err
	}
	text, err := scripts.ReadFile("peers/" + list)
	if err != nil {
		return "", err
	}
	err = errors.Join(
		os.WriteFile(filepath.Join(folder, list), text, 0o666),
		os.WriteFile(filepath.Join(folder, "source.txt"), []byte("photos\n"), 0o666),
		writePeerParameters(folder, 0),
	)
	if err != nil {
		return "", err
	}
	photos := filepath.Join(s.folder, "make/data/raw", manyPhotos, "train")
	entries, err := os.ReadDir(photos)
	if err != nil {
		return "", err
	}
	for _, entry := range entries {
		if err := os.Link(filepath.Join(photos, entry.Name()), filepath.Join(raw, entry.Name())); err != nil {
			return "", err
		}
	}
	return folder, nil
}

// writePeerParameters writes the peers' params.yaml, with one number for each
// stage; train's is given.
func writePeerParameters(folder string, train int) error {
	text := fmt.Sprintf("fetch: 0\nexplore: 0\nresize: 0\npack: 0\ntrain: %d\nevaluate: 0\nreport: 0\n", train)
	return os.WriteFile(filepath.Join(folder, "params.yaml"), []byte(text), 0o666)
}

// tool is a command of the environment of make's peers, in a folder. What they
// would keep in the user's folders stays in the part's own.
func (s *session) tool(folder, name string, arguments ...string) *exec.Cmd {
	programs := filepath.Join(s.environment("peers-make"), "bin")
	command := exec.CommandContext(s, filepath.Join(programs, name), arguments...)
	command.Dir = folder
	command.Env = append(os.Environ(),
		"PATH="+programs+string(os.PathListSeparator)+os.Getenv("PATH"),
		"DVC_NO_ANALYTICS=1",
		"DVC_SITE_CACHE_DIR="+filepath.Join(s.folder, "cache/dvc"),
		"DVC_GLOBAL_CONFIG_DIR="+filepath.Join(s.folder, "cache/global"),
		"DVC_SYSTEM_CONFIG_DIR="+filepath.Join(s.folder, "cache/system"),
		"XDG_CACHE_HOME="+filepath.Join(s.folder, "cache"),
	)
	return command
}
