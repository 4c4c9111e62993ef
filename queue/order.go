package queue

import (
	"container/list"
	"time"

	"github.com/forebay-ai/forebay/llm"
)

// critical is the index of the highest band; the lower bands come before it.
const critical = len(llm.Priorities) - 1

// slack forgives the rounding of sums of shares.
const slack = 1e-9

// item is one waiting request.
type item struct {
	band     int // llm.Priority.Index
	tenant   string
	durable  bool
	at       time.Time     // of arrival
	deadline time.Time     // of the call; zero means none
	expires  time.Time     // from when it waits no longer; zero means never
	target   time.Duration // a longer wait is too long in the long run; 0 means none
	bytes    int64

	seq   int64 // order of arrival
	due   int   // of a durable one: its turn's count of gone from which it goes, newest first
	turn  *turn // nil unless waiting
	links [chains]links

	// verdict ends the wait: nil for a slot, or why there is none. It has room for
	// one. It belongs to Line; the order never looks at it.
	verdict chan error
}

// band holds the waiting requests of one priority.
type band struct {
	offset  time.Duration
	all     chain     // everybody
	sync    chain     // without the durable ones
	ring    list.List // of *turn, the next one to be served first
	tenants map[string]*turn
	bytes   int64 // of the synchronous ones
	// credit is what the band has earned towards a slot by its floor while it waited.
	credit float64
	// newestFirst serves the newest synchronous requests of slow tenants first. See delay.
	newestFirst bool
	// patient lines turn nobody away for a shorter wait while all are answered.
	patient bool
	delay   delay
}

// backwards says that the newest of a tenant goes first.
func (b *band) backwards(t *turn) bool { return b.newestFirst && t.slow }

func (b *band) score() time.Time { return b.all.first.at.Add(b.offset) }

// order says who is next. It is a deterministic data structure that knows neither
// clock nor slots, so that a simulation can drive it. Not safe for concurrent use.
type order struct {
	bands          [len(llm.Priorities)]band
	waiting        int   // all of them
	durable        int   // of these
	bytes          int64 // of the others
	pushed         int64
	reserve, floor float64
	// sure is how many places each band keeps when others want them: its share of
	// the slots, as a share of the places.
	sure [len(llm.Priorities)]int
	// spare is what the other bands have earned towards a slot while critical
	// requests wait.
	spare float64
}

// newOrder makes an empty order. cfg has its defaults filled in.
func newOrder(cfg Config) order {
	o := order{reserve: cfg.CriticalReserve, floor: cfg.Floor}
	offsets := [...]time.Duration{cfg.Offsets.Low, cfg.Offsets.Normal, cfg.Offsets.High, 0}
	for i := range o.bands {
		b := &o.bands[i]
		b.offset = offsets[i]
		b.all.of, b.sync.of = inBand, inClass
		b.tenants = make(map[string]*turn)
		b.patient = cfg.Target == 0
		o.sure[i] = int(float64(cfg.Max) * cfg.Floor)
	}
	o.sure[critical] = int(float64(cfg.Max) * cfg.CriticalReserve)
	return o
}

// push puts an item behind those of its band and tenant. Items come in order of arrival.
func (o *order) push(it *item) {
	b := &o.bands[it.band]
	t := b.tenants[it.tenant]
	if t == nil {
		t = newTurn(it.tenant)
		t.ring = b.ring.PushBack(t)
		b.tenants[it.tenant] = t
	}
	o.pushed++
	it.seq = o.pushed
	t.push(it)
	b.all.push(it)
	o.waiting++
	if it.durable {
		o.durable++
		return
	}
	b.sync.push(it)
	b.bytes += it.bytes
	o.bytes += it.bytes
}

// remove takes a waiting item out, served or not.
func (o *order) remove(it *item) {
	b, t := &o.bands[it.band], it.turn
	t.remove(it)
	b.all.remove(it)
	o.waiting--
	if it.durable {
		o.durable--
	} else {
		b.sync.remove(it)
		b.bytes -= it.bytes
		o.bytes -= it.bytes
	}
	if t.len() == 0 {
		b.ring.Remove(t.ring)
		delete(b.tenants, it.tenant)
	}
	if b.all.n == 0 { // nobody saves up while away
		b.credit = 0
		if it.band == critical {
			o.spare = 0
		}
	}
}

// retract undoes the push of an item that may not wait: no durable one of its tenant
// comes nearer to its turn by that.
func (o *order) retract(it *item) {
	it.turn.gone--
	o.remove(it)
}

// choose gives the next item without changing anything: of all bands, or of the
// critical one alone. Nil means that nobody waits.
func (o *order) choose(onlyCritical bool) *item {
	i := o.chooseBand()
	if onlyCritical {
		i = critical
	}
	if i < 0 || o.bands[i].all.n == 0 {
		return nil
	}
	b := &o.bands[i]
	t := b.ring.Front().Value.(*turn)
	return t.next(b.backwards(t))
}

// chooseBand gives the band that is next, or -1: a band whose floor is due, else
// the one with the smallest score, unless that would eat into critical's reserve.
func (o *order) chooseBand() int {
	due, first := -1, -1
	for i := range o.bands {
		b := &o.bands[i]
		if b.all.n == 0 {
			continue
		}
		if i != critical && b.credit+o.floor >= 1-slack && (due < 0 || b.credit > o.bands[due].credit) {
			due = i
		}
		if first < 0 || mutantStrictPriority || !o.bands[first].score().Before(b.score()) { // the higher band where equal
			first = i
		}
	}
	switch {
	case mutantStrictPriority:
		return first
	case due >= 0:
		return due
	case first >= 0 && o.bands[critical].all.n > 0 && o.spare < o.reserve-slack:
		return critical
	}
	return first
}

// take removes an item because it got a slot: its tenant goes to the end of the
// ring, and the other bands that wait earn credit.
func (o *order) take(it *item) {
	for i := range critical {
		b := &o.bands[i]
		switch {
		case i == it.band:
			b.credit = max(b.credit+o.floor-1, 0)
		case b.all.n > 0:
			b.credit += o.floor
		}
	}
	if o.bands[critical].all.n > 0 {
		o.spare += 1 - o.reserve
		if it.band != critical {
			o.spare--
		}
		o.spare = min(max(o.spare, -1), 1)
	}
	o.bands[it.band].ring.MoveToBack(it.turn.ring)
	o.remove(it)
}
