package storetest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/cache"
	"pgregory.net/rapid"
)

// cacheModel runs random operations on a store and on a plain map, and compares
// what they answer and, at the end, what they keep.
func cacheModel(t *testing.T, s cache.Store) {
	rapid.Check(t, func(rt *rapid.T) {
		deleteAll(t, s, cache.Selection{}, 1000)
		m := &model{t: t, store: s, records: map[cache.Key]cache.Record{}}
		rt.Repeat(map[string]func(*rapid.T){
			"write":  m.write,
			"get":    m.get,
			"delete": m.remove,
			"purge":  m.purge,
			"count":  m.count,
		})
		for n := range modelKeys {
			m.compare(rt, keyOf(n))
		}
	})
}

// So few keys, tags, numbers and times that operations meet.
const (
	modelKeys  = 12
	modelTags  = 2
	modelTimes = 4
)

type model struct {
	t       *testing.T
	store   cache.Store
	records map[cache.Key]cache.Record
}

func (m *model) write(rt *rapid.T) {
	batch := rapid.SliceOfN(rapid.Custom(drawRecord), 0, 6).Draw(rt, "records")
	if err := m.store.Write(m.t.Context(), batch); err != nil {
		rt.Fatal(err)
	}
	for _, r := range batch {
		m.records[r.Key] = r
	}
}

func (m *model) get(rt *rapid.T) {
	m.compare(rt, keyOf(rapid.IntRange(0, modelKeys-1).Draw(rt, "key")))
}

// remove does one piece of a deletion. Which records go is the store's choice.
func (m *model) remove(rt *rapid.T) {
	sel := drawSelection(rt)
	limit := rapid.IntRange(1, 4).Draw(rt, "limit")
	n, more, err := m.store.Delete(m.t.Context(), sel, limit)
	if err != nil {
		rt.Fatal(err)
	}
	if n > limit {
		rt.Fatalf("Delete removed %d records; the limit is %d", n, limit)
	}
	gone := 0
	for k, r := range m.records {
		_, err := m.store.Get(m.t.Context(), k)
		switch {
		case errors.Is(err, cache.ErrNotFound):
			if !selects(sel, r) {
				rt.Fatalf("Delete(%+v) removed %+v", sel, r)
			}
			delete(m.records, k)
			gone++
		case err != nil:
			rt.Fatal(err)
		}
	}
	if gone != n {
		rt.Fatalf("Delete says that it removed %d records; %d are gone", n, gone)
	}
	if !more {
		m.none(rt, sel)
	}
}

// purge deletes a selection to its end.
func (m *model) purge(rt *rapid.T) {
	sel := drawSelection(rt)
	deleteAll(m.t, m.store, sel, rapid.IntRange(1, 20).Draw(rt, "limit"))
	for k, r := range m.records {
		if selects(sel, r) {
			delete(m.records, k)
		}
	}
	m.none(rt, sel)
}

func (m *model) none(rt *rapid.T, sel cache.Selection) {
	size, err := m.store.Count(m.t.Context(), sel)
	if err != nil || size != (cache.Size{}) {
		rt.Fatalf("after Delete said that there is no more: Count(%+v) = %+v, %v", sel, size, err)
	}
}

func (m *model) count(rt *rapid.T) {
	sel := drawSelection(rt)
	var want cache.Size
	for _, r := range m.records {
		if selects(sel, r) {
			want.Entries++
			want.Bytes += int64(len(r.Sealed))
		}
	}
	if got, err := m.store.Count(m.t.Context(), sel); err != nil || got != want {
		rt.Fatalf("Count(%+v) = %+v, %v; want %+v", sel, got, err, want)
	}
}

// compare checks that the store has what the map has under a key.
func (m *model) compare(rt *rapid.T, k cache.Key) {
	got, err := m.store.Get(m.t.Context(), k)
	want, ok := m.records[k]
	switch {
	case !ok && !errors.Is(err, cache.ErrNotFound):
		rt.Fatalf("Get(%v) = %+v, %v; want ErrNotFound", k, got, err)
	case ok && err != nil:
		rt.Fatalf("Get(%v): %v", k, err)
	case ok:
		if diff := differ(want, got); diff != "" {
			rt.Fatalf("a record came back changed (-written +read):\n%s", diff)
		}
	}
}

func drawRecord(rt *rapid.T) cache.Record {
	r := cache.Record{
		Key:     keyOf(rapid.IntRange(0, modelKeys-1).Draw(rt, "key")),
		Sealed:  slices.Clone(rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(rt, "sealed")),
		Expires: drawTime(rt, "expires"),
		Since:   rapid.Uint64Range(0, 4).Draw(rt, "since"),
		Keep:    drawTime(rt, "keep"),
	}
	for f := range r.Tags {
		r.Tags[f] = rapid.Uint64Range(1, modelTags).Draw(rt, "tag")
	}
	return r
}

func drawTime(rt *rapid.T, label string) time.Time {
	return epoch.Add(time.Duration(rapid.IntRange(0, modelTimes-1).Draw(rt, label)))
}

func drawSelection(rt *rapid.T) cache.Selection {
	r := drawRecord(rt)
	sel := cache.Selection{Match: cache.Match{Tags: r.Tags, Key: r.Key}}
	for f := range cache.FieldKey + 1 {
		if rapid.IntRange(0, 3).Draw(rt, "counts") == 0 {
			sel.Match.Mask |= 1 << f
		}
	}
	if rapid.Bool().Draw(rt, "has before") {
		sel.Before = rapid.Uint64Range(1, 5).Draw(rt, "before")
	}
	if rapid.Bool().Draw(rt, "has dropped") {
		sel.Dropped = drawTime(rt, "dropped")
	}
	return sel
}
