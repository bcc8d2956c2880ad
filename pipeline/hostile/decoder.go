package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// A decoder is a strict program that is not ours, for one format.
type decoder struct {
	program   string
	arguments []string // FILE stands for the image's file
	// refuses is what it prints about a damaged image where its exit status does
	// not say; nil if that does.
	refuses *regexp.Regexp
	// forgiven is what it complains about though the image is whole.
	forgiven *regexp.Regexp
}

// strictDecoders are the decoders by format. decoders.sh installs them.
func strictDecoders() (map[string]*decoder, error) {
	decoders := map[string]*decoder{
		"jpeg": {program: "djpeg", arguments: []string{"-strict", "-outfile", os.DevNull, "FILE"}},
		"png": {program: "pngcheck", arguments: []string{"-v", "FILE"},
			forgiven: regexp.MustCompile(`unknown, public chunk|unit specifier|additional data after IEND`)},
		"webp": {program: "dwebp", arguments: []string{"-quiet", "-o", os.DevNull, "FILE"}},
		"gif":  {program: "giftext", arguments: []string{"FILE"}},
		"tiff": {program: "tiffinfo", arguments: []string{"-D", "FILE"}, refuses: regexp.MustCompile(`(?m)^\w+: .*(Read error|Not enough|error|Error|truncated|Corrupt)`)},
	}
	for _, d := range decoders {
		if _, err := exec.LookPath(d.program); err != nil {
			return nil, fmt.Errorf("look for a strict decoder: %w", err)
		}
	}
	return decoders, nil
}

// String is the command, as people would type it.
func (d *decoder) String() string { return d.program + " " + strings.Join(d.arguments, " ") }

// refused says whether the decoder finds an image damaged, and its words.
func (d *decoder) refused(ctx context.Context, folder string, data []byte) (bool, string, error) {
	file, err := os.CreateTemp(folder, "image")
	if err != nil {
		return false, "", err
	}
	defer os.Remove(file.Name())
	if _, err := file.Write(data); err != nil {
		return false, "", err
	}
	if err := file.Close(); err != nil {
		return false, "", err
	}
	return d.refusedFile(ctx, file.Name())
}

func (d *decoder) refusedFile(ctx context.Context, name string) (bool, string, error) {
	name, err := filepath.Abs(name)
	if err != nil {
		return false, "", err
	}
	arguments := append([]string{}, d.arguments...)
	for i := range arguments {
		arguments[i] = strings.Replace(arguments[i], "FILE", name, 1)
	}
	output, err := exec.CommandContext(ctx, d.program, arguments...).CombinedOutput()
	if ctx.Err() != nil {
		return false, "", ctx.Err()
	}
	words := strings.Join(strings.Fields(strings.ReplaceAll(string(output), name, "FILE")), " ")
	if d.forgiven != nil && d.forgiven.Match(output) {
		return false, words, nil
	}
	if d.refuses != nil && d.refuses.Match(output) {
		return true, words, nil
	}
	if err != nil {
		return true, fmt.Sprintf("%v: %.200s", err, words), nil
	}
	return false, words, nil
}
