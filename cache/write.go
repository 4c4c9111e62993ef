package cache

import (
	"context"
	"errors"
	"time"

	"github.com/forebay-ai/forebay/envelope"
)

// writing is what the writer works with.
type writing struct {
	records            []Record
	sealed, plain, aad []byte
	backoff            time.Duration // before the next try to sweep; zero while that works
	// passed is the time by which records are deleted that the sweep goes through the
	// store with; it stands still until the store has been gone through. Zero in between.
	passed time.Time
	turn   turn
}

// write is the writer's goroutine: it writes batches, and between them sweeps.
func (d *disk) write(ctx context.Context) {
	timer := time.NewTimer(d.upkeep(ctx)) // the journal first
	defer timer.Stop()
	close(d.begun)
	for ctx.Err() == nil {
		select {
		case <-d.buffer.wake:
			d.gather(ctx)
			d.flush(ctx)
		case <-d.poke:
			timer.Reset(d.upkeep(ctx))
		case <-timer.C:
			timer.Reset(d.upkeep(ctx))
		case job := <-d.jobs:
			job(ctx)
		case <-d.stop:
			for ctx.Err() == nil && d.flush(ctx) {
				continue
			}
			return
		case <-ctx.Done():
		}
	}
}

// gather waits for a batch to fill up.
func (d *disk) gather(ctx context.Context) {
	timer := time.NewTimer(flushAfter)
	defer timer.Stop()
	select {
	case <-d.buffer.full:
	case <-timer.C:
	case <-d.stop:
	case <-ctx.Done():
	}
}

// flush writes one batch and reports whether there was one. A batch that the store
// does not take after some tries is given up, so that newer ones get their turn.
func (d *disk) flush(ctx context.Context) bool {
	batch := d.buffer.take()
	if len(batch) == 0 {
		return false
	}
	pause := firstPause
	for try := 1; ; try++ {
		err := d.writeBatch(ctx, batch)
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			return false // close counts what waits still
		}
		d.fails("write", err)
		if try == writeTries {
			d.giveUp(batch)
			break
		}
		sleep(ctx, pause)
		pause *= 2
	}
	d.buffer.remove(batch...)
	return true
}

// giveUp counts the entries of a batch that were not written.
func (d *disk) giveUp(batch []*Entry) {
	for _, e := range batch {
		if d.buffer.waits(e) {
			d.dropped.Add(1)
		}
	}
}

// sleep waits for a while, or for the end of ctx.
func sleep(ctx context.Context, pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// writeBatch seals and writes those of a batch that still wait and are still good.
// What is invalidated from here on is in the store when that is swept: the same
// goroutine does both.
func (d *disk) writeBatch(ctx context.Context, batch []*Entry) error {
	if d.sinceRead(time.Now()) > mostBehind {
		return errBehind
	}
	ctx, cancel := context.WithTimeout(ctx, operateFor)
	defer cancel()
	w := &d.writer
	w.records, w.sealed = w.records[:0], w.sealed[:0]
	defer w.shrink()
	for _, e := range batch {
		if !d.buffer.waits(e) {
			continue // replaced or deleted
		}
		if !d.cache.generations.valid(e) {
			d.void.Add(1)
			d.buffer.remove(e)
			continue
		}
		err := d.seal(ctx, e)
		if errors.Is(err, envelope.ErrTooLarge) {
			d.dropped.Add(1)
			d.buffer.remove(e)
			continue
		}
		if err != nil {
			return err
		}
	}
	if len(w.records) == 0 {
		return nil
	}
	if err := d.Store.Write(ctx, w.records); err != nil {
		return err
	}
	d.written.Add(int64(len(w.records)))
	return nil
}

// seal appends the record of e to the batch.
func (d *disk) seal(ctx context.Context, e *Entry) error {
	w := &d.writer
	w.plain = appendEntry(w.plain[:0], e)
	w.aad = appendAAD(w.aad[:0], &e.Key, [2]string{e.Tenant, e.User}, e.Expires, e.Since)
	start := len(w.sealed)
	sealed, err := d.Keys.Seal(ctx, w.sealed, envelope.Owner{Tenant: e.Tenant, User: e.User}, w.aad, w.plain)
	if err != nil {
		return err
	}
	w.sealed = sealed // where it has grown, the records before keep the old array
	w.records = append(w.records, Record{
		Key: e.Key, Sealed: sealed[start:len(sealed):len(sealed)], Expires: e.Expires, Since: e.Since,
		Keep: e.Expires.Add(d.cache.config.StaleFor), Tags: e.tags,
	})
	return nil
}

// shrink lets go of what a batch leaves behind.
func (w *writing) shrink() {
	clear(w.records)
	if cap(w.sealed) > keptScratch {
		w.sealed = nil
	}
	if cap(w.plain) > keptScratch {
		w.plain = nil
	}
}
