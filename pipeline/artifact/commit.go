package artifact

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// WriteFile replaces a file with content: whole or not at all, and on the disk
// when it returns. What a killed call leaves beside it, .NAME.partial, is
// replaced by the next one; so only one process at a time may write a file.
func WriteFile(name string, content []byte) error {
	partial := filepath.Join(filepath.Dir(name), "."+filepath.Base(name)+".partial")
	err := writeSynced(partial, content)
	if err == nil {
		err = os.Rename(partial, name)
	}
	if err != nil {
		os.Remove(partial)
		return fmt.Errorf("write %s: %w", name, err)
	}
	return SyncFolder(filepath.Dir(name))
}

// WriteOutput is WriteFile for a name that a person chose: a device or a pipe is
// written into, and what a link leads to in place of the link.
func WriteOutput(name string, content []byte) error {
	information, err := os.Lstat(name)
	if err != nil || information.Mode().IsRegular() {
		return WriteFile(name, content)
	}
	how := os.O_WRONLY | os.O_APPEND
	target, err := os.Stat(name)
	output, standard := os.Stdout.Stat()
	if err == nil && target.Mode().IsRegular() && !(standard == nil && os.SameFile(target, output)) {
		how = os.O_WRONLY | os.O_TRUNC
	}
	file, err := os.OpenFile(name, how, 0)
	if err == nil {
		_, err = file.Write(content)
		err = errors.Join(err, file.Close())
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

func writeSynced(name string, content []byte) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	return errors.Join(err, file.Sync(), file.Close())
}

// SyncFolder makes the names in a folder survive a loss of power.
func SyncFolder(folder string) error {
	file, err := os.Open(folder)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := file.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", folder, err)
	}
	return nil
}

// SyncFileSystem is one barrier instead of a sync for each of many files on the
// folder's file system.
func SyncFileSystem(folder string) error {
	file, err := os.Open(folder)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := unix.Syncfs(int(file.Fd())); err != nil {
		return fmt.Errorf("sync %s: %w", folder, err)
	}
	return nil
}

// MakeFolder is os.MkdirAll for folders whose names survive a loss of power.
func MakeFolder(folder string) error {
	if _, err := os.Stat(folder); err == nil {
		return nil
	}
	above := filepath.Dir(folder)
	if err := MakeFolder(above); err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return err
	}
	return SyncFolder(above)
}

// syncAll syncs every file and folder below a folder, itself last.
func syncAll(folder string) error {
	var folders []string
	err := filepath.WalkDir(folder, func(name string, item fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if item.IsDir() {
			folders = append(folders, name)
			return nil
		}
		file, err := os.Open(name)
		if err != nil {
			return err
		}
		defer file.Close()
		if err := file.Sync(); err != nil {
			return fmt.Errorf("sync %s: %w", name, err)
		}
		return nil
	})
	for i := len(folders) - 1; i >= 0 && err == nil; i-- {
		err = SyncFolder(folders[i])
	}
	return err
}

// Commit turns the folder that a stage wrote into the artifact root/KEY: lists
// its files but the scratch ones, writes the manifest, syncs everything, renames.
// A damaged artifact of that key is replaced.
func Commit(partial, root string, recipe Recipe, informational, scratch []string, digests *Digests) (*Manifest, error) {
	if err := syncAll(partial); err != nil {
		return nil, err
	}
	files, err := digests.Scan(partial)
	if err != nil {
		return nil, err
	}
	manifest := &Manifest{Recipe: recipe, Key: recipe.Key()}
	for _, file := range files {
		switch {
		case file.Path == ManifestName, Matches(file.Path, scratch):
		case Matches(file.Path, informational):
			manifest.Informational = append(manifest.Informational, file)
		default:
			manifest.Files = append(manifest.Files, file)
		}
	}
	manifest.Digest = JointDigest(manifest.Files)
	if err := WriteFile(filepath.Join(partial, ManifestName), manifest.Encode()); err != nil {
		return nil, err
	}
	folder := filepath.Join(root, manifest.Key)
	if err := os.RemoveAll(folder); err != nil {
		return nil, fmt.Errorf("replace %s: %w", folder, err)
	}
	if err := os.Rename(partial, folder); err != nil {
		return nil, fmt.Errorf("commit %s: %w", folder, err)
	}
	digests.Moved(partial, folder)
	return manifest, SyncFolder(root)
}

// Matches says whether a slash-separated path fits one of the patterns.
func Matches(file string, patterns []string) bool {
	for _, pattern := range patterns {
		if ok, err := path.Match(pattern, file); ok && err == nil {
			return true
		}
	}
	return false
}

// Verify compares an artifact's folder with its manifest: the digested files,
// and those informational ones that fit also, each by what digest says of it
// (Digests.File or Digests.Reread). The error names the first file that differs
// and is ErrDamaged.
func Verify(folder string, manifest *Manifest, also []string, digest func(folder, path string) (File, error)) error {
	if manifest.Key != manifest.Recipe.Key() || manifest.Digest != JointDigest(manifest.Files) {
		return fmt.Errorf("%s is %w", filepath.Join(folder, ManifestName), ErrDamaged)
	}
	check := func(want File) error {
		got, err := digest(folder, want.Path)
		name := filepath.Join(folder, want.Path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("%s is missing (%w)", name, ErrDamaged)
		case err != nil:
			return err
		case got != want:
			return fmt.Errorf("%s is %w: not the bytes that its manifest lists", name, ErrDamaged)
		}
		return nil
	}
	for _, file := range manifest.Files {
		if err := check(file); err != nil {
			return err
		}
	}
	for _, file := range manifest.Informational {
		if Matches(file.Path, also) {
			if err := check(file); err != nil {
				return err
			}
		}
	}
	return nil
}
