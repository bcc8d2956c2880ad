package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html"
	"regexp"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	goldmarkhtml "github.com/yuin/goldmark/renderer/html"
)

//go:embed page.css
var style string

// picture is an SVG figure as goldmark writes it.
var picture = regexp.MustCompile(`<img src="figures/([^"/]+\.svg)" alt="([^"]*)">`)

// prolog is what may stand before an SVG's root.
var prolog = regexp.MustCompile(`(?s)^.*?(<svg)`)

// page is report.html: the Markdown as a page of its own, its SVG figures
// within it.
func page(title string, markdown []byte, figures map[string][]byte) ([]byte, error) {
	// The Markdown is our own, with <details> in it; what is not is escaped.
	converter := goldmark.New(goldmark.WithExtensions(extension.GFM), goldmark.WithRendererOptions(goldmarkhtml.WithUnsafe()))
	var body bytes.Buffer
	if err := converter.Convert(markdown, &body); err != nil {
		return nil, err
	}
	content := picture.ReplaceAllFunc(body.Bytes(), func(tag []byte) []byte {
		parts := picture.FindSubmatch(tag)
		svg, ok := figures[html.UnescapeString(string(parts[1]))]
		if !ok {
			return tag
		}
		return prolog.ReplaceAll(svg, []byte(`<svg role="img" aria-label="`+string(parts[2])+`"`))
	})
	var out bytes.Buffer
	fmt.Fprintf(&out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"+
		"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>%s</title>\n<style>\n%s</style>\n</head>\n<body>\n%s</body>\n</html>\n",
		html.EscapeString(title), style, content)
	return out.Bytes(), nil
}
