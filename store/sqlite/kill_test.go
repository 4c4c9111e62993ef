package sqlite_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/envelope"
)

const (
	killedSize = 700 // bytes of a record's content
	// killedLife is how many rounds go on with what those before have left. All of it is
	// looked at after each round, so that a directory that grows for ever is all that a
	// long run would do.
	killedLife = 20
)

// TestKill kills a process that writes, invalidates, saves and shreds keys, again and
// again at random moments, and checks after each that all it acknowledged is there,
// and that nothing is there that was not written.
func TestKill(t *testing.T) {
	if dir := os.Getenv("SQLITE_KILL_DIR"); dir != "" {
		killed(t, dir)
		return
	}
	rounds := 30
	if long() {
		rounds = 200
	}
	var batches, invalidations, keys, shredded, opened int
	for first := 0; first < rounds; first += killedLife {
		said := killLife(t, first, min(killedLife, rounds-first))
		batches, keys, shredded, opened = batches+len(said.batches), keys+len(said.keys), shredded+len(said.shredded), opened+said.opened
		invalidations += int(said.last)
	}
	t.Logf("%d rounds: %d batches, %d invalidations, %d keys, %d shredded, %d restarts in mid-life",
		rounds, batches, invalidations, keys, shredded, opened)
	if invalidations == 0 || batches == 0 || keys == 0 || shredded == 0 {
		t.Error("the process was killed before it did anything: the test shows nothing")
	}
}

// killLife is the life of one directory: so many rounds from first on.
func killLife(t *testing.T, first, rounds int) *said {
	dir := filepath.Join(t.TempDir(), "store")
	must(t, os.Mkdir(dir, 0o700))
	defer os.RemoveAll(dir) // a later life needs the room
	said := newSaid()
	patience := time.Duration(1) // grows until something was said: a busy machine is slow to begin
	for round := first; round < first+rounds; round++ {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKill$")
		cmd.Env = append(os.Environ(), "SQLITE_KILL_DIR="+dir, fmt.Sprintf("SQLITE_KILL_ROUND=%d", round))
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		timer := time.AfterFunc(patience*time.Duration(20+rand.IntN(250))*time.Millisecond, func() { cmd.Process.Kill() })
		for lines := bufio.NewScanner(out); lines.Scan(); {
			said.hear(lines.Text())
		}
		cmd.Wait()
		timer.Stop()
		said.check(t, dir)
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
		if said.last == 0 || len(said.batches) == 0 || len(said.keys) == 0 || len(said.shredded) == 0 {
			patience = min(2*patience, 64)
		}
	}
	return said
}

// said is what the process acknowledged.
type said struct {
	batches  map[int]bool // by first record
	last     uint64       // the greatest number of an invalidation
	keys     map[uint64]bool
	shredded map[uint64]bool
	opened   int
}

func newSaid() *said {
	return &said{batches: map[int]bool{}, keys: map[uint64]bool{}, shredded: map[uint64]bool{}}
}

func (s *said) hear(line string) {
	var n int
	switch {
	case scan(line, "batch %d.", &n):
		s.batches[n] = true
	case scan(line, "invalidated %d.", &n):
		s.last = max(s.last, uint64(n))
	case scan(line, "key %d.", &n):
		s.keys[uint64(n)] = true
	case scan(line, "shredding %d.", &n):
		delete(s.keys, uint64(n)) // may be gone or not
	case scan(line, "shredded %d.", &n):
		s.shredded[uint64(n)] = true
	case strings.HasPrefix(line, "open"):
		s.opened++
	}
}

// scan reads a whole line: the last one may be cut.
func scan(line, format string, n *int) bool {
	_, err := fmt.Sscanf(line, format, n)
	return err == nil && strings.HasSuffix(line, ".")
}

func (s *said) check(t *testing.T, dir string) {
	t.Helper()
	store, err := openIn(t, dir)
	must(t, err)
	defer store.Close()
	c := store.Cache()
	all, last, err := c.Invalidations(t.Context(), 0)
	must(t, err)
	if last < s.last || uint64(len(all)) != last {
		t.Errorf("%d invalidations to number %d; the process said %d", len(all), last, s.last)
	}
	for id := range s.keys {
		if got, err := store.Keys().Key(t.Context(), id); err != nil || string(got.Wrapped) != string(killKey(id).Wrapped) {
			t.Errorf("key %d: %v", id, err)
		}
	}
	for id := range s.shredded {
		if _, err := store.Keys().Key(t.Context(), id); !errors.Is(err, envelope.ErrNoKey) {
			t.Errorf("key %d, which was shredded: %v", id, err)
		}
	}
	for name, content := range files(t, dir) {
		for _, id := range killKeysIn(content) {
			if s.shredded[id] {
				t.Errorf("key %d, which was shredded, is in %s", id, name)
			}
		}
	}
	// Only a power cut may undo a batch.
	for first := range s.batches {
		for n := first; n < first+10; n++ {
			if got, err := c.Get(t.Context(), keyOf(n)); err != nil || !same(got, n, killedSize) {
				t.Errorf("record %d: %v", n, err)
			}
		}
	}
	size, err := c.Count(t.Context(), cache.Selection{})
	must(t, err)
	if size.Entries%10 != 0 || size.Bytes != size.Entries*killedSize {
		t.Errorf("%+v: not whole batches", size)
	}
	if names := aside(t, dir); len(names) > 0 {
		t.Errorf("the database was taken for damaged: %q", names)
	}
}

// killMark begins every key of the test, so that one look at a file finds all that are in it.
const killMark = "a key of TestKill"

// killKey is a key that begins with the mark and its ID.
func killKey(id uint64) envelope.WrappedKey {
	k := wrapped(id, id, 0)
	copy(k.Wrapped, binary.BigEndian.AppendUint64([]byte(killMark), id))
	return k
}

// killKeysIn lists the keys whose beginning is in a file.
func killKeysIn(content []byte) []uint64 {
	var ids []uint64
	for {
		_, after, found := bytes.Cut(content, []byte(killMark))
		if !found || len(after) < 8 {
			return ids
		}
		ids, content = append(ids, binary.BigEndian.Uint64(after)), after
	}
}

// killed works until it is killed.
func killed(t *testing.T, dir string) {
	var round int
	fmt.Sscan(os.Getenv("SQLITE_KILL_ROUND"), &round)
	s, err := openIn(t, dir)
	must(t, err)
	c := s.Cache()
	say := func(what string, n any) { fmt.Printf("%s %d.\n", what, n) }
	fmt.Println("open")
	go func() {
		for i := 0; ; i++ {
			first := (round*10_000 + i) * 10
			must(t, c.Write(t.Context(), batch(first, first+10, killedSize)))
			say("batch", first)
		}
	}()
	go func() {
		for {
			inv, err := c.Invalidate(t.Context(), cache.Match{Mask: 1, Tags: cache.Tags{5}}, time.Now())
			must(t, err)
			say("invalidated", inv.Number)
		}
	}()
	for i := uint64(1); ; i++ {
		id := uint64(round)*10_000 + i
		must(t, s.Keys().Save(t.Context(), killKey(id)))
		say("key", id)
		if i%3 == 0 {
			say("shredding", id-1)
			_, err := s.Keys().Shred(t.Context(), id-1, 0)
			must(t, err)
			say("shredded", id-1)
		}
	}
}
