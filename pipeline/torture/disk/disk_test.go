package disk

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"catdog/pipeline/torture/tracer"
)

// parse reads operations, one a line.
func parse(t *testing.T, text string) []tracer.Operation {
	t.Helper()
	var operations []tracer.Operation
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		o := tracer.Operation{Path: words[1]}
		switch words[0] {
		case "create":
			o.Kind = tracer.Create
		case "mkdir":
			o.Kind = tracer.Mkdir
		case "write": // behind what is there
			o.Kind, o.Data = tracer.Write, []byte(words[2])
			if len(words) > 3 {
				fmt.Sscan(words[3], &o.Offset)
			}
		case "truncate":
			o.Kind = tracer.Truncate
			fmt.Sscan(words[2], &o.Size)
		case "rename":
			o.Kind, o.To = tracer.Rename, words[2]
		case "remove":
			o.Kind = tracer.Remove
		case "sync":
			o.Kind = tracer.Sync
		case "syncall":
			o.Kind = tracer.SyncAll
		default:
			t.Fatal(line)
		}
		operations = append(operations, o)
	}
	return operations
}

// show is a tree in a line.
func show(tree Tree) string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(tree)) {
		word := name
		if !strings.HasSuffix(name, "/") {
			word += "=" + strings.ReplaceAll(string(tree[name]), "\x00", "0")
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

func disk(t *testing.T, text string) *Disk {
	t.Helper()
	d := New()
	for _, operation := range parse(t, text) {
		if err := d.Apply(operation); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// TestCuts holds what each loss of power leaves.
func TestCuts(t *testing.T) {
	const written = "mkdir a\nsync .\ncreate a/x\nsync a\nwrite a/x old\nsync a/x\n"
	for _, test := range []struct{ name, operations, kept, dropped, names, zeros, content string }{
		{"nothing synced", "mkdir a\ncreate a/x\nwrite a/x new", "a/ a/x=new", "", "a/ a/x=", "a/ a/x=000", ""},
		{"content synced, not the name", "create x\nwrite x new\nsync x", "x=new", "", "x=new", "x=new", ""},
		{"the name synced, not the content", "create x\nwrite x new\nsync .", "x=new", "x=", "x=", "x=000", "x=new"},
		{"the folder's name not synced", "mkdir a\ncreate a/x\nwrite a/x new\nsync a/x\nsync a", "a/ a/x=new", "", "a/ a/x=new", "a/ a/x=new", ""},
		{"in order", "create x\nwrite x new\nsync x\nrename x y\nsync .", "y=new", "y=new", "y=new", "y=new", "y=new"},
		{"renamed before its content is synced", written + "create a/y\nwrite a/y new\nrename a/y a/x\nsync a", "a/ a/x=new", "a/ a/x=", "a/ a/x=", "a/ a/x=000", "a/ a/x=new"},
		{"renamed, folder not synced", written + "create a/y\nwrite a/y new\nsync a/y\nrename a/y a/x", "a/ a/x=new", "a/ a/x=old", "a/ a/x=new", "a/ a/x=new", "a/ a/x=old"},
		{"appended", written + "write a/x er 3", "a/ a/x=older", "a/ a/x=old", "a/ a/x=old", "a/ a/x=old00", "a/ a/x=older"},
		{"a hole", "create x\nsync .\nwrite x end 2", "x=00end", "x=", "x=", "x=00000", "x=00end"},
		{"cut off", written + "truncate a/x 1", "a/ a/x=o", "a/ a/x=old", "a/ a/x=old", "a/ a/x=o", "a/ a/x=o"},
		{"removed", written + "remove a/x", "a/", "a/ a/x=old", "a/", "a/", "a/ a/x=old"},
		{"removed and made anew", written + "remove a/x\ncreate a/x\nwrite a/x new\nsync a/x", "a/ a/x=new", "a/ a/x=old", "a/ a/x=new", "a/ a/x=new", "a/ a/x=old"},
		{"a folder renamed", written + "rename a b\nsync .", "b/ b/x=old", "b/ b/x=old", "b/ b/x=old", "b/ b/x=old", "b/ b/x=old"},
		{"from folder to folder, one synced", written + "mkdir b\nsync .\nrename a/x b/x\nsync b", "a/ b/ b/x=old", "a/ b/ b/x=old", "a/ b/ b/x=old", "a/ b/ b/x=old", "a/ b/ b/x=old"},
		{"created, lost and moved", "mkdir a\nmkdir b\nsync .\ncreate a/x\nrename a/x b/x\nsync b", "a/ b/ b/x=", "a/ b/ b/x=", "a/ b/ b/x=", "a/ b/ b/x=", "a/ b/ b/x="},
		{"all synced", "mkdir a\ncreate a/x\nwrite a/x new\nsyncall .", "a/ a/x=new", "a/ a/x=new", "a/ a/x=new", "a/ a/x=new", "a/ a/x=new"},
	} {
		d := disk(t, test.operations)
		for cut, want := range map[*Cut]string{&Kept: test.kept, &Dropped: test.dropped, &Names: test.names, &Zeros: test.zeros, &Content: test.content} {
			if got := show(d.After(*cut)); got != want {
				t.Errorf("%s, %s: %q, want %q", test.name, cut.Name, got, want)
			}
		}
	}
}

// TestRandomCut: what is synced is always there, each way of losing the rest
// happens, and one seed gives one tree.
func TestRandomCut(t *testing.T) {
	d := disk(t, "create safe\nwrite safe all\nsync safe\nsync .\ncreate x\nwrite x new\nremove safe\ncreate y")
	seen := map[string]bool{}
	for seed := range uint64(3000) {
		tree := d.After(Random(rand.New(rand.NewPCG(seed, 0))))
		again := d.After(Random(rand.New(rand.NewPCG(seed, 0))))
		if difference := tree.Difference(again); difference != "" || tree.Digest() != again.Digest() {
			t.Fatalf("seed %d: %s differs", seed, difference)
		}
		if content, ok := tree["safe"]; ok && string(content) != "all" {
			t.Fatalf("seed %d: %q", seed, content)
		}
		seen[show(tree)] = true
	}
	for _, want := range []string{"", "safe=all", "safe=all x=", "safe=all x=new", "x=ne", "x=new y=", "y=", "safe=all y=", "x=000"} {
		if !seen[want] {
			t.Errorf("%q never came out", want)
		}
	}
}

// TestTree: what is laid into a folder is what is read from it, and safe.
func TestTree(t *testing.T) {
	want := disk(t, "mkdir data\nmkdir data/empty\ncreate data/x\nwrite data/x new").After(Kept)
	folder := t.TempDir()
	if err := want.Lay(folder); err != nil {
		t.Fatal(err)
	}
	read, err := Read(folder, "data", "models")
	if err != nil {
		t.Fatal(err)
	}
	d, err := From(read)
	if err != nil {
		t.Fatal(err)
	}
	if got := d.After(Dropped); want.Difference(got) != "" {
		t.Errorf("%q, want %q", show(got), show(want))
	}
	if err := d.Apply(tracer.Operation{Kind: tracer.Write, Path: "nowhere"}); err == nil {
		t.Error("a write to a file that is not there is taken")
	}
}

// TestPending names the files whose content is not safe.
func TestPending(t *testing.T) {
	d := disk(t, "mkdir a\ncreate a/x\nwrite a/x new\ncreate y\nwrite y new\nsync y")
	if got := d.Pending(); !slices.Equal(got, []string{"a/x"}) {
		t.Errorf("%q", got)
	}
}
