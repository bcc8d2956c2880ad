package bench

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
)

// A Machine is where something was measured: what decides speeds, and nothing
// that tells whose machine it is.
type Machine struct {
	Processor    string `json:"processor"`
	Instructions string `json:"instructions"` // the widest of AVX2, AVX-512, AMX
	Cores        int    `json:"cores"`        // that the operating system shows
	MemoryGiB    int    `json:"memory_gib"`
	System       string `json:"system"`
}

// String is the machine in one line.
func (m Machine) String() string {
	text := fmt.Sprintf("%s, %d cores", m.Processor, m.Cores)
	if m.Instructions != "" {
		text += " (" + m.Instructions + ")"
	}
	return fmt.Sprintf("%s, %d GiB, %s", text, m.MemoryGiB, m.System)
}

// thisMachine looks at the machine. What it cannot tell stays as Go names it.
func thisMachine() Machine {
	m := Machine{Processor: runtime.GOARCH, Cores: runtime.NumCPU(), System: runtime.GOOS}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if name := field(string(text), "model name", ":"); name != "" {
			m.Processor = name
		}
		m.Instructions = widest(strings.Fields(field(string(text), "flags", ":")))
	}
	if text, err := os.ReadFile("/proc/meminfo"); err == nil {
		if words := strings.Fields(field(string(text), "MemTotal", ":")); len(words) > 0 {
			if kibibytes, err := strconv.Atoi(words[0]); err == nil {
				m.MemoryGiB = (kibibytes + 1<<19) >> 20
			}
		}
	}
	if text, err := os.ReadFile("/etc/os-release"); err == nil {
		if name := strings.Trim(field(string(text), "PRETTY_NAME", "="), `"`); name != "" {
			m.System = name
		}
	}
	return m
}

// field is the value in the first line that begins with name, before the
// separator.
func field(text, name, separator string) string {
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(line, separator)
		if ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// widest names the processor's widest arithmetic.
func widest(flags []string) string {
	has := map[string]bool{}
	for _, flag := range flags {
		has[flag] = true
	}
	switch {
	case has["amx_tile"]:
		return "AVX-512 and AMX"
	case has["avx512f"]:
		return "AVX-512"
	case has["avx2"]:
		return "AVX2"
	}
	return ""
}

// load is how many processes wanted a core, averaged over the last minute; 0
// where nobody counts them.
func load() float64 {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(text), " ")
	value, _ := strconv.ParseFloat(first, 64)
	return value
}
