package notify

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/forebay-ai/forebay/alarm"
	"github.com/forebay-ai/forebay/llm"
)

const (
	// failingFor is how long a notifier may fail before alerting counts as broken: the
	// restart of a receiver takes less.
	failingFor = time.Minute
	// lostFor is how long a lost notice is remembered: longer than any usual interval of
	// evaluation, so that the alarm about it is not missed.
	lostFor = 5 * time.Minute
)

// Status tells how one notifier does.
type Status struct {
	Name string `json:"name"`
	// Sent counts notices that were taken, Failed those that were given up, Dropped those
	// that had no room, and Errors the attempts that failed.
	Sent    int64 `json:"sent"`
	Failed  int64 `json:"failed"`
	Dropped int64 `json:"dropped"`
	Errors  int64 `json:"errors"`
	// Waiting counts notices that are not sent yet, the one in progress among them.
	Waiting int `json:"waiting"`
	// LastSent and LastFailed are when an attempt last ended so; zero for never.
	LastSent   time.Time `json:"last_sent,omitzero"`
	LastFailed time.Time `json:"last_failed,omitzero"`
	// FailingSince is when the first of the attempts failed that have failed since the
	// last one that did not. Zero: the last attempt worked, or there was none.
	FailingSince time.Time `json:"failing_since,omitzero"`
	// LastError says why the last failed attempt did. It has no secrets in it, and stays
	// when a later attempt works.
	LastError string `json:"last_error,omitempty"`
}

// waiting is a notice in a queue.
type waiting struct {
	notice alarm.Notice
	since  time.Time
}

// worker is one notifier with its queue.
type worker struct {
	notifier alarm.Notifier
	cfg      Config
	wake     chan struct{} // of one element: there may be something in the queue

	mu     sync.Mutex // guards the five below; not held while the notifier or OnDrop runs
	queue  []waiting  // oldest first; the first is in progress where busy is set
	busy   bool
	closed bool
	lostAt time.Time // when a notice was last dropped or given up
	state  Status
}

func newWorker(n alarm.Notifier, cfg Config) *worker {
	return &worker{notifier: n, cfg: cfg, wake: make(chan struct{}, 1), state: Status{Name: n.Name()}}
}

// add puts a notice into the queue and pushes out the oldest that is not in progress.
func (w *worker) add(n alarm.Notice, now time.Time) {
	w.mu.Lock()
	dropped, why := 0, "the notifier's queue is full"
	if w.closed {
		dropped, why = 1, "the dispatcher is closed"
	} else {
		w.queue = append(w.queue, waiting{n, now})
		first := 0
		if w.busy {
			first = 1
		}
		for len(w.queue)-first > w.cfg.Queue {
			w.queue = append(w.queue[:first], w.queue[first+1:]...)
			dropped++
		}
	}
	if dropped > 0 {
		w.state.Dropped += int64(dropped)
		w.lostAt = now
	}
	w.mu.Unlock()
	if dropped > 0 {
		w.cfg.OnDrop(int64(dropped))
		w.cfg.Logger.Warn("a notice was dropped", "notifier", w.notifier.Name(), "why", why, "queue", w.cfg.Queue)
	}
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// run sends what comes until ctx ends, or until closing and the queue is empty.
func (w *worker) run(ctx context.Context, closing <-chan struct{}) {
	for {
		next, ok := w.take()
		if ok {
			w.deliver(ctx, next)
			if ctx.Err() != nil {
				return
			}
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-w.wake:
		case <-closing:
			if w.empty() {
				return
			}
		}
	}
}

// take returns the oldest notice, which stays in the queue until finish.
func (w *worker) take() (waiting, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) == 0 {
		return waiting{}, false
	}
	w.busy = true
	return w.queue[0], true
}

func (w *worker) empty() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.queue) == 0
}

// deliver tries a notice until it is taken or given up. When ctx ends it stays in the
// queue, for abandon to count.
func (w *worker) deliver(ctx context.Context, next waiting) {
	until := next.since.Add(w.cfg.MaxAge)
	pause := w.cfg.Backoff
	for n := 1; ; n++ {
		err := w.attempt(ctx, next.notice)
		if err == nil {
			w.finish("")
			return
		}
		if ctx.Err() != nil {
			w.release()
			return
		}
		refusal := llm.AsError(err)
		wait := max(w.cfg.Jitter(pause), refusal.RetryAfter)
		pause = min(2*pause, w.cfg.MaxBackoff)
		switch {
		case refusal.NoRetry:
			w.finish("another try is no use")
			return
		case n >= w.cfg.Attempts:
			w.finish(fmt.Sprintf("%d attempts failed", n))
			return
		case time.Now().Add(wait).After(until):
			w.finish(fmt.Sprintf("it is older than %s, or would be at the next try", w.cfg.MaxAge))
			return
		}
		if !sleep(ctx, wait) {
			w.release()
			return
		}
	}
}

// sleep waits, and says whether ctx is still good.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// attempt is one call of the notifier, bounded in time, and counted. A panic of a
// notifier is an error of the attempt: the others go on.
func (w *worker) attempt(ctx context.Context, n alarm.Notice) (err error) {
	bounded, cancel := context.WithTimeout(ctx, w.cfg.Timeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			err = &llm.Error{Kind: llm.ForebayInternal, Message: "the notifier panicked", NoRetry: true}
		}
		if ctx.Err() == nil || err == nil {
			w.count(err, time.Now())
		}
	}()
	err = w.notifier.Notify(bounded, n)
	if err != nil && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		err = &llm.Error{Kind: llm.ForebayUnavailable, Message: "no answer in time", Limit: "timeout", Value: w.cfg.Timeout.String()}
	}
	return err
}

// count books one attempt.
func (w *worker) count(err error, now time.Time) {
	w.mu.Lock()
	failing := !w.state.FailingSince.IsZero()
	if err == nil {
		w.state.Sent++
		w.state.LastSent, w.state.FailingSince = now, time.Time{}
	} else {
		w.state.Errors++
		w.state.LastFailed, w.state.LastError = now, oneLine(err.Error(), 500)
		if !failing {
			w.state.FailingSince = now
		}
	}
	text := w.state.LastError
	w.mu.Unlock()
	switch {
	case err == nil && failing:
		w.cfg.Logger.Info("the notifier works again", "notifier", w.notifier.Name())
	case err != nil && !failing:
		w.cfg.Logger.Warn("a notice was not taken", "notifier", w.notifier.Name(), "error", text)
	}
}

// finish takes the notice in progress out of the queue: taken, or given up for a reason.
func (w *worker) finish(givenUp string) {
	w.mu.Lock()
	w.queue = w.queue[1:]
	if len(w.queue) == 0 {
		w.queue = nil // so that what was sent is not held
	}
	w.busy = false
	if givenUp != "" {
		w.state.Failed++
		w.lostAt = time.Now()
	}
	text := w.state.LastError
	w.mu.Unlock()
	if givenUp != "" {
		w.cfg.OnDrop(1)
		w.cfg.Logger.Error("a notice was given up", "notifier", w.notifier.Name(), "why", givenUp, "error", text)
	}
}

// release leaves the notice in progress in the queue.
func (w *worker) release() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.busy = false
}

func (w *worker) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
}

// abandon empties the queue after the end and says how many were in it.
func (w *worker) abandon() int {
	w.mu.Lock()
	n := len(w.queue)
	w.queue = nil
	w.state.Failed += int64(n)
	w.mu.Unlock()
	if n > 0 {
		w.cfg.OnDrop(int64(n))
	}
	return n
}

func (w *worker) status() Status {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.state
	s.Waiting = len(w.queue)
	return s
}

func (w *worker) healthy(now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if since := w.state.FailingSince; !since.IsZero() && now.Sub(since) > failingFor {
		return false
	}
	return w.lostAt.IsZero() || now.Sub(w.lostAt) > lostFor
}
