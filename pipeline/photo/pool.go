package photo

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// patience is how long a worker may take for one photo. Photos of 100
// megapixels take some seconds.
var patience = 2 * time.Minute

// A Pool is a number of worker processes that check and resize photos. Its
// methods may be called from any goroutine; as many photos as it has workers
// are dealt with at a time.
type Pool struct {
	limits Limits
	size   int
	// idle holds workers without work, nil for those not started.
	idle chan *worker
}

// NewPool is a pool of so many workers, 0 for one a core. They are started when
// they are first needed. The program's main function must begin with
// ServeIfWorker.
func NewPool(workers int, limits Limits) *Pool {
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	pool := &Pool{limits: limits, size: workers, idle: make(chan *worker, workers)}
	for range workers {
		pool.idle <- nil
	}
	return pool
}

// Size is the number of workers.
func (p *Pool) Size() int { return p.size }

// Close ends the workers, once all work is done.
func (p *Pool) Close() {
	for range p.size {
		if worker := <-p.idle; worker != nil {
			worker.end()
		}
	}
}

// Check is the function Check in a worker. The error is one of the program or
// ctx's; what concerns the photo is in the Info.
func (p *Pool) Check(ctx context.Context, data []byte) (Info, error) {
	if int64(len(data)) > p.limits.maximumBytes() {
		rejection := p.TooLong(int64(len(data)))
		return Info{Problem: rejection.Problem, Detail: rejection.Detail}, nil
	}
	_, body, err := p.do(ctx, request{Kind: doCheck}, data)
	var rejection *Rejection
	if errors.As(err, &rejection) {
		info := Info{Problem: rejection.Problem, Detail: rejection.Detail}
		if format, _ := recognise(data); format != nil {
			info.Format = format.name
		}
		return info, nil
	}
	var info Info
	if err == nil {
		err = json.Unmarshal(body, &info)
	}
	return info, err
}

// TooLong is why a file of so many bytes is left out without being read, nil if
// it is not.
func (p *Pool) TooLong(bytes int64) *Rejection {
	if bytes <= p.limits.maximumBytes() {
		return nil
	}
	return reject(TooLarge, "a file of %d bytes, more than any photo of %d megapixels", bytes, p.limits.MaximumMegapixels)
}

// Resize is the function Resize in a worker. An error that concerns the photo
// is a *Rejection, with the problem DecoderCrash where the worker crashed or
// took too long.
func (p *Pool) Resize(ctx context.Context, data []byte, target Target) ([]byte, error) {
	asked := request{
		Kind: doResize, Mode: uint8(slices.Index(modes, target.Mode)), Background: target.Background,
		Height: uint32(target.Height), Width: uint32(target.Width),
	}
	kind, body, err := p.do(ctx, asked, data)
	if err != nil {
		return nil, err
	}
	if kind == isRejection {
		rejection := new(Rejection)
		if err := json.Unmarshal(body, rejection); err != nil {
			return nil, err
		}
		return nil, rejection
	}
	if len(body) != 3*target.Height*target.Width {
		return nil, fmt.Errorf("a photo worker answered with %d bytes for %d×%d px", len(body), target.Width, target.Height)
	}
	return body, nil
}

// do has one photo dealt with. After a crash another worker has a try: the
// photo is to blame only if it happens twice. It is not to blame if the worker
// was killed, as the system does when memory runs out: what is found out about a
// photo must not depend on that, so it is an error.
func (p *Pool) do(ctx context.Context, asked request, data []byte) (kind uint8, body []byte, err error) {
	asked.MinimumSide, asked.MaximumMegapixels = uint32(p.limits.MinimumSide), uint32(p.limits.MaximumMegapixels)
	asked.Unverified = p.limits.Unverified
	asked.Length = uint64(len(data))
	var w *worker
	select {
	case w = <-p.idle:
	case <-ctx.Done():
		return 0, nil, ctx.Err()
	}
	defer func() { p.idle <- w }()
	var crash error
	var killed bool
	for range 2 {
		if w == nil {
			if w, err = start(p.limits); err != nil {
				return 0, nil, err
			}
		}
		kind, body, crash = w.ask(ctx, asked, data)
		if crash == nil {
			return kind, body, nil
		}
		killed = w.end()
		w = nil
		if ctx.Err() != nil {
			return 0, nil, ctx.Err()
		}
	}
	switch {
	case errors.Is(crash, context.DeadlineExceeded):
		return 0, nil, reject(DecoderCrash, "took more than %v", patience)
	case killed:
		return 0, nil, errors.New("the photo worker was killed, most likely since memory ran out")
	}
	return 0, nil, reject(DecoderCrash, "the decoder crashed")
}

// worker is a worker process.
type worker struct {
	command *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
}

// start starts a worker and waits until it is ready.
func start(limits Limits) (*worker, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("start photo worker: %w", err)
	}
	// Decoders hold several copies of an image, of up to 16 bits a sample.
	memory := 3<<30 + 20*limits.pixels()
	command := exec.Command(self)
	command.Env = append(slices.DeleteFunc(os.Environ(), func(variable string) bool {
		return strings.HasPrefix(variable, "VIPS_")
	}),
		fmt.Sprintf("%s=%d", workerVariable, memory),
		"VIPS_BLOCK_UNTRUSTED=1",    // no ImageMagick, no SVG, no PDF
		"VIPS_CONCURRENCY=1",        // there is a worker a core
		"VIPS_DISC_THRESHOLD=1000g", // nothing is written to temporary files
		"VIPS_WARNING=1",            // warnings are not printed
		"GOTRACEBACK=none",          // nor what a crash leaves
		"MALLOC_ARENA_MAX=2",        // address space is limited
		// Memory is kept for the next photo rather than given back: a tenth faster.
		"MALLOC_TRIM_THRESHOLD_=268435456",
		"MALLOC_MMAP_THRESHOLD_=33554432",
	)
	w := &worker{command: command}
	var stderr strings.Builder
	command.Stderr = &limitedWriter{to: &stderr, left: 4096}
	if w.in, err = command.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start photo worker: %w", err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start photo worker: %w", err)
	}
	w.out = bufio.NewReaderSize(out, 64<<10)
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("start photo worker: %w", err)
	}
	if first, err := w.out.ReadByte(); err != nil || first != ready {
		w.end()
		return nil, fmt.Errorf("start photo worker: %s", oneLine("it ended at once: "+stderr.String()))
	}
	return w, nil
}

// limitedWriter drops what goes beyond a number of bytes.
type limitedWriter struct {
	to   io.Writer
	left int
}

func (l *limitedWriter) Write(text []byte) (int, error) {
	if part := text[:min(len(text), l.left)]; len(part) > 0 {
		l.to.Write(part)
		l.left -= len(part)
	}
	return len(text), nil
}

// ask sends a request and waits for the reply; any error means that the worker
// is of no more use.
func (w *worker) ask(ctx context.Context, asked request, data []byte) (kind uint8, body []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	// Killing the process ends the reads and writes below.
	stop := context.AfterFunc(ctx, func() { w.command.Process.Kill() })
	defer stop()
	err = writeMessage(w.in, asked, data)
	var head reply
	if err == nil {
		head, body, err = readReply(w.out)
	}
	if err != nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	return head.Kind, body, err
}

// end lets the worker end by itself, which it does when its input ends, whatever
// it is at. It says whether it was killed.
func (w *worker) end() (killed bool) {
	w.in.Close()
	w.command.Wait()
	status, ok := w.command.ProcessState.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}
