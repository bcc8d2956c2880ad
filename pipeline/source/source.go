// Package source is where raw photos come from: the drawn sample, folders,
// zips and URLs. It puts them in place in one layout, whatever layout they come
// in, and tells the class of a photo from its path.
package source

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/dustin/go-humanize"
	"golang.org/x/sync/errgroup"

	"catdog/pipeline/artifact"
	"catdog/pipeline/params"
	"catdog/pipeline/source/drawn"
	"catdog/pipeline/stage"
)

// A Record says what was fetched, by content: nothing in it depends on where
// archives and folders lay.
type Record struct {
	// Drawn says that the program drew the photos itself, so that reports may
	// show them.
	Drawn    bool           `json:"drawn"`
	Files    int            `json:"files"`
	Classes  map[string]int `json:"classes"` // photos by class
	Archives []Origin       `json:"archives,omitempty"`
	Folders  []Origin       `json:"folders,omitempty"`
}

// An Origin is an archive or a folder that photos came from.
type Origin struct {
	Name string `json:"name,omitempty"` // of an archive, without its folder
	// SHA256 is that of an archive's bytes; for a folder that of a line
	// "SHA256  PATH" for each file, in the order of the paths it was given.
	SHA256 string `json:"sha256"`
	Files  int    `json:"files"`
}

// RecordPath is where fetch writes the Record: beside the raw folder, which
// holds photos alone.
func RecordPath(folder string) string { return folder + ".origin.json" }

// PlantedPath is where fetch lists what is planted in a drawn data set, beside
// its raw folder. No stage reads it.
func PlantedPath(folder, dataset string) string {
	return filepath.Join(filepath.Dir(folder), dataset+".planted.csv")
}

// Run is the fetch stage: it fills job.Folder with the raw photos that
// job.Params.Fetch names, in the layout that Class reads, and writes the
// record beside it.
func Run(ctx context.Context, job *stage.Job) (string, error) {
	fetch := job.Params.Fetch
	var record *Record
	var err error
	switch {
	case len(fetch.From) == 0:
		return "", fmt.Errorf("fetch: nobody said where the photos of %s come from: give FROM=\"a.zip b.zip\" or a folder, or set fetch.from in params.yaml", job.Params.Dataset)
	case slices.Contains(fetch.From, params.FromDrawn) && len(fetch.From) > 1:
		return "", fmt.Errorf("fetch: drawn photos and others do not go together: %s", strings.Join(fetch.From, ", "))
	case fetch.From[0] == params.FromDrawn:
		record, err = drawSample(ctx, job)
	default:
		record, err = unpack(ctx, job)
	}
	if err != nil {
		return "", fmt.Errorf("fetch: %w", err)
	}
	text, err := json.MarshalIndent(record, "", "  ")
	if err != nil {
		return "", fmt.Errorf("fetch: write the record: %w", err)
	}
	if err := artifact.WriteFile(RecordPath(job.Folder), append(text, '\n')); err != nil {
		return "", fmt.Errorf("fetch: write the record: %w", err)
	}
	return record.summary(), nil
}

func (r *Record) summary() string {
	photos := 0
	var counts []string
	for _, class := range slices.Sorted(maps.Keys(r.Classes)) {
		photos += r.Classes[class]
		counts = append(counts, fmt.Sprintf("%s %s", humanize.Comma(int64(r.Classes[class])), class))
	}
	return fmt.Sprintf("%s photos (%s)", humanize.Comma(int64(photos)), strings.Join(counts, ", "))
}

// drawSample draws the sample and lists beside it what is planted in it.
func drawSample(ctx context.Context, job *stage.Job) (*Record, error) {
	d := job.Params.Fetch.Drawn
	task := job.Progress.Task("photos", int64(d.Images))
	defer task.Done()
	if err := drawn.Draw(ctx, job.Folder, d.Seed, d.Images, func() { task.Add(1) }); err != nil {
		return nil, err
	}
	var list bytes.Buffer
	if err := drawn.WriteList(&list, drawn.List(d.Seed, d.Images)); err != nil {
		return nil, err
	}
	if err := os.WriteFile(PlantedPath(job.Folder, job.Params.Dataset), list.Bytes(), 0o666); err != nil {
		return nil, fmt.Errorf("list what is planted: %w", err)
	}
	record := &Record{Drawn: true, Files: d.Images, Classes: map[string]int{}}
	for i, class := range drawn.Classes {
		record.Classes[class] = (d.Images + 1 - i) / 2
	}
	return record, nil
}

// unpack fills the folder from folders, zips and URLs.
func unpack(ctx context.Context, job *stage.Job) (_ *Record, err error) {
	limits := job.Params.Fetch.Limits
	downloads := job.Folder + ".download"
	var collections []*collection
	defer func() {
		for _, c := range collections {
			c.close()
		}
	}()
	for _, from := range job.Params.Fetch.From {
		c, err := open(ctx, job, from, downloads)
		if err != nil {
			return nil, err
		}
		collections = append(collections, c)
	}
	if err := checkLimits(collections, limits); err != nil {
		return nil, err
	}
	record := &Record{Classes: map[string]int{}}
	claims, err := claim(collections, record)
	if err != nil {
		return nil, err
	}
	if err := write(ctx, job, claims); err != nil {
		return nil, err
	}
	for i, c := range collections {
		c.origin.Files = len(c.entries)
		if c.archive {
			record.Archives = append(record.Archives, c.origin)
		} else {
			c.origin.SHA256 = jointDigest(claims, i)
			record.Folders = append(record.Folders, c.origin)
		}
	}
	if err := os.RemoveAll(downloads); err != nil {
		return nil, fmt.Errorf("remove what was downloaded: %w", err)
	}
	return record, nil
}

// open lists what one word of fetch.from stands for.
func open(ctx context.Context, job *stage.Job, from, downloads string) (*collection, error) {
	limits := job.Params.Fetch.Limits
	if isURL(from) {
		archive, err := download(ctx, job.Progress, from, downloads, limits)
		if err != nil {
			return nil, err
		}
		c, err := readZip(archive.file, limits)
		if err != nil {
			return nil, err
		}
		c.label = archive.name
		c.origin.Name = archive.name
		return c, nil
	}
	info, err := os.Stat(from)
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return readFolder(from, job.Folder)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s: neither a folder nor a zip", from)
	}
	return readZip(from, limits)
}

// checkLimits adds up what all archives hold.
func checkLimits(collections []*collection, limits params.Limits) error {
	const megabyte = 1_000_000
	var files int
	var size uint64
	for _, c := range collections {
		if !c.archive {
			continue
		}
		files += len(c.entries)
		for _, e := range c.entries {
			if size += uint64(e.size); e.size < 0 || size > uint64(limits.Megabytes)*megabyte {
				return fmt.Errorf("%s: unpacks to more than the %d MB allowed (fetch.limits.megabytes)", c.label, limits.Megabytes)
			}
		}
		if files > limits.Files {
			return fmt.Errorf("%s: more than the %d files allowed (fetch.limits.files)", c.label, limits.Files)
		}
	}
	return nil
}

// A claim is a place in the raw folder with all entries that want it; they
// must agree.
type claimed struct {
	target  string
	sources []int
	entries []entry
	labels  []string
	digest  string // of the content, once written
}

// claim finds each entry's place and counts the classes.
func claim(collections []*collection, record *Record) ([]*claimed, error) {
	byTarget := map[string]*claimed{}
	for i, c := range collections {
		files := make([]string, len(c.entries))
		for j, e := range c.entries {
			files[j] = e.path
		}
		targets, err := arrange(files, c.folders)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.label, err)
		}
		for _, e := range c.entries {
			target := targets[e.path]
			place := byTarget[target]
			if place == nil {
				place = &claimed{target: target}
				byTarget[target] = place
			}
			place.sources = append(place.sources, i)
			place.entries = append(place.entries, e)
			place.labels = append(place.labels, c.label)
		}
	}
	claims := make([]*claimed, 0, len(byTarget))
	for _, target := range slices.Sorted(maps.Keys(byTarget)) {
		claims = append(claims, byTarget[target])
		if class, ok := Class(target); ok {
			record.Classes[class]++
		}
		for folder := path.Dir(target); folder != "."; folder = path.Dir(folder) {
			if file := byTarget[folder]; file != nil {
				return nil, fmt.Errorf("%s is a file in %s and a folder in %s", folder, file.labels[0], byTarget[target].labels[0])
			}
		}
	}
	record.Files = len(claims)
	switch classes := slices.Sorted(maps.Keys(record.Classes)); len(classes) {
	case 0:
		return nil, fmt.Errorf("there are no photos of any class")
	case 1:
		return nil, fmt.Errorf("all photos are of one class, %s; there must be two at least", classes[0])
	}
	return claims, nil
}

// write copies everything to its place, several files at a time.
func write(ctx context.Context, job *stage.Job, claims []*claimed) error {
	task := job.Progress.Task("files", int64(len(claims)))
	defer task.Done()
	var folders sync.Map
	group, working := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for _, c := range claims {
		if working.Err() != nil {
			break
		}
		group.Go(func() error {
			name := filepath.Join(job.Folder, filepath.FromSlash(c.target))
			if _, made := folders.Load(filepath.Dir(name)); !made {
				if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
					return err
				}
				folders.Store(filepath.Dir(name), true)
			}
			if err := c.write(name); err != nil {
				return err
			}
			task.Add(1)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

// write copies the first entry and checks that the others are the same.
func (c *claimed) write(name string) error {
	for i, e := range c.entries {
		digest, err := c.copy(e, name, i == 0)
		if err != nil {
			return fmt.Errorf("%s: %s: %w", c.labels[i], e.path, err)
		}
		if i == 0 {
			c.digest = digest
		} else if digest != c.digest {
			return fmt.Errorf("%s (%s) and %s (%s) both claim %s, with different content", c.labels[0], c.entries[0].path, c.labels[i], e.path, c.target)
		}
	}
	return nil
}

// copy reads an entry, writes it if asked, and gives its SHA-256.
func (c *claimed) copy(e entry, name string, keep bool) (string, error) {
	in, err := e.open()
	if err != nil {
		return "", err
	}
	defer in.Close()
	hash := sha256.New()
	var out io.Writer = hash
	var file *os.File
	if keep {
		if file, err = os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666); err != nil {
			return "", err
		}
		defer file.Close()
		out = io.MultiWriter(file, hash)
	}
	// An archive's header may lie about the size; no more than it said, which
	// the limits allow, is ever written.
	written, err := io.Copy(out, io.LimitReader(in, e.size+1))
	switch {
	case err != nil:
		return "", err
	case written != e.size:
		return "", fmt.Errorf("not the %d bytes that were promised", e.size)
	}
	if keep {
		if err := file.Close(); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// jointDigest is the digest of what one source brought.
func jointDigest(claims []*claimed, source int) string {
	hash := sha256.New()
	for _, c := range claims {
		if slices.Contains(c.sources, source) {
			fmt.Fprintf(hash, "%s  %s\n", c.digest, c.target)
		}
	}
	return hex.EncodeToString(hash.Sum(nil))
}

// sha256Of is the hex SHA-256 of all that can be read.
func sha256Of(r io.Reader) (string, error) {
	hash := sha256.New()
	if _, err := io.Copy(hash, r); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}
