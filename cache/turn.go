package cache

import (
	"context"
	"crypto/rand"
	"errors"
	"time"
)

const (
	// settleAfter is how long after this process heard of an invalidation its records are swept where several share the
	// store: the others have heard of it by then, and write none any more.
	settleAfter = 15 * time.Second
	// turnFor is how long a turn lasts. Whoever has one takes it again when half of it is over.
	turnFor = 2 * time.Minute
	// mostBehind is how long ago the journal was read at most where an answer is written to a store that several share:
	// what was invalidated longer ago than that is known. It is far below forgetAfter.
	mostBehind = time.Hour
)

// errBehind is why a batch is not written.
var errBehind = errors.New("cache: the invalidations of other processes have not been read for an hour")

// turn is what the writer knows of the sweeps of a shared store.
type turn struct {
	who   string
	until time.Time // the end of one's own turn
	state Sweeps
	// target is up to which number invalidations are to be forgotten next, 0 for none; again is up to which the store was
	// swept a second time for that, and done when that came to its end.
	target, again uint64
	done          time.Time
}

// sweepInTurn does a piece of what one of several processes does for all: it sweeps each invalidation when all have heard of it, and
// once more before it is forgotten, a day later. Between the two a record that it voids may come late, from a process that
// had not heard of it, and be void; after the second none can be there, nor come (mostBehind). So what was forgotten needs to be
// known by nobody.
func (d *disk) sweepInTurn(ctx context.Context, s Sweeper, now time.Time) (more bool, err error) {
	g, t := d.cache.generations, &d.writer.turn
	known := d.behind.number.Load()
	upTo := g.forgettable(now)
	if _, ok := g.toSweep(known, now.Add(-settleAfter)); !ok && upTo == 0 {
		return false, nil
	}
	if err := d.takeTurn(ctx, s, now); err != nil || !t.state.Mine {
		return false, err
	}
	if inv, ok := g.toSweep(known, now.Add(-settleAfter)); ok {
		more, err := d.delete(ctx, Selection{Match: inv.Match, Before: inv.Number})
		if err != nil || more {
			return true, err
		}
		return true, s.Swept(ctx, min(g.swept(inv), known))
	}
	return d.forgetInTurn(ctx, g.forgettable(now), now)
}

// takeTurn takes the turn, or finds out how far another process is.
func (d *disk) takeTurn(ctx context.Context, s Sweeper, now time.Time) (err error) {
	g, t := d.cache.generations, &d.writer.turn
	if t.state.Mine && now.Before(t.until.Add(-turnFor/2)) {
		return nil
	}
	if t.who == "" {
		t.who = rand.Text()
	}
	until := now.Add(turnFor)
	if t.state, err = s.Turn(ctx, t.who, now, until); err != nil {
		t.state = Sweeps{}
		return err
	}
	t.until = until
	g.sweptElsewhere(t.state.Swept)
	g.forget(t.state.Forgotten)
	return nil
}

// forgetInTurn sweeps a second time, and forgets a minute later: a read that began before may bring what was just deleted.
func (d *disk) forgetInTurn(ctx context.Context, upTo uint64, now time.Time) (more bool, err error) {
	g, t := d.cache.generations, &d.writer.turn
	if t.target == 0 {
		t.target = upTo // it stands still until it is reached, while upTo goes on
	}
	if t.target == 0 {
		return false, nil
	}
	if inv, ok := g.toSweepAgain(t.again, t.target); ok {
		more, err := d.delete(ctx, Selection{Match: inv.Match, Before: inv.Number})
		if err == nil && !more {
			t.again, t.done = inv.Number, now
		}
		return true, err
	}
	t.again = max(t.again, t.target)
	if now.Sub(t.done) < sweepEvery {
		return false, nil
	}
	if err := d.Journal.Forget(ctx, t.target); err != nil {
		return true, err
	}
	g.forget(t.target)
	t.target = 0
	return false, nil
}
