package series

import (
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// line is one series. Measurements come into a stripe, under a lock that is held for some
// nanoseconds; once a step, and before every question, stripes are emptied into the
// current step, and that into the tiers when it is over.
//
// Locks are taken in this order: stripe, line.mu.
type line struct {
	kind   Kind
	newest *atomic.Int64 // of the set
	spaces *sync.Pool    // of the set: *workspace
	first  stripe
	// more takes the place of first once two goroutines have met there. It has a power of
	// two stripes.
	more atomic.Pointer[[]stripe]

	mu sync.Mutex // guards what follows; held for microseconds
	// now is the step in progress, the one that starts at start. Its changes since they
	// were last written down are fresh.
	now   tally
	start int64
	fresh bool
	tiers [tiers]tier
	gone  bool // forgotten: no stripes may be added
}

// stripe is where a share of the goroutines adds up the step in progress and the one
// before it: around the turn of a step, measurements of both come in.
type stripe struct {
	mu    sync.Mutex // guards what follows
	slots [2]slot
	// gone says that the line has been forgotten: whoever still has it must look again.
	gone bool
	_    [64]byte // so that stripes do not share a cache line
}

// slot adds up the step that starts at start.
type slot struct {
	tally tally
	start int64
}

// workspace is what folding and asking need for a moment.
type workspace struct {
	tally tally
	cell  []byte
}

func newLine(kind Kind, newest *atomic.Int64, spaces *sync.Pool) *line {
	l := &line{kind: kind, newest: newest, spaces: spaces}
	for i, g := range grids() {
		l.tiers[i] = tier{grid: g, changed: math.MaxInt64}
	}
	return l
}

// record counts a measurement; false means that the line is forgotten.
func (l *line) record(v float64, sec, nano int64) bool {
	st := l.stripe()
	if !st.mu.TryLock() {
		if l.more.Load() == nil {
			l.widen()
		}
		st.mu.Lock()
	}
	if st.gone {
		st.mu.Unlock()
		return false
	}
	x := &st.slots[sec/finest&1]
	if sec < x.start || sec >= x.start+finest {
		l.empty(x)
		x.start = floor(sec, finest)
		l.newest.Store(x.start)
	}
	x.tally.add(l.kind, v, nano)
	st.mu.Unlock()
	return true
}

func (l *line) stripe() *stripe {
	more := l.more.Load()
	if more == nil {
		return &l.first
	}
	return &(*more)[rand.Uint32()&uint32(len(*more)-1)]
}

// mostStripes bounds the stripes of one line: beyond that, what a stripe costs is more
// than what it saves.
const mostStripes = 8

// widen gives the line as many stripes as goroutines can run at once.
func (l *line) widen() {
	n := 1
	for n < mostStripes && n < runtime.GOMAXPROCS(0) {
		n *= 2
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.more.Load() == nil && n > 1 && !l.gone {
		more := make([]stripe, n)
		l.more.Store(&more)
	}
}

// empty adds what a slot, whose stripe is locked, has counted to the line.
func (l *line) empty(x *slot) {
	if x.tally.empty() {
		return
	}
	l.mu.Lock()
	l.takeLocked(x.start, &x.tally)
	l.mu.Unlock()
	x.tally.reset()
}

// drain empties all stripes; at now, what is over gives its memory back.
func (l *line) drain(now int64) {
	l.drainStripe(&l.first, now)
	if more := l.more.Load(); more != nil {
		for i := range *more {
			l.drainStripe(&(*more)[i], now)
		}
	}
}

func (l *line) drainStripe(st *stripe, now int64) {
	st.mu.Lock()
	defer st.mu.Unlock()
	older := 0
	if st.slots[1].start < st.slots[0].start {
		older = 1
	}
	for _, i := range [2]int{older, 1 - older} {
		x := &st.slots[i]
		l.empty(x)
		if x.start+2*finest <= now {
			x.tally = tally{}
		}
	}
}

// takeLocked adds the tally of one step of 10 s. Most often that is the step in progress.
func (l *line) takeLocked(start int64, t *tally) {
	if !l.now.empty() && start < l.start {
		l.foldLocked(start, t) // a stripe that was not used for a while, or the clock went back
		return
	}
	if start != l.start {
		l.sealLocked()
		l.start = start
	}
	l.now.merge(t)
	l.fresh = true
}

// sealLocked puts the step in progress into the tiers.
func (l *line) sealLocked() {
	if !l.now.empty() {
		l.foldLocked(l.start, &l.now)
		l.now.reset()
	}
	l.fresh = false
}

func (l *line) foldLocked(start int64, t *tally) {
	w := l.spaces.Get().(*workspace)
	defer l.spaces.Put(w)
	for i := range l.tiers {
		l.tiers[i].put(l.kind, start, t, w)
		l.tiers[i].expire(start)
	}
}

// settle puts the step in progress into the tiers if it is over at now, or not yet there
// because the clock went backwards, gives its memory back, and forgets what is too old.
func (l *line) settle(now int64) {
	l.drain(now)
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.now.empty() && (now >= l.start+finest || now < l.start) {
		l.sealLocked()
		l.now = tally{}
	}
	for i := range l.tiers {
		l.tiers[i].expire(now)
	}
}

// changes calls f for each cell that has changed since the last call: its tier's step, its
// start, and its bytes, which f must copy.
func (l *line) changes(f func(step, start int64, cell []byte)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.spaces.Get().(*workspace)
	defer l.spaces.Put(w)
	for i := range l.tiers {
		r := &l.tiers[i]
		current := floor(l.start, r.step)
		from, fresh := r.changed, l.fresh && !l.now.empty()
		if fresh {
			from = min(from, current)
		}
		v := r.view()
		v.each(from, math.MaxInt64, func(start int64, cell []byte) {
			if l.now.empty() || start != current {
				f(r.step, start, cell)
			}
		})
		if !l.now.empty() && current >= from {
			f(r.step, current, l.withNowLocked(r, w))
		}
		r.changed = math.MaxInt64
	}
	l.fresh = false
}

// withNowLocked returns the cell of a tier that the step in progress belongs to, that step
// included.
func (l *line) withNowLocked(r *tier, w *workspace) []byte {
	start := floor(l.start, r.step)
	w.tally.reset()
	if old := r.cell(start); old != nil {
		w.tally.mergeCell(l.kind, start, old, true)
	}
	w.tally.merge(&l.now)
	w.cell = appendCell(w.cell[:0], l.kind, start, &w.tally)
	return w.cell
}

// touch marks a cell as changed.
func (l *line) touch(tier int, start int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tiers[tier].changed = min(l.tiers[tier].changed, start)
}

// restore adds the tally of an earlier process to a cell, unless one has been added already.
// It returns false for a line that has been forgotten.
func (l *line) restore(tier int, start int64, t *tally) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gone {
		return false
	}
	r := &l.tiers[tier]
	old := r.cell(start)
	if old != nil && old[0]&flagRestored != 0 {
		return true
	}
	w := l.spaces.Get().(*workspace)
	defer l.spaces.Put(w)
	t.restored = true
	changed := r.changed
	r.put(l.kind, start, t, w)
	if old == nil {
		r.changed = changed // the store has it
	}
	return true
}

// view is what a line knew at one moment.
type view struct {
	kind  Kind
	tiers [tiers]tierView
	now   []byte // the cell of the step in progress; nil for none
	start int64
}

// view returns all that is known now.
func (l *line) view() *view {
	l.drain(0)
	l.mu.Lock()
	defer l.mu.Unlock()
	v := &view{kind: l.kind, start: l.start}
	for i := range l.tiers {
		v.tiers[i] = l.tiers[i].view()
	}
	if !l.now.empty() {
		v.now = slices.Clip(appendCell(nil, l.kind, l.start, &l.now))
	}
	return v
}

// add adds what was measured in spans to t.
func (v *view) add(t *tally, spans []span, withBuckets bool) {
	for _, s := range spans {
		x := &v.tiers[s.tier]
		x.each(s.from, s.to, func(start int64, cell []byte) { t.mergeCell(v.kind, start, cell, withBuckets) })
		if v.now != nil && v.start >= s.from && v.start < s.to {
			t.mergeCell(v.kind, v.start, v.now, withBuckets)
		}
	}
}

// forget marks the line as gone where nothing is left in it. Whoever holds it still finds
// that out under the stripe's lock.
func (l *line) forget() bool {
	all := l.stripes()
	for _, st := range all {
		st.mu.Lock()
		defer st.mu.Unlock()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(all) != l.stripeCount() || !l.emptyLocked() {
		return false
	}
	for _, st := range all {
		if !st.slots[0].tally.empty() || !st.slots[1].tally.empty() {
			return false
		}
	}
	for _, st := range all {
		st.gone = true
	}
	l.gone = true
	return true
}

func (l *line) emptyLocked() bool {
	for i := range l.tiers {
		if !l.tiers[i].empty() {
			return false
		}
	}
	return l.now.empty()
}

// stripes returns all stripes that there are.
func (l *line) stripes() []*stripe {
	all := []*stripe{&l.first}
	if more := l.more.Load(); more != nil {
		for i := range *more {
			all = append(all, &(*more)[i])
		}
	}
	return all
}

func (l *line) stripeCount() int {
	if more := l.more.Load(); more != nil {
		return 1 + len(*more)
	}
	return 1
}
