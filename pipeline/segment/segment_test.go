package segment

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// writerVariable makes the test binary a writer that is killed by the tests.
const writerVariable = "SEGMENT_TEST_WRITER"

func TestMain(m *testing.M) {
	if folder := os.Getenv(writerVariable); folder != "" {
		write(folder)
	}
	os.Exit(m.Run())
}

// write adds values for ever, saying after each which one it was.
func write(folder string) {
	store, err := Open(folder)
	if err != nil {
		panic(err)
	}
	for i := 0; ; i++ {
		if err := store.Put(fmt.Sprint("key", i), value(i)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(i)
	}
}

// value is some thousand bytes that depend on i.
func value(i int) []byte {
	random := rand.New(rand.NewPCG(uint64(i), 1))
	bytes := make([]byte, 1+random.IntN(20000))
	for j := range bytes {
		bytes[j] = byte(random.Uint32())
	}
	return bytes
}

func open(t testing.TB, folder string) *Store {
	t.Helper()
	store, err := Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

func put(t testing.TB, store *Store, key string, value []byte) {
	t.Helper()
	if err := store.Put(key, value); err != nil {
		t.Fatal(err)
	}
}

func TestStoreBehavesAsAMap(t *testing.T) {
	defer func(size int64) { segmentSize = size }(segmentSize)
	segmentSize = 300
	rapid.Check(t, func(t *rapid.T) {
		folder, err := os.MkdirTemp("", "segment")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(folder)
		store, err := Open(filepath.Join(folder, "store"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { store.Close() }()
		want := map[string][]byte{}
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				key := rapid.StringN(0, 5, -1).Draw(t, "key")
				value := rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "value")
				if err := store.Put(key, value); err != nil {
					t.Fatal(err)
				}
				want[key] = value
			},
			"reopen": func(t *rapid.T) {
				if err := store.Close(); err != nil {
					t.Fatal(err)
				}
				if store, err = Open(filepath.Join(folder, "store")); err != nil {
					t.Fatal(err)
				}
			},
			"": func(t *rapid.T) {
				for key, value := range want {
					got, ok, err := store.Get(key)
					if err != nil || !ok || !bytes.Equal(got, value) {
						t.Fatalf("Get(%q) = %x, %v, %v; want %x", key, got, ok, err, value)
					}
				}
				if len(store.index) != len(want) {
					t.Fatalf("%d keys, want %d", len(store.index), len(want))
				}
			},
		})
	})
}

func TestKilledWriterLosesNothingItSaid(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "store")
	for round := range 8 {
		command := exec.Command(os.Args[0])
		command.Env = append(os.Environ(), writerVariable+"="+folder)
		output, err := command.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Duration(20+13*round)*time.Millisecond, func() { command.Process.Kill() })
		said := -1
		for lines := bufio.NewScanner(output); lines.Scan(); {
			fmt.Sscan(lines.Text(), &said)
		}
		command.Wait()
		store := open(t, folder)
		for i := range said + 1 {
			got, ok, err := store.Get(fmt.Sprint("key", i))
			if !ok || err != nil || !bytes.Equal(got, value(i)) {
				t.Fatalf("round %d: value %d of %d: %v, %v", round, i, said, ok, err)
			}
		}
		store.Close()
	}
}

func TestTornTailIsDropped(t *testing.T) {
	folder := t.TempDir()
	store := open(t, folder)
	put(t, store, "whole", []byte("first"))
	put(t, store, "torn", []byte("second"))
	store.Close()
	file := filepath.Join(folder, "000001.segment")
	full, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	first := headSize + len("whole") + len("first")
	for length := first; length < len(full); length++ {
		if err := os.WriteFile(file, full[:length], 0o666); err != nil {
			t.Fatal(err)
		}
		store := open(t, folder)
		if store.Has("torn") || !store.Has("whole") {
			t.Fatalf("cut to %d bytes: torn %v, whole %v", length, store.Has("torn"), store.Has("whole"))
		}
		put(t, store, "next", []byte("third"))
		store.Close()
		store = open(t, folder)
		for key, want := range map[string]string{"whole": "first", "next": "third"} {
			if got, ok, err := store.Get(key); string(got) != want || !ok || err != nil {
				t.Fatalf("cut to %d bytes: %s is %q, %v, %v", length, key, got, ok, err)
			}
		}
		store.Close()
	}
}

// What another writer puts in the place of a torn tail, to the same length, is
// seen by one that opened the store before.
func TestTornTailIsFilledByAnother(t *testing.T) {
	folder := t.TempDir()
	store := open(t, folder)
	put(t, store, "whole", []byte("first"))
	put(t, store, "torn", []byte("second"))
	store.Close()
	file := filepath.Join(folder, "000001.segment")
	if err := os.Truncate(file, int64(2*headSize+len("whole")+len("first")+len("torn")+1)); err != nil {
		t.Fatal(err)
	}
	before, between := open(t, folder), open(t, folder)
	put(t, between, "other", nil)
	between.Close()
	put(t, before, "next", []byte("third"))
	for _, key := range []string{"whole", "other", "next"} {
		if _, ok, err := before.Get(key); !ok || err != nil {
			t.Errorf("%s is not there: %v", key, err)
		}
	}
}

// Every single flipped bit is either found or harmless, and costs at most the
// record that it is in.
func TestFlippedBits(t *testing.T) {
	folder := t.TempDir()
	store := open(t, folder)
	want := map[string]string{"a": "first", "b": strings.Repeat("second", 3), "c": "third"}
	for _, key := range []string{"a", "b", "c"} {
		put(t, store, key, []byte(want[key]))
	}
	store.Close()
	file := filepath.Join(folder, "000001.segment")
	full, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for bit := range len(full) * 8 {
		damaged := bytes.Clone(full)
		damaged[bit/8] ^= 1 << (bit % 8)
		if err := os.WriteFile(file, damaged, 0o666); err != nil {
			t.Fatal(err)
		}
		store, err := Open(folder)
		if err != nil {
			t.Fatal(err)
		}
		lost := 0
		for key := range want {
			got, ok, err := store.Get(key)
			switch {
			case !ok && (err == nil || errors.Is(err, ErrDamaged)):
				lost++
			case err != nil || string(got) != want[key]:
				t.Fatalf("bit %d: %s is %q, %v", bit, key, got, err)
			}
		}
		if lost != 1 {
			t.Fatalf("bit %d: %d values lost", bit, lost)
		}
		if bit%97 == 0 { // putting all again mends the store
			for key, value := range want {
				put(t, store, key, []byte(value))
			}
			store.Close()
			if store, err = Open(folder); err != nil {
				t.Fatal(err)
			}
			for key := range want {
				if got, _, err := store.Get(key); err != nil || string(got) != want[key] {
					t.Fatalf("bit %d, mended: %s is %q, %v", bit, key, got, err)
				}
			}
		}
		store.Close()
	}
}

func TestOneWriterManyReaders(t *testing.T) {
	folder := t.TempDir()
	first, second := open(t, folder), open(t, folder)
	put(t, first, "a", []byte("1"))
	if err := second.Put("b", nil); !errors.Is(err, ErrInUse) {
		t.Fatalf("the second writer got %v", err)
	}
	reader := open(t, folder)
	if got, ok, err := reader.Get("a"); string(got) != "1" || !ok || err != nil {
		t.Fatal(got, ok, err)
	}
	first.Close()
	put(t, second, "b", []byte("2"))
	for key, want := range map[string]string{"a": "1", "b": "2"} {
		if got, _, err := second.Get(key); string(got) != want || err != nil {
			t.Fatalf("%s is %q, %v", key, got, err)
		}
	}
}

func TestTooLong(t *testing.T) {
	store := open(t, t.TempDir())
	if err := store.Put(strings.Repeat("k", maximumKey+1), nil); err == nil {
		t.Error("a long key was accepted")
	}
}

func TestOpenCreatesNothing(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "store")
	store := open(t, folder)
	if _, ok, err := store.Get("key"); ok || err != nil {
		t.Error(ok, err)
	}
	store.Close()
	if _, err := os.Stat(folder); !errors.Is(err, os.ErrNotExist) {
		t.Error("reading created the folder")
	}
}

// FuzzOpen holds that whatever lies in a segment, opening it neither panics
// nor invents a value whose checksum is wrong, and that it can be added to.
func FuzzOpen(f *testing.F) {
	folder := f.TempDir()
	store, err := Open(folder)
	if err != nil {
		f.Fatal(err)
	}
	put(f, store, "key", []byte("value"))
	put(f, store, "", nil)
	store.Close()
	whole, err := os.ReadFile(filepath.Join(folder, "000001.segment"))
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range [][]byte{nil, whole, whole[:len(whole)-1], whole[3:], []byte(mark), append([]byte(mark), bytes.Repeat([]byte{0xff}, 16)...)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		folder := t.TempDir()
		if err := os.WriteFile(filepath.Join(folder, "000001.segment"), content, 0o666); err != nil {
			t.Fatal(err)
		}
		store := open(t, folder)
		for key := range maps.Keys(store.index) {
			if _, _, err := store.Get(key); err != nil && !errors.Is(err, ErrDamaged) {
				t.Fatal(err)
			}
		}
		put(t, store, "new", []byte("value"))
		store.Close()
		if got, _, err := open(t, folder).Get("new"); string(got) != "value" || err != nil {
			t.Fatalf("%q, %v", got, err)
		}
	})
}

func BenchmarkOpen25000(b *testing.B) {
	folder := b.TempDir()
	store := open(b, folder)
	content := make([]byte, 15552)
	for i := range 25000 {
		put(b, store, fmt.Sprintf("%064x/%064x", i, 1), content)
	}
	store.Close()
	for b.Loop() {
		store, err := Open(folder)
		if err != nil {
			b.Fatal(err)
		}
		store.Close()
	}
}
