package disk

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"slices"
)

// A Cut is a loss of power: it says what becomes of that which was not synced.
type Cut struct {
	Name string
	// name says whether a change of names is kept.
	name func() bool
	// data says how many bytes of a write are kept, and whether as zeros: a file
	// may have got its length but not its content. A truncation counts as a write
	// of one byte.
	data func(length int) (kept int, zeros bool)
}

func always() bool                { return true }
func never() bool                 { return false }
func all(length int) (int, bool)  { return length, false }
func none(int) (int, bool)        { return 0, false }
func zero(length int) (int, bool) { return length, true }

// The cuts that are not random.
var (
	Kept    = Cut{"all kept", always, all} // what a killed process leaves
	Dropped = Cut{"all dropped", never, none}
	Names   = Cut{"names kept, content dropped", always, none} // the file of no length after a rename
	Zeros   = Cut{"names kept, content zeros", always, zero}
	Content = Cut{"content kept, names dropped", never, all}
)

// Random keeps each by itself half of the time, and of some writes a first part.
func Random(random *rand.Rand) Cut {
	half := func() bool { return random.IntN(2) == 0 }
	return Cut{"at random", half, func(length int) (int, bool) {
		switch random.IntN(4) {
		case 0, 1:
			return length, false
		case 2:
			return 0, false
		}
		return random.IntN(length + 1), random.IntN(4) == 0
	}}
}

// After is what a loss of power leaves.
func (d *Disk) After(cut Cut) Tree {
	// names are those of folders that a change which is kept concerns.
	names := map[*node]map[string]*node{}
	of := func(folder *node) map[string]*node {
		if names[folder] == nil {
			names[folder] = maps.Clone(folder.safe)
		}
		return names[folder]
	}
	for _, naming := range d.pending {
		if kept := cut.name(); kept || naming.synced {
			for _, e := range naming.entries {
				e.set(of(e.folder))
			}
		}
	}
	tree := Tree{}
	var add func(prefix string, folder *node)
	add = func(prefix string, folder *node) {
		found := of(folder)
		for _, name := range slices.Sorted(maps.Keys(found)) { // in order, for what is random
			if n := found[name]; n.folder {
				tree[prefix+name+"/"] = nil
				add(prefix+name+"/", n)
			} else {
				tree[prefix+name] = n.after(cut)
			}
		}
	}
	add("", d.root)
	return tree
}

// after is what a loss of power leaves of a file's content.
func (n *node) after(cut Cut) []byte {
	if len(n.changes) == 0 {
		return n.content
	}
	content := bytes.Clone(n.content)
	for _, change := range n.changes {
		if change.data == nil {
			if kept, _ := cut.data(1); kept > 0 {
				content = truncate(content, change.offset)
			}
			continue
		}
		kept, zeros := cut.data(len(change.data))
		switch {
		case kept == 0:
		case zeros:
			content = write(content, make([]byte, kept), change.offset)
		default:
			content = write(content, change.data[:kept], change.offset)
		}
	}
	return content
}
