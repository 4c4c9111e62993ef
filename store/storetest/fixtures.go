package storetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/cache"
	"github.com/google/go-cmp/cmp"
)

// epoch is when the suites' records are from: far enough ahead that no store takes them for expired. It has
// nanoseconds, as the times of real records have.
var epoch = time.Date(2126, time.March, 1, 12, 0, 0, 123456789, time.UTC)

// keyOf is the key of record number n.
func keyOf(n int) cache.Key {
	return sha256.Sum256(binary.AppendVarint([]byte("storetest"), int64(n)))
}

// record is record number n, which differs from all others in every part.
func record(n int) cache.Record {
	k := keyOf(n)
	r := cache.Record{
		Key: k, Sealed: fmt.Appendf(nil, "sealed %d %x", n, k[:n%32]), Since: uint64(n),
		Expires: epoch.Add(time.Duration(n) * time.Second), Keep: epoch.Add(time.Duration(n)*time.Minute + 1),
	}
	for f := range r.Tags {
		r.Tags[f] = binary.BigEndian.Uint64(k[f:])
	}
	return r
}

// records are the records from number n up to m, without m.
func records(n, m int) []cache.Record {
	all := make([]cache.Record, 0, m-n)
	for ; n < m; n++ {
		all = append(all, record(n))
	}
	return all
}

// by selects what agrees with r in the given fields.
func by(r cache.Record, fields ...cache.Field) cache.Match {
	m := cache.Match{Tags: r.Tags, Key: r.Key}
	for _, f := range fields {
		m.Mask |= 1 << f
	}
	return m
}

// differ says how what a store gave differs from what it was given; it is empty
// where they agree. Times are compared as times, no bytes and none at all are one.
func differ(want, got any) string { return cmp.Diff(want, got, cmp.Comparer(bytes.Equal)) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t testing.TB, s cache.Store, all ...cache.Record) {
	t.Helper()
	must(t, s.Write(t.Context(), all))
}

// has checks that the store gives back the record as it is.
func has(t testing.TB, s cache.Store, want cache.Record) {
	t.Helper()
	got, err := s.Get(t.Context(), want.Key)
	if err != nil {
		t.Errorf("record %v (%.20q): %v", want.Key, want.Sealed, err)
		return
	}
	if diff := differ(want, got); diff != "" {
		t.Errorf("a record came back changed (-written +read):\n%s", diff)
	}
}

// hasNot checks that the store has no record of the key.
func hasNot(t testing.TB, s cache.Store, k cache.Key) {
	t.Helper()
	if got, err := s.Get(t.Context(), k); !errors.Is(err, cache.ErrNotFound) {
		t.Errorf("Get(%v) = %+v, %v; want ErrNotFound", k, got, err)
	}
}

// deleteAll deletes a selection to its end, and returns how many that were.
func deleteAll(t testing.TB, s cache.Store, sel cache.Selection, limit int) int {
	t.Helper()
	total := 0
	for range 1_000_000 {
		n, more, err := s.Delete(t.Context(), sel, limit)
		must(t, err)
		if n > limit {
			t.Fatalf("Delete removed %d records; the limit is %d", n, limit)
		}
		if total += n; !more {
			return total
		}
	}
	t.Fatal("Delete says that there is more and more")
	return 0
}

// ended is a context that has ended.
func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// impatient is a context that ends when it is looked at for the n-th time, which is
// to say somewhere in an operation.
type impatient struct {
	context.Context
	done chan struct{}

	mu sync.Mutex // guards n
	n  int
}

func newImpatient(n int) *impatient {
	return &impatient{Context: context.Background(), done: make(chan struct{}), n: n}
}

func (c *impatient) look() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n--; c.n == 0 {
		close(c.done)
	}
	return c.n <= 0
}

func (c *impatient) Done() <-chan struct{} {
	c.look()
	return c.done
}

func (c *impatient) Err() error {
	if c.look() {
		return context.Canceled
	}
	return nil
}

// awkward are values that are easily changed on the way to a disk and back.
func awkward() []cache.Record {
	all := records(0, 9)
	all[0].Sealed = nil
	all[1].Sealed = []byte{0}
	all[2].Sealed = []byte("\x00'\"\n\xff\x80;--")
	all[3].Sealed = make([]byte, 300_000)
	for i := range all[3].Sealed {
		all[3].Sealed[i] = byte(i * 7 >> 3)
	}
	all[4].Since = math.MaxUint64
	all[5].Tags = cache.Tags{math.MaxUint64, 1 << 63, 1<<63 - 1, 0, 1}
	all[6].Keep, all[6].Expires = time.Time{}, time.Time{}
	all[7].Expires = time.Unix(0, 0)
	all[8].Expires = time.Date(2126, time.December, 31, 23, 59, 59, 999999999, time.FixedZone("east", 3*3600))
	return all
}
