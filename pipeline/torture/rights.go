package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"catdog/pipeline/miniature"
)

// closed are the folders that are closed for writing, one after the other.
var closed = []string{"build", "data", "data/raw", "data/interim", "data/processed", "models", "reports"}

// readOnly mounts folders read-only.
func (p *place) readOnly() (row string, err error) {
	const name = "a folder that is read-only"
	trial := p.begin(name)
	for _, closing := range closed {
		folder, err := p.emptyFolder(closing)
		if err != nil {
			return "", err
		}
		if err := syscall.Mount(folder, folder, "", syscall.MS_BIND, ""); err != nil {
			return p.skip(name, "mounting needs root")
		}
		err = syscall.Mount("", folder, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, "")
		made := p.project.Make()
		if err := syscall.Unmount(folder, 0); err != nil {
			return "", err
		}
		if err != nil {
			return "", err
		}
		if made.Status == 0 {
			p.say("make succeeded with %s read-only", closing)
		}
		trial.check(made, "read-only file system")
		if err := trial.end(); err != nil {
			return "", err
		}
	}
	return trial.row(), nil
}

// emptyFolder removes all that make made, and makes a folder for it.
func (p *place) emptyFolder(name string) (string, error) {
	folder := p.project.Path(name)
	if err := p.clear(); err != nil {
		return "", err
	}
	return folder, os.MkdirAll(folder, 0o777)
}

// nobody is a user without rights.
const nobody = 65534

// forbidden takes away the right to write into folders, as nobody where this
// runs as root, for whom rights do not count.
func (p *place) forbidden() (row string, err error) {
	if err := p.clear(); err != nil {
		return "", err
	}
	project, err := p.project.Clone(filepath.Join(p.scratch, "forbidden"))
	if err != nil {
		return "", err
	}
	if err := p.restore(); err != nil {
		return "", err
	}
	if err := project.OwnBinaries(); err != nil {
		return "", err
	}
	if os.Geteuid() == 0 {
		if err := os.Chmod(p.scratch, 0o755); err != nil {
			return "", err
		}
		project.As = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
	other := &place{p.torturer, project}
	trial := other.begin("a folder that may not be written into")
	for _, closing := range closed {
		folder, err := other.emptyFolder(closing)
		if err != nil {
			return "", err
		}
		if err := give(project); err != nil {
			return "", err
		}
		if err := os.Chmod(folder, 0o555); err != nil {
			return "", err
		}
		made := project.Make()
		if err := os.Chmod(folder, 0o777); err != nil {
			return "", err
		}
		if made.Status == 0 {
			other.say("make succeeded though %s may not be written into", closing)
		}
		trial.check(made, "permission denied")
		if err := trial.end(); err != nil {
			return "", err
		}
	}
	return trial.row(), nil
}

// give makes all of a project its user's.
func give(project *miniature.Project) error {
	if project.As == nil {
		return nil
	}
	return filepath.WalkDir(project.Folder, func(name string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(name, int(project.As.Uid), int(project.As.Gid))
	})
}
