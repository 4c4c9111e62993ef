package cache

import (
	"context"
	"math"
	"time"
)

const (
	sweepRecords = 500                    // deleted in one transaction at most
	sweepPause   = 100 * time.Millisecond // between two of them
	sweepEvery   = time.Minute            // where there is nothing to delete
)

// upkeep does one bounded piece of what has to be done beside writing, and says when
// the next one is due.
func (d *disk) upkeep(ctx context.Context) time.Duration {
	w := &d.writer
	more, err := d.sweep(ctx)
	switch {
	case err != nil && ctx.Err() == nil:
		d.fails("sweep", err)
		w.backoff = min(max(2*w.backoff, time.Second), sweepEvery)
		return w.backoff
	case more:
		w.backoff = 0
		return sweepPause
	}
	w.backoff = 0
	return sweepEvery
}

// sweep does the most urgent piece: it loads the journal, deletes records that
// cannot be used, those that an invalidation voids, and those whose time has passed,
// and forgets old invalidations. more says that there may be another piece.
func (d *disk) sweep(ctx context.Context) (more bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, operateFor)
	defer cancel()
	g := d.cache.generations
	if !d.loaded.Load() {
		return true, d.load(ctx)
	}
	if err := d.deleteDoomed(ctx); err != nil {
		return true, err
	}
	now := time.Now()
	if s, ok := d.Journal.(Sweeper); ok && d.Follow > 0 {
		return d.sweepInTurn(ctx, s, now)
	}
	if inv, ok := g.toSweep(math.MaxUint64, now); ok {
		more, err := d.delete(ctx, Selection{Match: inv.Match, Before: inv.Number})
		if err == nil && !more {
			g.swept(inv)
		}
		return true, err
	}
	if e, ok := d.Store.(Expirer); !ok || !e.Expires() {
		if more, err := d.deletePassed(ctx, now); err != nil || more {
			return more, err
		}
	}
	upTo := g.forgettable(now)
	if upTo == 0 {
		return false, nil
	}
	if err := d.Journal.Forget(ctx, upTo); err != nil {
		return true, err
	}
	g.forget(upTo)
	return false, nil
}

// load reads the journal.
func (d *disk) load(ctx context.Context) error {
	all, last, err := d.Journal.Invalidations(ctx, 0)
	if err != nil {
		return err
	}
	d.cache.generations.note(true, last, all...)
	if d.Follow > 0 {
		d.cache.generations.raise(missing(0, last, all))
	}
	d.behind.number.Store(last)
	d.behind.read.Store(time.Now().UnixNano())
	d.loaded.Store(true)
	return nil
}

// deletePassed deletes some of the records whose time has passed. It goes by one time
// until the store has been gone through.
func (d *disk) deletePassed(ctx context.Context, now time.Time) (more bool, err error) {
	w := &d.writer
	if w.passed.IsZero() {
		w.passed = now
	}
	if more, err = d.delete(ctx, Selection{Dropped: w.passed}); err == nil && !more {
		w.passed = time.Time{}
	}
	return more, err
}

// deleteDoomed deletes the records that cannot be used.
func (d *disk) deleteDoomed(ctx context.Context) error {
	for {
		k, ok := d.buffer.nextDoomed()
		if !ok {
			return nil
		}
		if _, err := d.delete(ctx, Selection{Match: Match{Mask: 1 << FieldKey, Key: k}}); err != nil {
			return err
		}
	}
}

// delete deletes some records of a selection.
func (d *disk) delete(ctx context.Context, sel Selection) (more bool, err error) {
	n, more, err := d.Store.Delete(ctx, sel, sweepRecords)
	d.swept.Add(int64(n))
	return more, err
}

// deleteAll deletes all records of a selection.
func (d *disk) deleteAll(ctx context.Context, sel Selection) error {
	for {
		if more, err := d.delete(ctx, sel); err != nil || !more {
			return err
		}
	}
}

// do runs a job on the writer's goroutine, between two batches, and returns its
// error, or that of ctx.
func (d *disk) do(ctx context.Context, job func(ctx context.Context) error) error {
	done := make(chan error, 1)
	run := func(writer context.Context) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(writer, cancel)()
		done <- job(ctx)
	}
	select {
	case d.jobs <- run:
	case <-d.wrote:
		return context.Canceled
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
