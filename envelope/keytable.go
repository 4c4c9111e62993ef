package envelope

import (
	"crypto/cipher"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// maxSeals is how often one process uses a data key to seal. With random nonces of 96
// bits a key must not seal more than 2^32 values (NIST SP 800-38D, 8.3); a quarter of
// that leaves room for other processes and for restarts.
const maxSeals = 1 << 30

// dataKey is a data key in memory. Apart from its counters it does not change.
type dataKey struct {
	id      uint64
	owner   Owner
	cipher  cipher.AEAD
	created time.Time
	seals   atomic.Uint64
	used    atomic.Bool // since the clock's hand last came by; set with keyTable.mu held for reading
}

// old reports whether the owner should get a new key for new values.
func (d *dataKey) old(now time.Time, rotateAfter time.Duration) bool {
	return rotateAfter > 0 && now.Sub(d.created) >= rotateAfter || d.seals.Load() >= maxSeals
}

// loadID is what a load is after: the key of an id or, with id zero, the newest key
// of an owner.
type loadID struct {
	owner Owner
	id    uint64
}

// load is a key on its way from the KeyStore, for all who need it.
type load struct {
	done chan struct{} // closed when what is below is set
	key  *dataKey
	err  error
	// left says that the context of the one who loaded ended, which is no failure for
	// those who wait.
	left bool
	// shredded says that the owner was shredded while the load was under way: what it
	// read may be gone. Guarded by keyTable.mu until done is closed.
	shredded bool
}

// again reports, once done is closed, that those who waited have to load anew.
func (l *load) again() bool { return l.left || l.shredded }

var errLoadBroken = errors.New("envelope: the key store panicked")

// keyTable holds the unwrapped keys, a bounded number of them, and the loads in
// progress. Keys are dropped by the clock algorithm: a look-up then only reads.
type keyTable struct {
	max int

	mu     sync.RWMutex // guards all below; not held during I/O or cryptography
	byID   map[uint64]*dataKey
	newest map[Owner]*dataKey
	ring   []*dataKey // the values of byID
	hand   int        // the position in ring that is looked at next
	loads  map[loadID]*load
}

func newKeyTable(maxKeys int) *keyTable {
	return &keyTable{
		max:    maxKeys,
		byID:   map[uint64]*dataKey{},
		newest: map[Owner]*dataKey{},
		loads:  map[loadID]*load{},
	}
}

// get is the key of an id, or with id zero the newest of an owner; nil if it is not
// in memory. The key of an id may be another owner's.
func (t *keyTable) get(what loadID) *dataKey {
	t.mu.RLock()
	defer t.mu.RUnlock()
	key := t.getLocked(what)
	if key != nil && !key.used.Load() { // a load is cheaper than a store that changes nothing
		key.used.Store(true)
	}
	return key
}

func (t *keyTable) getLocked(what loadID) *dataKey {
	if what.id != 0 {
		return t.byID[what.id]
	}
	return t.newest[what.owner]
}

// begin joins the load of what, or starts it: then lead is set, and the caller has to
// call finish. If a key that suits is in memory by now there is no load.
func (t *keyTable) begin(what loadID, suits func(*dataKey) bool) (key *dataKey, l *load, lead bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if key := t.getLocked(what); key != nil && suits(key) {
		return key, nil, false
	}
	if l := t.loads[what]; l != nil {
		return nil, l, false
	}
	what.owner = what.owner.clone()
	l = &load{done: make(chan struct{}), err: errLoadBroken}
	t.loads[what] = l
	return nil, l, true
}

// finish ends a load whose outcome is in l, and puts its key into the table unless
// the owner was shredded while it was under way.
func (t *keyTable) finish(what loadID, l *load) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.loads, what)
	if l.key != nil && !l.shredded {
		l.key = t.addLocked(l.key, what.id == 0)
	}
	close(l.done)
}

// addLocked puts a key into the table and returns it, or the one of the same id that
// is there already.
func (t *keyTable) addLocked(key *dataKey, newest bool) *dataKey {
	if have := t.byID[key.id]; have != nil {
		key = have
	} else {
		t.insertLocked(key)
	}
	if newest {
		t.newest[key.owner] = key
	}
	return key
}

func (t *keyTable) insertLocked(key *dataKey) {
	t.byID[key.id] = key
	if len(t.ring) < t.max {
		t.ring = append(t.ring, key)
		return
	}
	for t.ring[t.hand].used.Swap(false) { // ends, because nobody marks keys while mu is held
		t.hand = (t.hand + 1) % len(t.ring)
	}
	t.forgetLocked(t.ring[t.hand])
	t.ring[t.hand] = key
	t.hand = (t.hand + 1) % len(t.ring)
}

// forgetLocked takes a key out of the maps, not out of the ring.
func (t *keyTable) forgetLocked(key *dataKey) {
	delete(t.byID, key.id)
	if t.newest[key.owner] == key {
		delete(t.newest, key.owner)
	}
}

// shred drops all keys that belong to o, and sees to it that a load in progress,
// which may have read a key before it was gone from the store, does not put it back.
func (t *keyTable) shred(o Owner) { t.drop(o.includes) }

// drop does that with the keys of the owners that which selects. which must be quick and use nothing of the table.
func (t *keyTable) drop(which func(Owner) bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	kept := t.ring[:0]
	for _, key := range t.ring {
		if which(key.owner) {
			t.forgetLocked(key)
		} else {
			kept = append(kept, key)
		}
	}
	clear(t.ring[len(kept):])
	t.ring, t.hand = kept, 0
	for what, l := range t.loads {
		if which(what.owner) {
			l.shredded = true
		}
	}
}

func (t *keyTable) len() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return len(t.ring)
}

// includes reports whether shredding o takes the keys of other.
func (o Owner) includes(other Owner) bool {
	return o.Tenant == other.Tenant && (o.User == "" || o.User == other.User)
}

// clone is o in memory of its own: names are often parts of large request bodies.
func (o Owner) clone() Owner {
	return Owner{Tenant: strings.Clone(o.Tenant), User: strings.Clone(o.User)}
}
