package bench

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
)

// scripts are the peers, and what pip must install for them.
//
//go:embed peers
var scripts embed.FS

// environment is the folder of one of the peers' Python environments.
func (s *session) environment(name string) string {
	folder := filepath.Join(s.Build, name)
	if absolute, err := filepath.Abs(folder); err == nil {
		return absolute
	}
	return folder
}

// needPython makes the Python environment build/NAME with what the list of
// requirements says, if it is not there yet.
func (s *session) needPython(name, requirements string) error {
	list, err := scripts.ReadFile("peers/" + requirements)
	if err != nil {
		return err
	}
	folder := s.environment(name)
	installed := filepath.Join(folder, "installed.txt")
	if have, err := os.ReadFile(installed); err == nil && bytes.Equal(have, list) {
		return nil
	}
	s.Reporter.Say("installs what the peers need into %s (some minutes)", folder)
	python := filepath.Join(folder, "bin/python")
	if _, err := os.Stat(python); err != nil {
		if err := runQuietly(s, exec.CommandContext(s, "python3", "-m", "venv", folder)); err != nil {
			return fmt.Errorf("%w (Debian has it in python3-venv)", err)
		}
	}
	file := filepath.Join(s.folder, requirements)
	if err := os.WriteFile(file, list, 0o666); err != nil {
		return err
	}
	pip := exec.CommandContext(s, python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", file)
	if err := runQuietly(s, pip); err != nil {
		return err
	}
	return os.WriteFile(installed, list, 0o666)
}

// runQuietly runs a command; if it fails, the error has its last line.
func runQuietly(ctx context.Context, command *exec.Cmd) error {
	output := &tail{}
	command.Stdout, command.Stderr = output, output
	if err := command.Run(); err != nil {
		return errors.Join(ctx.Err(), fmt.Errorf("%s: %w: %s", command, err, output.last()))
	}
	return nil
}

// script is the command that runs a peer's script.
func (s *session) script(environment, script string, arguments ...string) (*exec.Cmd, error) {
	folder := filepath.Join(s.folder, "peers")
	if err := unpack(folder); err != nil {
		return nil, err
	}
	command := exec.CommandContext(s, filepath.Join(s.environment(environment), "bin/python"), append([]string{filepath.Join(folder, script)}, arguments...)...)
	command.Env = append(os.Environ(),
		"PYTHONDONTWRITEBYTECODE=1",
		"TORCHINDUCTOR_CACHE_DIR="+filepath.Join(s.folder, "inductor"),
	)
	return command, nil
}

// python starts a peer's script as a contender.
func (s *session) python(environment, name, script string, arguments ...string) (*contender, error) {
	command, err := s.script(environment, script, arguments...)
	if err != nil {
		return nil, err
	}
	return start(s, name, command)
}

// unpack writes the scripts into a folder.
func unpack(folder string) error {
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return err
	}
	files, err := fs.ReadDir(scripts, "peers")
	if err != nil {
		return err
	}
	for _, file := range files {
		text, err := scripts.ReadFile("peers/" + file.Name())
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, file.Name()), text, 0o666); err != nil {
			return err
		}
	}
	return nil
}
