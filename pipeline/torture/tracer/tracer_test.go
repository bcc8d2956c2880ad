package tracer

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	ExecIfTracee()
	os.Exit(m.Run())
}

// script runs a shell script in a new folder under the tracer.
func script(t *testing.T, text string, before func(n int, operation Operation) Verdict) (folder string, done, outside []string, status int) {
	t.Helper()
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	folder, err = filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var output bytes.Buffer
	n := 0
	status, err = Run(Options{
		Program: shell, Words: []string{"-c", text}, Folder: folder, Env: os.Environ(), Stderr: &output, Root: folder,
		Before:  func(operation Operation, _ func(unix.Signal)) Verdict { n++; return before(n-1, operation) },
		Done:    func(operation Operation) { done = append(done, operation.String()+" "+string(operation.Data)) },
		Outside: func(operation Operation) { outside = append(outside, operation.String()) },
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, output.String())
	}
	return folder, done, outside, status
}

func proceed(int, Operation) Verdict { return Proceed }

// TestOperations follows a shell and the programs that it starts.
func TestOperations(t *testing.T) {
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	_, done, outside, status := script(t, `
		mkdir new && cd new
		printf hello >a
		printf ', you' >>a
		mv a ../b
		sync ../b
		cat ../b >/dev/null
		printf x >`+elsewhere+`
		printf '' >../b
		rm ../b
		rmdir ../new
		exit 3`, proceed)
	want := []string{
		"mkdir new ", "create new/a ", "write 5 bytes at 0 of new/a hello", "write 5 bytes at 5 of new/a , you",
		"rename new/a to b ", "sync b ", "truncate b to 0 bytes ", "remove b ", "remove new ",
	}
	if difference := cmp.Diff(want, done); difference != "" || status != 3 {
		t.Errorf("status %d, operations (-want +got)\n%s", status, difference)
	}
	if want := []string{"create " + elsewhere, "write 1 bytes at 0 of " + elsewhere}; !cmp.Equal(want, outside) {
		t.Errorf("outside: %q", outside)
	}
}

// TestKill: what comes before the operation has happened, it and what comes
// behind it have not.
func TestKill(t *testing.T) {
	text := `mkdir a; mkdir b; printf 0123456789 >c; (mkdir d); mkdir e`
	_, all, _, _ := script(t, text, proceed)
	for n := range all {
		folder, done, _, status := script(t, text, func(i int, _ Operation) Verdict {
			if i == n {
				return Kill
			}
			return Proceed
		})
		if status != -1 || !cmp.Equal(done, all[:n], cmp.Comparer(func(a, b []string) bool { return strings.Join(a, "\n") == strings.Join(b, "\n") })) {
			t.Errorf("killed at %d: status %d, %q", n, status, done)
		}
		entries, err := os.ReadDir(folder)
		if want := n - map[bool]int{true: 1}[n > 3]; err != nil || len(entries) != want {
			t.Errorf("killed at %d: %d entries, want %d (%v)", n, len(entries), want, err)
		}
	}
}

// TestTear: half of a write happens.
func TestTear(t *testing.T) {
	folder, _, _, status := script(t, `printf 0123456789 >c; mkdir e`, func(_ int, operation Operation) Verdict {
		if operation.Kind == Write {
			return Tear
		}
		return Proceed
	})
	content, err := os.ReadFile(filepath.Join(folder, "c"))
	if status != -1 || err != nil || string(content) != "01234" {
		t.Errorf("status %d, %q %v", status, content, err)
	}
}

// TestBesideOthers: several runs at a time, and other children, each get what is
// theirs.
func TestBesideOthers(t *testing.T) {
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 4 {
				if err := exec.Command("sh", "-c", "sleep 0.01").Run(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for n := range 8 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			_, done, _, status := script(t, `mkdir a; sleep 0.01; mkdir b; exit 5`, func(i int, _ Operation) Verdict {
				if i == n {
					return Kill
				}
				return Proceed
			})
			if want := map[bool]int{true: -1, false: 5}[n < 2]; status != want || len(done) != min(n, 2) {
				t.Errorf("killed at %d: status %d, %q", n, status, done)
			}
		})
	}
	group.Wait()
}
