package track

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"catdog/pipeline/artifact"
	"catdog/pipeline/code"
	"catdog/pipeline/stage"
)

// build compiles every stage with the digest of its code linked in, and the
// other commands, into bin/. Last, it writes down the digests.
func build(words []string, out io.Writer) error {
	libraries, err := libraryVersions()
	if err != nil {
		return err
	}
	var names []string
	for _, definition := range stage.All {
		names = append(names, definition.Name)
	}
	digests, err := code.Digests(names, "", libraries)
	if err != nil {
		return err
	}
	for _, name := range names {
		flag := "-ldflags=-X catdog/pipeline/stage.Code=" + digests[name]
		if err := goBuild(flag, "-o", filepath.Join("bin", name), "./stages/"+name); err != nil {
			return err
		}
	}
	others, err := filepath.Glob("stages/*/main.go")
	if err != nil {
		return err
	}
	for _, main := range others {
		name := filepath.Base(filepath.Dir(main))
		if stage.Find(name) == nil && name != "track" { // track is what runs now
			if err := goBuild("-o", filepath.Join("bin", name), "./stages/"+name); err != nil {
				return err
			}
		}
	}
	text, err := json.MarshalIndent(digests, "", "  ")
	if err != nil {
		return err
	}
	return artifact.WriteFile(CodesFile, append(text, '\n'))
}

func goBuild(arguments ...string) error {
	command := exec.Command("go", append([]string{"build"}, arguments...)...)
	command.Stdout, command.Stderr = os.Stderr, os.Stderr
	if err := command.Run(); err != nil {
		return fmt.Errorf("go build %s: %w", strings.Join(arguments, " "), err)
	}
	return nil
}

// libraryVersions asks for the versions of the C libraries that stages link.
func libraryVersions() (map[string]string, error) {
	vips, err := exec.Command("pkg-config", "--modversion", "vips").Output()
	if err != nil {
		return nil, fmt.Errorf("ask for libvips' version: %w", err)
	}
	preprocess := exec.Command("cc", "-E", "-dM", "-include", "oneapi/dnnl/dnnl_version.h", "-x", "c", "/dev/null")
	macros, err := preprocess.Output()
	if err != nil {
		return nil, fmt.Errorf("ask for oneDNN's version: %w", err)
	}
	number := map[string]string{}
	for lines := bufio.NewScanner(strings.NewReader(string(macros))); lines.Scan(); {
		if words := strings.Fields(lines.Text()); len(words) == 3 {
			number[words[1]] = words[2]
		}
	}
	return map[string]string{
		"vips": strings.TrimSpace(string(vips)),
		"dnnl": number["DNNL_VERSION_MAJOR"] + "." + number["DNNL_VERSION_MINOR"] + "." + number["DNNL_VERSION_PATCH"],
	}, nil
}
