package artifact

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestEscapePath(t *testing.T) {
	for path, want := range map[string]string{
		"train/cat.0.jpg":     "train/cat.0.jpg",
		"Kätzchen/1.jpg":      "Kätzchen/1.jpg",
		"100%.jpg":            "100%25.jpg",
		"a\xff\xc3.jpg":       "a%FF%C3.jpg",
		"two\nlines\r.jpg":    "two%0Alines%0D.jpg",
		"quote\"comma,.jpg":   "quote\"comma,.jpg",
		"\xed\xa0\x80 is not": "%ED%A0%80 is not",
		"�":                   "�",
	} {
		if got := EscapePath(path); got != want {
			t.Errorf("EscapePath(%q) = %q, want %q", path, got, want)
		}
	}
}

func TestPathsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		path := string(rapid.SliceOf(rapid.Byte()).Draw(t, "path"))
		text := EscapePath(path)
		if !utf8.ValidString(text) || strings.ContainsAny(text, "\n\r\x00") {
			t.Fatalf("EscapePath(%q) = %q", path, text)
		}
		if back, err := UnescapePath(text); err != nil || back != path {
			t.Fatalf("%q came back as %q, %v", path, back, err)
		}
	})
}

func TestUnescapePathRefuses(t *testing.T) {
	for _, text := range []string{"%", "a%4", "%zz", "%2a"} {
		if _, err := UnescapePath(text); err == nil {
			t.Errorf("UnescapePath(%q) was accepted", text)
		}
	}
}
