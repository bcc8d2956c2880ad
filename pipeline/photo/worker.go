package photo

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"syscall"
)

// workerVariable makes a stage's binary a worker; its value is how many bytes
// of memory the worker may use.
const workerVariable = "CATDOG_PHOTO_WORKER"

// ServeIfWorker turns this process into a photo worker if a Pool has started it
// as one, and then never returns. It must come first in the main function of
// every program that uses a Pool.
func ServeIfWorker() {
	limit := os.Getenv(workerVariable)
	if limit == "" {
		return
	}
	fmt.Fprintln(os.Stderr, "photo worker:", serve(limit))
	os.Exit(1)
}

// serve answers requests. When its input ends, the process does; it returns
// only an error.
func serve(limit string) error {
	// Ctrl-C reaches all processes of a terminal. The stage decides what it
	// means; a worker ends when its input does.
	signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	if err := limitMemory(limit); err != nil {
		return err
	}

	// Requests are read ahead by a goroutine of its own, which notices while a
	// decoder is at work, or hangs, that the stage is no more.
	requests := make(chan func() (reply, []byte))
	go func() {
		in := bufio.NewReader(os.Stdin)
		for {
			work, err := readRequest(in)
			if err != nil {
				os.Exit(0)
			}
			requests <- work
		}
	}()
	out := bufio.NewWriter(os.Stdout)
	out.WriteByte(ready)
	for {
		if err := out.Flush(); err != nil {
			return err
		}
		head, body := (<-requests)()
		head.Length = uint32(len(body))
		if err := writeMessage(out, head, body); err != nil {
			return err
		}
	}
}

// readRequest reads a request and returns the work that it asks for.
func readRequest(in io.Reader) (work func() (reply, []byte), err error) {
	var head request
	if err := binary.Read(in, binary.LittleEndian, &head); err != nil {
		return nil, err
	}
	data := make([]byte, head.Length)
	if _, err := io.ReadFull(in, data); err != nil {
		return nil, err
	}
	return func() (reply, []byte) {
		if head.Kind == doCheck {
			limits := Limits{MinimumSide: int(head.MinimumSide), MaximumMegapixels: int(head.MaximumMegapixels), Unverified: head.Unverified}
			return reply{Kind: isInfo}, encode(Check(data, limits))
		}
		target := Target{
			Height: int(head.Height), Width: int(head.Width),
			Mode: modes[head.Mode], Background: head.Background,
		}
		pixels, rejection := resize(data, target)
		if rejection != nil {
			return reply{Kind: isRejection}, encode(rejection)
		}
		return reply{Kind: isPixels}, pixels
	}, nil
}

func encode(value any) []byte {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // plain structs of texts and numbers
	}
	return text
}

// limitMemory bounds the process's address space, and keeps a crash from
// leaving a core dump.
func limitMemory(bytes string) error {
	limit, err := strconv.ParseUint(bytes, 10, 63)
	if err != nil {
		return fmt.Errorf("%s=%s: %w", workerVariable, bytes, err)
	}
	for resource, value := range map[int]uint64{syscall.RLIMIT_AS: limit, syscall.RLIMIT_CORE: 0} {
		if err := syscall.Setrlimit(resource, &syscall.Rlimit{Cur: value, Max: value}); err != nil {
			return fmt.Errorf("limit memory to %d bytes: %w", limit, err)
		}
	}
	return nil
}
