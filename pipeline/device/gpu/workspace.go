//go:build gpu

package gpu

import (
	"fmt"

	"gorgonia.org/cu"
)

// A workspace is memory that operations use one after the other. It is as
// large as the largest needs, and made for a loop or when the first of them
// runs.
type workspace struct {
	need, size int
	data       cu.DevicePtr
}

// reserve makes the workspace at least so large.
func (w *workspace) reserve(bytes int) { w.need = max(w.need, bytes) }

// scratch is a workspace's memory, for what runs on the device's thread. A
// former, smaller one stays, since captured work may use it.
func (d *Device) scratch(w *workspace) (cu.DevicePtr, error) {
	if w.size < w.need {
		data, err := d.allocateHere(w.need)
		if err != nil {
			return 0, fmt.Errorf("make a workspace: %w", err)
		}
		w.data, w.size = data, w.need
	}
	return w.data, nil
}
