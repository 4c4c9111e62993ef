package breaker

import "time"

// sources is how many sources are told apart at a time; those beyond share a place with
// one of them. That is harmless: a place is only ever left out of the account, and
// then the other fifteen speak.
const sources = 16

// servedFor is for how long a good call of a source says that the target serves it: a
// call may take half a minute, and a source that makes one after the other should not
// count as absent meanwhile.
const servedFor = time.Minute

// What the sources beside the worst one have to show before a breaker opens that
// serves some of them. Two failures in a row by chance: one pair of calls in 10,000 at
// 1 % errors, and that only during the few calls until a source is known to be bad.
// The rates look at every call, so they ask for more: four failures.
const (
	othersInRow = 2
	othersFail  = 4
)

// witness is what is known of one source, or of those that share its place.
type witness struct {
	source uint64
	used   bool // the place was given away
	// served is when a call of it went well last, negative for never.
	served time.Duration
	// row counts its failures since the last success of any source; streak those
	// since the last one of its own.
	row, streak int
	// passed and failed are what the other sources had seen when the streak began.
	passed, failed uint64
}

// witnesses says which sources fail and which are served. It decides whether failures
// speak against the target or against the one source that meets them: a tenant with a
// bad key, or with prompts that the target chokes on.
type witnesses struct {
	of             [sources]witness
	passed, failed uint64 // calls of all sources since the breaker closed
	streak         int    // failures that make a source's streak count
}

func (w *witnesses) clear() {
	*w = witnesses{streak: w.streak}
	for i := range w.of {
		w.of[i].served = -1
	}
}

// record takes one call. inRow says that failures of any source precede it.
func (w *witnesses) record(now time.Duration, at uint8, failed, slow, inRow bool) {
	s := &w.of[at]
	if failed {
		w.failed++
		if s.streak == 0 {
			s.passed, s.failed = w.passed, w.failed
		}
		s.streak++
		s.row++
		return
	}
	w.passed++
	s.streak = 0
	if !slow {
		s.served = now
	}
	if inRow {
		for i := range w.of {
			w.of[i].row = 0
		}
	}
}

// othersServed says that a source other than the one at a place is served well. Sources
// in the set are not asked.
func (w *witnesses) othersServed(now time.Duration, at int, without set) bool {
	for i := range w.of {
		if s := &w.of[i]; i != at && !without.has(i) && s.served >= 0 && now-s.served < servedFor {
			return true
		}
	}
	return false
}

// alone says that the source at a place fails all the time while nearly all calls of
// the others pass: four of five, and two at least.
func (w *witnesses) alone(at int) bool {
	s := &w.of[at]
	if s.streak < w.streak {
		return false
	}
	passed := w.passed - s.passed
	failed := w.failed - s.failed + 1 - uint64(s.streak)
	return passed >= 2 && passed >= 4*failed
}

// place finds the place of a source, or gives it one: where all were given away, that of
// a source of which nothing is known any more, and else it shares one.
func (m *machine) place(at time.Duration, source uint64) uint8 {
	first := uint8(source * 0x9e3779b97f4a7c15 >> 60) // Fibonacci hashing, Knuth, TAOCP 3, 6.4
	if s := &m.seen.of[first]; s.source == source && s.used {
		return first
	}
	return m.search(at, source, first)
}

func (m *machine) search(at time.Duration, source uint64, first uint8) uint8 {
	unused, forgotten := -1, -1
	for i := range uint8(sources) {
		p := (first + i) % sources
		switch s := &m.seen.of[p]; {
		case s.used && s.source == source:
			return p
		case !s.used && unused < 0:
			unused = int(p)
		case s.used && forgotten < 0 && !m.known(at, p):
			forgotten = int(p)
		}
	}
	room := unused
	if room < 0 {
		room = forgotten
	}
	if room < 0 {
		return first
	}
	m.seen.of[room] = witness{source: source, used: true, served: -1}
	return uint8(room)
}

// known says that the source at a place made calls within the window, or was served
// lately.
func (m *machine) known(at time.Duration, p uint8) bool {
	s := &m.seen.of[p]
	return m.window.of[p].total > 0 || s.served >= 0 && at-s.served < servedFor
}

// set is a set of places.
type set uint32

func (s set) has(at int) bool { return s>>at&1 == 1 }
func (s *set) add(at int)     { *s |= 1 << at }

// loners is the set of sources that are known to fail by themselves, while others are
// served: by their streak, or by their share of failures within the window.
func (m *machine) loners(now time.Duration) (bad set) {
	for i := range m.seen.of {
		if (m.seen.alone(i) || m.poor(i)) && m.seen.othersServed(now, i, 0) {
			bad.add(i)
		}
	}
	return bad
}

// poor says that too many of a source's calls within the window failed, and of the
// others' not.
func (m *machine) poor(at int) bool {
	own, rate := m.window.of[at], m.cfg.FailureRate
	if rate < 0 || !exceeds(own.failed, own.total, rate, sigmasOfWindow) {
		return false
	}
	rest := m.window.sum
	rest.subtract(own)
	return rest.total > 0 && !exceeds(rest.failed, rest.total, rate, sigmasOfWindow)
}

// verdict is what failures say once it is known whose they are.
type verdict uint8

const (
	noFault   verdict = iota // nothing against the target
	oneSource                // they are one source's, and no other is there to ask
	several                  // they are several sources'
)

// inRow judges failures in a row: those of sources that are known to fail by themselves
// do not count, and of the rest one source's alone only where no other is served.
func (m *machine) inRow(now time.Duration) verdict {
	need := m.inARow(now)
	if m.consecutive < need {
		return noFault
	}
	bad := m.loners(now)
	n, most, whose := 0, 0, 0
	for i := range m.seen.of {
		row := m.seen.of[i].row
		if bad.has(i) {
			continue
		}
		if n += row; row > most {
			most, whose = row, i
		}
	}
	switch {
	case n < need:
		return noFault
	case n-most >= min(othersInRow, need):
		return several
	case m.seen.othersServed(now, whose, bad):
		return noFault
	case n > most:
		return several
	}
	return oneSource
}

// share is what the rate rules look at: hits out of calls.
type share struct{ hits, total int64 }

// spread judges a rate that is too high over all sources: whether it still is without
// the source that contributes most.
func (m *machine) spread(now time.Duration, of *[sources]share, rate, sigmas float64) verdict {
	bad := m.loners(now)
	var rest share
	worst, most := -1, 0.0
	for i, s := range of {
		if bad.has(i) {
			continue
		}
		rest.hits += s.hits
		rest.total += s.total
		if over := float64(s.hits) - rate*float64(s.total); over > most {
			worst, most = i, over
		}
	}
	if worst < 0 || !exceeds(rest.hits, rest.total, rate, sigmas) {
		return noFault
	}
	rest.hits -= of[worst].hits
	rest.total -= of[worst].total
	others := exceeds(rest.hits, rest.total, rate, sigmas)
	switch {
	case others && rest.hits >= othersFail:
		return several
	case m.seen.othersServed(now, worst, bad):
		return noFault
	case others:
		return several
	}
	return oneSource
}

// failures and slowCalls pick what a rate rule looks at.
func failures(of *[sources]counts) (s [sources]share) {
	for i := range of {
		s[i] = share{of[i].failed, of[i].total}
	}
	return s
}

func slowCalls(of *[sources]counts) (s [sources]share) {
	for i := range of {
		s[i] = share{of[i].slow, of[i].total}
	}
	return s
}
