// Package disk is a model of a file system of which, when the power fails, only
// that is sure to be there which was synced before.
//
// It promises as little as POSIX does. Each write to a file and each change of
// names (a file created, a folder made, something renamed or removed) is by
// itself: until a sync makes it safe it may be lost or not, in any combination
// with others, whatever came first. Syncing a file makes its content safe, not
// its name; syncing a folder the names in it, not what is in its files. A rename
// happens as a whole or not at all, even from one folder to another. Real file
// systems promise more (A. Pillai et al., "All File Systems Are Not Created
// Equal", OSDI 2014, has tables of that); what survives here survives there.
package disk

import (
	"bytes"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"catdog/pipeline/torture/tracer"
)

// A Disk is what programs see, and how much of it is safe.
type Disk struct {
	root *node
	// pending are changes of names, in the order in which they happened, from
	// the first on that is not safe.
	pending []*naming
}

// A node is a file or a folder.
type node struct {
	folder bool

	// Of a folder: what programs see, and what a loss of power surely leaves if
	// it takes all that is pending.
	names, safe map[string]*node

	// Of a file: the content that is safe, and the changes since.
	content []byte
	changes []change
}

// A change is a write, or, without data, a truncation to offset bytes.
type change struct {
	data   []byte
	offset int64
}

// A naming is one or two names that change at once.
type naming struct {
	entries []entry
	synced  bool
}

// An entry is a name in a folder; node is nil where it goes.
type entry struct {
	folder *node
	name   string
	node   *node
}

func newFolder() *node {
	return &node{folder: true, names: map[string]*node{}, safe: map[string]*node{}}
}

// New is an empty disk.
func New() *Disk { return &Disk{root: newFolder()} }

// From is a disk with a tree on it, safe.
func From(tree Tree) (*Disk, error) {
	d := New()
	for _, name := range slices.Sorted(maps.Keys(tree)) {
		folder, last, err := d.parent(strings.TrimSuffix(name, "/"))
		if err != nil {
			return nil, err
		}
		added := &node{content: tree[name]}
		if strings.HasSuffix(name, "/") {
			added = newFolder()
		}
		folder.names[last], folder.safe[last] = added, added
	}
	return d, nil
}

// find is the file or folder of a path, as programs see it.
func (d *Disk) find(name string) (*node, error) {
	at := d.root
	if name == "." {
		return at, nil
	}
	for word := range strings.SplitSeq(name, "/") {
		if at = at.names[word]; at == nil {
			return nil, fmt.Errorf("%s is not on the disk", name)
		}
	}
	return at, nil
}

// parent is the folder that a path is in, and its last name.
func (d *Disk) parent(name string) (*node, string, error) {
	folder, err := d.find(path.Dir(name))
	return folder, path.Base(name), err
}

// Apply has an operation happen.
func (d *Disk) Apply(o tracer.Operation) error {
	switch o.Kind {
	case tracer.SyncAll:
		d.syncAll()
		return nil
	case tracer.Rename:
		return d.rename(o.Path, o.To)
	case tracer.Create, tracer.Mkdir, tracer.Remove:
		folder, name, err := d.parent(o.Path)
		if err != nil {
			return err
		}
		var added *node
		switch o.Kind {
		case tracer.Create:
			added = &node{}
		case tracer.Mkdir:
			added = newFolder()
		}
		d.name(entry{folder, name, added})
		return nil
	}
	at, err := d.find(o.Path)
	switch {
	case err != nil:
		return err
	case o.Kind == tracer.Sync && at.folder:
		d.syncFolder(at)
	case o.Kind == tracer.Sync:
		at.content, at.changes = at.now(), nil
	case o.Kind == tracer.Write:
		if len(o.Data) > 0 {
			at.changes = append(at.changes, change{o.Data, o.Offset})
		}
	case o.Kind == tracer.Truncate:
		at.changes = append(at.changes, change{nil, o.Size})
	}
	return nil
}

func (d *Disk) rename(from, to string) error {
	old, oldName, err := d.parent(from)
	if err != nil {
		return err
	}
	moved, err := d.find(from)
	if err != nil {
		return err
	}
	folder, name, err := d.parent(to)
	if err != nil {
		return err
	}
	d.name(entry{old, oldName, nil}, entry{folder, name, moved})
	return nil
}

// name changes names at once.
func (d *Disk) name(entries ...entry) {
	for _, e := range entries {
		e.set(e.folder.names)
	}
	d.pending = append(d.pending, &naming{entries: entries})
}

func (e entry) set(names map[string]*node) {
	if e.node == nil {
		delete(names, e.name)
	} else {
		names[e.name] = e.node
	}
}

func (d *Disk) syncFolder(folder *node) {
	for _, naming := range d.pending {
		naming.synced = naming.synced || slices.ContainsFunc(naming.entries, func(e entry) bool { return e.folder == folder })
	}
	// One that is safe is not settled as long as an earlier one may be lost: both
	// may be about one name.
	for len(d.pending) > 0 && d.pending[0].synced {
		for _, e := range d.pending[0].entries {
			e.set(e.folder.safe)
		}
		d.pending = d.pending[1:]
	}
}

func (d *Disk) syncAll() {
	for _, naming := range d.pending {
		naming.synced = true
	}
	d.syncFolder(nil)
	d.root.syncContents()
}

func (n *node) syncContents() {
	n.content, n.changes = n.now(), nil
	for _, below := range n.names {
		below.syncContents()
	}
}

// now is a file's content as programs see it.
func (n *node) now() []byte { return n.after(Kept) }

// Pending are the paths of files with writes, as programs see them, that are not
// safe.
func (d *Disk) Pending() []string {
	var list []string
	d.root.walk("", func(name string, n *node) {
		if len(n.changes) > 0 {
			list = append(list, name)
		}
	})
	slices.Sort(list)
	return list
}

func (n *node) walk(name string, visit func(name string, n *node)) {
	visit(name, n)
	for word, below := range n.names {
		below.walk(path.Join(name, word), visit)
	}
}

// write changes content as a write does; what lies between its end and the
// offset becomes zeros.
func write(content, data []byte, offset int64) []byte {
	if end := offset + int64(len(data)); end > int64(len(content)) {
		content = append(content, make([]byte, end-int64(len(content)))...)
	}
	copy(content[offset:], data)
	return content
}

// truncate cuts content, or makes it longer by zeros.
func truncate(content []byte, size int64) []byte {
	if size <= int64(len(content)) {
		return content[:size]
	}
	return append(content, bytes.Repeat([]byte{0}, int(size)-len(content))...)
}
