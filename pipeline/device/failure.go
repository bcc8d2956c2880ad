package device

import "sync"

// A Failure is a device's first error of calls that could not return theirs,
// such as Upload, or of the device itself; it stays, and goes to the next call
// that can return it. Any goroutine may ask for it.
type Failure struct {
	mutex sync.Mutex
	first error
}

// Add keeps an error, if it is the first.
func (f *Failure) Add(err error) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if f.first == nil {
		f.first = err
	}
}

// Err is the first error; nil if there was none.
func (f *Failure) Err() error {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return f.first
}
