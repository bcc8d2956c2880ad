package main

import (
	"os"
	"path/filepath"
	"syscall"
)

// fullDisk runs the project on a small file system with ever more room left.
func (p *place) fullDisk() (row string, err error) {
	const name = "full disk"
	folder := filepath.Join(p.scratch, "small")
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return "", err
	}
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size=48m"); err != nil {
		return p.skip(name, "mounting a small file system needs root")
	}
	defer syscall.Unmount(folder, syscall.MNT_DETACH)
	if err := p.remove(made...); err != nil {
		return "", err
	}
	project, err := p.project.Clone(filepath.Join(folder, "project"))
	if err != nil {
		return "", err
	}
	if err := p.restore(); err != nil {
		return "", err
	}
	small := &place{p.torturer, project}
	trial := small.begin(name)
	for _, free := range []int64{0, 8, 64, 200, 500, 900, 1400, 2000, 2600, 3200, 4000, 5000, 6500} { // KiB
		if err := small.clear(); err != nil {
			return "", err
		}
		if err := ballast(folder, free<<10); err != nil {
			return "", err
		}
		made := project.Make()
		if err := os.Remove(filepath.Join(folder, "ballast")); err != nil {
			return "", err
		}
		trial.check(made, "no space left on device")
		if err := trial.end(); err != nil {
			return "", err
		}
	}
	return trial.row(), nil
}

// ballast fills a file system but for some bytes.
func ballast(folder string, free int64) error {
	var system syscall.Statfs_t
	if err := syscall.Statfs(folder, &system); err != nil {
		return err
	}
	file, err := os.Create(filepath.Join(folder, "ballast"))
	if err != nil {
		return err
	}
	defer file.Close()
	return syscall.Fallocate(int(file.Fd()), 0, 0, max(int64(system.Bavail)*system.Bsize-free, 1))
}
