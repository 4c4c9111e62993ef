package cache

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/forebay-ai/forebay/envelope"
)

// Stats counts what a Cache holds, and what happened since New. Counts of look-ups
// are summed up over all operations.
type Stats struct {
	Entries int   // in memory now, stale ones included
	Bytes   int64 // of memory that they take, bookkeeping included

	Lookups         // by Find and Get
	Evictions int64 // entries that had to make room for others
	TooLarge  int64 // entries refused for their size
	Refused   int64 // entries refused because they were invalidated before they were there
	Refusals  int   // cached refusals now
	// Mismatches counts look-ups that found an entry of another key, tenant or user.
	// They are among the misses. It stays zero unless something is badly wrong.
	Mismatches int64
	// Generation is the number of the last invalidation.
	Generation uint64

	Disk DiskStats // zero without a persistent tier
}

// Lookups counts look-ups by what they found, and what they saved.
type Lookups struct {
	// Hits are those that found something fresh: a cached refusal (RefusalHits of
	// them), an entry in the store (DiskHits), or else one in memory.
	Hits, DiskHits, RefusalHits int64
	Stale                       int64 // found an entry that had expired
	Misses                      int64
	MissedBy                    map[Reason]int64 // Misses by reason, nil where there are none
	Stores                      int64            // entries stored, replacements included
	// SavedTokens and SavedMicroUSD (millionths of a dollar) are what the answers of
	// all hits took to make.
	SavedTokens, SavedMicroUSD int64
}

// StoreState says how the persistent tier is.
type StoreState string

// The states.
const (
	StoreOff  StoreState = ""     // there is none
	StoreUp   StoreState = "up"   // as far as is known
	StoreDown StoreState = "down" // it failed, and is left alone but for a probe now and then
)

// DiskStats counts what happened in the persistent tier.
type DiskStats struct {
	State         StoreState
	Waiting       int   // entries to be written
	WaitingBytes  int64 // of memory that they take
	Written       int64 // entries
	Dropped       int64 // entries not written, because of the store or for want of room
	Void          int64 // entries not written, because they were invalidated while they waited
	Failures      int64 // look-ups in the store that failed or took too long
	Damaged       int64 // records that were not what had been written
	Undecryptable int64 // records whose data key is gone
	Swept         int64 // records deleted, for their age or by an invalidation
	// Behind is how long ago the journal was read for the invalidations of other processes; zero where
	// the store is this process's alone.
	Behind   time.Duration
	Envelope envelope.Stats
}

// maxOperations bounds the operations that are counted apart; the rest is otherOperation.
const maxOperations = 256

const otherOperation = "other"

// census counts by operation. Reading is one look into a map that never changes:
// a new operation makes a new map.
type census struct {
	byName atomic.Pointer[map[string]*counters]
	mu     sync.Mutex // held to replace byName
}

type counters struct {
	hits, disk, refusals, stale, stores, tokens, microUSD atomic.Int64
	missed                                                [len(reasons)]atomic.Int64
}

// of returns the counters of an operation.
func (t *census) of(operation string) *counters {
	if all := t.byName.Load(); all != nil {
		if one := (*all)[operation]; one != nil {
			return one
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make(map[string]*counters)
	if old := t.byName.Load(); old != nil {
		if len(*old) >= maxOperations {
			operation = otherOperation
		}
		if one := (*old)[operation]; one != nil {
			return one
		}
		all = maps.Clone(*old)
	}
	one := new(counters)
	all[strings.Clone(operation)] = one
	t.byName.Store(&all)
	return one
}

// count counts a look-up.
func (t *counters) count(f *Found) {
	switch {
	case f.Err != nil:
		t.refusals.Add(1)
	case f.Outcome == Hit:
		e := f.Entry
		atomic.AddUint32(&e.hits, 1)
		if f.Disk {
			t.disk.Add(1)
		}
		t.tokens.Add(e.Usage.Total())
		t.microUSD.Add(e.CostMicroUSD)
	case f.Outcome == Stale:
		t.stale.Add(1)
	default:
		t.missed[max(0, slices.Index(reasons[:], f.Reason))].Add(1)
		return
	}
	if f.Outcome == Hit {
		t.hits.Add(1)
	}
}

// addTo adds the counters to l.
func (t *counters) addTo(l *Lookups) {
	l.Hits += t.hits.Load()
	l.DiskHits += t.disk.Load()
	l.RefusalHits += t.refusals.Load()
	l.Stale += t.stale.Load()
	l.Stores += t.stores.Load()
	l.SavedTokens += t.tokens.Load()
	l.SavedMicroUSD += t.microUSD.Load()
	for i := range t.missed {
		if n := t.missed[i].Load(); n > 0 {
			if l.MissedBy == nil {
				l.MissedBy = make(map[Reason]int64)
			}
			l.MissedBy[reasons[i]] += n
			l.Misses += n
		}
	}
}

// ByOperation counts look-ups by Labels.Operation, at most 256 of them; those beyond
// are counted together as "other".
func (c *Cache) ByOperation() map[string]Lookups {
	all := make(map[string]Lookups)
	if named := c.census.byName.Load(); named != nil {
		for name, t := range *named {
			var l Lookups
			t.addTo(&l)
			all[name] = l
		}
	}
	return all
}

// Stats counts. The numbers are read one by one while the cache is in use, so they
// may be a few calls apart.
func (c *Cache) Stats() Stats {
	s := Stats{
		TooLarge: c.tooLarge.Load(), Refused: c.void.Load(), Refusals: int(c.refusals.count.Load()),
		Mismatches: c.mismatches.Load(), Generation: c.Generation(),
	}
	if named := c.census.byName.Load(); named != nil {
		for _, t := range *named {
			t.addTo(&s.Lookups)
		}
	}
	if c.memory != nil {
		s.Entries, s.Bytes, s.Evictions = c.memory.count(), c.memory.bytes.Load(), c.memory.evictions.Load()
	}
	if c.disk != nil {
		s.Disk = c.disk.stats()
	}
	return s
}

// maxTop bounds what Top returns.
const maxTop = 100

// KeyStats is what is known of one entry in memory. It never holds any of its text.
type KeyStats struct {
	Key              Key
	Operation, Model string        // Labels.Operation, and the model that answered
	Hits             int64         // since the entry came into memory
	Bytes            int64         // of memory
	Age              time.Duration // since the answer was complete
}

// Top returns the n entries in memory, at most 100, that were hit most often, from
// the most to the least. Hits are counted in the entries themselves, so counting costs a
// hit next to nothing and Top walks through all entries. An entry that left
// the memory and came back starts from zero.
func (c *Cache) Top(n int, now time.Time) []KeyStats {
	if n = min(n, maxTop); c.memory == nil || n < 1 {
		return nil
	}
	top := make([]KeyStats, 0, n+1)
	c.memory.all(func(e *Entry) bool {
		hits := int64(atomic.LoadUint32(&e.hits))
		if hits == 0 || len(top) == n && hits <= top[n-1].Hits {
			return true
		}
		at, _ := slices.BinarySearchFunc(top, hits, func(s KeyStats, hits int64) int { return cmp.Compare(hits, s.Hits) })
		top = slices.Insert(top, at, KeyStats{
			Key: e.Key, Operation: e.Labels.Operation, Model: e.Model, Hits: hits, Bytes: e.size, Age: now.Sub(e.Stored),
		})
		top = top[:min(len(top), n)]
		return true
	})
	return top
}
