package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"catdog/pipeline/params"
	"catdog/pipeline/progress"
)

const (
	// attempts is how often in a row a download may be cut without a new byte
	// having come before it is given up.
	attempts = 4
	// silence is how long a server may send nothing before it counts as a cut.
	silence = 60 * time.Second
)

// pause is how long to wait after a cut; longer after each that brought nothing new.
var pause = time.Second

var sha256Fragment = regexp.MustCompile(`^sha256=([0-9a-fA-F]{64})$`)

func isURL(from string) bool {
	return strings.HasPrefix(from, "http://") || strings.HasPrefix(from, "https://")
}

// downloaded is an archive whose digest has been checked.
type downloaded struct{ file, name string }

// download gets URL#sha256=HEX into folder. What was there of it already, from
// this run or one before, is not asked for again. A file of another digest is
// removed.
func download(ctx context.Context, reporter *progress.Reporter, from, folder string, limits params.Limits) (*downloaded, error) {
	address, err := url.Parse(from)
	if err != nil {
		return nil, fmt.Errorf("%s: not a URL", from)
	}
	match := sha256Fragment.FindStringSubmatch(address.Fragment)
	address.Fragment = ""
	if match == nil {
		return nil, fmt.Errorf("%s: say what is expected, as URL#sha256=HEX", address.Redacted())
	}
	want := strings.ToLower(match[1])
	d := &downloaded{file: filepath.Join(folder, want+".zip"), name: path.Base(address.Path)}
	if _, err := os.Stat(d.file); err == nil {
		return d, nil
	}
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return nil, err
	}
	partial := filepath.Join(folder, want+".partial")
	if err := d.receive(ctx, reporter, address, partial, limits); err != nil {
		return nil, fmt.Errorf("download %s: %w", address.Redacted(), err)
	}
	file, err := os.Open(partial)
	if err != nil {
		return nil, err
	}
	got, err := sha256Of(file)
	// It is not looked at again under its final name.
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return nil, err
	}
	if got != want {
		if err := os.Remove(partial); err != nil {
			return nil, fmt.Errorf("download %s: its sha256 is wrong, and it cannot be removed: %w", address.Redacted(), err)
		}
		os.Remove(folder) // if nothing else is being downloaded to it
		return nil, fmt.Errorf("download %s: its sha256 is %s, not %s; nothing of it is kept", address.Redacted(), got, want)
	}
	return d, os.Rename(partial, d.file)
}

// receive goes on from where the partial file ends until all has come.
func (d *downloaded) receive(ctx context.Context, reporter *progress.Reporter, address *url.URL, partial string, limits params.Limits) error {
	file, err := os.OpenFile(partial, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o666)
	if err != nil {
		return err
	}
	defer file.Close()
	var longest int64 // what a server that starts anew has sent before brings nothing
	for fruitless := 0; ; {
		length, done, err := request(ctx, reporter, address, file, limits)
		switch {
		case done:
			return file.Close()
		case ctx.Err() != nil:
			return ctx.Err()
		case length > longest:
			fruitless, longest = 0, length
		default:
			fruitless++
		}
		var refused *refusal
		if errors.As(err, &refused) || fruitless == attempts {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause << fruitless):
		}
	}
}

// A refusal is an answer that asking again would not change.
type refusal struct{ text string }

func (r *refusal) Error() string { return r.text }

// request asks once for what is missing. It says how long the file is now, if
// the server sent any of it, and whether that is all.
func request(ctx context.Context, reporter *progress.Reporter, address *url.URL, file *os.File, limits params.Limits) (length int64, done bool, err error) {
	have, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, false, &refusal{err.Error()}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := time.AfterFunc(silence, func() { cancel(fmt.Errorf("nothing came for %s", silence)) })
	defer watchdog.Stop()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		return 0, false, &refusal{err.Error()}
	}
	if have > 0 {
		request.Header.Set("Range", fmt.Sprintf("bytes=%d-", have))
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, false, err
	}
	defer response.Body.Close()

	total := int64(-1)
	switch code := response.StatusCode; {
	case code == http.StatusPartialContent && have > 0:
		var first, last int64
		if _, err := fmt.Sscanf(response.Header.Get("Content-Range"), "bytes %d-%d/%d", &first, &last, &total); err != nil || first != have {
			return 0, false, &refusal{fmt.Sprintf("the server answered with the range %q, not from byte %d on", response.Header.Get("Content-Range"), have)}
		}
	case code == http.StatusOK:
		// The server does not resume: from the start.
		if err := file.Truncate(0); err != nil {
			return 0, false, &refusal{err.Error()}
		}
		have, total = 0, response.ContentLength
	case code == http.StatusRequestedRangeNotSatisfiable && have > 0:
		// All was there already, or it is something else: the digest tells.
		return 0, true, nil
	case code >= 500 || code == http.StatusTooManyRequests:
		return 0, false, fmt.Errorf("the server answered %s", response.Status)
	default:
		return 0, false, &refusal{fmt.Sprintf("the server answered %s", response.Status)}
	}
	limit := int64(limits.Megabytes) * 1_000_000
	tooLarge := &refusal{fmt.Sprintf("larger than the %d MB allowed (fetch.limits.megabytes)", limits.Megabytes)}
	if total > limit {
		return 0, false, tooLarge
	}

	task := reporter.Task("kB", max(total, 0)/1000)
	defer task.Done()
	task.Add(int(have / 1000))
	buffer := make([]byte, 1<<18)
	for {
		n, err := response.Body.Read(buffer)
		watchdog.Reset(silence)
		if n > 0 {
			if _, err := file.Write(buffer[:n]); err != nil {
				return have, false, &refusal{err.Error()}
			}
			task.Add(int((have+int64(n))/1000 - have/1000))
			have += int64(n)
			if have > limit {
				return have, false, tooLarge
			}
		}
		switch {
		case err == io.EOF && (total < 0 || have == total):
			return have, true, nil
		case err == io.EOF:
			return have, false, io.ErrUnexpectedEOF
		case err != nil:
			if cause := context.Cause(ctx); cause != nil {
				err = cause
			}
			return have, false, err
		}
	}
}
