package source

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// A flaky server cuts its first answers off after some bytes.
type flaky struct {
	data    []byte
	cuts    int  // answers to cut off
	after   int  // bytes of each
	ignores bool // ranges
	mutex   sync.Mutex
	ranges  []string
}

func (f *flaky) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mutex.Lock()
	cut := f.cuts > 0
	f.cuts--
	f.ranges = append(f.ranges, r.Header.Get("Range"))
	f.mutex.Unlock()
	if f.ignores {
		r.Header.Del("Range")
	}
	if cut {
		w = &cutter{w, f.after}
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.data))
}

// A cutter ends the connection after some bytes.
type cutter struct {
	http.ResponseWriter
	left int
}

func (c *cutter) Write(data []byte) (int, error) {
	if len(data) > c.left {
		c.ResponseWriter.Write(data[:c.left])
		c.ResponseWriter.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	c.left -= len(data)
	return c.ResponseWriter.Write(data)
}

func serve(t *testing.T, handler http.Handler, data []byte) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	before := pause
	pause = time.Millisecond
	t.Cleanup(func() { pause = before })
	digest, _ := sha256Of(bytes.NewReader(data))
	return server.URL + "/some/pets.zip#sha256=" + digest
}

func TestURLIsResumed(t *testing.T) {
	data := zipped(t, nil)
	for name, c := range map[string]struct {
		server *flaky
		ranges string
	}{
		"undisturbed":            {&flaky{data: data}, `[""]`},
		"cut twice":              {&flaky{data: data, cuts: 2, after: 100}, `["" "bytes=100-" "bytes=200-"]`},
		"cut at a deaf server":   {&flaky{data: data, cuts: 1, after: 100, ignores: true}, `["" "bytes=100-"]`},
		"cut before a byte came": {&flaky{data: data, cuts: 2, after: 0}, `["" "" ""]`},
	} {
		t.Run(name, func(t *testing.T) {
			folder, err := fetch(t, usual, serve(t, c.server, data))
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprintf("%q", c.server.ranges); got != c.ranges {
				t.Errorf("the ranges asked for were %s, not %s", got, c.ranges)
			}
			if files := contents(t, folder); len(files) != 2 {
				t.Errorf("%v", files)
			}
			if record := readRecord(t, folder); record.Archives[0].Name != "pets.zip" {
				t.Errorf("%+v", record)
			}
			if _, err := os.Stat(folder + ".download"); !errors.Is(err, os.ErrNotExist) {
				t.Error("the download was left behind")
			}
		})
	}
}

// TestURLIsResumedByTheNextRun holds that what came before a failure is kept.
func TestURLIsResumedByTheNextRun(t *testing.T) {
	data := zipped(t, nil)
	server := &flaky{data: data, cuts: 1, after: 100}
	url := serve(t, server, data)
	digest := url[strings.Index(url, "=")+1:]
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, digest+".partial"), data[:50], 0o666); err != nil {
		t.Fatal(err)
	}
	archive, err := download(t.Context(), nothing, url, folder, usual)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(archive.file); !bytes.Equal(got, data) {
		t.Error("other bytes came than were sent")
	}
	if got := fmt.Sprintf("%q", server.ranges); got != `["bytes=50-" "bytes=150-"]` {
		t.Error(got)
	}

	// All is there, only the digest was not looked at yet.
	if err := os.Rename(archive.file, filepath.Join(folder, digest+".partial")); err != nil {
		t.Fatal(err)
	}
	if _, err := download(t.Context(), nothing, url, folder, usual); err != nil {
		t.Error(err)
	}
}

func TestWrongDigestKeepsNothing(t *testing.T) {
	data := zipped(t, nil)
	server := &flaky{data: data}
	url := serve(t, server, []byte("something else"))
	folder, err := fetch(t, usual, url)
	if err == nil || !strings.Contains(err.Error(), "nothing of it is kept") {
		t.Error(err)
	}
	if _, err := os.Stat(folder + ".download"); !errors.Is(err, os.ErrNotExist) || len(contents(t, folder)) > 0 {
		t.Error("something was left behind")
	}
}

func TestURLsRefused(t *testing.T) {
	data := zipped(t, nil)
	good := serve(t, &flaky{data: data}, data)
	missing := serve(t, http.NotFoundHandler(), data)
	deaf := serve(t, &flaky{data: data, cuts: 1000, after: 100, ignores: true}, data)
	broken := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }), data)
	page := []byte("<html></html>")
	for want, url := range map[string]string{
		"say what is expected, as URL#sha256=HEX":    strings.Split(good, "#")[0],
		"http://user:xxxxx@localhost: say what is ":  "http://user:secret@localhost#sha256=12",
		"the server answered 404 Not Found":          missing,
		"the server answered 502 Bad Gateway":        broken,
		"unexpected EOF":                             deaf,
		"larger than the 1 MB allowed (fetch.limits": serve(t, &flaky{data: make([]byte, 2_000_000)}, nil),
		"neither a folder nor a zip":                 serve(t, &flaky{data: page}, page),
	} {
		limits := usual
		limits.Megabytes = 1
		if _, err := fetch(t, limits, url); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, not %s", err, want)
		}
	}
}
