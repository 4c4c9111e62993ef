package storetest

import (
	"slices"
	"testing"

	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/envelope"
)

// Lasting is a store that outlasts the process.
type Lasting struct {
	Cache   cache.Store
	Journal cache.Journal
	Keys    envelope.KeyStore
	// Close closes the store, so that it can be opened again.
	Close func() error
}

// Durable checks that a store which is closed and opened again has all that it had.
// open opens the store in dir, or makes it. What an end without Close does, and a
// power cut, is for each implementation to check.
func Durable(t *testing.T, open func(t *testing.T, dir string) Lasting) {
	for _, rule := range []struct {
		name  string
		check func(t *testing.T, reopen func() Lasting)
	}{
		{"records", durableRecords},
		{"invalidations", durableInvalidations},
		{"keys", durableKeys},
	} {
		t.Run(rule.name, func(t *testing.T) {
			dir := t.TempDir()
			var now Lasting
			t.Cleanup(func() {
				if now.Close != nil {
					now.Close() // its error was seen where the test got as far
				}
			})
			rule.check(t, func() Lasting {
				if now.Close != nil {
					must(t, now.Close())
					now.Close = nil
				}
				now = open(t, dir)
				return now
			})
		})
	}
}

func durableRecords(t *testing.T, reopen func() Lasting) {
	s := reopen().Cache
	all := append(awkward(), records(20, 300)...)
	for batch := range slices.Chunk(all, 50) {
		write(t, s, batch...)
	}
	later := record(1000)
	later.Key = all[30].Key
	write(t, s, later)
	all[30] = later
	if n := deleteAll(t, s, cache.Selection{Match: by(all[40], cache.FieldKey)}, 1); n != 1 {
		t.Errorf("Delete removed %d records; want 1", n)
	}
	for range 3 {
		s = reopen().Cache
		for i, r := range all {
			if i == 40 {
				hasNot(t, s, r.Key)
			} else {
				has(t, s, r)
			}
		}
		// It works as before, too.
		write(t, s, record(2000))
		has(t, s, record(2000))
		deleteAll(t, s, cache.Selection{Match: by(record(2000), cache.FieldKey)}, 1)
	}
	size, err := s.Count(t.Context(), cache.Selection{})
	if err != nil || size.Entries != int64(len(all)-1) {
		t.Errorf("Count = %+v, %v; want %d records", size, err, len(all)-1)
	}
}

func durableInvalidations(t *testing.T, reopen func() Lasting) {
	j := reopen().Journal
	var all []cache.Invalidation
	for n := range 8 {
		all = append(all, invalidate(t, j, n))
	}
	must(t, j.Forget(t.Context(), 3))
	j = reopen().Journal
	reads(t, j, 0, all[3:], 8)
	must(t, j.Forget(t.Context(), 8))
	j = reopen().Journal
	reads(t, j, 0, nil, 8)
	if inv := invalidate(t, j, 9); inv.Number <= 8 {
		t.Errorf("after a restart comes the number %d; 8 was given before", inv.Number)
	}
}

func durableKeys(t *testing.T, reopen func() Lasting) {
	s := reopen().Keys
	save(t, s, wrapped(1, 10, 20), wrapped(2, 10, 0), wrapped(3, 11, 20), wrapped(4, 0, 0))
	changed := wrapped(2, 10, 0)
	changed.Master = 99
	save(t, s, changed)
	shred(t, s, 11, 0, 3)
	for range 2 {
		s = reopen().Keys
		hasKey(t, s, wrapped(1, 10, 20))
		hasKey(t, s, changed)
		hasKey(t, s, wrapped(4, 0, 0))
		hasNoKey(t, s, 3)
		newest(t, s, 11, 20, 0)
		newest(t, s, 10, 0, 2)
	}
}
