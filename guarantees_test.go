package forebay_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/breaker"
	"github.com/forebay-ai/forebay/cost"
	"github.com/forebay-ai/forebay/degrade"
	"github.com/forebay-ai/forebay/limit"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/llm/llmtest"
)

// Each test here is of one guarantee of the request path, and was seen to fail with
// that guarantee taken out.

// plan is a stream that gives its chunks and then its end.
type plan struct {
	chunks []llm.Chunk
	end    error
}

func (p *plan) Next() (llm.Chunk, error) {
	if len(p.chunks) == 0 {
		return llm.Chunk{}, p.end
	}
	c := p.chunks[0]
	p.chunks = p.chunks[1:]
	return c, nil
}

func (*plan) Close() error { return nil }

// planned answers with a copy of p.
func planned(p plan) llmtest.Step {
	return llmtest.Do(func(context.Context, string, *llm.Request) (llm.Stream, error) {
		again := p
		return &again, nil
	})
}

func chunk(raw string, useful bool, finish llm.FinishReason) llm.Chunk {
	return llm.Chunk{Raw: []byte(raw), Events: 1, Useful: useful, Finish: finish}
}

// An answer that broke off behind its finish reason is still not complete.
func TestAnswerWithoutItsEndMarkIsNotStored(t *testing.T) {
	whole := []llm.Chunk{chunk("text\n", true, ""), chunk("finish\n", false, llm.FinishStop)}
	p := llmtest.Script(planned(plan{whole, llm.Errorf(llm.ProviderTruncated, "cut")}), llmtest.OK("complete"))
	c := newClient(t, nil, p)
	if _, err := c.Do(t.Context(), streamed("hi")); llm.KindOf(err) != llm.ProviderTruncated {
		t.Fatal(err)
	}
	if res := do(t, c, streamed("hi")); res.Meta.Cache.Status != forebay.CacheMiss || llmtest.Text(res.Body) != "complete" {
		t.Errorf("%+v %q", res.Meta.Cache, res.Body)
	}
}

// What depends on more than the request is not kept: tool calls and refusals.
func TestToolCallsAndRefusalsAreNotStored(t *testing.T) {
	for _, reason := range []llm.FinishReason{llm.FinishToolCalls, llm.FinishFilter, "else"} {
		p := llmtest.Script(planned(plan{[]llm.Chunk{chunk("text\n", true, reason)}, io.EOF}))
		c := newClient(t, nil, p)
		for range 2 {
			if res := do(t, c, request("hi")); res.Meta.Cache.Status != forebay.CacheMiss || res.Finish != reason {
				t.Errorf("%s: %+v, finish %q", reason, res.Meta.Cache, res.Finish)
			}
		}
	}
}

// The answer of another model than the preferred one is never found under its name.
func TestAnswerOfAnotherModelIsNotStored(t *testing.T) {
	first := llmtest.Script(llmtest.Fail(500))
	c := newClient(t, func(cfg *forebay.Config) {
		cfg.Breaker = breaker.Config{Off: true}
		cfg.Models["m"].Targets[1].Model = "smaller"
	}, first, llmtest.Script(llmtest.OK("of the smaller one")))
	for range 2 {
		if res := do(t, c, request("hi")); res.Meta.Cache.Status != forebay.CacheMiss || res.Meta.Model != "smaller" || res.Meta.Cache.Stored {
			t.Errorf("%+v", res.Meta)
		}
	}
}

// A role alone commits to nothing: what fails behind it goes to the next target.
func TestAnswerIsHeldUntilItIsUseful(t *testing.T) {
	first := llmtest.Script(planned(plan{[]llm.Chunk{chunk("role\n", false, "")}, llm.Errorf(llm.ProviderTruncated, "cut")}))
	c := newClient(t, nil, first, llmtest.Script(llmtest.OK("from the second")))
	if res := do(t, c, streamed("hi")); llmtest.Text(res.Body) != "from the second" || strings.Contains(string(res.Body), "role") {
		t.Errorf("%q", res.Body)
	}
}

// A verdict on the request itself is not covered up by a prepared text.
func TestRejectedRequestsDoNotDegrade(t *testing.T) {
	for _, kind := range []llm.Kind{llm.ProviderRejected, llm.ProviderFiltered} {
		c := newClient(t, nil, llmtest.Script(llmtest.Fail(kind)))
		r := request("hi")
		r.Operation = "vc-analysis"
		_, err := c.Do(t.Context(), r)
		wantKind(t, err, kind)
	}
}

func TestRetryAfterIsObeyed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := llmtest.Script(llmtest.Err(&llm.Error{Kind: llm.ProviderRateLimited, RetryAfter: 7 * time.Second}), llmtest.OK("then"))
		c := newClient(t, func(cfg *forebay.Config) { cfg.Retry = forebay.Retry{Max: 1} }, p)
		start := time.Now()
		if do(t, c, request("hi")); time.Since(start) != 7*time.Second {
			t.Errorf("answered after %v", time.Since(start))
		}
	})
}

func TestFailedCallsAreSettledOnce(t *testing.T) {
	ledger := cost.NewMemory(cost.MemoryConfig{})
	c := newClient(t, func(cfg *forebay.Config) { cfg.Ledger = ledger }, llmtest.Script(llmtest.Fail(500)))
	_, err := c.Do(t.Context(), request("hi"))
	wantKind(t, err, llm.ProviderError)
	var calls int64
	for _, total := range ledger.Totals() {
		calls += total.Calls
	}
	if calls != 1 {
		t.Errorf("%d calls in the ledger, want 1", calls)
	}
}

// Past the cache there is no flight around the call to catch a panic.
func TestPanicWithoutTheCacheIsAnError(t *testing.T) {
	p := llmtest.Script(llmtest.Do(func(context.Context, string, *llm.Request) (llm.Stream, error) { panic("boom") }))
	c := newClient(t, nil, p)
	r := request("hi")
	r.Cache.NoRead = true
	_, err := c.Do(t.Context(), r)
	wantKind(t, err, llm.ForebayInternal)
}

// While it drains a client answers nothing new, not even from the cache.
func TestDrainingRefusesHits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := llmtest.Script(llmtest.OK("kept"), llmtest.Delay(time.Second))
		c := newClient(t, nil, p)
		do(t, c, request("hi"))
		var wg sync.WaitGroup
		wg.Go(func() { do(t, c, request("slow")) })
		synctest.Wait()
		wg.Go(func() { _ = c.Close(t.Context()) })
		synctest.Wait()
		_, err := c.Do(t.Context(), request("hi"))
		wantKind(t, err, llm.ForebayDraining)
		wg.Wait()
	})
}

// Time that ran out in the line is overload, not the caller's fault and not the
// provider's.
func TestDeadlineInTheLineIsOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, func(cfg *forebay.Config) {
			cfg.Limits = limit.Config{MaxConcurrent: 1}
			cfg.Defaults.Deadline = 5 * time.Second
			cfg.Operations["patient"] = forebay.Operation{Deadline: time.Minute}
		}, llmtest.Script(llmtest.Delay(30*time.Second)))
		var wg sync.WaitGroup
		wg.Go(func() {
			r := request("long")
			r.Operation = "patient"
			do(t, c, r)
		})
		synctest.Wait()
		_, err := c.Do(t.Context(), request("waits"))
		wantKind(t, err, llm.PolicyOverloaded)
		asked := request("waits too")
		asked.Timeout = time.Second
		_, err = c.Do(t.Context(), asked)
		wantKind(t, err, llm.CallerDeadline)
		wg.Wait()
	})
}

// A half-open breaker lets three probes through, however many come at once.
func TestProbesAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := llmtest.Script(llmtest.Fail(500))
		c := newClient(t, func(cfg *forebay.Config) { cfg.Breaker = breaker.Config{OpenFor: 10 * time.Second} }, p)
		for i := range 5 {
			_, err := c.Do(t.Context(), request(fmt.Sprint(i)))
			wantKind(t, err, llm.ProviderError)
		}
		time.Sleep(15 * time.Second)
		p.Set(llmtest.Delay(time.Second))
		var wg sync.WaitGroup
		var mu sync.Mutex
		kinds := map[llm.Kind]int{}
		for i := range 10 {
			wg.Go(func() {
				_, err := c.Do(t.Context(), request(fmt.Sprint("probe", i)))
				mu.Lock()
				kinds[llm.KindOf(err)]++
				mu.Unlock()
			})
		}
		wg.Wait()
		if kinds[""] != 3 || kinds[llm.PolicyBreakerOpen] != 7 {
			t.Errorf("outcomes %v, want 3 answers", kinds)
		}
	})
}

// hooked is a context that runs hook when somebody first asks for its deadline,
// which the request path does between the look-up and the call.
type hooked struct {
	context.Context
	once *sync.Once
	hook func()
}

func (h hooked) Deadline() (time.Time, bool) {
	h.once.Do(h.hook)
	return h.Context.Deadline()
}

// A call that missed just before the identical one ended takes that one's answer.
func TestNoSecondCallBehindTheLookUp(t *testing.T) {
	p := llmtest.Script(llmtest.OK("once"))
	c := newClient(t, nil, p)
	ctx := hooked{t.Context(), new(sync.Once), func() { do(t, c, request("hi")) }}
	res, err := c.Do(ctx, request("hi"))
	if err != nil || llmtest.Text(res.Body) != "once" || res.Meta.Provider != "p1" || res.Meta.Attempts != 0 {
		t.Errorf("%+v %v", res, err)
	}
	if n := len(p.Calls()); n != 1 {
		t.Errorf("%d calls upstream, want 1", n)
	}
}

// Who asks for a stream never follows a whole answer, nor the reverse.
func TestFormsDoNotMix(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, nil, llmtest.Script(llmtest.Delay(time.Second)))
		var wg sync.WaitGroup
		for i := range 6 {
			wg.Go(func() {
				r := request("hi")
				r.Stream = i%2 == 0
				res, err := c.Do(t.Context(), r)
				if err != nil {
					t.Error(err)
					return
				}
				if isStream := !strings.HasPrefix(string(res.Body), "whole"); isStream != r.Stream {
					t.Errorf("stream %v got %q", r.Stream, res.Body)
				}
			})
		}
		wg.Wait()
	})
}

func TestMaxAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, nil, llmtest.Script(llmtest.OK("a")))
		do(t, c, request("hi"))
		time.Sleep(time.Minute)
		r := request("hi")
		r.Cache.MaxAge = 30 * time.Second
		if res := do(t, c, r); res.Meta.Cache.Status != forebay.CacheExpired || res.Meta.Attempts != 1 {
			t.Errorf("%+v", res.Meta)
		}
		r.Cache.MaxAge = 2 * time.Minute
		if res := do(t, c, r); res.Meta.Cache.Status != forebay.CacheHit {
			t.Errorf("%+v", res.Meta)
		}
	})
}

// narrow is a dialect none of whose answers covers a second request.
type narrow struct{ llmtest.Dialect }

func (narrow) Covers(*llm.Request, []byte, bool) bool { return false }

func TestAnswerThatDoesNotCoverIsAMiss(t *testing.T) {
	p := llmtest.Script(llmtest.OK("a"))
	c := newClient(t, nil, p)
	do(t, c, request("hi"))
	r := request("hi")
	r.Dialect = narrow{}
	if res := do(t, c, r); res.Meta.Cache.Status != forebay.CacheMiss || res.Meta.Attempts != 1 {
		t.Errorf("%+v", res.Meta)
	}
}

// A target that stays silent until the operation's deadline has failed; one that a
// caller gave less time than that has not.
func TestSilenceOpensTheBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, func(cfg *forebay.Config) { cfg.Defaults.Deadline = 10 * time.Second }, llmtest.Script(llmtest.Hang()))
		for i := range 10 {
			r := request(fmt.Sprint("hurried", i))
			r.Timeout = time.Second
			_, err := c.Do(t.Context(), r)
			wantKind(t, err, llm.CallerDeadline)
		}
		if state := c.Health().Degradation.Targets["p1/m"]; state != "closed" {
			t.Fatalf("callers in a hurry left the breaker %s", state)
		}
		for i := range 5 {
			_, err := c.Do(t.Context(), request(fmt.Sprint(i)))
			wantKind(t, err, llm.ProviderTimeout)
		}
		if state := c.Health().Degradation.Targets["p1/m"]; state != "open" {
			t.Errorf("the breaker is %s after five silent calls", state)
		}
	})
}

// An operation whose order has the error before the template gets the error.
func TestErrorEndsTheFallbacks(t *testing.T) {
	c := newClient(t, func(cfg *forebay.Config) {
		cfg.Operations["strict"] = forebay.Operation{Fallback: []degrade.Strategy{degrade.Error, degrade.Template}}
	}, llmtest.Script(llmtest.Fail(500)))
	r := request("hi")
	r.Operation = "strict"
	_, err := c.Do(t.Context(), r)
	wantKind(t, err, llm.ProviderError)
}
