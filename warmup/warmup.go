// Package warmup fetches the answers to a list of requests into the cache before
// callers ask for them: at the lowest priority, a few at a time, and only those that are
// not there. It makes ordinary calls; what the cache keeps is the cache's own affair.
package warmup

import (
	"context"
	"iter"
	"sync"
	"time"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/llm"
)

// The defaults and bounds of a warm-up.
const (
	defaultConcurrency = 2 // beside real calls, which come first anyway
	maxConcurrency     = 64
	maxTries           = 10 // of one request while there is no room
	maxPause           = 30 * time.Second
	maxFailures        = 20 // that a report names
)

// List is a list of requests whose answers shall be in the cache.
type List struct {
	// Requests are read one after the other. They run at the lowest priority,
	// whatever they say. An error in place of a request counts as a failure, and the
	// list goes on.
	Requests iter.Seq2[*llm.Request, error]
	// Concurrency bounds the calls in progress, 1 to 64. Zero means 2.
	Concurrency int
	// Progress is told after every request, one call at a time. Nil means nobody.
	Progress func(Report)
}

// Report says how far a warm-up is, or how it ended.
type Report struct {
	Requests int64 `json:"requests"` // done
	Cached   int64 `json:"cached"`   // had an answer in the cache already
	Fetched  int64 `json:"fetched"`  // were fetched and stored
	Unstored int64 `json:"unstored"` // were fetched, and may not be stored
	Failed   int64 `json:"failed"`
	// Tokens and CostMicroUSD (millionths of a dollar) are what fetching took.
	Tokens       int64 `json:"tokens"`
	CostMicroUSD int64 `json:"cost_micro_usd"`
	// Failures describes the first twenty.
	Failures []string `json:"failures,omitempty"`
}

// Caller makes calls; a forebay.Client is one.
type Caller interface {
	Do(ctx context.Context, req *llm.Request) (*forebay.Response, error)
}

// Run makes the requests of list whose answers are not in the cache, for the cache
// alone. It returns when all are done or ctx has ended, whose error it returns then.
func Run(ctx context.Context, c Caller, list List) (Report, error) {
	if list.Concurrency == 0 {
		list.Concurrency = defaultConcurrency
	}
	run := &warming{caller: c, progress: list.Progress}
	todo := make(chan *llm.Request)
	var wg sync.WaitGroup
	for range min(max(list.Concurrency, 1), maxConcurrency) {
		wg.Go(func() {
			for req := range todo {
				run.one(ctx, req)
			}
		})
	}
	run.feed(ctx, list.Requests, todo)
	close(todo)
	wg.Wait()
	return run.report, ctx.Err()
}

// warming is a warm-up while it runs.
type warming struct {
	caller   Caller
	progress func(Report)

	mu     sync.Mutex // guards report; held while progress runs, so that its calls are in order
	report Report
}

// feed hands the requests out until ctx ends.
func (w *warming) feed(ctx context.Context, requests iter.Seq2[*llm.Request, error], todo chan<- *llm.Request) {
	for req, err := range requests {
		if err != nil {
			w.add(func(r *Report) { r.fail(err) })
			continue
		}
		select {
		case todo <- req:
		case <-ctx.Done():
			return
		}
	}
}

// one makes one request. While there is no room it waits and tries again: nobody is
// in a hurry.
func (w *warming) one(ctx context.Context, from *llm.Request) {
	req := *from
	req.Background, req.Priority, req.NoFallback, req.Arrived = true, llm.Low, true, time.Time{}
	for try := 1; ; try++ {
		res, err := w.caller.Do(ctx, &req)
		if llm.KindOf(err) == llm.PolicyOverloaded && try < maxTries && pause(ctx, llm.AsError(err).RetryAfter) {
			continue
		}
		if ctx.Err() == nil {
			w.add(func(r *Report) { r.count(res, err) })
		}
		return
	}
}

// pause waits as long as a refusal asks for, and reports whether ctx is still alive.
func pause(ctx context.Context, retryAfter time.Duration) bool {
	timer := time.NewTimer(min(max(retryAfter, time.Second), maxPause))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// add changes the report and tells of it. A callback under the mutex on purpose: the
// report's user gets one call at a time, and it is told so.
func (w *warming) add(change func(*Report)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.report.Requests++
	change(&w.report)
	if w.progress != nil {
		w.progress(w.report)
	}
}

// count takes in how one request ended.
func (r *Report) count(res *forebay.Response, err error) {
	if err != nil {
		r.fail(err)
		return
	}
	m := &res.Meta
	switch {
	case m.Cache.Stored:
		r.Fetched++
	case m.Attempts == 0:
		r.Cached++
	default:
		r.Unstored++
	}
	r.Tokens += m.Usage.Total()
	r.CostMicroUSD += m.CostMicroUSD
}

func (r *Report) fail(err error) {
	r.Failed++
	if len(r.Failures) < maxFailures {
		r.Failures = append(r.Failures[:len(r.Failures):len(r.Failures)], err.Error())
	}
}
