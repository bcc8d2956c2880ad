package tracer

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// workingFolder stands for the working folder where a call wants the descriptor
// of a folder.
const workingFolder uint64 = 1<<64 + unix.AT_FDCWD

// A call is a system call at its entry.
type call struct {
	thread    int
	number    uint64
	arguments [6]uint64
}

// callInformation is the kernel's struct ptrace_syscall_info: at entry, number
// and arguments; at exit, the result in number's place.
type callInformation struct {
	_         [24]byte
	number    uint64
	arguments [6]uint64
	_         uint64
}

func information(thread int) (*callInformation, error) {
	info := new(callInformation)
	_, _, failure := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_GET_SYSCALL_INFO, uintptr(thread), unsafe.Sizeof(*info), uintptr(unsafe.Pointer(info)), 0, 0)
	if failure != 0 {
		return nil, fmt.Errorf("ask for a system call: %w", failure)
	}
	return info, nil
}

// entered is the call at whose entry a thread stands.
func entered(thread int) (*call, error) {
	info, err := information(thread)
	if err != nil {
		return nil, err
	}
	c := &call{thread: thread}
	c.number, c.arguments = modern(info.number, info.arguments)
	return c, nil
}

// text is the string at an address of the thread's memory.
func (c *call) text(address uint64) (string, error) {
	memory, err := os.Open(fmt.Sprintf("/proc/%d/mem", c.thread))
	if err != nil {
		return "", err
	}
	defer memory.Close()
	buffer := make([]byte, unix.PathMax)
	n, err := memory.ReadAt(buffer, int64(address))
	end := bytes.IndexByte(buffer[:n], 0)
	if end < 0 {
		return "", fmt.Errorf("read a path of a traced program: %w", err)
	}
	return string(buffer[:end]), nil
}

// data are bytes of the thread's memory.
func (c *call) data(address uint64, length int64) ([]byte, error) {
	memory, err := os.Open(fmt.Sprintf("/proc/%d/mem", c.thread))
	if err != nil {
		return nil, err
	}
	defer memory.Close()
	content := make([]byte, length)
	_, err = memory.ReadAt(content, int64(address))
	return content, err
}

// opened is the path of an open file; for what has none, or none any more, it
// does not begin with /.
func (c *call) opened(descriptor uint64) (string, error) {
	path, err := os.Readlink(c.descriptor(descriptor))
	if strings.HasSuffix(path, " (deleted)") {
		return "deleted", nil
	}
	return path, err
}

// descriptor is where the kernel shows an open file.
func (c *call) descriptor(descriptor uint64) string {
	return fmt.Sprintf("/proc/%d/fd/%d", c.thread, int32(descriptor))
}

// path is the one that a call gives as a folder's descriptor and a name.
func (c *call) path(folder, address uint64) (string, error) {
	name, err := c.text(address)
	if err != nil || filepath.IsAbs(name) {
		return filepath.Clean(name), err
	}
	var above string
	if int32(folder) == unix.AT_FDCWD {
		above, err = os.Readlink(fmt.Sprintf("/proc/%d/cwd", c.thread))
	} else {
		above, err = c.opened(folder)
	}
	return filepath.Join(above, name), err
}

// position is where the next write to an open file goes.
func (c *call) position(descriptor uint64) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/fdinfo/%d", c.thread, int32(descriptor)))
	if err != nil {
		return 0, err
	}
	var position, flags int64
	if _, err := fmt.Sscanf(string(text), "pos:\t%d\nflags:\t%o", &position, &flags); err != nil {
		return 0, fmt.Errorf("position of an open file: %w", err)
	}
	if flags&unix.O_APPEND != 0 {
		information, err := os.Stat(c.descriptor(descriptor))
		if err != nil {
			return 0, err
		}
		position = information.Size()
	}
	return position, nil
}

// operation is what a call is about to do, nil if it changes nothing. The paths
// are absolute.
func (c *call) operation() (operation *Operation, err error) {
	a := c.arguments
	switch c.number {
	case unix.SYS_OPENAT:
		path, err := c.path(a[0], a[1])
		if err != nil {
			return nil, err
		}
		_, absent := os.Lstat(path)
		switch {
		case absent != nil && a[2]&unix.O_CREAT != 0:
			return &Operation{Kind: Create, Path: path}, nil
		case absent == nil && a[2]&unix.O_TRUNC != 0:
			return &Operation{Kind: Truncate, Path: path}, nil
		}
		return nil, nil
	case unix.SYS_WRITE, unix.SYS_PWRITE64, unix.SYS_WRITEV, unix.SYS_PWRITEV, unix.SYS_PWRITEV2,
		unix.SYS_SENDFILE, unix.SYS_COPY_FILE_RANGE, unix.SYS_SPLICE, unix.SYS_FALLOCATE:
		return c.write()
	case unix.SYS_TRUNCATE:
		path, err := c.path(workingFolder, a[0])
		return &Operation{Kind: Truncate, Path: path, Size: int64(a[1])}, err
	case unix.SYS_FTRUNCATE:
		path, err := c.opened(a[0])
		return &Operation{Kind: Truncate, Path: path, Size: int64(a[1])}, err
	case unix.SYS_MKDIRAT:
		path, err := c.path(a[0], a[1])
		return &Operation{Kind: Mkdir, Path: path}, err
	case unix.SYS_UNLINKAT:
		path, err := c.path(a[0], a[1])
		return &Operation{Kind: Remove, Path: path}, err
	case unix.SYS_RENAMEAT2:
		from, err := c.path(a[0], a[1])
		if err != nil {
			return nil, err
		}
		to, err := c.path(a[2], a[3])
		return &Operation{Kind: Rename, Path: from, To: to}, err
	case unix.SYS_FSYNC, unix.SYS_FDATASYNC:
		path, err := c.opened(a[0])
		return &Operation{Kind: Sync, Path: path}, err
	case unix.SYS_SYNCFS:
		path, err := c.opened(a[0])
		return &Operation{Kind: SyncAll, Path: path}, err
	case unix.SYS_SYNC:
		path, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", c.thread))
		return &Operation{Kind: SyncAll, Path: path}, err
	case unix.SYS_LINKAT:
		return c.unknown(a[2], a[3])
	case unix.SYS_SYMLINKAT:
		return c.unknown(a[1], a[2])
	}
	return nil, fmt.Errorf("the system call %d was not asked for", c.number)
}

// write is a call that writes into an open file.
func (c *call) write() (*Operation, error) {
	target := c.target()
	path, err := c.opened(target)
	if err != nil || !isFile(path) {
		return nil, nil // or not open at all
	}
	operation := &Operation{Kind: Write, Path: path}
	switch c.number {
	case unix.SYS_WRITE:
		operation.Size = int64(c.arguments[2])
	case unix.SYS_PWRITE64:
		operation.Size, operation.Offset = int64(c.arguments[2]), int64(c.arguments[3])
		return operation, nil
	case unix.SYS_WRITEV, unix.SYS_COPY_FILE_RANGE, unix.SYS_SENDFILE:
	default:
		return &Operation{Kind: Write, Path: path}, &Unfollowed{fmt.Sprintf("a write by the system call %d", c.number), path}
	}
	operation.Offset, err = c.position(target)
	return operation, err
}

// target is the descriptor that a write goes to.
func (c *call) target() uint64 {
	switch c.number {
	case unix.SYS_COPY_FILE_RANGE, unix.SYS_SPLICE:
		return c.arguments[2]
	}
	return c.arguments[0]
}

// written completes a write: it reads back what the call has written.
func (c *call) written(operation *Operation, count int64) error {
	file, err := os.Open(c.descriptor(c.target()))
	if err != nil {
		return err
	}
	defer file.Close()
	operation.Size, operation.Data = count, make([]byte, count)
	if n, err := file.ReadAt(operation.Data, operation.Offset); n < int(count) && err != nil && err != io.EOF {
		return err
	}
	return nil
}

// tear writes the first half of what a write is about to, in its place.
func (c *call) tear(operation *Operation) error {
	if c.number != unix.SYS_WRITE && c.number != unix.SYS_PWRITE64 {
		return nil
	}
	data, err := c.data(c.arguments[1], operation.Size/2)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(c.descriptor(c.target()), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = file.WriteAt(data, operation.Offset)
	return err
}

// Unfollowed is the error about an operation that Run has no name for.
type Unfollowed struct{ What, Path string }

func (u *Unfollowed) Error() string { return fmt.Sprintf("%s: cannot follow %s", u.Path, u.What) }

func (c *call) unknown(folder, address uint64) (*Operation, error) {
	path, err := c.path(folder, address)
	if err != nil {
		return nil, err
	}
	return &Operation{Path: path}, &Unfollowed{"a new link", path}
}
