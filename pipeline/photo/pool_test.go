package photo

import (
	"bytes"
	"compress/zlib"
	"context"
	"errors"
	"image"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/h2non/bimg"
	"golang.org/x/sync/errgroup"
)

func deflate(t *testing.T, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	writer := zlib.NewWriter(&out)
	if _, err := writer.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func pool(t *testing.T, workers int) *Pool {
	t.Helper()
	pool := NewPool(workers, limits)
	t.Cleanup(pool.Close)
	return pool
}

func problemOf(err error) Problem {
	var rejection *Rejection
	if errors.As(err, &rejection) {
		return rejection.Problem
	}
	return ""
}

// What workers answer is what the functions return, however many there are.
func TestPoolAnswers(t *testing.T) {
	target := Target{24, 32, Crop, grey128}
	var photos [][]byte
	for i := range 12 {
		photos = append(photos, jpegOf(t, scene(100+7*i, 90+3*i)))
	}
	photos = append(photos, pngOf(t, translucent(50, 60)), nil, []byte("text"))
	for _, workers := range []int{1, 3} {
		pool := pool(t, workers)
		var group errgroup.Group
		for _, data := range photos {
			group.Go(func() error {
				info, err := pool.Check(t.Context(), data)
				if err != nil {
					return err
				}
				if want := Check(data, limits); info != want {
					t.Errorf("%+v, want %+v", info, want)
				}
				want, wantErr := Resize(data, target)
				got, err := pool.Resize(t.Context(), data, target)
				if !bytes.Equal(got, want) || (err == nil) != (wantErr == nil) || problemOf(err) != problemOf(wantErr) {
					t.Errorf("%d bytes, %v; want %d, %v", len(got), err, len(want), wantErr)
				}
				return nil
			})
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
	}
}

// What stands behind the image in files that decodeBadly is bad at.
const (
	killer  = "kill the decoder"
	hanger  = "hang the decoder"
	starver = "starve the decoder"
)

// decodeBadly is libvips with three faults: it hangs on some files, on some it is
// killed as a process is when the system has no memory left, and aborts the
// process on others, as libvips 8.14 really does where it is asked carelessly to
// shrink a JPEG with a side of few pixels while loading it.
func decodeBadly(data []byte, options bimg.Options) ([]byte, error) {
	switch {
	case bytes.HasSuffix(data, []byte(hanger)):
		select {}
	case bytes.HasSuffix(data, []byte(starver)):
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case bytes.HasSuffix(data, []byte(killer)):
		options = bimg.Options{Width: 64, Height: 64, Force: true, Type: bimg.TIFF}
	}
	return bimg.Resize(data, options)
}

// A crash costs the photo that it is due to and no other.
func TestCrashCostsOnePhoto(t *testing.T) {
	pool := pool(t, 1)
	target := Target{72, 72, Stretch, grey128}
	good := jpegOf(t, scene(200, 150))
	want, err := pool.Resize(t.Context(), good, target)
	if err != nil {
		t.Fatal(err)
	}
	for _, side := range []size{{1, 300}, {1024, 5}, {1024, 7}} {
		bad := append(jpegOf(t, scene(side.width, side.height)), killer...)
		if _, err := pool.Resize(t.Context(), bad, target); problemOf(err) != DecoderCrash {
			t.Errorf("%v: %v", side, err)
		}
		if got, err := pool.Resize(t.Context(), good, target); err != nil || !bytes.Equal(got, want) {
			t.Fatal("the next photo:", err)
		}
	}
}

// So does a photo that the decoder hangs on.
func TestHangCostsOnePhoto(t *testing.T) {
	defer func(before time.Duration) { patience = before }(patience)
	patience = time.Second
	pool := pool(t, 1)
	target := Target{24, 24, Stretch, grey128}
	photo := jpegOf(t, scene(50, 40))
	if _, err := pool.Resize(t.Context(), append(slices.Clone(photo), hanger...), target); problemOf(err) != DecoderCrash {
		t.Error(err)
	}
	if _, err := pool.Resize(t.Context(), photo, target); err != nil {
		t.Error(err)
	}
}

// A worker that the system kills says nothing about the photo.
func TestStarvedWorkerBlamesNoPhoto(t *testing.T) {
	pool := pool(t, 1)
	photo := jpegOf(t, scene(50, 40))
	_, err := pool.Resize(t.Context(), append(slices.Clone(photo), starver...), Target{24, 24, Stretch, grey128})
	var rejection *Rejection
	if err == nil || errors.As(err, &rejection) || !strings.Contains(err.Error(), "memory") {
		t.Error(err)
	}
}

// Photos with sides of few pixels, and those far longer than wide, on which
// libvips aborts if it is asked carelessly, are resized like others.
func TestThinPhotos(t *testing.T) {
	pool := pool(t, 1)
	for _, side := range []size{{1, 1}, {2, 300}, {300, 3}, {1024, 5}, {7, 1024}, {8, 2000}} {
		for _, mode := range modes {
			if _, err := pool.Resize(t.Context(), jpegOf(t, scene(side.width, side.height)), Target{32, 40, mode, grey128}); err != nil {
				t.Errorf("%v, %s: %v", side, mode, err)
			}
		}
	}
}

// stop stops the pool's only worker, as a decoder that hangs would.
func stop(t *testing.T, pool *Pool) {
	t.Helper()
	if _, err := pool.Check(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	worker := <-pool.idle
	if err := worker.command.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	pool.idle <- worker
}

func TestKilledWorkerIsReplaced(t *testing.T) {
	pool := pool(t, 1)
	stop(t, pool)
	worker := <-pool.idle
	worker.command.Process.Kill()
	pool.idle <- worker
	data := jpegOf(t, scene(50, 40))
	if info, err := pool.Check(t.Context(), data); err != nil || info.Problem != "" {
		t.Error(info, err)
	}
}

func TestCancelledWhileWorking(t *testing.T) {
	pool := pool(t, 1)
	stop(t, pool)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := pool.Check(ctx, jpegOf(t, scene(50, 40))); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

// ImageMagick and SVG are not to be asked, even about files that get past the
// check of the format.
func TestUntrustedLoadersAreBlocked(t *testing.T) {
	pool := pool(t, 1)
	for _, data := range [][]byte{
		bmpOf(t, scene(20, 20)),
		[]byte("<svg xmlns='http://www.w3.org/2000/svg' width='90' height='90'/>"),
	} {
		if _, err := pool.Resize(t.Context(), data, Target{24, 24, Stretch, grey128}); problemOf(err) != Unsupported {
			t.Error(err)
		}
	}
}

// A photo that needs more memory than a worker has is left out.
func TestMemoryIsLimited(t *testing.T) {
	pool := NewPool(1, Limits{MinimumSide: 8, MaximumMegapixels: 1})
	defer pool.Close()
	data := claiming(pngOf(t, image.NewGray(image.Rect(0, 0, 64, 64))), 65000, 65000)
	if _, err := pool.Resize(t.Context(), data, Target{64, 64, Stretch, grey128}); problemOf(err) == "" {
		t.Error(err)
	}
	if info, err := pool.Check(t.Context(), jpegOf(t, scene(64, 64))); err != nil || info.Problem != "" {
		t.Error(info, err)
	}
}

// Mutated files of every format either are rejected or give pixels: what is let
// in can be resized. No photo behind one suffers.
func TestMutatedFiles(t *testing.T) {
	count := 40
	if testing.Short() {
		count = 5
	}
	pool := pool(t, 2)
	random := rand.New(rand.NewPCG(3, 4))
	target := Target{16, 16, Stretch, grey128}
	accepted := 0
	for name, data := range samples(t) {
		for range count {
			mutated := mutate(random, data)
			info, err := pool.Check(t.Context(), mutated)
			if err != nil {
				t.Fatal(err)
			}
			if info.Problem == DecoderCrash {
				t.Errorf("%s: checking crashed", name)
			}
			if info.Problem != "" {
				continue
			}
			accepted++
			if _, err := pool.Resize(t.Context(), mutated, target); err != nil && problemOf(err) != Unsupported { // too long and narrow
				t.Errorf("%s: let in, but %v", name, err)
			}
		}
	}
	if accepted == 0 {
		t.Error("no mutated file was let in, so none was resized")
	}
}
