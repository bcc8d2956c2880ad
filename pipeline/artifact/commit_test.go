package artifact

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// What people name may be a link or a pipe, which stays one.
func TestWriteOutput(t *testing.T) {
	folder := t.TempDir()
	file, link, pipe := filepath.Join(folder, "file"), filepath.Join(folder, "link"), filepath.Join(folder, "pipe")
	reads := func(name, want string) {
		t.Helper()
		if content, err := os.ReadFile(name); err != nil || string(content) != want {
			t.Errorf("%s: %q, %v", name, content, err)
		}
	}
	write := func(name, content string) {
		t.Helper()
		if err := WriteOutput(name, []byte(content)); err != nil {
			t.Error(err)
		}
	}
	write(file, "first, and longer")
	reads(file, "first, and longer")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	write(link, "second")
	reads(file, "second")
	if information, err := os.Lstat(link); err != nil || information.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is %v, %v", information, err)
	}
	if err := unix.Mkfifo(pipe, 0o666); err != nil {
		t.Fatal(err)
	}
	written := make(chan error, 1)
	go func() { written <- WriteOutput(pipe, []byte("third")) }()
	reads(pipe, "third")
	if err := <-written; err != nil {
		t.Error(err)
	}
	if information, err := os.Lstat(pipe); err != nil || information.Mode()&os.ModeNamedPipe == 0 {
		t.Errorf("the pipe is %v, %v", information, err)
	}
}
