package stage

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// endVariable makes the test binary a stage that ends in some way.
const endVariable = "CATDOG_TEST_END"

func TestMain(m *testing.M) {
	if end := os.Getenv(endVariable); end != "" {
		superviseUnlessWorker("stage")
		ends[end]()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

var hoard [][]byte

var ends = map[string]func(){
	"well":    func() { fmt.Fprintln(os.Stderr, "done") },
	"badly":   func() { fmt.Fprintln(os.Stderr, "stage: no photos"); os.Exit(1) },
	"warning": func() { syscall.Write(2, []byte("a library warns\n")) },
	"panic":   func() { panic("a defect") },
	"killed":  func() { syscall.Kill(os.Getpid(), syscall.SIGKILL) },
	"stopped": func() { syscall.Kill(os.Getpid(), syscall.SIGINT); time.Sleep(time.Minute) },
	"greedy": func() {
		for {
			hoard = append(hoard, make([]byte, 64<<20))
		}
	},
	"slow": func() {
		os.Stdout.WriteString(fmt.Sprintln(os.Getpid()))
		time.Sleep(time.Minute)
	},
}

// TestSupervise: however a stage ends, there is one line and status 0 or 1.
func TestSupervise(t *testing.T) {
	for _, test := range []struct {
		end, variable string
		status        int
		want          string
	}{
		{"well", "", 0, `done`},
		{"badly", "", 1, `stage: no photos`},
		{"warning", "", 0, `a library warns`},
		{"panic", "", 1, `stage: crashed \(panic: a defect\); GOTRACEBACK=all shows where`},
		{"killed", "", 1, `stage: was killed: by someone, or by the system since memory ran out; run make again to go on`},
		{"stopped", "", 1, `stage: was stopped; run make again to go on`},
		{"greedy", "", 1, `stage: ran out of memory \(.*memory.*\); run make again to go on`},
		{"panic", "GOTRACEBACK=all", 2, `(?s)panic: a defect.*goroutine .*`},
	} {
		command := exec.Command("sh", "-c", `ulimit -v 4000000 && exec "$0"`, os.Args[0])
		command.Env = append(os.Environ(), endVariable+"="+test.end, test.variable)
		output, err := command.CombinedOutput()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		if status := command.ProcessState.ExitCode(); status != test.status || !regexp.MustCompile(`^`+test.want+`\n$`).Match(output) {
			t.Errorf("%s %s: status %d, %q", test.end, test.variable, status, output)
		}
	}
}

// TestSupervisorKilled: a worker does not outlive its supervisor.
func TestSupervisorKilled(t *testing.T) {
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), endVariable+"=slow")
	output, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	var worker int
	if _, err := fmt.Fscanln(output, &worker); err != nil || worker == command.Process.Pid {
		t.Fatalf("worker %d of %d: %v", worker, command.Process.Pid, err)
	}
	command.Process.Kill()
	command.Wait()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", worker))
		if err != nil || strings.Contains(string(state), ") Z ") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the worker is still there")
		}
	}
}
