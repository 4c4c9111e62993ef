package series

import (
	"maps"
	"sync"
	"sync/atomic"
)

// registry finds the line of a key. Most are found in known without a lock; what is new is
// in all alone until it has been asked for often enough.
type registry struct {
	set   *Set
	kinds map[string]Kind
	max   int

	known atomic.Pointer[map[Key]*line] // never changed, but replaced
	// crowded says that known has all lines and no further value of a label is taken.
	crowded atomic.Bool

	mu       sync.Mutex // guards what follows; not held while a line is used
	all      map[Key]*line
	labelled int // of all, those that count towards max
	misses   int // lines found in all that known had not, since known was replaced
}

func (r *registry) init(s *Set, most int) {
	r.set, r.max = s, most
	r.kinds = make(map[string]Kind)
	r.all = make(map[Key]*line)
	r.known.Store(&map[Key]*line{})
}

// bounded says that a key counts towards the bound.
func bounded(k Key) bool { return k.Label != "" && k.Value != Other }

// find returns the line to count under, which it makes where there is none, and whether it
// is the key's own; nil where there can be none.
func (r *registry) find(k Key, kind Kind) (l *line, own bool) {
	known := *r.known.Load()
	if l = known[k]; l != nil {
		if l.kind != kind {
			return nil, false
		}
		return l, true
	}
	if !r.valid(k, kind) {
		return nil, false
	}
	if r.crowded.Load() && bounded(k) {
		k.Value = Other
		if l = known[k]; l != nil {
			return l, false
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if l = r.searchLocked(k); l != nil {
		return l, true
	}
	own = true
	if bounded(k) && r.labelled >= r.max {
		k.Value, own = Other, false
		if l = r.searchLocked(k); l != nil {
			return l, false
		}
	}
	return r.makeLocked(k, kind), own
}

// valid says that a key can be one of the set.
func (r *registry) valid(k Key, kind Kind) bool {
	known, ok := r.kinds[k.Metric]
	return ok && known == kind && (k.Label == "") == (k.Value == "") && len(k.Label) <= mostName && len(k.Value) <= mostName
}

// lookup returns the line of a key; nil where there is none.
func (r *registry) lookup(k Key) *line {
	if l := (*r.known.Load())[k]; l != nil || r.crowded.Load() {
		return l
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.searchLocked(k)
}

// searchLocked looks among all lines. Once that has found as many as there are, all become
// known: copying them costs no more than what it took.
func (r *registry) searchLocked(k Key) *line {
	l := r.all[k]
	if l != nil {
		if r.misses++; r.misses >= len(r.all) {
			r.publishLocked()
		}
	}
	return l
}

func (r *registry) publishLocked() {
	known := maps.Clone(r.all)
	r.known.Store(&known)
	r.misses = 0
	r.crowded.Store(r.labelled >= r.max)
}

// makeLocked makes a line. Of those beyond the bound there is one for each label of each
// metric; should somebody invent labels, these have the same bound.
func (r *registry) makeLocked(k Key, kind Kind) *line {
	if bounded(k) {
		r.labelled++
	} else if len(r.all)-r.labelled >= r.max+len(r.kinds) {
		return nil
	}
	l := newLine(kind, &r.set.newest, &r.set.spaces)
	r.all[k] = l
	r.crowded.Store(false)
	return l
}

// room says that a line for k could be made without going over the bound.
func (r *registry) room(k Key) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.all[k] != nil || !bounded(k) || r.labelled < r.max
}

// each calls f for every line that there is at the moment.
func (r *registry) each(f func(Key, *line)) {
	r.mu.Lock()
	all := maps.Clone(r.all)
	r.mu.Unlock()
	for k, l := range all {
		f(k, l)
	}
}

// sweep forgets lines of which nothing is left.
func (r *registry) sweep(candidates []Key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	some := false
	for _, k := range candidates {
		l := r.all[k]
		if l == nil || !l.forget() {
			continue
		}
		delete(r.all, k)
		if some = true; bounded(k) {
			r.labelled--
		}
	}
	if some {
		r.publishLocked()
	}
}
