//go:build gpu

package gpu

import "sync"

// A failure is the first error of calls that could not return theirs, such as
// Upload, or of the GPU itself; it stays, and goes to the next call that can
// return it. Any thread may ask for it.
type failure struct {
	mutex sync.Mutex
	first error
}

func (f *failure) add(err error) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if f.first == nil {
		f.first = err
	}
}

func (f *failure) err() error {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return f.first
}

// Err is the device's failure, if it has one.
func (d *Device) Err() error { return d.failure.err() }
