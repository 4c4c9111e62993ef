package envelope

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// lookAfter is how long what is known of other processes' shreddings counts, and lookAgain how long where
	// the store did not say.
	lookAfter = 5 * time.Second
	lookAgain = time.Second
	// lookFor bounds a look. That of somebody who needs a key is bounded by waitFor at first, and by twice as much after each that
	// failed: the store may be slow.
	lookFor = 2 * time.Second
	waitFor = 500 * time.Millisecond
	// tendedFor is how long after a Refresh it is left to the next one to look, while the store does not say.
	tendedFor = 10 * time.Second
)

// Sharer is what a KeyStore has beside that several processes use at the same time.
type Sharer interface {
	// Shreddings returns a number that each Shred raises by one or more, whatever it found, when the keys are gone and before it
	// returns. It misses no Shred that returned before it was called.
	Shreddings(ctx context.Context) (uint64, error)
}

// elsewhere is what is known of the keys that other processes shredded. Whoever needs a key looks, where nobody did for a
// while: so it needs no goroutine, and holds after a pause in which the process stood still.
type elsewhere struct {
	store Sharer
	// asked is when it was looked last, due when it is to be looked again, and tended when Refresh was called last, in Unix
	// nanoseconds: by the wall clock, which goes on where a process stands still.
	asked, due, tended atomic.Int64
	failed             atomic.Int32  // how many looks in a row
	turn               chan struct{} // has the token while nobody looks; guards seen
	seen               uint64

	mu    sync.Mutex // guards what follows
	tell  []*func()
	looks uint64 // begun and ended: even while nobody looks
	own   uint64 // how often this process shredded since seen, while nobody looked
}

// newElsewhere looks for the first time, before any key is read. It is nil for a store that is this process's alone.
func newElsewhere(ctx context.Context, keys KeyStore) (*elsewhere, error) {
	store, shared := keys.(Sharer)
	if !shared {
		return nil, nil
	}
	e := &elsewhere{store: store, turn: make(chan struct{}, 1)}
	var err error
	if e.seen, err = store.Shreddings(ctx); err != nil {
		return nil, fmt.Errorf("envelope: which keys were shredded: %w", err)
	}
	e.again(time.Now(), lookAfter)
	e.turn <- struct{}{}
	return e, nil
}

func (e *elsewhere) again(now time.Time, after time.Duration) {
	e.asked.Store(now.UnixNano())
	e.due.Store(now.Add(after).UnixNano())
}

// fresh says that there is no need to look. A clock that was set back says nothing.
func (e *elsewhere) fresh() bool {
	now := time.Now().UnixNano()
	return now < e.due.Load() && now >= e.asked.Load()
}

// look drops the keys from memory if another process shredded any since the look before: they are read
// anew as they are needed. Where the store does not say, those in memory are used until it does. One caller looks, while the
// others go on with what is in memory; they wait for it where nobody has looked for long.
func (k *Keyring) look(ctx context.Context) {
	e := k.elsewhere
	if e == nil || e.fresh() || e.failed.Load() > 0 && since(&e.tended) < tendedFor {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, min(waitFor<<min(e.failed.Load(), 2), lookFor))
	defer cancel()
	select {
	case <-e.turn:
		k.lookNow(ctx)
		return
	default:
	}
	if since(&e.asked) < 2*lookAfter {
		return
	}
	select {
	case <-e.turn:
		k.lookNow(ctx)
	case <-ctx.Done():
	}
}

// lookNow looks until ctx ends, unless somebody else has meanwhile. Whoever calls it has the turn, which it hands on.
func (k *Keyring) lookNow(ctx context.Context) {
	e := k.elsewhere
	defer func() { e.turn <- struct{}{} }()
	if e.fresh() {
		return
	}
	now, own := time.Now(), e.begin()
	n, err := e.store.Shreddings(ctx)
	if err != nil {
		e.end(own)
		k.blind.Add(1)
		e.again(time.Now(), min(lookAgain<<min(e.failed.Add(1)-1, 3), lookAfter))
		return
	}
	tell := e.end(0)
	e.failed.Store(0)
	e.again(now, lookAfter)
	if n == e.seen {
		return
	}
	if n != e.seen+own { // what this process shredded is dropped already
		k.table.drop(func(Owner) bool { return true })
	}
	e.seen = n
	for _, f := range tell {
		(*f)()
	}
}

// since is how long ago something was. It is long ago where the clock was set back.
func since(at *atomic.Int64) time.Duration {
	if d := time.Duration(time.Now().UnixNano() - at.Load()); d >= 0 {
		return d
	}
	return math.MaxInt64
}

// begin begins a look, and takes how often this process shredded before it.
func (e *elsewhere) begin() (own uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	own, e.own = e.own, 0
	e.looks++
	return own
}

// end ends a look, and puts back what it took where it saw nothing. It returns who is to be told.
func (e *elsewhere) end(own uint64) (tell []*func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.own += own
	e.looks++
	return slices.Clone(e.tell)
}

// during runs a shredding of this process. It counts where it succeeds and nobody looks meanwhile: then the look before it has not
// seen it, and the one after it does.
func (e *elsewhere) during(shred func() error) error {
	if e == nil {
		return shred()
	}
	e.mu.Lock()
	looks := e.looks
	e.mu.Unlock()
	err := shred()
	e.mu.Lock()
	defer e.mu.Unlock()
	if err == nil && looks == e.looks && looks%2 == 0 {
		e.own++
	}
	return err
}

// Refresh looks whether another process shredded keys, where several share the store, nobody has looked for 5 s, and nobody does now. It waits
// for the store for 2 s at most. Whoever seals or opens looks by itself, but while the store does not say leaves it to those who called
// Refresh in the last 10 s. It is also for a process that would do neither for long, and should not have in memory what was erased.
func (k *Keyring) Refresh(ctx context.Context) {
	e := k.elsewhere
	if e == nil {
		return
	}
	e.tended.Store(time.Now().UnixNano())
	if e.fresh() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, lookFor)
	defer cancel()
	select {
	case <-e.turn:
		k.lookNow(ctx)
	default:
	}
}

// OnShredded has f called after keys were shredded by any process that shares the store, as soon as this one finds out: for what it has
// in memory of those whose keys they were, whom nobody can name any more. f must be quick, and not use the keyring. A
// store that is this process's alone never calls it. It may be called concurrently. Once forget was called f is not kept any
// longer; a call of f that has begun goes on.
func (k *Keyring) OnShredded(f func()) (forget func()) {
	e := k.elsewhere
	if e == nil {
		return func() {}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.tell = append(e.tell, &f)
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.tell = slices.DeleteFunc(e.tell, func(g *func()) bool { return g == &f })
	}
}
