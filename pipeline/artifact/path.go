package artifact

import (
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf8"
)

// EscapePath writes a path as CSV and Arrow hold it: UTF-8 on one line.
// Control characters and bytes that are not UTF-8 become %XX, and % becomes
// %25.
func EscapePath(path string) string {
	var text strings.Builder
	for i := 0; i < len(path); {
		r, size := utf8.DecodeRuneInString(path[i:])
		if r < ' ' || r == 0x7f || r == '%' || r == utf8.RuneError && size == 1 {
			fmt.Fprintf(&text, "%%%02X", path[i])
			i++
			continue
		}
		text.WriteString(path[i : i+size])
		i += size
	}
	return text.String()
}

// UnescapePath is the inverse of EscapePath.
func UnescapePath(text string) (string, error) {
	before, rest, found := strings.Cut(text, "%")
	if !found {
		return text, nil
	}
	var path strings.Builder
	for ; found; before, rest, found = strings.Cut(rest, "%") {
		path.WriteString(before)
		if len(rest) < 2 || strings.ToUpper(rest[:2]) != rest[:2] {
			return "", fmt.Errorf("path %q: %% without two hexadecimal digits", text)
		}
		value, err := hex.DecodeString(rest[:2])
		if err != nil {
			return "", fmt.Errorf("path %q: %% without two hexadecimal digits", text)
		}
		path.WriteByte(value[0])
		rest = rest[2:]
	}
	path.WriteString(before)
	return path.String(), nil
}
