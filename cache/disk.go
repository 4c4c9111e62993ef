package cache

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/forebay-ai/forebay/envelope"
	"github.com/forebay-ai/forebay/llm"
)

const (
	startWait   = time.Second            // how long New waits for the journal
	operateFor  = 5 * time.Second        // bounds one operation of the store but look-ups
	lingerFor   = time.Second            // how long Close waits for a store that does not stop
	flushAfter  = 50 * time.Millisecond  // how long an entry waits for others to fill its batch
	writeTries  = 4                      // how often a batch is tried
	firstPause  = 100 * time.Millisecond // between tries; each is twice the one before
	queuedReads = 64                     // look-ups that wait for a reader, for each reader
	keptScratch = 4 << 20                // buffers above this size are not kept
	alarmEvery  = time.Second
)

// disk is the persistent tier: readers that look entries up, and one writer that does
// everything else, so that a batch is never written while what it holds is swept.
type disk struct {
	*Persistent
	cache  *Cache
	buffer *buffer
	loaded atomic.Bool // the journal is in the table of invalidations

	queue chan *read
	poke  chan struct{}                  // capacity 1: there is something to sweep
	jobs  chan func(ctx context.Context) // for the writer
	stop  chan struct{}                  // closed by close: the writer writes what waits and ends
	wrote chan struct{}                  // closed when the writer has ended
	ended chan struct{}                  // closed when all goroutines have ended
	begun chan struct{}                  // closed when the journal was tried for the first time
	news  chan struct{}                  // has the token while nobody reads what is new in the journal

	cancel context.CancelFunc
	timers sync.Pool // of *time.Timer

	mu     sync.Mutex // guards what follows, and the reads
	forget []func()   // has others not be told any more of keys that were shredded
	reads  map[readKey]*read
	health health

	writer writing // of the writer alone
	behind following

	written, dropped, void, failures, damaged, undecryptable, swept atomic.Int64
	damageAlarm, storeAlarm                                         alarm
}

// alarm lets a log line through every so often.
type alarm struct{ last atomic.Int64 }

func (a *alarm) due(now time.Time) bool {
	last := a.last.Load()
	return now.UnixNano()-last >= int64(alarmEvery) && a.last.CompareAndSwap(last, now.UnixNano())
}

func newDisk(c *Cache, p *Persistent) *disk {
	return &disk{
		Persistent: p, cache: c, buffer: newBuffer(p.Buffer),
		queue: make(chan *read, queuedReads*p.Readers), poke: make(chan struct{}, 1),
		jobs: make(chan func(context.Context)), stop: make(chan struct{}),
		wrote: make(chan struct{}), ended: make(chan struct{}), begun: make(chan struct{}), news: make(chan struct{}, 1),
		reads: make(map[readKey]*read),
	}
}

// start starts the readers and the writer, and waits a little for the journal.
func (d *disk) start() {
	d.news <- struct{}{}
	ctx, cancel := context.WithCancel(context.Background())
	d.cancel = cancel
	var running sync.WaitGroup
	for range d.Readers {
		running.Go(func() { d.read(ctx) })
	}
	running.Go(func() {
		defer close(d.wrote)
		d.write(ctx)
	})
	if d.Follow > 0 {
		d.behind.awake.Store(time.Now().UnixNano())
		running.Go(func() { d.watch(ctx) })
		running.Go(func() { d.follow(ctx) })
	}
	go func() {
		running.Wait()
		close(d.ended)
	}()
	timer := time.NewTimer(startWait)
	defer timer.Stop()
	select {
	case <-d.begun:
	case <-timer.C:
	}
}

// close lets the writer write what waits until ctx ends, and ends all goroutines.
func (d *disk) close(ctx context.Context) error {
	before := d.dropped.Load()
	d.mu.Lock()
	forget := d.forget
	d.forget = nil
	d.mu.Unlock()
	for _, f := range forget {
		f()
	}
	close(d.stop)
	await(ctx, d.wrote)
	lost, _ := d.buffer.size()
	d.cancel()
	linger, cancel := context.WithTimeout(context.WithoutCancel(ctx), lingerFor)
	defer cancel()
	if !await(linger, d.ended) {
		d.cache.config.Logger.Error("cache: the store does not end what it does")
	}
	if lost += int(d.dropped.Load() - before); lost == 0 {
		return nil
	}
	return &llm.Error{
		Kind: llm.ForebayUnavailable, Message: "cached answers were not written to the store before the end",
		Limit: "entries", Value: fmt.Sprint(lost),
	}
}

// await waits until done is closed, or ctx ends.
func await(ctx context.Context, done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	case <-ctx.Done():
		return false
	}
}

// add hands an entry to the writer.
func (d *disk) add(e *Entry) {
	if !d.buffer.add(e) {
		d.dropped.Add(1)
	}
}

// doom has the record of k deleted in a while.
func (d *disk) doom(k Key) {
	if d.buffer.doom(k) {
		signal(d.poke)
	}
}

// fails notes that the store failed at something that nobody is told of. What is
// broken off by close, close tells of.
func (d *disk) fails(doing string, err error) {
	if !d.cache.closed.Load() && d.storeAlarm.due(time.Now()) {
		d.cache.config.Logger.Warn("cache: the store fails", slog.String("doing", doing), slog.Any("error", err))
	}
}

// open makes the entry of a record, as q asks for it. The reason says what is wrong
// with the record; ReasonStoreDown where that is not known.
func (d *disk) open(ctx context.Context, q *Query, rec *Record, scratch *[]byte) (*Entry, Reason, error) {
	aad := appendAAD(nil, &q.Key, [2]string{q.Tenant, q.User}, rec.Expires, rec.Since)
	plain, err := d.Keys.Open(ctx, (*scratch)[:0], envelope.Owner{Tenant: q.Tenant, User: q.User}, aad, rec.Sealed)
	switch {
	case errors.Is(err, envelope.ErrNoKey):
		return nil, ReasonUndecryptable, err
	case errors.Is(err, envelope.ErrDamaged), errors.Is(err, envelope.ErrTooLarge):
		return nil, ReasonDamaged, err
	case err != nil:
		return nil, ReasonStoreDown, err
	}
	if cap(plain) <= keptScratch {
		*scratch = plain
	}
	e, err := decodeEntry(plain)
	switch {
	case err != nil:
		return nil, ReasonDamaged, err
	case rec.Key != q.Key, e.Key != q.Key, e.Tenant != q.Tenant, e.User != q.User,
		!e.Expires.Equal(rec.Expires), e.Since != rec.Since:
		return nil, ReasonDamaged, errEncoding
	}
	return e, ReasonNone, nil
}

// discard counts a record that cannot be used, has it deleted and raises an alarm.
func (d *disk) discard(k Key, why Reason, err error) {
	if why == ReasonDamaged {
		d.damaged.Add(1)
	} else {
		d.undecryptable.Add(1)
	}
	d.doom(k)
	if d.damageAlarm.due(time.Now()) {
		d.cache.config.Logger.Error("cache: a stored entry cannot be used",
			slog.String("key", k.String()), slog.String("reason", string(why)), slog.Any("error", err))
	}
}

func (d *disk) stats() DiskStats {
	s := DiskStats{
		State: StoreUp, Written: d.written.Load(), Dropped: d.dropped.Load(), Void: d.void.Load(), Failures: d.failures.Load(),
		Damaged: d.damaged.Load(), Undecryptable: d.undecryptable.Load(), Swept: d.swept.Load(), Envelope: d.Keys.Stats(),
	}
	s.Waiting, s.WaitingBytes = d.buffer.size()
	s.Behind = d.sinceRead(time.Now())
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.health.wait > 0 || !d.loaded.Load() {
		s.State = StoreDown
	}
	return s
}
