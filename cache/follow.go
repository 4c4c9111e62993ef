package cache

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/forebay-ai/forebay/envelope"
)

// reloadFor is how long after an invalidation that may be an erasure the keys of its owner are not kept in memory: the
// process that erases shreds them after the invalidation, within seconds.
const reloadFor = time.Minute

// following is how far the journal was read.
type following struct {
	number atomic.Uint64 // all up to it are known
	read   atomic.Int64  // when that was found out, in Unix nanoseconds
	// erased are the owners whose keys may be shredded elsewhere. Of follow alone.
	erased []erasure
}

// erasure is an invalidation that may be one.
type erasure struct {
	match Match
	next  time.Time     // when keys are dropped again
	pause time.Duration // after that; it doubles
}

// follow is the goroutine that learns of the invalidations of other processes.
func (d *disk) follow(ctx context.Context) {
	tick := time.NewTicker(d.Follow)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if !d.loaded.Load() {
			continue // the writer reads all of it first
		}
		if err := d.catchUp(ctx, time.Now()); err != nil {
			d.fails("journal", err)
		}
	}
}

// catchUp reads what is new in the journal, and makes void what it says.
func (d *disk) catchUp(ctx context.Context, now time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, operateFor)
	defer cancel()
	c, after := d.cache, d.behind.number.Load()
	all, last, err := d.Journal.Invalidations(ctx, after)
	if err != nil {
		return err
	}
	if forgotten := missing(after, last, all); forgotten > 0 {
		// This process has not read for a day: nobody knows any more what was invalidated.
		c.generations.raise(forgotten)
		c.purge(Match{}, forgotten)
	}
	if len(all) > 0 {
		c.generations.note(true, last, all...)
		for _, inv := range all {
			c.purge(inv.Match, inv.Number)
			if m := inv.Match; m.Mask == 1<<FieldTenant || m.Mask == 1<<FieldTenant|1<<FieldUser {
				d.behind.erased = append(d.behind.erased, erasure{m, now, time.Second})
			}
		}
		signal(d.poke)
	}
	d.reload(now)
	d.behind.number.Store(max(after, last))
	d.behind.read.Store(now.UnixNano())
	return nil
}

// reload drops the keys from memory that may be shredded, several times within a minute.
func (d *disk) reload(now time.Time) {
	kept := d.behind.erased[:0]
	for _, e := range d.behind.erased {
		if !now.Before(e.next) {
			d.Keys.Reload(func(o envelope.Owner) bool {
				return o.Tenant != "" && d.cache.tag(byte(FieldTenant), o.Tenant) == e.match.Tags[FieldTenant] &&
					(e.match.Mask&(1<<FieldUser) == 0 || o.User != "" && d.cache.tag(byte(FieldUser), o.User) == e.match.Tags[FieldUser])
			})
			e.next, e.pause = now.Add(e.pause), 2*e.pause
		}
		if e.pause <= reloadFor {
			kept = append(kept, e)
		}
	}
	d.behind.erased = kept
}

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
