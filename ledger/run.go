package ledger

import (
	"context"
	"errors"
	"strconv"
	"time"
)

const (
	// postTimeout bounds one write: a store that takes longer has failed.
	postTimeout = 30 * time.Second
	maxBackoff  = 5 * time.Second
	// tidyEvery is how often reservations are looked at that nobody settled.
	tidyEvery = time.Minute
	// keepHeld is how long one is known after its lease: the longest deadline of a call.
	keepHeld = 24 * time.Hour
)

// Run writes what is booked, Flush after it was booked at the latest, and again after a
// pause where the store fails: nothing is lost meanwhile but, beyond Config.MaxAccounts, names. It returns nil
// when ctx ends, without a last write: that is what Close is for.
func (l *Ledger) Run(ctx context.Context) error {
	tidy := time.NewTicker(tidyEvery)
	defer tidy.Stop()
	failures := 0
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tidy.C:
			l.tidy(now)
			l.collect(ctx, now)
			continue
		case <-l.kick:
		}
		wait := l.flush
		if failures > 0 {
			wait = min(max(l.flush, 10*time.Millisecond)<<min(failures, 10), maxBackoff)
		}
		if !sleep(ctx, wait) {
			return nil
		}
		failures = l.write(ctx, failures)
	}
}

// write writes what is pending, and returns how often in a row that failed by now.
func (l *Ledger) write(ctx context.Context, failures int) int {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), postTimeout)
	defer cancel()
	err := l.post(ctx)
	switch {
	case err != nil && failures == 0:
		l.log.Warn("the ledger's store failed; what is booked is kept in memory and written when it works again", "error", err)
	case err == nil && failures > 0:
		l.log.Info("the ledger's store works again; everything is written", "failures", failures)
	}
	if err == nil {
		return 0
	}
	l.booked(false, false) // there is something left to write
	return failures + 1
}

// Close writes what is pending. The error is an *llm.Error of kind ForebayUnavailable
// where that fails; then it is still pending. Bookings after it stay in memory until it is called
// again.
func (l *Ledger) Close(ctx context.Context) error {
	if err := l.post(ctx); err != nil {
		return unavailable("the last bookings were not written", err)
	}
	return nil
}

// post writes what is pending as one batch. One at a time does.
func (l *Ledger) post(ctx context.Context) error {
	if err := l.gate.write(ctx); err != nil {
		return err
	}
	defer l.gate.doneWriting()
	return l.postGated(ctx)
}

// postGated is post for those who are the writer. Where a batch failed before there are two: that one, and what was
// booked since.
func (l *Ledger) postGated(ctx context.Context) error {
	for again := true; again; {
		l.mu.Lock()
		again = l.pending.posting != nil
		if l.pending.empty() {
			l.mu.Unlock()
			return nil
		}
		l.mu.Unlock()
		if err := l.postOne(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (l *Ledger) postOne(ctx context.Context) error {
	l.mu.Lock()
	batch := l.pending.begin(l.prefix + "b" + strconv.FormatUint(l.last.Add(1), 36))
	l.disturbLocked(batch)
	l.mu.Unlock()
	err := l.send(ctx, batch)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pending.end(err == nil)
	if err == nil {
		l.told = false
	}
	return err
}

// send has the store write a batch. What the store can never write is counted as dropped: to send it again would
// keep everything else out.
func (l *Ledger) send(ctx context.Context, b Batch) error {
	err := l.store.Post(ctx, b)
	if refused := (*RefusedError)(nil); errors.As(err, &refused) {
		l.onDrop(int64(refused.Rows))
		l.log.Error("the ledger's store cannot write some bookings; they are lost, the others are written",
			"rows", refused.Rows, "error", refused.Err)
		return nil
	}
	return err
}

// tidy forgets reservations that nobody settles: what a budget's lease does there. Where
// their price comes after all it is booked like any that was not reserved.
func (l *Ledger) tidy(now time.Time) {
	if l.budgets != nil {
		l.budgets.Advance(now)
	}
	released := false
	l.mu.Lock()
	for key, all := range l.calls {
		for _, h := range all.drop(now) {
			l.pending.release(h.id)
			released = true
		}
		if len(*all) == 0 {
			delete(l.calls, key)
		}
	}
	l.mu.Unlock()
	if released {
		l.booked(false, false)
	}
}

// sleep waits, or is false where ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
