package keydb_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/envelope"
)

// traces looks for the bytes of keys in all files of a directory: for eight at the
// beginning, in the middle and at the end of each, so that one which is left in pieces
// is found.
func traces(t testing.TB, dir string, keys []envelope.WrappedKey) (found int) {
	t.Helper()
	of := map[uint64]uint64{}
	for _, k := range keys {
		for _, at := range []int{0, 20, 40} {
			of[binary.LittleEndian.Uint64(k.Wrapped[at:])] = k.ID
		}
	}
	for name, content := range files(t, dir) {
		for i := 0; i+8 <= len(content); i++ {
			if id, ok := of[binary.LittleEndian.Uint64(content[i:])]; ok {
				if found++; found < 5 {
					t.Logf("key %d is in %s", id, name)
				}
			}
		}
	}
	return found
}

// TestShredLeavesNothing saves, replaces and shreds keys by the thousand, so that
// SQLite moves them about between its pages, and looks for every one that is gone.
func TestShredLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir)
	r := rand.New(rand.NewPCG(1, 3))
	var alive, gone []envelope.WrappedKey
	id := uint64(0)
	for round := range 12 {
		var fresh []envelope.WrappedKey
		for range 300 {
			id++
			k := wrapped(id, uint64(r.IntN(8)), uint64(r.IntN(20)))
			k.Wrapped = append(k.Wrapped, make([]byte, r.IntN(600))...) // of several lengths
			fresh = append(fresh, k)
		}
		must(t, c.Save(t.Context(), fresh...))
		alive = append(alive, fresh...)
		var again []envelope.WrappedKey
		for range 150 { // wrapped anew: what was there before has to go, too, when the key goes
			i := r.IntN(len(alive))
			gone = append(gone, alive[i]) // the wrapping
			alive[i].Wrapped = append(wrapped(id+1_000_000+uint64(len(gone)), 0, 0).Wrapped, make([]byte, r.IntN(1500))...)
			again = append(again, alive[i])
		}
		must(t, c.Save(t.Context(), again...))
		tenant, user := uint64(r.IntN(8)), uint64(r.IntN(20))
		ids, err := c.Shred(t.Context(), tenant, user)
		must(t, err)
		var kept []envelope.WrappedKey
		shredded := 0
		for _, k := range alive {
			if k.Tenant == tenant && (user == 0 || k.User == user) {
				gone = append(gone, k)
				shredded++
			} else {
				kept = append(kept, k)
			}
		}
		alive = kept
		if len(ids) != shredded {
			t.Errorf("Shred gives %d ids; want %d", len(ids), shredded)
		}
		if len(ids) > 0 {
			if n := traces(t, dir, gone); n > 0 {
				t.Fatalf("round %d: %d traces of %d keys that are gone", round, n, len(gone))
			}
		}
	}
	if n := traces(t, dir, alive[:100]); n < 100 {
		t.Errorf("of 100 keys that are there the test finds %d: it looks in the wrong place", n)
	}
	for _, k := range alive {
		if got, err := c.Key(t.Context(), k.ID); err != nil || !bytes.Equal(got.Wrapped, k.Wrapped) {
			t.Fatalf("key %d, which was not shredded: %v", k.ID, err)
		}
	}
}

// TestShredWaitsForReaders shreds while others read all the time.
func TestShredWaitsForReaders(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir)
	must(t, c.Save(t.Context(), batchOfKeys(1000, 2000)...))
	ctx, cancel := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	for g := range 6 {
		readers.Go(func() {
			for n := g; ctx.Err() == nil; n++ {
				if _, err := c.Key(ctx, 1000+uint64(n%2000)); err != nil && !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			}
		})
	}
	for id := uint64(1); id < 10; id++ {
		k := wrapped(id, id, 0)
		must(t, c.Save(t.Context(), k))
		ids, err := c.Shred(within(t, 20*time.Second), id, 0)
		must(t, err)
		if len(ids) != 1 || traces(t, dir, []envelope.WrappedKey{k}) > 0 {
			t.Errorf("Shred = %d, and the key can still be found", ids)
		}
	}
	cancel()
	readers.Wait()
}

// TestShredHeldUp has a reader that does not end: Shred says what it has done and
// what not, lets others write meanwhile, and finishes when it is called again.
func TestShredHeldUp(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir)
	k := wrapped(1, 1, 0)
	must(t, c.Save(t.Context(), k))
	release, err := c.Hold()
	must(t, err)
	written := make(chan error)
	go func() {
		time.Sleep(50 * time.Millisecond)
		written <- c.Save(t.Context(), wrapped(100, 100, 0))
	}()
	ids, err := c.Shred(within(t, 400*time.Millisecond), 1, 0)
	if !errors.Is(err, context.DeadlineExceeded) || len(ids) != 1 {
		t.Errorf("Shred = %d, %v; want the id, and that the time was up", ids, err)
	}
	must(t, <-written)
	if _, err := c.Key(t.Context(), 1); !errors.Is(err, envelope.ErrNoKey) {
		t.Errorf("Key = %v; want ErrNoKey", err)
	}
	if traces(t, dir, []envelope.WrappedKey{k}) == 0 {
		t.Error("the reader did not hold up anything: the test shows nothing")
	}
	release()
	_, err = c.Shred(t.Context(), 1, 0)
	must(t, err)
	if n := traces(t, dir, []envelope.WrappedKey{k}); n > 0 {
		t.Errorf("%d traces", n)
	}
}
