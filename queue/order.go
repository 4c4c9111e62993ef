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
	at       time.Time // of arrival
	deadline time.Time // of the call; zero means none
	expires  time.Time // from when it waits no longer: deadline, or MaxAge after at
	bytes    int64

	turn  *turn         // nil unless waiting
	byAge *list.Element // in band.byAge
	place *list.Element // in turn.items

	// verdict ends the wait: nil for a slot, or why there is none. It has room for
	// one. It belongs to Line; the order never looks at it.
	verdict chan error
}

// turn is the line of one tenant in one band, and that tenant's place in the ring.
type turn struct {
	tenant string
	items  list.List // of *item, in order of arrival
	ring   *list.Element
}

// band holds the waiting requests of one priority.
type band struct {
	offset  time.Duration
	byAge   list.List // of *item, oldest first
	ring    list.List // of *turn, the next one to be served first
	tenants map[string]*turn
	bytes   int64
	// credit is what the band has earned towards a slot by its floor while it waited.
	credit float64
}

func (b *band) oldest() *item { return b.byAge.Front().Value.(*item) }

func (b *band) score() time.Time { return b.oldest().at.Add(b.offset) }

// order says who is next. It is a deterministic data structure that knows neither
// clock nor slots, so that a simulation can drive it. Not safe for concurrent use.
type order struct {
	bands          [len(llm.Priorities)]band
	waiting        int
	bytes          int64
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
		o.bands[i].offset = offsets[i]
		o.bands[i].tenants = make(map[string]*turn)
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
		t = &turn{tenant: it.tenant}
		t.ring = b.ring.PushBack(t)
		b.tenants[it.tenant] = t
	}
	it.turn, it.place, it.byAge = t, t.items.PushBack(it), b.byAge.PushBack(it)
	b.bytes += it.bytes
	o.bytes += it.bytes
	o.waiting++
}

// remove takes a waiting item out, served or not.
func (o *order) remove(it *item) {
	b, t := &o.bands[it.band], it.turn
	t.items.Remove(it.place)
	b.byAge.Remove(it.byAge)
	if t.items.Len() == 0 {
		b.ring.Remove(t.ring)
		delete(b.tenants, it.tenant)
	}
	if b.byAge.Len() == 0 { // nobody saves up while away
		b.credit = 0
		if it.band == critical {
			o.spare = 0
		}
	}
	it.turn, it.place, it.byAge = nil, nil, nil
	b.bytes -= it.bytes
	o.bytes -= it.bytes
	o.waiting--
}

// choose gives the next item without changing anything: of all bands, or of the
// critical one alone. Nil means that nobody waits.
func (o *order) choose(onlyCritical bool) *item {
	b := o.chooseBand()
	if onlyCritical {
		b = critical
	}
	if b < 0 || o.bands[b].byAge.Len() == 0 {
		return nil
	}
	return o.bands[b].ring.Front().Value.(*turn).items.Front().Value.(*item)
}

// chooseBand gives the band that is next, or -1: a band whose floor is due, else
// the one with the smallest score, unless that would eat into critical's reserve.
func (o *order) chooseBand() int {
	due, first := -1, -1
	for i := range o.bands {
		b := &o.bands[i]
		if b.byAge.Len() == 0 {
			continue
		}
		if i != critical && b.credit+o.floor >= 1-slack && (due < 0 || b.credit > o.bands[due].credit) {
			due = i
		}
		if first < 0 || !o.bands[first].score().Before(b.score()) { // the higher band where equal
			first = i
		}
	}
	switch {
	case due >= 0:
		return due
	case first >= 0 && o.bands[critical].byAge.Len() > 0 && o.spare < o.reserve-slack:
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
		case b.byAge.Len() > 0:
			b.credit += o.floor
		}
	}
	if o.bands[critical].byAge.Len() > 0 {
		o.spare += 1 - o.reserve
		if it.band != critical {
			o.spare--
		}
		o.spare = min(max(o.spare, -1), 1)
	}
	b, t := &o.bands[it.band], it.turn
	b.ring.MoveToBack(t.ring)
	o.remove(it)
}

// ahead estimates how many requests get a slot before the k-th (from 1) of some
// tenant in a band that arrives, or has arrived, at a given time. Those who will
// come later are not known. With counted the request is in the order already.
func (o *order) ahead(bandIndex, k int, at time.Time, counted bool) int {
	b := &o.bands[bandIndex]
	own := 0 // before it in its band: as many of each tenant as it is in its own line
	for e := b.ring.Front(); e != nil; e = e.Next() {
		own += min(e.Value.(*turn).items.Len(), k)
	}
	if counted {
		own--
	}
	// When its turn comes, one of the own+1 oldest of its band waits still: others
	// with a younger claim than that come after it.
	if e := nth(&b.byAge, own); e != nil && e.Value.(*item).at.Before(at) {
		at = e.Value.(*item).at
	}
	others, score := 0, at.Add(b.offset)
	for i := range o.bands {
		if i != bandIndex {
			others += o.bands[i].countUntil(score)
		}
	}
	// What the others get before it is bounded by its band's share of the slots.
	share := o.floor
	if bandIndex == critical {
		share = o.reserve
	}
	if share > 0 {
		others = min(others, int(float64(own+1)*(1-share)/share))
	}
	return own + others
}

// nth gives the n-th element from 0, or nil.
func nth(l *list.List, n int) *list.Element {
	if n >= l.Len() {
		return nil
	}
	e := l.Front()
	for range n {
		e = e.Next()
	}
	return e
}

// countUntil is how many of the band have a score up to the given one.
func (b *band) countUntil(score time.Time) int {
	if b.byAge.Len() == 0 || !b.byAge.Back().Value.(*item).at.Add(b.offset).After(score) {
		return b.byAge.Len()
	}
	n := 0
	for e := b.byAge.Front(); e != nil && !e.Value.(*item).at.Add(b.offset).After(score); e = e.Next() {
		n++
	}
	return n
}

// victim gives who has to leave for it, which waits already, when there are too
// many: the newest request of the tenant with the most, in the lowest band below
// its own that has more than its sure places; if its own band has not, in the
// lowest band above that has more; else in its own band, if that tenant has more
// waiting than its own has. Nil means that nobody has to.
func (o *order) victim(it *item) *item {
	for i := range o.bands {
		claim := i < it.band || i > it.band && !o.aboveSure(it.band)
		if claim && o.aboveSure(i) {
			return o.bands[i].greediest().newest()
		}
	}
	if t := o.bands[it.band].greediest(); t.items.Len() > it.turn.items.Len() {
		return t.newest()
	}
	return nil
}

// lowest gives the newest request of the tenant with the most in the lowest band
// below the given one that has any, or nil.
func (o *order) lowest(below int) *item {
	for i := range below {
		if o.bands[i].byAge.Len() > 0 {
			return o.bands[i].greediest().newest()
		}
	}
	return nil
}

// aboveSure says that a band has more waiting than the places it is sure of.
func (o *order) aboveSure(bandIndex int) bool {
	return o.bands[bandIndex].byAge.Len() > o.sure[bandIndex]
}

// bytesBelow sums up what waits in lower bands.
func (o *order) bytesBelow(bandIndex int) int64 {
	var n int64
	for i := range bandIndex {
		n += o.bands[i].bytes
	}
	return n
}

func (t *turn) newest() *item { return t.items.Back().Value.(*item) }

// greediest is the tenant with the most waiting, where equal the one whose newest
// came last, or nil.
func (b *band) greediest() *turn {
	var most *turn
	for e := b.ring.Front(); e != nil; e = e.Next() {
		t := e.Value.(*turn)
		if most == nil || t.items.Len() > most.items.Len() ||
			t.items.Len() == most.items.Len() && t.newest().at.After(most.newest().at) {
			most = t
		}
	}
	return most
}
