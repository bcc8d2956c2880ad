package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// fewDescriptors runs make with 64 file descriptors a process.
func (p *place) fewDescriptors() (row string, err error) {
	trial := p.begin("64 file descriptors")
	if err := p.clear(); err != nil {
		return "", err
	}
	trial.check(p.project.Run("sh", "-c", "ulimit -n 64 && exec make"), "too many open files")
	if err := trial.end(); err != nil {
		return "", err
	}
	return trial.row(), nil
}

// shortOfMemory are words for it.
var shortOfMemory = []string{"memory", "killed"}

// littleAddressSpace runs make with ever more address space a process. Below
// about 2 GiB Go's runtime and the C library cannot start their threads, and say
// so in their own words.
func (p *place) littleAddressSpace() (row string, err error) {
	trial := p.begin("address space limited (ulimit -v) to 2 GiB or more")
	for _, megabytes := range addressSpaces {
		if err := p.clear(); err != nil {
			return "", err
		}
		trial.check(p.project.Run("sh", "-c", fmt.Sprintf("ulimit -v %d && exec make", megabytes<<10)), shortOfMemory...)
		if err := trial.end(); err != nil {
			return "", err
		}
	}
	return trial.row(), nil
}

// littleMemory runs make in a control group with ever more memory.
func (p *place) littleMemory() (row string, err error) {
	const name = "memory limited (cgroup) to 64 MiB or more"
	group, limit, err := newGroup(fmt.Sprintf("torture-%d", os.Getpid()))
	if err != nil {
		return p.skip(name, err.Error())
	}
	defer os.Remove(group)
	trial := p.begin(name)
	for _, megabytes := range memories {
		if err := p.clear(); err != nil {
			return "", err
		}
		if err := os.WriteFile(limit, fmt.Append(nil, megabytes<<20), 0); err != nil {
			return "", err
		}
		join := fmt.Sprintf("echo $$ >%s && exec make", filepath.Join(group, "cgroup.procs"))
		trial.check(p.project.Run("sh", "-c", join), shortOfMemory...)
		if err := trial.end(); err != nil {
			return "", err
		}
	}
	return trial.row(), nil
}

// addressSpaces and memories are in MiB.
var (
	addressSpaces = []int{2048, 3072, 4096, 6144, 8192}
	memories      = []int{64, 96, 128, 192, 256, 512}
)

// newGroup makes a control group and says in which file its limit of memory is
// set.
func newGroup(name string) (group, limit string, err error) {
	for _, version := range []struct{ folder, limit string }{
		{"/sys/fs/cgroup/memory", "memory.limit_in_bytes"}, {"/sys/fs/cgroup", "memory.max"},
	} {
		group = filepath.Join(version.folder, name)
		limit = filepath.Join(group, version.limit)
		if os.Mkdir(group, 0o777) != nil {
			continue
		}
		if _, err := os.Stat(limit); err == nil {
			return group, limit, nil
		}
		os.Remove(group)
	}
	return "", "", errors.New("a control group for memory cannot be made here")
}
