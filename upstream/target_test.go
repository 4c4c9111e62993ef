package upstream_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay/breaker"
	"github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/limit"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/llm/llmtest"
	"github.com/forebay-ai/forebay/queue"
	"github.com/forebay-ai/forebay/route"
	"github.com/forebay-ai/forebay/upstream"
)

// made is a target of one place with little room; change says what is particular to it.
func made(change func(*upstream.Place, *upstream.Policies)) *upstream.Target {
	p := upstream.Place{Provider: "p", Model: "m", MaxConcurrent: 2}
	guards := upstream.Policies{Breaker: breaker.Config{Ramp: -1}}
	if change != nil {
		change(&p, &guards)
	}
	return upstream.New(p.Name(), p, guards, nil)
}

func request() *llm.Request {
	return &llm.Request{Dialect: llmtest.Dialect{}, Endpoint: llm.Chat, Body: make([]byte, 400)} // 100 tokens
}

func entry(source uint64, within time.Duration) upstream.Entry {
	return upstream.Entry{Request: request(), Source: source, Entry: queue.Entry{Deadline: time.Now().Add(within)}}
}

func begin(t *testing.T, tg *upstream.Target, source uint64) upstream.Attempt {
	t.Helper()
	a, err := tg.Begin(t.Context(), entry(source, time.Minute))
	if err != nil {
		t.Fatalf("Begin: %v", err)
	}
	return a
}

func end(a upstream.Attempt, kind llm.Kind) {
	a.End(time.Now(), request(), &upstream.Outcome{Kind: kind, FirstToken: time.Second, Output: 10, Usage: llm.Usage{Input: 100, Output: 10}})
}

// fails opens the breaker by five failures of one source.
func fails(t *testing.T, tg *upstream.Target, source uint64) {
	t.Helper()
	for range 5 {
		end(begin(t, tg, source), llm.ProviderError)
	}
	if s := tg.Breaker.State(); s != breaker.Open {
		t.Fatalf("the breaker is %s after five failures", s)
	}
}

// wantIdle checks that nothing is held.
func wantIdle(t *testing.T, tg *upstream.Target) {
	t.Helper()
	if n := tg.Limiter.InFlight(); n != 0 {
		t.Errorf("%d slots are taken", n)
	}
	s := tg.Line.Stats()
	if s.Waiting != 0 || s.Running != 0 {
		t.Errorf("%d wait and %d run in the line", s.Waiting, s.Running)
	}
	if n := tg.Limiter.Unmatched(); n != 0 {
		t.Errorf("%d slots were given back too often", n)
	}
	if n := tg.Quota.Snapshot(time.Now()).Open; n != 0 {
		t.Errorf("%d reservations are open", n)
	}
}

// However an attempt ends, all that it held is given back, and those who wait for its
// slot get it.
func TestEndGivesBackOnEveryPath(t *testing.T) {
	for _, kind := range append(llm.Kinds(), "") {
		synctest.Test(t, func(t *testing.T) {
			tg := made(func(p *upstream.Place, _ *upstream.Policies) {
				p.MaxConcurrent, p.Quota = 1, limit.QuotaConfig{TokensPerMinute: 100_000, RequestsPerMinute: 100}
			})
			a := begin(t, tg, 1)
			next := make(chan error, 1)
			go func() {
				a, err := tg.Begin(t.Context(), entry(2, time.Minute))
				if err == nil {
					end(a, "")
				}
				next <- err
			}()
			synctest.Wait()
			end(a, kind)
			if err := <-next; err != nil {
				t.Errorf("%s: the next in line: %v", kind, err)
			}
			wantIdle(t, tg)
			b := tg.Breaker.Snapshot(time.Now())
			want := int64(1)
			if kind == "" || kind.CountsForBreaker() {
				want = 2
			}
			if b.Total != want || (b.Failures == 1) != kind.CountsForBreaker() {
				t.Errorf("%s: the breaker counts %d failures of %d calls", kind, b.Failures, b.Total)
			}
		})
	}
}

// A probe whose end says nothing of the target gives its place back to the next one.
func TestCancelledProbesGiveTheirPlaceBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tg := made(func(_ *upstream.Place, g *upstream.Policies) { g.Breaker.Probes = 1 })
		fails(t, tg, 1)
		time.Sleep(2 * time.Second)
		for _, kind := range []llm.Kind{llm.CallerCancelled, llm.CallerDeadline, llm.ProviderRateLimited, llm.ProviderRejected} {
			a := begin(t, tg, 1)
			if _, err := tg.Begin(t.Context(), entry(1, time.Minute)); llm.KindOf(err) != llm.PolicyBreakerOpen {
				t.Errorf("a second probe beside the only one: %v", err)
			}
			end(a, kind)
			wantIdle(t, tg)
		}
		end(begin(t, tg, 1), "")
		if s := tg.Breaker.State(); s != breaker.Closed {
			t.Errorf("%s after a good probe", s)
		}
		wantIdle(t, tg)
	})
}

// A refusal of the breaker costs nothing, says when to come again, and is not for those
// whose calls never failed.
func TestBreakerRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tg := made(func(p *upstream.Place, _ *upstream.Policies) { p.Quota = limit.QuotaConfig{RequestsPerMinute: 100} })
		fails(t, tg, 1)
		left := tg.Quota.Snapshot(time.Now()).RequestsLeft
		_, err := tg.Begin(t.Context(), entry(1, time.Minute))
		e := llm.AsError(err)
		if e.Kind != llm.PolicyBreakerOpen || e.RetryAfter < time.Second || e.Provider != "p" || e.Model != "m" || e.Fix == "" {
			t.Errorf("%+v", e)
		}
		if now := tg.Quota.Snapshot(time.Now()).RequestsLeft; now != left {
			t.Errorf("a refused call took from the quota: %d of %d left", now, left)
		}
		for source, refuses := range map[uint64]bool{1: true, 2: false} {
			if s := tg.State(&upstream.Asker{Now: time.Now(), Source: source}); s.Refuses != refuses || s.Probe == refuses {
				t.Errorf("state for source %d: %+v", source, s)
			}
		}
		end(begin(t, tg, 2), "")
		wantIdle(t, tg)
	})
}

// The breaker may open while a call waits for its slot, or the quota be spent by others.
func TestRefusedAfterTheWait(t *testing.T) {
	for want, befall := range map[llm.Kind]func(*upstream.Target){
		llm.PolicyBreakerOpen: func(tg *upstream.Target) { tg.Breaker.ForceOpen(time.Now(), "maintenance") },
		llm.PolicyOverloaded: func(tg *upstream.Target) {
			if r, ok := tg.Quota.Reserve(time.Now(), 1); ok { // the second and last request of the minute
				tg.Quota.Settle(time.Now(), r, 1)
			}
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			tg := made(func(p *upstream.Place, _ *upstream.Policies) { p.MaxConcurrent, p.Quota.RequestsPerMinute = 1, 2 })
			a := begin(t, tg, 1)
			time.AfterFunc(time.Second, func() { befall(tg); end(a, "") })
			e := entry(1, time.Minute)
			e.Others = true
			if a, err := tg.Begin(t.Context(), e); llm.KindOf(err) != want || a.Waited != time.Second {
				t.Errorf("%v after %v, want %s", err, a.Waited, want)
			}
			wantIdle(t, tg)
		})
	}
}

// A caller who leaves while it waits, for a slot or for the quota, leaves nothing behind.
func TestLeavingDuringTheWait(t *testing.T) {
	for name, change := range map[string]func(*upstream.Place, *upstream.Policies){
		"slot":  func(p *upstream.Place, _ *upstream.Policies) { p.MaxConcurrent = 1 },
		"quota": func(p *upstream.Place, _ *upstream.Policies) { p.Quota.RequestsPerMinute = 1 },
	} {
		synctest.Test(t, func(t *testing.T) {
			tg := made(change)
			a := begin(t, tg, 1)
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancel)
			if _, err := tg.Begin(ctx, entry(1, 2*time.Minute)); llm.KindOf(err) != llm.CallerCancelled {
				t.Errorf("%s: %v", name, err)
			}
			end(a, "")
			wantIdle(t, tg)
		})
	}
}

// A quota is never overdrawn by calls that begin at once, and what was not used is free
// again.
func TestQuotaUnderConcurrency(t *testing.T) {
	tg := made(func(p *upstream.Place, g *upstream.Policies) {
		p.MaxConcurrent, p.Quota, g.Adaptive.Off = -1, limit.QuotaConfig{TokensPerMinute: 5 * (100 + 512)}, true // five calls with a guessed answer
	})
	var mu sync.Mutex
	var won []upstream.Attempt
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			e := upstream.Entry{Request: request(), Others: true} // nobody waits
			a, err := tg.Begin(t.Context(), e)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won = append(won, a)
			} else if e := llm.AsError(err); e.Kind != llm.PolicyOverloaded || e.RetryAfter < time.Second {
				t.Errorf("%+v", e)
			}
		})
	}
	wg.Wait()
	if len(won) != 5 {
		t.Fatalf("%d calls of 50 began with a quota for five", len(won))
	}
	for i, a := range won {
		end(a, []llm.Kind{"", llm.ProviderError, llm.CallerCancelled, llm.ProviderRateLimited, ""}[i])
	}
	wantIdle(t, tg)
	if left := tg.Quota.Snapshot(time.Now()).TokensLeft; left < 5*(612-110) || left > 5*612 {
		t.Errorf("%d tokens are left", left)
	}
}

// With nowhere else to go a call waits for the quota if its deadline allows, and is
// refused at once if not.
func TestWaitForQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tg := made(func(p *upstream.Place, _ *upstream.Policies) { p.Quota.RequestsPerMinute = 6 })
		for range 6 {
			end(begin(t, tg, 1), "")
		}
		began := time.Now()
		if _, err := tg.Begin(t.Context(), entry(1, 9*time.Second)); llm.KindOf(err) != llm.PolicyOverloaded || time.Since(began) != 0 {
			t.Errorf("too late for it: %v after %v", err, time.Since(began))
		}
		a, err := tg.Begin(t.Context(), entry(1, 11*time.Second))
		if err != nil || time.Since(began) != 10*time.Second {
			t.Fatalf("%v after %v", err, time.Since(began))
		}
		end(a, "")
		wantIdle(t, tg)
	})
}

// What is reserved: the prompt, and the bound that the request sets, or twice the usual answer.
func TestTokens(t *testing.T) {
	tg := made(nil)
	if got := tg.Tokens(request()); got != 100+512 {
		t.Errorf("nothing known: %d", got)
	}
	a := begin(t, tg, 1)
	a.End(time.Now(), request(), &upstream.Outcome{Output: 70, FirstToken: time.Second})
	if got := tg.Tokens(request()); got != 100+140 {
		t.Errorf("after an answer of 70 tokens: %d", got)
	}
	r := &llm.Request{Dialect: openai.Dialect{}, Endpoint: llm.Chat, Body: []byte(`{"model":"m","max_completion_tokens":33}`)} // 40 bytes
	if got := tg.Tokens(r); got != 10+33 {
		t.Errorf("with a bound: %d", got)
	}
	for _, endpoint := range []llm.Endpoint{llm.CountTokens, llm.Function} {
		if r.Endpoint = endpoint; tg.Tokens(r) != 0 {
			t.Errorf("%s: %d", endpoint, tg.Tokens(r))
		}
	}
}

// A count of tokens uses none, and is no answer: it takes its place among the requests a
// minute, and nothing is learned from it of answers.
func TestCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tg := made(func(p *upstream.Place, _ *upstream.Policies) {
			p.Quota = limit.QuotaConfig{TokensPerMinute: 2000, RequestsPerMinute: 40}
		})
		a := begin(t, tg, 1)
		a.End(time.Now(), request(), &upstream.Outcome{Output: 700, FirstToken: time.Second, Usage: llm.Usage{Input: 1200, Output: 700}})
		before := tg.State(&upstream.Asker{Now: time.Now()}).FirstToken
		count := entry(1, time.Second)
		count.Request = request()
		count.Request.Endpoint = llm.CountTokens
		for range 30 { // with 100 tokens left
			a, err := tg.Begin(t.Context(), count)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond)
			a.End(time.Now(), count.Request, &upstream.Outcome{Output: 1, FirstToken: time.Millisecond}) // its one piece is counted
		}
		if got := tg.Tokens(request()); got != 100+1400 {
			t.Errorf("after counts a chat reserves %d tokens", got)
		}
		if after := tg.State(&upstream.Asker{Now: time.Now()}).FirstToken; after != before {
			t.Errorf("answers took %v, and after counts %v", before, after)
		}
		if left := tg.Quota.Snapshot(time.Now()).RequestsLeft; left > 10 {
			t.Errorf("%d requests are left of 40", left)
		}
	})
}

// The times of counts do not lower what is usual for answers, by which the bound on calls
// at once is controlled: after many of them the target's answers are no slower than before.
func TestCountsDoNotMoveTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tg := made(func(p *upstream.Place, _ *upstream.Policies) { p.MaxConcurrent = 20 })
		calls := func(endpoint llm.Endpoint, took time.Duration) {
			e := entry(1, time.Hour)
			e.Request = request()
			e.Request.Endpoint = endpoint
			for range 10 {
				var wg sync.WaitGroup
				for range 20 {
					wg.Go(func() {
						a, err := tg.Begin(t.Context(), e)
						if err != nil {
							t.Error(err)
							return
						}
						time.Sleep(took)
						a.End(time.Now(), e.Request, &upstream.Outcome{Output: 1, FirstToken: took})
					})
				}
				wg.Wait()
			}
		}
		calls(llm.CountTokens, 10*time.Millisecond)
		calls(llm.Chat, 2*time.Second)
		if s := tg.Control.Snapshot(time.Now()); s.Reason != "" {
			t.Errorf("the bound moved, and is %d of %d: %s", s.Bound, s.Ceiling, s.Reason)
		}
	})
}

// chooser is a provider that takes chats only.
type chooser struct{ llm.Provider }

func (chooser) Takes(req *llm.Request) bool { return req.Endpoint == llm.Chat }

// A target says what its provider does not take; others take everything.
func TestUnable(t *testing.T) {
	count := request()
	count.Endpoint = llm.CountTokens
	for _, test := range []struct {
		backend llm.Provider
		req     *llm.Request
		want    bool
	}{{chooser{}, count, true}, {chooser{}, request(), false}, {chooser{}, nil, false}, {llmtest.Script(), count, false}, {nil, count, false}} {
		tg := made(nil)
		tg.Backend = test.backend
		if s := tg.State(&upstream.Asker{Now: time.Now(), Request: test.req}); s.Unable != test.want {
			t.Errorf("%T, %+v: unable is %v", test.backend, test.req, s.Unable)
		}
	}
}

// How long one answer's Retry-After keeps other calls away is bounded.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tg := made(nil)
		asker := func() *upstream.Asker { return &upstream.Asker{Now: time.Now(), Regions: new(route.Regions)} }
		for _, test := range []struct{ asked, want time.Duration }{{0, 0}, {3 * time.Second, 3 * time.Second}, {time.Hour, 30 * time.Second}} {
			a := begin(t, tg, 1)
			a.End(time.Now(), request(), &upstream.Outcome{Kind: llm.ProviderRateLimited, RetryAfter: test.asked})
			if s := tg.State(asker()); s.Wait != test.want || s.Refuses {
				t.Errorf("asked for %v: %+v", test.asked, s)
			}
			if until := tg.Status(time.Now(), new(route.Regions)).CoolingUntil; until.IsZero() != (test.want == 0) {
				t.Errorf("asked for %v: cooling until %v", test.asked, until)
			}
			time.Sleep(test.want)
			if s := tg.State(asker()); s.Wait != 0 {
				t.Errorf("%v are left of %v", s.Wait, test.want)
			}
			end(begin(t, tg, 1), "") // a target that asked for patience is not shut
		}
	})
}
