package segment

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
)

// Sweep removes all values from the store in folder but those whose keys are to
// be kept, and says how many bytes that frees; dry only says it.
//
// Segments with anything to remove are written anew without it and then deleted.
// A sweep that is killed leaves values twice, which is harmless and which the
// next sweep mends.
func Sweep(folder string, keep func(key string) bool, dry bool) (freed int64, err error) {
	if _, err := os.Stat(folder); errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	store, err := Open(folder)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	store.mutex.Lock()
	defer store.mutex.Unlock()
	if !dry {
		if err := store.takeLock(); err != nil {
			return 0, fmt.Errorf("sweep store: %w", err)
		}
	}

	// live are the keys to keep of each segment, in the order in which they lie.
	live, used := map[*segment][]string{}, map[*segment]int64{}
	for key, at := range store.index {
		if keep(key) {
			live[at.segment] = append(live[at.segment], key)
			used[at.segment] += int64(headSize+len(key)) + int64(at.length)
		}
	}
	begun := false
	for _, old := range store.segments {
		info, err := old.file.Stat()
		if err != nil {
			return freed, fmt.Errorf("sweep store: %w", err)
		}
		if used[old] == info.Size() {
			continue
		}
		freed += info.Size() - used[old]
		if dry {
			continue
		}
		if !begun && len(live[old]) > 0 {
			if err := store.begin(len(store.segments)); err != nil {
				return 0, fmt.Errorf("sweep store: %w", err)
			}
			begun = true
		}
		if err := store.move(live[old]); err != nil {
			return 0, fmt.Errorf("sweep store: %w", err)
		}
		if err := os.Remove(old.file.Name()); err != nil {
			return 0, fmt.Errorf("sweep store: %w", err)
		}
	}
	return freed, nil
}

// move puts values, but damaged ones, into the store once more, and returns when
// they are safe there.
func (s *Store) move(keys []string) error {
	slices.SortFunc(keys, func(a, b string) int { return cmp.Compare(s.index[a].offset, s.index[b].offset) })
	for _, key := range keys {
		value, err := s.read(key, s.index[key])
		if errors.Is(err, ErrDamaged) {
			continue
		}
		if err != nil {
			return err
		}
		if err := s.put(key, value); err != nil {
			return err
		}
	}
	return s.flush()
}
