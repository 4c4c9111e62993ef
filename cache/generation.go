package cache

import (
	"cmp"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// forgetAfter is how long an invalidation is remembered at the least: the longest
// deadline of a call is 24 h, so that after this no answer from before it can arrive.
// What arrives later all the same is refused (floor).
const forgetAfter = 25 * time.Hour

// generations is the table of invalidations. Each has a number; an entry is void
// where one that matches it has a number above the entry's Since.
type generations struct {
	seed maphash.Seed
	// version counts the changes of the table, from 1 on. An entry that was valid
	// under the current version is valid without a look. The number of the latest
	// invalidation would not do: two that run at once may be noted out of order.
	version atomic.Uint64
	latest  atomic.Uint64 // the greatest number noted

	mu sync.RWMutex // guards what follows, and changes of version and latest
	// masks has, for each set of fields by which something was invalidated, the
	// latest number for each combination of their tags. Combinations are hashed: two
	// that share a hash void a few entries more than need be.
	masks map[uint8]map[uint64]uint64
	// floor is the greatest number that was forgotten. Answers asked for before it are
	// not stored: whether they are void is not known any more.
	floor uint64
	kept  []Invalidation // not forgotten, ascending
	// unswept are those whose records may still be in the store.
	unswept []unswept
}

// unswept is an invalidation whose records were not looked for yet.
type unswept struct {
	Invalidation
	heard time.Time // when this process learned of it
}

func newGenerations() *generations {
	g := &generations{seed: maphash.MakeSeed(), masks: make(map[uint8]map[uint64]uint64)}
	g.version.Store(1)
	return g
}

// note adds invalidations, whose records have to be swept where sweep is set. last
// is the greatest number that is known to have been given.
func (g *generations) note(sweep bool, last uint64, all ...Invalidation) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, inv := range all {
		at, known := slices.BinarySearchFunc(g.kept, inv.Number, byNumber)
		if known {
			continue
		}
		g.kept = slices.Insert(g.kept, at, inv)
		if sweep {
			g.unswept = append(g.unswept, unswept{inv, time.Now()})
		}
		table := g.masks[inv.Match.Mask]
		if table == nil {
			table = make(map[uint64]uint64)
			g.masks[inv.Match.Mask] = table
		}
		h := g.hash(inv.Match.Mask, inv.Match.Key, &inv.Match.Tags)
		table[h] = max(table[h], inv.Number)
		last = max(last, inv.Number)
	}
	g.latest.Store(max(g.latest.Load(), last))
	g.version.Add(1)
}

// next notes an invalidation that is kept in memory alone.
func (g *generations) next(m Match, now time.Time) Invalidation {
	g.mu.Lock()
	inv := Invalidation{Number: g.latest.Load() + 1, Match: m, At: now}
	g.latest.Store(inv.Number)
	g.mu.Unlock()
	g.note(false, 0, inv)
	g.forget(g.forgettable(now))
	return inv
}

// valid reports whether no invalidation voids e, and notes it in e where so.
func (g *generations) valid(e *Entry) bool {
	if atomic.LoadUint64(&e.checked) == g.version.Load() {
		return true
	}
	g.mu.RLock()
	version, void := g.version.Load(), g.voidLocked(e.Since, e.Key, &e.tags)
	g.mu.RUnlock()
	if void {
		return false
	}
	atomic.StoreUint64(&e.checked, version)
	return true
}

// admits reports whether what was asked for at since may be stored now.
func (g *generations) admits(since uint64, k Key, tags *Tags) bool {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return since >= g.floor && !g.voidLocked(since, k, tags)
}

// lowest is floor. It tells whether something was forgotten between two moments.
func (g *generations) lowest() uint64 {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.floor
}

// voidLocked looks the entry up under every mask in use. mu must be held.
func (g *generations) voidLocked(since uint64, k Key, tags *Tags) bool {
	if since >= g.latest.Load() {
		return false
	}
	for mask, table := range g.masks {
		if table[g.hash(mask, k, tags)] > since {
			return true
		}
	}
	return false
}

// hash is that of what mask has of a key and of tags.
func (g *generations) hash(mask uint8, k Key, tags *Tags) uint64 {
	m := Match{Mask: mask}
	for f := range Fields {
		if mask&(1<<f) != 0 {
			m.Tags[f] = tags[f]
		}
	}
	if mask&(1<<FieldKey) != 0 {
		m.Key = k
	}
	return maphash.Comparable(g.seed, m)
}

// toSweep returns the first invalidation whose records may still be in the store: of those with a number up to upTo that were heard of by
// the given time, and of several alike the last.
func (g *generations) toSweep(upTo uint64, by time.Time) (first Invalidation, ok bool) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	due := func(u *unswept) bool { return u.Number <= upTo && !u.heard.After(by) }
	for i := range g.unswept {
		if u := &g.unswept[i]; due(u) && (!ok || u.Number < first.Number) {
			first, ok = u.Invalidation, true
		}
	}
	for i := range g.unswept {
		if u := &g.unswept[i]; ok && due(u) && u.Match == first.Match && u.Number > first.Number {
			first = u.Invalidation
		}
	}
	return first, ok
}

// swept notes that the store has no record any more that done voids, and returns the number up to which that holds for all.
func (g *generations) swept(done Invalidation) (upTo uint64) {
	return g.sweptWhere(func(u unswept) bool { return u.Match == done.Match && u.Number <= done.Number })
}

// sweptElsewhere notes that another process has swept the store for all up to a number.
func (g *generations) sweptElsewhere(upTo uint64) {
	g.sweptWhere(func(u unswept) bool { return u.Number <= upTo })
}

func (g *generations) sweptWhere(done func(unswept) bool) (upTo uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.unswept = slices.DeleteFunc(g.unswept, done)
	return g.sweptUpToLocked()
}

// sweptUpToLocked is the number up to which no invalidation is unswept. mu must be held.
func (g *generations) sweptUpToLocked() uint64 {
	upTo := g.latest.Load()
	for i := range g.unswept {
		upTo = min(upTo, g.unswept[i].Number-1)
	}
	return upTo
}

// forgettable is the number up to which invalidations need not be remembered: they
// are old, and the store was swept for them. Zero means that there is none.
func (g *generations) forgettable(now time.Time) (upTo uint64) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	swept := g.sweptUpToLocked()
	for _, inv := range g.kept {
		if now.Sub(inv.At) <= forgetAfter || inv.Number > swept {
			break
		}
		upTo = inv.Number
	}
	return upTo
}

// toSweepAgain is the first invalidation after a number, and up to another, whose records no later one voids too.
func (g *generations) toSweepAgain(after, upTo uint64) (inv Invalidation, ok bool) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	for i, inv := range g.kept {
		alike := func(later Invalidation) bool { return later.Match == inv.Match }
		if inv.Number > after && inv.Number <= upTo && !slices.ContainsFunc(g.kept[i+1:], alike) {
			return inv, true
		}
	}
	return Invalidation{}, false
}

// forget drops the invalidations up to a number.
func (g *generations) forget(upTo uint64) {
	if upTo == 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.floor = max(g.floor, upTo)
	n, known := slices.BinarySearchFunc(g.kept, upTo, byNumber)
	if known {
		n++
	}
	for _, inv := range g.kept[:n] {
		table, h := g.masks[inv.Match.Mask], g.hash(inv.Match.Mask, inv.Match.Key, &inv.Match.Tags)
		if table[h] <= upTo {
			delete(table, h)
		}
		if len(table) == 0 {
			delete(g.masks, inv.Match.Mask)
		}
	}
	g.kept = slices.Delete(g.kept, 0, n)
}

// raise notes that what was invalidated up to a number is not known any more.
func (g *generations) raise(upTo uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.floor = max(g.floor, upTo)
	g.latest.Store(max(g.latest.Load(), upTo))
	g.version.Add(1)
}

func byNumber(inv Invalidation, n uint64) int { return cmp.Compare(inv.Number, n) }
