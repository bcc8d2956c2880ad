package miniature

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// hostile are texts that make, a shell or a program would make something of.
var hostile = []string{
	"$(shell touch owned)",
	"$$(touch owned)",
	"`touch owned`",
	"$(touch owned)",
	"'; touch owned; '",
	`"; touch owned; "`,
	"a'b",
	"two  words #;&|<>*?[!~\\",
	"-x",
	"%.o: ; touch owned",
	"${FROM}$(FROM)$@",
}

// owned fails if any hostile text was run.
func owned(t *testing.T, p *Project) {
	t.Helper()
	check(t, filepath.WalkDir(p.Folder, func(name string, item fs.DirEntry, err error) error {
		if strings.HasPrefix(item.Name(), "owned") {
			t.Errorf("%s was made", name)
		}
		return err
	}))
}

// TestPathsArriveAsTheyAre gives make hostile paths, as arguments and in the
// environment: each is the name of a file and nothing else.
func TestPathsArriveAsTheyAre(t *testing.T) {
	t.Parallel()
	p := project(t)
	good := photo(t, p, "*/dog.1*")
	content, err := os.ReadFile(good)
	check(t, err)
	check(t, os.MkdirAll(p.Path("one more/cat"), 0o777))
	check(t, os.WriteFile(p.Path("one more/cat/2.jpg"), content, 0o666))
	for i, text := range hostile {
		folder := "in " + text
		for _, class := range []string{"cat", "dog"} {
			check(t, os.MkdirAll(p.Path(folder+"/"+class), 0o777))
			check(t, os.WriteFile(p.Path(folder+"/"+class+"/1.jpg"), content, 0o666))
		}
		for way := range 3 {
			from, found, csv := folder, folder+"/cat/1.jpg", "out "+text+".csv"
			if way == 2 { // one path a line
				from, found, csv = folder+"\none more", found+"\none more/cat/2.jpg\n", "out "+text+"\n.csv"
			}
			values := []string{"DATASET=" + fmt.Sprintf("set-%d-%d", i, way), "FROM=" + from}
			photos := []string{"PHOTOS=" + found, "CSV=" + csv}
			q := &Project{Folder: p.Folder}
			words := [][]string{append([]string{"fetch"}, values...), append([]string{"classify"}, photos...)}
			if way == 1 {
				words = [][]string{{"fetch"}, {"classify"}}
				q.Env = append(values, photos...)
			}
			if made := q.Make(words[0]...); made.Status != 0 {
				t.Errorf("fetch from %q, way %d: %s", folder, way, made.Errors)
			}
			if _, err := os.Stat(p.Path(fmt.Sprintf("data/raw/set-%d-%d/cat/1.jpg", i, way))); err != nil {
				t.Error(err)
			}
			if _, err := os.Stat(p.Path(fmt.Sprintf("data/raw/set-%d-2/cat/2.jpg", i))); way == 2 && err != nil {
				t.Error(err)
			}
			if way == 1 {
				q.Env = photos // the default data set, which has a model
			}
			if made := q.Make(words[1]...); made.Status != 0 || way == 2 && strings.Count(made.Output, ".jpg") < 2 {
				t.Errorf("classify %q, way %d: %s", folder, way, made.Errors)
			}
			if err := os.Remove(p.Path(csv)); err != nil {
				t.Errorf("classify into %q, way %d: %v", csv, way, err)
			}
		}
	}
	// Settings may stand on several lines.
	if lines, words := ask(t, p, "status", "SET=train.seed=5\n train.epochs=3\n"), ask(t, p, "status", "SET=train.epochs=3 train.seed=5"); lines != words {
		t.Errorf("settings on two lines: %s on one: %s", lines, words)
	}
	owned(t, p)
}

// TestHostileValuesAreRefused gives them where they cannot be right.
func TestHostileValuesAreRefused(t *testing.T) {
	t.Parallel()
	p := project(t)
	before := tree(t, p)
	for _, text := range append(slices.Clone(hostile), "a\nb", "a\n$(shell touch owned)", "../owned", "a/../../owned") {
		for _, words := range [][]string{
			{"SET=" + text}, {"SET=train.seed=" + text}, {"DATASET=" + text}, {"EXPERIMENT=" + text},
			{"accept", "STAGE=" + text}, {"diff", "REV=" + text}, {"params", "KEY=" + text},
			{"classify", "PHOTOS=" + text}, {"classify", "MODEL=" + text, "PHOTOS=data/raw/sample"},
		} {
			answer := p.Make(words...)
			if lines := strings.Count(answer.Errors, "\n"); answer.Status != 2 || lines < 2 || lines > 3 {
				t.Errorf("make %q: status %d\n%s%s", words, answer.Status, answer.Output, answer.Errors)
			}
		}
	}
	owned(t, p)
	if difference := cmp.Diff(before, tree(t, p)); difference != "" {
		t.Errorf("the project changed: %s", difference)
	}
	if _, err := os.Stat(p.Path("../owned")); err == nil {
		t.Error("something was made beside the project")
	}
	left, err := filepath.Glob(p.Path("build/plan.*"))
	if err != nil || len(left) > 0 {
		t.Errorf("refused makes left %v", left)
	}
}

// TestAtOnce starts several makes at the same time: each ends well, what has to
// be done is done once, and the results are those of one after the other.
func TestAtOnce(t *testing.T) {
	t.Parallel()
	p := project(t)
	set(t, p, "pack.seed", "3")
	alone, err := p.Clone(filepath.Join(t.TempDir(), "alone"))
	check(t, err)
	mustMake(t, alone)
	mustMake(t, alone, "SET=train.seed=9")

	words := [][]string{nil, nil, {"SET=train.seed=9"}, {"report"}}
	results := make([]Result, len(words))
	var group sync.WaitGroup
	for i := range words {
		group.Go(func() { results[i] = p.Make(words[i]...) })
	}
	group.Wait()
	ran := map[string]int{}
	for i, result := range results {
		if result.Status != 0 {
			t.Errorf("make %q: status %d\n%s", words[i], result.Status, result.Errors)
		}
		for _, line := range result.Events() {
			if fields := strings.Fields(line); fields[1] == "runs:" {
				ran[fields[0]]++
			}
		}
	}
	for name, want := range map[string]int{"pack": 1, "train": 2, "evaluate": 2, "report": 2} {
		if ran[name] != want {
			t.Errorf("%s ran %d times, want %d", name, ran[name], want)
		}
	}
	one, both := snapshot(t, alone), snapshot(t, p)
	for name := range one {
		if one[name] != both[name] {
			t.Errorf("%s differs", name)
		}
	}
	if made := p.Make(); len(made.Events()) > 0 || made.Status != 0 {
		t.Errorf("afterwards: %d %s", made.Status, made.Errors)
	}
	left, err := filepath.Glob(p.Path("build/plan.*"))
	if err != nil || len(left) > 0 {
		t.Errorf("plans are left: %v", left)
	}
}

// Without a data set classify takes a published model before a current one.
func TestClassifyPrefersPublishedModels(t *testing.T) {
	t.Parallel()
	p := project(t)
	photos := "PHOTOS=" + photo(t, p, "*/dog.1*")
	wants(t, ask(t, p, "classify", photos), `models/sample/[0-9a-f]{20}`)
	ask(t, p, "publish")
	wants(t, ask(t, p, "classify", photos), `models/published/sample`)
	wants(t, ask(t, p, "classify", "DATASET=sample", photos), `models/sample/[0-9a-f]{20}`)
}
