package queue_test

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/queue"
)

// slots is the plainest limiter.
type slots struct{ max, taken atomic.Int64 }

func newSlots(n int64) *slots {
	s := new(slots)
	s.max.Store(n)
	return s
}

func (s *slots) TryAcquire() bool {
	for {
		n := s.taken.Load()
		if n >= s.max.Load() {
			return false
		}
		if s.taken.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (s *slots) Release() {
	if s.taken.Add(-1) < 0 {
		panic("released more slots than were taken")
	}
}

// rig is a line in a synctest bubble, with helpers that fail the test.
type rig struct {
	*queue.Line
	t     *testing.T
	slots *slots
	wg    sync.WaitGroup
	mu    sync.Mutex // guards order
	order []string   // names of requests in the order in which they got a slot
}

func newRig(t *testing.T, cfg queue.Config, n int64) *rig {
	t.Helper()
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	s := newSlots(n)
	return &rig{Line: queue.NewLine(cfg, s), t: t, slots: s}
}

// result is what became of a request that entered in the background.
type result struct {
	wait time.Duration
	err  error
	done chan struct{}
}

// enter enters in the background, holds the slot for so long, and leaves. It
// returns when the request has its slot, waits or was refused.
func (r *rig) enter(ctx context.Context, name string, e queue.Entry, hold time.Duration) *result {
	res := &result{done: make(chan struct{})}
	r.wg.Go(func() {
		defer close(res.done)
		res.wait, res.err = r.Enter(ctx, e)
		if res.err != nil {
			return
		}
		r.mu.Lock()
		r.order = append(r.order, name)
		r.mu.Unlock()
		time.Sleep(hold)
		r.Leave(hold)
	})
	synctest.Wait()
	return res
}

// served gives the names of those that got a slot so far, in order.
func (r *rig) served() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.order)
}

// take gets a slot at once.
func (r *rig) take() {
	r.t.Helper()
	if wait, err := r.Enter(context.Background(), queue.Entry{}); err != nil || wait != 0 {
		r.t.Fatalf("no slot at once: %s, %v", wait, err)
	}
}

// warm gives the line a hold time to estimate from.
func (r *rig) warm(hold time.Duration) {
	r.take()
	time.Sleep(hold)
	r.Leave(hold)
}

// refused enters and wants an error at once.
func (r *rig) refused(e queue.Entry) *llm.Error {
	r.t.Helper()
	before := time.Now()
	wait, err := r.Enter(context.Background(), e)
	if err == nil || time.Since(before) != 0 || wait != 0 {
		r.t.Fatalf("entered after %s: %v", wait, err)
	}
	return llm.AsError(err)
}

// check wants everything back and the counts to agree.
func (r *rig) check() queue.Stats {
	r.t.Helper()
	r.wg.Wait()
	s := r.Stats()
	if s.Running != 0 || s.Waiting != 0 || s.Bytes != 0 || r.slots.taken.Load() != 0 || s.Unmatched != 0 {
		r.t.Errorf("at the end: %+v, %d slots taken", s, r.slots.taken.Load())
	}
	if s.Started != s.Left {
		r.t.Errorf("%d started, %d left", s.Started, s.Left)
	}
	return s
}

func want(t *testing.T, e *llm.Error, kind llm.Kind, limit, value string) {
	t.Helper()
	if e.Kind != kind || e.Limit != limit || e.Value != value || e.Message == "" ||
		e.Kind.Domain() != llm.CallerFault && (e.Fix == "" || e.RetryAfter < time.Second || e.RetryAfter > time.Minute) {
		t.Errorf("got %v (limit %q = %q, retry after %s), want %s with limit %q = %q", e, e.Limit, e.Value, e.RetryAfter, kind, limit, value)
	}
}

// bubble runs a test under virtual time.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

func in(d time.Duration) time.Time { return time.Now().Add(d) }
