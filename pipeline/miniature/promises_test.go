package miniature

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestPromisesAreProven holds that each test which the README names as a proof is
// in the file that it links to.
func TestPromisesAreProven(t *testing.T) {
	checkout, err := Checkout()
	check(t, err)
	text, err := os.ReadFile(filepath.Join(checkout, "README.md"))
	check(t, err)
	_, section, found := strings.Cut(string(text), "\n## What you can rely on\n")
	if !found {
		t.Fatal("the README does not say what people can rely on")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	proofs := 0
	for _, line := range strings.Split(section, "\n") {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| promise ") {
			continue
		}
		links := regexp.MustCompile(`\[(\w+)\]\(([\w/]+_test\.go)\)`).FindAllStringSubmatch(line, -1)
		if len(links) == 0 {
			t.Errorf("no test proves: %s", line)
		}
		for _, link := range links {
			source, err := os.ReadFile(filepath.Join(checkout, link[2]))
			if err != nil || !strings.Contains(string(source), "\nfunc "+link[1]+"(") {
				t.Errorf("there is no %s in %s (%v)", link[1], link[2], err)
			}
			proofs++
		}
	}
	if proofs < 10 {
		t.Errorf("%d proofs", proofs)
	}
}
