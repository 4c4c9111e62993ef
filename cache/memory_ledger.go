package cache

import (
	"strings"
	"sync"
	"sync/atomic"
)

// ledger says what each tenant holds of the memory, and which entries the shelter
// keeps. An equal share of the reserve is every tenant's floor: what it holds within
// its floor never goes to make room for others. A tenant counts as long as it has
// entries. Those of nobody in particular, with an empty tenant, have a floor too.
//
// The rules, for an entry that has to leave the pool:
//
//   - Its tenant holds no more than its floor, this entry included: it is sheltered.
//   - Its tenant has more than the floor in the pool alone: the entry goes, and one in
//     the shelter that nobody has asked for lately goes too. What is left of a time
//     with fewer entries or other tenants gives its place back.
//   - In between it takes the place of as much in the shelter that has been there
//     longest and that nobody has asked for lately; otherwise it goes.
//
// A tenant that is never above its floor therefore loses nothing but what expires, and
// one that is above keeps at least its floor less one entry. When tenants come, floors
// fall; what the shelter has above them then goes a few entries at a time, with each
// entry that leaves the pool. All work is bounded, whatever the number of tenants.
type ledger struct {
	reserve int64 // what all floors together are
	spare   int64 // what holdings may take without being counted

	// needed is what the pool cannot have: the sheltered weight, and the memory for
	// holdings beyond spare. Both are written under mu.
	sheltered, needed atomic.Int64

	mu      sync.Mutex // guards what follows, all holdings and stages; nothing is called under it
	tenants map[string]*holding
	peak    int        // most tenants since the map was made
	hosts   []*holding // those with guests, in no order
	hand    int        // the place in hosts where trimming goes on
}

// holding is what one tenant has.
type holding struct {
	tenant         string
	pooled, guests int64  // weight in the pool and in the shelter
	entries        int    // in both
	oldest, newest *guest // the queue of lodged guests
	place          int    // index in ledger.hosts; counts while guests > 0
}

const (
	// holdingBytes is what a holding costs: 64 bytes, its slot in the map at the load
	// that maps have on average (38), its place in hosts (12), and 30 for the name.
	holdingBytes = 144

	// What one entry that leaves the pool can cause: so many guests of its tenant looked
	// at, and so many of them spared. Sparing many at once would let a tenant's own scan
	// wear down what it uses.
	maxLooks  = 32
	maxSpared = 2
	// And beside that so many steps of trimming: one guest or one tenant each.
	trimming = 8
)

// enter books an entry of a tenant into the pool.
func (l *ledger) enter(tenant string, weight int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.tenants[tenant]
	if h == nil {
		// A copy: the tenant's name may be part of a large string.
		h = &holding{tenant: strings.Clone(tenant)}
		l.tenants[h.tenant] = h
		l.peak = max(l.peak, len(l.tenants))
		l.updateLocked()
	}
	h.entries++
	h.pooled += weight
}

// leave books an entry out of the pool that is gone for good.
func (l *ledger) leave(tenant string, weight int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leaveLocked(l.tenants[tenant], weight)
}

func (l *ledger) leaveLocked(h *holding, weight int64) {
	h.pooled -= weight
	l.dropLocked(h)
}

// dropLocked counts one entry less, and forgets a tenant without entries.
func (l *ledger) dropLocked(h *holding) {
	if h.entries--; h.entries > 0 {
		return
	}
	delete(l.tenants, h.tenant)
	// Maps do not shrink: after a time with many more tenants a new one takes over.
	if l.peak > 1024 && len(l.tenants) < l.peak/4 {
		tenants := make(map[string]*holding, len(l.tenants))
		for name, h := range l.tenants {
			tenants[name] = h
		}
		l.tenants, l.peak = tenants, len(tenants)
	}
	l.updateLocked()
}

// floorOf is the floor of each of so many tenants. What the holdings cost comes out of it.
func (l *ledger) floorOf(tenants int) int64 {
	return max(0, l.reserve/int64(max(1, tenants))-holdingBytes)
}

// evicted books an entry out of the pool that has to go, and says whether it can move
// to the shelter as g, which is nil where it is of no use any more. If so g is in the
// books, and lodge must follow. The guests of the chain out are struck off.
func (l *ledger) evicted(tenant string, weight int64, g *guest) (admitted bool, out *guest) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h, floor := l.tenants[tenant], l.floorOf(len(l.tenants))
	rest := h.pooled - weight
	switch {
	case g == nil:
	case h.pooled+h.guests <= floor:
		admitted = true
	case rest >= floor:
		l.giveBackLocked(h, &out)
	case weight <= floor:
		admitted = l.exchangeLocked(h, max(weight, h.guests+weight-floor), &out)
	}
	if admitted {
		h.pooled = rest
		g.owner = h
		l.addLocked(h, weight)
	} else {
		l.leaveLocked(h, weight)
	}
	l.trimLocked(floor, &out)
	return admitted, out
}

// lodge puts an admitted guest, which the store has by now, at the end of its owner's
// queue, unless it has left again.
func (l *ledger) lodge(g *guest) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if g.stage == arriving {
		g.stage = lodged
		g.owner.push(g)
	}
}

// strike takes a guest that has left the store out of the books, and reports whether
// it was still in them.
func (l *ledger) strike(g *guest) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if g.stage == gone {
		return false
	}
	l.strikeLocked(g)
	return true
}

func (l *ledger) strikeLocked(g *guest) {
	if g.stage == lodged {
		g.owner.unlink(g)
	}
	g.stage = gone
	l.addLocked(g.owner, -g.weight)
	l.dropLocked(g.owner)
}

// letGoLocked strikes g off and puts it on the chain.
func (l *ledger) letGoLocked(g *guest, out **guest) {
	l.strikeLocked(g)
	g.next, *out = *out, g
}

// giveBackLocked lets go of the oldest guest, or spares it if it was asked for.
func (l *ledger) giveBackLocked(h *holding, out **guest) {
	if g := h.oldest; g != nil && !h.spared(g) {
		l.letGoLocked(g, out)
	}
}

// exchangeLocked lets go of as many of the oldest guests as weigh what is wanted, if
// nobody has asked for them; otherwise of none.
func (l *ledger) exchangeLocked(h *holding, wanted int64, out **guest) bool {
	for n := 0; n < maxSpared && h.oldest != nil && h.spared(h.oldest); {
		n++
	}
	var weight int64
	last := h.oldest
	for looks := maxLooks; last != nil && looks > 0 && !last.touched.Load(); looks-- {
		if weight += last.weight; weight >= wanted {
			break
		}
		last = last.next
	}
	if weight < wanted {
		return false
	}
	for {
		g := h.oldest
		l.letGoLocked(g, out)
		if g == last {
			return true
		}
	}
}

// trimLocked goes round the tenants with guests, from one to the next where they are
// within the floor, and otherwise from guest to guest.
func (l *ledger) trimLocked(floor int64, out **guest) {
	for n := 0; n < trimming && len(l.hosts) > 0; n++ {
		if l.hand >= len(l.hosts) {
			l.hand = 0
		}
		// Where the oldest one is nil, all guests are still arriving.
		if h := l.hosts[l.hand]; h.guests > floor && h.oldest != nil {
			l.giveBackLocked(h, out)
		} else {
			l.hand++
		}
	}
}

// addLocked changes the weight of a tenant's guests.
func (l *ledger) addLocked(h *holding, weight int64) {
	before := h.guests
	h.guests += weight
	switch {
	case before == 0:
		h.place = len(l.hosts)
		l.hosts = append(l.hosts, h)
	case h.guests == 0:
		end := len(l.hosts) - 1
		l.hosts[h.place] = l.hosts[end]
		l.hosts[h.place].place = h.place
		l.hosts[end] = nil
		l.hosts = l.hosts[:end]
	}
	l.sheltered.Add(weight)
	l.updateLocked()
}

// updateLocked works out anew what the pool cannot have.
func (l *ledger) updateLocked() {
	l.needed.Store(l.sheltered.Load() + max(0, int64(len(l.tenants))*holdingBytes-l.spare))
}

// spared reports whether a guest was asked for since it was last spared, and moves it
// to the end of the queue if so.
func (h *holding) spared(g *guest) bool {
	if !g.touched.Load() {
		return false
	}
	g.touched.Store(false)
	h.unlink(g)
	h.push(g)
	return true
}

// push puts g at the end of the queue.
func (h *holding) push(g *guest) {
	g.prev, g.next = h.newest, nil
	if h.newest == nil {
		h.oldest = g
	} else {
		h.newest.next = g
	}
	h.newest = g
}

// unlink takes g out of the queue.
func (h *holding) unlink(g *guest) {
	if g.prev == nil {
		h.oldest = g.next
	} else {
		g.prev.next = g.next
	}
	if g.next == nil {
		h.newest = g.prev
	} else {
		g.next.prev = g.prev
	}
	g.prev, g.next = nil, nil
}
