package cache

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// following is how far the journal was read.
type following struct {
	number atomic.Uint64 // all up to it are known
	read   atomic.Int64  // when that was found out, in Unix nanoseconds

	awake  atomic.Int64  // when the process was last seen not to stand still, in Unix nanoseconds
	pauses atomic.Uint64 // how often it was found to have stood still
	heard  atomic.Uint64 // after how many of them the journal was tried; look-ups wait while it is not all
	until  atomic.Int64  // when they wait no longer, in Unix nanoseconds; 0 while none has waited since

	mu      sync.Mutex         // guards what follows, and changes of awake, pauses and until
	abandon context.CancelFunc // breaks off reading the journal; nil while nobody does
}

// watch is the goroutine that finds out that the process stood still. It waits for nothing but its clock: by the time that others take to
// read the journal nothing could be told.
func (d *disk) watch(ctx context.Context) { d.regularly(ctx, func() { d.notice() }) }

// follow is the goroutine that learns of the invalidations of other processes.
func (d *disk) follow(ctx context.Context) {
	d.regularly(ctx, func() {
		if !d.loaded.Load() {
			return // the writer reads all of it first
		}
		if err := d.catchUp(ctx); err != nil {
			d.fails("journal", err)
		}
		d.Keys.Refresh(ctx)
	})
}

// regularly does something every Follow until ctx ends.
func (d *disk) regularly(ctx context.Context, do func()) {
	tick := time.NewTicker(d.Follow)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			do()
		}
	}
}

// catchUp reads what is new in the journal, and makes void what it says.
func (d *disk) catchUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, operateFor)
	defer cancel()
	return d.catchUpIf(ctx, func() bool { return true })
}

// catchUpIf is catchUp where due says so when it is its turn. It has done nothing, without an error, where the process stood still meanwhile.
func (d *disk) catchUpIf(ctx context.Context, due func() bool) error {
	select {
	case <-d.news:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { d.news <- struct{}{} }()
	if !due() {
		return nil
	}
	within, cancel := context.WithCancel(ctx)
	defer cancel()
	pauses := d.behind.begin(cancel)
	defer d.behind.end()
	began, after := time.Now(), d.behind.number.Load()
	all, last, err := d.Journal.Invalidations(within, after)
	if err != nil {
		switch {
		case ctx.Err() != nil: // whoever waited has gone: the next one tries
		case within.Err() != nil:
			return nil
		default:
			d.behind.heard.Store(pauses)
		}
		return err
	}
	d.learn(after, last, all)
	d.behind.read.Store(began.UnixNano())
	d.behind.heard.Store(pauses)
	return nil
}

// learn makes void what the journal says after a number.
func (d *disk) learn(after, last uint64, all []Invalidation) {
	c := d.cache
	if forgotten := missing(after, last, all); forgotten > 0 {
		// This process has not read for a day: nobody knows any more what was invalidated.
		c.generations.raise(forgotten)
		c.purge(Match{}, forgotten)
	}
	if len(all) > 0 {
		c.generations.note(true, last, all...)
		for _, inv := range all {
			c.purge(inv.Match, inv.Number)
		}
		signal(d.poke)
	}
	d.behind.number.Store(max(after, last))
}

// begin notes that somebody reads the journal, whom abandon breaks off, and returns how often the process had stood still by then.
func (f *following) begin(abandon context.CancelFunc) (pauses uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.abandon = abandon
	return f.pauses.Load()
}

func (f *following) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.abandon = nil
}

// wakeFor bounds how long look-ups wait for the journal after a pause in which the process stood still.
const wakeFor = 500 * time.Millisecond

// wake reads the journal before a look-up where the process stood still for two intervals, as Lambda's do between invocations:
// others may have invalidated what is in memory. It costs nothing otherwise, also where the journal does not answer.
func (d *disk) wake(ctx context.Context, now time.Time) {
	f := &d.behind
	if d.Follow == 0 || !d.loaded.Load() || !d.stoodStill(now) && !f.waits(now) {
		return
	}
	now = d.notice()
	ctx, cancel := context.WithTimeout(ctx, f.left(now))
	defer cancel()
	for f.unheard() && ctx.Err() == nil {
		if err := d.catchUpIf(ctx, f.unheard); err != nil {
			d.fails("journal", err)
			return
		}
	}
}

// notice finds that the process does not stand still now, and if it did before, that the journal has to be read. What is being read
// since before that does not say what happened meanwhile, and may wait for a connection that is long gone: it is broken off.
func (d *disk) notice() (now time.Time) {
	now, abandon := d.behind.notice(2 * d.Follow)
	if abandon != nil {
		abandon()
	}
	return now
}

func (f *following) notice(still time.Duration) (now time.Time, abandon context.CancelFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now = time.Now()
	if now.UnixNano()-f.awake.Load() > int64(still) {
		f.until.Store(0)
		f.pauses.Add(1) // before awake: whoever sees that sees this too
		abandon = f.abandon
	}
	f.awake.Store(now.UnixNano())
	return now, abandon
}

// waits says that a look-up has to wait for the journal.
func (f *following) waits(now time.Time) bool {
	if !f.unheard() {
		return false
	}
	until := f.until.Load()
	return until == 0 || now.UnixNano() < until
}

// left is how long a look-up may wait: those after one pause wait half a second, counted from the first of them.
func (f *following) left(now time.Time) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.until.Load() == 0 {
		f.until.Store(now.Add(wakeFor).UnixNano())
	}
	left := time.Duration(f.until.Load() - now.UnixNano())
	if left > wakeFor { // the clock was set back
		return 0
	}
	return left
}

// stoodStill says that the process has not been seen for so long that it must have stood still.
func (d *disk) stoodStill(now time.Time) bool {
	return now.UnixNano()-d.behind.awake.Load() > 2*int64(d.Follow)
}

// unheard says that the journal was not tried since the process last stood still.
func (f *following) unheard() bool { return f.pauses.Load() != f.heard.Load() }

// sinceRead is how long ago the journal was read; zero where nobody else writes to it.
func (d *disk) sinceRead(now time.Time) time.Duration {
	if d.Follow == 0 || !d.loaded.Load() {
		return 0
	}
	return max(now.Sub(time.Unix(0, d.behind.read.Load())), 0)
}

// missing is the greatest number above after, and up to last, that is not among all; 0 where there is none. Numbers have no gaps
// but where they were forgotten.
func missing(after, last uint64, all []Invalidation) uint64 {
	n := last
	for i := len(all) - 1; i >= 0 && n > after && all[i].Number == n; i-- {
		n--
	}
	if n <= after {
		return 0
	}
	return n
}
