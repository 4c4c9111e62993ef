package queue

import (
	"context"
	"time"

	"github.com/forebay-ai/forebay/llm"
)

// join puts it into the line and stays there until it has a slot or an error.
func (l *Line) join(ctx context.Context, it *item, told *llm.Waiting) (time.Duration, error) {
	l.mu.Lock()
	place, err := l.joinLocked(it)
	l.mu.Unlock()
	if err != nil {
		return 0, err
	}
	select {
	case err := <-it.verdict: // got a slot at once
		return 0, err
	default:
	}
	if told != nil {
		told.Begin(place, func() (llm.Place, bool) { return l.ask(it) })
		defer told.End()
	}
	return l.wait(ctx, it)
}

// wait waits for the verdict, the end of ctx or the time from which it is useless.
func (l *Line) wait(ctx context.Context, it *item) (time.Duration, error) {
	var up <-chan time.Time
	if !it.expires.IsZero() {
		timer := time.NewTimer(time.Until(it.expires))
		defer timer.Stop()
		up = timer.C
	}
	var err error
	select {
	case err = <-it.verdict:
	case <-up:
		err = l.expire(it)
	case <-ctx.Done():
		err = l.abandon(ctx, it)
	}
	return time.Since(it.at), err
}

// expire ends a wait whose time is up, unless a verdict was faster.
func (l *Line) expire(it *item) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if it.turn == nil {
		return <-it.verdict // sent under the lock: it is there
	}
	l.tally.expired++
	now := time.Now()
	err := l.deadlinePassedLocked(it, now)
	l.loseLocked(it, now)
	l.removeLocked(it, now)
	return err
}

// abandon ends the wait of a request whose caller is gone. A slot that it was
// given at the same moment goes to the next.
func (l *Line) abandon(ctx context.Context, it *item) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if it.turn != nil {
		l.removeLocked(it, now)
	} else if err := <-it.verdict; err != nil {
		return err
	} else {
		l.started.Add(-1)
		l.finish()
		l.slots.Release()
		l.dispatchLocked(now)
	}
	l.tally.cancelled++
	return callerGone(ctx)
}

// ask says where it stands, and whether it waits. It goes through the line, which
// takes less than 1 µs with 500 waiting (BenchmarkAsk): each may ask every second.
func (l *Line) ask(it *item) (llm.Place, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if it.turn == nil {
		return llm.Place{}, false
	}
	return l.placeLocked(it), true
}

// placeLocked is where it stands as the order would serve those who wait now.
func (l *Line) placeLocked(it *item) llm.Place {
	ahead := l.order.ahead(it.band, l.order.rank(it), it.at, true)
	return llm.Place{Ahead: ahead, Wait: l.holds.read().wait(ahead, l.running.Load())}
}
