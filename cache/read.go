package cache

import (
	"context"
	"errors"
	"strings"
	"time"
)

// readKey is what look-ups share a read by.
type readKey struct {
	key          Key
	tenant, user string
}

// read is one look-up in the store, and those who wait for it.
type read struct {
	q     Query
	probe bool
	done  chan struct{} // closed when entry and reason are there

	// Guarded by disk.mu.
	waiters int
	late    bool // somebody has waited in vain, and it was counted as a failure

	entry  *Entry
	reason Reason
}

// find looks q up in the store. It waits no longer than Timeout.
func (d *disk) find(ctx context.Context, q Query) Found {
	r := d.join(q)
	if r == nil {
		return Found{Reason: ReasonStoreDown}
	}
	timer, _ := d.timers.Get().(*time.Timer)
	if timer == nil {
		timer = time.NewTimer(d.Timeout)
	} else {
		timer.Reset(d.Timeout)
	}
	defer func() {
		timer.Stop()
		d.timers.Put(timer)
	}()
	select {
	case <-r.done:
	case <-timer.C:
		d.leave(r, true)
		return Found{Reason: ReasonStoreDown}
	case <-ctx.Done():
		d.leave(r, false)
		return Found{Reason: ReasonStoreDown}
	}
	if r.entry == nil {
		return Found{Reason: r.reason}
	}
	f := d.cache.judge(r.entry, &q)
	f.Disk = f.Entry != nil
	return f
}

// join joins the read of q that goes on, or queues one. It returns nil where the
// store is to be left alone, or all readers are busy for long.
func (d *disk) join(q Query) *read {
	key := readKey{q.Key, q.Tenant, q.User}
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.reads[key]
	if r == nil {
		if d.cache.closed.Load() || !d.loaded.Load() {
			return nil
		}
		ok, probe := d.health.allow(time.Now())
		if !ok {
			return nil
		}
		// The read may outlive the request, and the buffer that the strings point into.
		key.tenant, key.user = strings.Clone(q.Tenant), strings.Clone(q.User)
		q.Tenant, q.User, q.Labels = key.tenant, key.user, Labels{}
		r = &read{q: q, probe: probe, done: make(chan struct{})}
		select {
		case d.queue <- r:
		default:
			return nil
		}
		d.reads[key] = r
	}
	r.waiters++
	return r
}

// leave ends the wait of a look-up. One that has waited in vain makes later ones
// start anew.
func (d *disk) leave(r *read, late bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r.waiters--
	if late && !r.late {
		r.late = true
		d.failedLocked(r.probe)
		d.forgetLocked(r)
	}
}

// failedLocked counts a failure of the store. mu must be held.
func (d *disk) failedLocked(probe bool) {
	d.failures.Add(1)
	d.health.record(time.Now(), false, probe)
}

// forgetLocked makes sure that nobody joins r any more. mu must be held.
func (d *disk) forgetLocked(r *read) {
	if key := (readKey{r.q.Key, r.q.Tenant, r.q.User}); d.reads[key] == r {
		delete(d.reads, key)
	}
}

// read is a reader's goroutine.
func (d *disk) read(ctx context.Context) {
	var scratch []byte
	for {
		select {
		case <-ctx.Done():
			return
		case r := <-d.queue:
			d.mu.Lock()
			wanted := r.waiters > 0
			if !wanted {
				d.forgetLocked(r)
			}
			d.mu.Unlock()
			if wanted {
				d.serve(ctx, r, &scratch)
			}
		}
	}
}

// serve carries out a read.
func (d *disk) serve(ctx context.Context, r *read, scratch *[]byte) {
	ctx, cancel := context.WithTimeout(ctx, d.Timeout)
	defer cancel()
	floor := d.cache.generations.lowest()
	rec, err := d.Store.Get(ctx, r.q.Key)
	answered := err == nil || errors.Is(err, ErrNotFound)
	switch {
	case err == nil:
		if r.entry, r.reason, err = d.open(ctx, &r.q, &rec, scratch); r.reason == ReasonStoreDown {
			answered = false
		}
	case answered:
		r.reason = d.cache.seen.why(&r.q.Key, r.q.Digest)
	default:
		r.reason = ReasonStoreDown
	}
	switch {
	case r.reason == ReasonDamaged, r.reason == ReasonUndecryptable:
		d.discard(r.q.Key, r.reason, err)
	case !answered:
		d.fails("look-up", err)
	case r.entry != nil:
		d.adopt(r, floor)
	}
	d.mu.Lock()
	d.forgetLocked(r)
	if answered && !r.late {
		d.health.record(time.Now(), true, r.probe)
	} else if !r.late {
		r.late = true
		d.failedLocked(r.probe)
	}
	d.mu.Unlock()
	close(r.done)
}

// adopt puts an entry that was read into memory, if it is any good. Those who wait
// judge it for themselves.
func (d *disk) adopt(r *read, floor uint64) {
	c, e := d.cache, r.entry
	c.own(e, r.q.Now)
	switch {
	case c.generations.lowest() != floor:
		// Invalidations were forgotten since the read began, and the entry may be void.
		r.entry, r.reason = nil, ReasonStoreDown
	case e.keep <= 0:
		r.entry, r.reason = nil, ReasonExpired
	case c.generations.valid(e):
		c.promote(e)
	}
}
