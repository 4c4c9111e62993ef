package requestlog

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

const (
	// batchEntries and batchWait bound a batch: one write costs about as much as forty
	// entries, and nobody sees a fifth of a second in a log.
	batchEntries = 512
	batchWait    = 200 * time.Millisecond
	// writeWithin is how long a store may take for a batch, and endWithin for all that
	// waits when Run ends.
	writeWithin = 10 * time.Second
	endWithin   = 5 * time.Second
	// A store that fails is tried again after retryFirst, then after twice as long each
	// time, up to retryMost.
	retryFirst = time.Second
	retryMost  = 30 * time.Second
	pruneEvery = time.Hour
)

// Run writes entries to the store, in batches of up to 512, each no later than 200 ms
// after its first entry, and removes old ones at its start and then every hour. It ends
// with ctx, after it has written what waits, for which it takes up to 5 s; its error
// says what was lost then. It may be called once.
//
// A store that fails is tried again; meanwhile entries wait in the buffer. Where it took
// a batch but failed to say so, the batch is in the log twice.
func (l *Log) Run(ctx context.Context) error {
	var pruning sync.WaitGroup
	pruning.Go(func() { l.runPrune(ctx) })
	l.runWrite(ctx)
	pruning.Wait()
	return l.end(ctx)
}

// runWrite writes batches until ctx ends.
func (l *Log) runWrite(ctx context.Context) {
	retry, failed := retryFirst, false
	for ctx.Err() == nil {
		if !failed && !l.gather(ctx) {
			return
		}
		left, err := l.write(context.WithoutCancel(ctx), writeWithin)
		switch {
		case err != nil:
			if !failed {
				l.cfg.Logger.Error("the request log cannot be written: entries wait, and are dropped when there is no more room",
					slog.Any("error", err))
			}
			failed = true
			sleep(ctx, retry)
			retry = min(2*retry, retryMost)
		case failed:
			l.cfg.Logger.Info("the request log is written again", slog.Int64("dropped", l.dropped.Load()))
			fallthrough
		default:
			retry, failed = retryFirst, false
			if left > 0 {
				signal(l.wake)
			}
		}
	}
}

// gather waits for an entry, and then for a batch to come together. It reports false
// when ctx ends.
func (l *Log) gather(ctx context.Context) bool {
	select {
	case <-l.wake:
	case <-ctx.Done():
		return false
	}
	l.mu.Lock()
	enough := l.waiting.len() >= batchEntries
	select {
	case <-l.full: // it was said of a batch that is written
	default:
	}
	l.mu.Unlock()
	if enough {
		return true
	}
	timer := time.NewTimer(batchWait)
	defer timer.Stop()
	select {
	case <-l.full:
	case <-timer.C:
	case <-ctx.Done():
		return false
	}
	return true
}

// write writes one batch: the one that failed before, or the next. It returns how many
// entries wait after it.
func (l *Log) write(ctx context.Context, within time.Duration) (left int, err error) {
	<-l.turn
	defer func() { l.turn <- struct{}{} }()
	l.mu.Lock()
	if len(l.batch) == 0 {
		l.batch = l.waiting.take(l.batch, batchEntries)
		l.taken = len(l.batch)
	}
	left = l.waiting.len()
	l.mu.Unlock()
	if len(l.batch) == 0 {
		return left, nil
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	if err := l.store.AppendRequests(ctx, l.batch); err != nil {
		for i := range l.batch {
			l.batch[i].Seq = 0 // whatever the store has begun to give
		}
		l.tell()
		return left, err
	}
	l.tell()
	l.last.Store(l.batch[len(l.batch)-1].Seq)
	clear(l.batch)
	l.batch, l.told = l.batch[:0], 0
	l.mu.Lock()
	l.taken = 0
	left = l.waiting.len()
	l.mu.Unlock()
	return left, nil
}

// tell has watchers know of the batch, once.
func (l *Log) tell() {
	l.watchers.tell(l.batch[l.told:])
	l.told = len(l.batch)
}

// end writes what waits, and drops what cannot be written.
func (l *Log) end(ctx context.Context) error {
	if l.memory != nil {
		return nil
	}
	l.mu.Lock()
	l.ended = true
	l.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endWithin)
	defer cancel()
	for {
		left, err := l.write(ctx, endWithin)
		if err != nil {
			n := l.abandon()
			l.drop(n)
			return fmt.Errorf("requestlog: %d entries were lost at the end: %w", n, err)
		}
		if left == 0 {
			return nil
		}
	}
}

// abandon removes all that waits, and returns how many.
func (l *Log) abandon() int64 {
	<-l.turn
	defer func() { l.turn <- struct{}{} }()
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.batch) + l.waiting.len()
	l.batch, l.told, l.taken, l.waiting = nil, 0, 0, queue{}
	return int64(n)
}

// runPrune removes old entries until ctx ends. It has a goroutine of its own: what is
// removed the first time after a bound was lowered may take minutes.
func (l *Log) runPrune(ctx context.Context) {
	for failed := false; ctx.Err() == nil; sleep(ctx, pruneEvery) {
		err := l.prune(ctx)
		if err != nil && !failed && ctx.Err() == nil {
			l.cfg.Logger.Warn("old entries of the request log could not be removed: tried again every hour", slog.Any("error", err))
		}
		failed = err != nil
	}
}

func (l *Log) prune(ctx context.Context) error {
	var before time.Time
	if l.cfg.Retention > 0 {
		before = time.Now().Add(-l.cfg.Retention)
	}
	_, err := l.store.PruneRequests(ctx, before, max(l.cfg.MaxEntries, -1))
	return err
}

// sleep waits, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
