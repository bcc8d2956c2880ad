package tracer

import "fmt"

// A Kind is what an operation does.
type Kind int

// The kinds of operations.
const (
	Create   Kind = iota // an empty file
	Mkdir                // an empty folder
	Write                // Data at Offset
	Truncate             // to Size bytes
	Rename               // Path to To, which it replaces
	Remove               // a file or an empty folder
	Sync                 // a file's content, or a folder's names
	SyncAll              // the whole file system
)

func (k Kind) String() string {
	return [...]string{"create", "mkdir", "write", "truncate", "rename", "remove", "sync", "sync all"}[k]
}

// An Operation is a system call that changes what is on a disk, or what is sure
// to be there after a loss of power.
type Operation struct {
	Kind Kind
	Path string // within the root
	To   string
	// Offset is where a write begins.
	Offset int64
	// Size is how many bytes are to be written, or left by Truncate.
	Size int64
	// Data is what was written. Before a write it is not known yet.
	Data []byte
}

func (o Operation) String() string {
	switch o.Kind {
	case Write:
		return fmt.Sprintf("write %d bytes at %d of %s", o.Size, o.Offset, o.Path)
	case Truncate:
		return fmt.Sprintf("truncate %s to %d bytes", o.Path, o.Size)
	case Rename:
		return fmt.Sprintf("rename %s to %s", o.Path, o.To)
	}
	return fmt.Sprintf("%s %s", o.Kind, o.Path)
}
