// Package stages has no code of its own; its test tries the set-up scripts on
// machines that lack something.
package stages

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A machine is what setup.sh finds on it: stand-ins for the programs it asks.
type machine struct {
	user          string // numeric
	vips, onednn  string // versions; "" is missing
	apt, sudo, ci bool
}

// run returns what setup.sh printed, the packages it had installed, and
// whether it succeeded.
func (m machine) run(t *testing.T) (output, installed string, ok bool) {
	t.Helper()
	folder := t.TempDir()
	program := func(name, script string) {
		if err := os.WriteFile(filepath.Join(folder, name), []byte("#!/bin/sh\n"+script+"\n"), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"sh", "cat", "cut", "tail", "mktemp", "rm", "dirname"} {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(path, filepath.Join(folder, name)); err != nil {
			t.Fatal(err)
		}
	}
	state := func(name, value string) string {
		file := filepath.Join(folder, name+".version")
		if value != "" {
			if err := os.WriteFile(file, []byte(value+"\n"), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		return file
	}
	vips, onednn := state("vips", m.vips), state("onednn", m.onednn)
	program("id", "echo "+m.user)
	program("go", `case $1 in version) echo "go version go1.26.8 linux/amd64" ;; esac`)
	program("c++", "exit 0")
	program("pkg-config", `case $1 in --exists) test -e `+vips+` ;; *) cat `+vips+` ;; esac`)
	program("cc", "cat "+onednn)
	if m.apt {
		program("apt-get", `case $* in
update*) exit 0 ;;
install*libvips-dev*) echo 8.14.1 >`+vips+` ;;
esac
case $* in install*libdnnl-dev*) echo 2 >`+onednn+` ;; esac
echo "$*" >>`+filepath.Join(folder, "installed"))
	}
	if m.sudo {
		program("sudo", `exec "$@"`)
	}
	command := exec.Command("/bin/sh", "setup.sh")
	command.Env = []string{"PATH=" + folder, "GPU=0"}
	if m.ci {
		command.Env = append(command.Env, "CI=true")
	}
	said, err := command.CombinedOutput()
	log, _ := os.ReadFile(filepath.Join(folder, "installed"))
	return string(said), string(log), err == nil
}

func TestSetUp(t *testing.T) {
	for _, test := range []struct {
		name      string
		machine   machine
		ok        bool
		says      string
		installed string
	}{
		{"nothing is missing", machine{user: "0", vips: "8.14.1", onednn: "2", apt: true}, true, "has libvips 8.14.1, oneDNN 2.x", ""},
		{"root", machine{user: "0", onednn: "3", apt: true}, true, "has libvips 8.14.1, oneDNN 3.x", "install -y --no-install-recommends libvips-dev -qq\n"},
		{"root, both", machine{user: "0", apt: true}, true, "installs libvips-dev libdnnl-dev", "install -y --no-install-recommends libvips-dev libdnnl-dev -qq\n"},
		{"a user in CI", machine{user: "1000", vips: "8.14.1", apt: true, sudo: true, ci: true}, true, "oneDNN 2.x", "install -y --no-install-recommends libdnnl-dev -qq\n"},
		{"a user without a terminal", machine{user: "1000", vips: "8.14.1", apt: true, sudo: true}, false, "run: sudo apt-get install -y --no-install-recommends libdnnl-dev (or make YES=1)", ""},
		{"a user without sudo", machine{user: "1000", vips: "8.14.1", apt: true}, false, "as root, run: apt-get install", ""},
		{"another system", machine{user: "0", vips: "8.14.1"}, false, "with your system's package manager", ""},
		{"an old libvips", machine{user: "0", vips: "8.9.2", onednn: "2", apt: true}, false, "libvips 8.9.2 is too old", ""},
		{"an unknown oneDNN", machine{user: "0", vips: "8.14.1", onednn: "4", apt: true}, false, "oneDNN 4 is not supported", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			said, installed, ok := test.machine.run(t)
			if ok != test.ok || !strings.Contains(said, test.says) || installed != test.installed {
				t.Errorf("ok is %t, installed %q, said:\n%s", ok, installed, said)
			}
			if lines := strings.Count(said, "\n"); !ok && lines != 1 {
				t.Errorf("an error of %d lines:\n%s", lines, said)
			}
		})
	}
}
