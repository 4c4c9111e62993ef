package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/forebay-ai/forebay/cache"
)

// Cache checks an implementation of cache.Store. open returns an empty store, and
// has it closed by t.Cleanup where it needs to be. The suite is strict in what the
// contract leaves open: it expects that the store drops nothing by itself as long as
// it has a few thousand small records.
func Cache(t *testing.T, open func(t *testing.T) cache.Store) { cacheRules(t, open, 10_000) }

// CacheSlow is Cache with a tenth of its records, for stores that take milliseconds for each.
func CacheSlow(t *testing.T, open func(t *testing.T) cache.Store) { cacheRules(t, open, 1_000) }

func cacheRules(t *testing.T, open func(t *testing.T) cache.Store, many int) {
	for _, rule := range []struct {
		name  string
		check func(t *testing.T, s cache.Store)
	}{
		{"what is written comes back", cacheRoundTrip},
		{"what was not written is not found", cacheNotFound},
		{"of two records of one key the later counts", cacheReplaces},
		{"a record is written whole or not at all", cacheRecords},
		{"no reference is kept", cacheCopies},
		{"delete removes what is selected and nothing else", cacheDeletes},
		{"delete keeps to its limit and says when there is more", cacheLimits},
		{"delete reaches what was written meanwhile", cacheDeletesNew},
		{"delete of many", func(t *testing.T, s cache.Store) { cacheDeletesMany(t, s, many) }},
		{"count", cacheCounts},
		{"an ended context", cacheContext},
		{"concurrent use", cacheConcurrent},
		{"model", cacheModel},
	} {
		t.Run(rule.name, func(t *testing.T) { rule.check(t, open(t)) })
	}
}

// CacheBatches checks what some stores promise beyond the contract: that a batch is written whole or not at all.
func CacheBatches(t *testing.T, open func(t *testing.T) cache.Store) {
	t.Run("a batch is written whole or not at all", func(t *testing.T) { cacheBatches(t, open(t)) })
}

func cacheRoundTrip(t *testing.T, s cache.Store) {
	all := append(awkward(), records(20, 60)...)
	write(t, s, all...)
	for _, r := range all {
		has(t, s, r)
	}
}

func cacheNotFound(t *testing.T, s cache.Store) {
	hasNot(t, s, keyOf(1))
	write(t, s, record(1))
	hasNot(t, s, keyOf(2))
	near := keyOf(1)
	near[31] ^= 1
	hasNot(t, s, near)
	hasNot(t, s, cache.Key{})
	write(t, s) // nothing is a batch too
}

func cacheReplaces(t *testing.T, s cache.Store) {
	first, second, third := record(1), record(2), record(3)
	second.Key, third.Key = first.Key, first.Key
	write(t, s, first, record(4))
	write(t, s, record(5), second, record(6))
	has(t, s, second)
	write(t, s, first, third)
	has(t, s, third)
	if size, err := s.Count(t.Context(), cache.Selection{}); err != nil || size.Entries != 4 {
		t.Errorf("Count = %+v, %v; want 4 records", size, err)
	}
}

// cacheRecords ends the context somewhere in a Write, so that it fails at many places.
func cacheRecords(t *testing.T, s cache.Store) {
	failed := 0
	for n := range 40 {
		batch := records(100*n, 100*n+40)
		err := s.Write(newImpatient(n+1), batch)
		if err != nil {
			failed++
		}
		for _, r := range batch {
			if _, none := s.Get(t.Context(), r.Key); err == nil || !errors.Is(none, cache.ErrNotFound) {
				has(t, s, r)
			}
		}
	}
	if failed == 0 {
		t.Error("no Write failed although the context of each ended")
	}
}

// cacheBatches does the same, and expects nothing of a batch that failed.
func cacheBatches(t *testing.T, s cache.Store) {
	failed := 0
	for n := range 40 {
		batch := records(100*n, 100*n+10)
		err := s.Write(newImpatient(n+1), batch)
		if err != nil {
			failed++
		}
		for _, r := range batch {
			if err == nil {
				has(t, s, r)
			} else {
				hasNot(t, s, r.Key)
			}
		}
	}
	if failed == 0 {
		t.Error("no Write failed although the context of each ended")
	}
}

func cacheCopies(t *testing.T, s cache.Store) {
	batch := records(1, 3)
	write(t, s, batch...)
	clear(batch[0].Sealed)
	batch[1] = record(9)
	has(t, s, record(1))
	has(t, s, record(2))
}

// family are records such that each is selected with others by every field but one.
func family() []cache.Record {
	var all []cache.Record
	for n := range 1 << cache.Fields {
		r := record(n)
		for f := range r.Tags {
			r.Tags[f] = uint64(n >> f & 1)
		}
		r.Since = uint64(n % 7)
		r.Keep = epoch.Add(0)
		if n%3 == 0 {
			r.Keep = epoch.Add(1)
		}
		all = append(all, r)
	}
	return all
}

// selections are of family's records: by each field and by several, by numbers and times at their very edges.
func selections() map[string]cache.Selection {
	r := family()[5]
	other := family()[10]
	sels := map[string]cache.Selection{
		"all":                     {},
		"key":                     {Match: by(r, cache.FieldKey)},
		"key and its tenant":      {Match: by(r, cache.FieldKey, cache.FieldTenant)},
		"key and another tenant":  {Match: cache.Match{Key: r.Key, Tags: other.Tags, Mask: 1<<cache.FieldKey | 1<<cache.FieldTenant}},
		"tags of all fields":      {Match: by(r, cache.FieldTenant, cache.FieldOperation, cache.FieldUser, cache.FieldModel, cache.FieldNamespace)},
		"two tags":                {Match: by(r, cache.FieldOperation, cache.FieldUser)},
		"before 1":                {Before: 1},
		"before 4":                {Before: 4},
		"before them all":         {Before: 1 << 63},
		"dropped":                 {Dropped: epoch},
		"dropped a moment later":  {Dropped: epoch.Add(1)},
		"dropped a moment before": {Dropped: epoch.Add(-1)},
		"everything at once":      {Match: by(r, cache.FieldTenant), Before: 5, Dropped: epoch},
		"key and before":          {Match: by(r, cache.FieldKey), Before: r.Since},
	}
	for f := range cache.Fields {
		sels[fmt.Sprint("field ", f)] = cache.Selection{Match: by(r, f)}
	}
	return sels
}

func cacheDeletes(t *testing.T, s cache.Store) {
	for name, sel := range selections() {
		write(t, s, family()...)
		want := 0
		for _, r := range family() {
			if selects(sel, r) {
				want++
			}
		}
		if got := deleteAll(t, s, sel, 1000); got != want {
			t.Errorf("%s: Delete says that it removed %d records; want %d", name, got, want)
		}
		for _, r := range family() {
			if selects(sel, r) {
				hasNot(t, s, r.Key)
			} else {
				has(t, s, r)
			}
		}
	}
}

func cacheLimits(t *testing.T, s cache.Store) {
	write(t, s, family()...)
	if n, _, err := s.Delete(t.Context(), cache.Selection{}, 0); n != 0 || err != nil {
		t.Errorf("Delete with a limit of 0 = %d, %v; want nothing", n, err)
	}
	n, more, err := s.Delete(t.Context(), cache.Selection{}, 5)
	if n > 5 || !more || err != nil {
		t.Errorf("Delete of %d records with a limit of 5 = %d, more %v, %v", len(family()), n, more, err)
	}
	if n += deleteAll(t, s, cache.Selection{}, 3); n != len(family()) {
		t.Errorf("Delete removed %d records; want %d", n, len(family()))
	}
	if n, more, err := s.Delete(t.Context(), cache.Selection{}, 5); n != 0 || more || err != nil {
		t.Errorf("Delete of nothing = %d, more %v, %v; want 0 and no more", n, more, err)
	}
}

// cacheDeletesNew writes between the pieces of a deletion: when it says that there is
// no more, there is none.
func cacheDeletesNew(t *testing.T, s cache.Store) {
	all := records(0, 40)
	for i := range all {
		all[i].Tags[cache.FieldModel] = uint64(i % 2)
	}
	sel := cache.Selection{Match: cache.Match{Mask: 1 << cache.FieldModel, Tags: cache.Tags{cache.FieldModel: 1}}}
	write(t, s, all...)
	_, more, err := s.Delete(t.Context(), sel, 10)
	must(t, err)
	// One that was passed over turns into one that is selected.
	all[0].Tags[cache.FieldModel] = 1
	write(t, s, all[0], all[1])
	for more {
		_, more, err = s.Delete(t.Context(), sel, 10)
		must(t, err)
	}
	for i, r := range all {
		if i == 0 || i%2 == 1 {
			hasNot(t, s, r.Key)
		} else {
			has(t, s, r)
		}
	}
}

// cacheDeletesMany has more records than a store may look at in one piece.
func cacheDeletesMany(t *testing.T, s cache.Store, n int) {
	for batch := range slices.Chunk(records(0, n), 500) {
		for i := range batch {
			batch[i].Tags[cache.FieldUser] = batch[i].Since % 10
		}
		write(t, s, batch...)
	}
	sel := cache.Selection{Match: cache.Match{Mask: 1 << cache.FieldUser, Tags: cache.Tags{cache.FieldUser: 3}}}
	if got := deleteAll(t, s, sel, 300); got != n/10 {
		t.Errorf("Delete removed %d records; want %d", got, n/10)
	}
	dropped := cache.Selection{Dropped: record(n - 100).Keep}
	if got := deleteAll(t, s, dropped, 5000); got != (n-100)*9/10+1 {
		t.Errorf("Delete removed %d records of those to drop; want %d", got, (n-100)*9/10+1)
	}
	if size, err := s.Count(t.Context(), cache.Selection{}); err != nil || size.Entries != 89 {
		t.Errorf("Count = %+v, %v; want 89 records", size, err)
	}
}

func cacheCounts(t *testing.T, s cache.Store) {
	write(t, s, family()...)
	for name, sel := range selections() {
		var want cache.Size
		for _, r := range family() {
			if selects(sel, r) {
				want.Entries++
				want.Bytes += int64(len(r.Sealed))
			}
		}
		if got, err := s.Count(t.Context(), sel); err != nil || got != want {
			t.Errorf("%s: Count = %+v, %v; want %+v", name, got, err, want)
		}
	}
}

func cacheContext(t *testing.T, s cache.Store) {
	write(t, s, record(1))
	ctx := ended()
	_, get := s.Get(ctx, keyOf(1))
	put := s.Write(ctx, []cache.Record{record(2)})
	_, _, del := s.Delete(ctx, cache.Selection{}, 10)
	_, count := s.Count(ctx, cache.Selection{})
	for op, err := range map[string]error{"Get": get, "Write": put, "Delete": del, "Count": count} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s with an ended context: %v; want context.Canceled", op, err)
		}
	}
	has(t, s, record(1))
	hasNot(t, s, keyOf(2))
}

// cacheConcurrent has each goroutine work on keys of its own, where it sees what it
// did, while another counts and deletes what is nobody's.
func cacheConcurrent(t *testing.T, s cache.Store) {
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for round := range 15 {
				first := 1000*g + 10*round
				batch := records(first, first+5)
				write(t, s, batch...)
				for _, r := range batch {
					has(t, s, r)
				}
				sel := cache.Selection{Match: by(batch[0], cache.FieldKey)}
				if n := deleteAll(t, s, sel, 1); n != 1 {
					t.Errorf("Delete of a key that is there removed %d records", n)
				}
				hasNot(t, s, batch[0].Key)
				has(t, s, batch[1])
			}
		})
	}
	all.Go(func() {
		for range 20 {
			if _, err := s.Count(t.Context(), cache.Selection{}); err != nil {
				t.Error(err)
			}
			deleteAll(t, s, cache.Selection{Match: by(record(999_999), cache.FieldTenant)}, 10)
		}
	})
	all.Wait()
	if size, err := s.Count(t.Context(), cache.Selection{}); err != nil || size.Entries != 8*15*4 {
		t.Errorf("Count = %+v, %v; want %d records", size, err, 8*15*4)
	}
}
