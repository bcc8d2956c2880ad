package artifact

import (
	"io/fs"
	"time"

	"golang.org/x/sys/unix"
)

// A stamp changes whenever a file's content does, but for changes within one
// tick of the file system's clock; see settled.
type stamp struct {
	size            int64
	modified, moved int64 // mtime and ctime, ns
	inode           uint64
}

func stampOf(name string) (stamp, error) {
	var stat unix.Stat_t
	if err := unix.Lstat(name, &stat); err != nil {
		return stamp{}, &fs.PathError{Op: "stat", Path: name, Err: err}
	}
	return stampFrom(&stat), nil
}

func stampFrom(stat *unix.Stat_t) stamp {
	return stamp{stat.Size, stat.Mtim.Nano(), stat.Ctim.Nano(), stat.Ino}
}

// settled says whether the file was last written so long before it was read
// that any later write gets other times. (Git calls the opposite "racily
// clean".) A file system's clock moves in ticks: some milliseconds, or, where
// times are whole seconds, up to two of them.
func (s stamp) settled(read time.Time) bool {
	tick := 20 * time.Millisecond
	if s.modified%int64(time.Second) == 0 && s.moved%int64(time.Second) == 0 {
		tick = 2 * time.Second
	}
	return read.UnixNano()-max(s.modified, s.moved) > int64(tick)
}
