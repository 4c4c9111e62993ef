package forebay_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/breaker"
	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/cost"
	"github.com/forebay-ai/forebay/degrade"
	"github.com/forebay-ai/forebay/limit"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/llm/llmtest"
	"github.com/forebay-ai/forebay/queue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newClient makes a client in front of providers, the first one preferred, and
// closes it at the end of the test.
func newClient(t testing.TB, change func(*forebay.Config), providers ...llm.Provider) *forebay.Client {
	t.Helper()
	cfg := forebay.Config{
		Providers: map[string]llm.Provider{},
		Retry:     forebay.Retry{Max: -1},
		Operations: map[string]forebay.Operation{
			"vc-analysis": {Fallback: []degrade.Strategy{degrade.Cached, degrade.Template, degrade.Error}},
		},
	}
	var m forebay.Model
	for i, p := range providers {
		name := fmt.Sprintf("p%d", i+1)
		cfg.Providers[name] = p
		m.Targets = append(m.Targets, forebay.Target{Provider: name, Model: "m", Family: "test", Price: cost.Price{Input: 1e6, Output: 2e6}})
	}
	cfg.Models = map[string]forebay.Model{"m": m}
	if change != nil {
		change(&cfg)
	}
	c, err := forebay.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := c.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return c
}

func request(prompt string) *llm.Request {
	return &llm.Request{
		ID: "req-1", Tenant: "t", User: "u", Model: "m", Endpoint: llm.Chat, Dialect: llmtest.Dialect{}, Body: []byte(prompt),
	}
}

func streamed(prompt string) *llm.Request {
	r := request(prompt)
	r.Stream = true
	return r
}

func do(t *testing.T, c *forebay.Client, r *llm.Request) *forebay.Response {
	t.Helper()
	res, err := c.Do(t.Context(), r)
	if err != nil {
		t.Fatalf("Do: %v", err)
	}
	return res
}

func wantKind(t *testing.T, err error, kind llm.Kind) {
	t.Helper()
	if got := llm.KindOf(err); got != kind {
		t.Fatalf("error kind %q, want %q (%v)", got, kind, err)
	}
}

func TestMissThenHitInBothForms(t *testing.T) {
	p := llmtest.Script(llmtest.OK("hello there"))
	c := newClient(t, nil, p)
	first := do(t, c, request("hi"))
	if first.Meta.Cache.Status != forebay.CacheMiss || !first.Meta.Cache.Stored || first.Meta.Attempts != 1 {
		t.Errorf("first call: %+v", first.Meta)
	}
	if first.Meta.Usage.IsZero() || first.Meta.CostMicroUSD == 0 {
		t.Errorf("no usage or price of the first call: %+v", first.Meta)
	}
	whole := do(t, c, request("hi"))
	if whole.Meta.Cache.Status != forebay.CacheHit || string(whole.Body) != string(first.Body) {
		t.Errorf("second call: %+v %q", whole.Meta.Cache, whole.Body)
	}
	if whole.Meta.CostMicroUSD != 0 || whole.Meta.Attempts != 0 {
		t.Errorf("a hit that costs: %+v", whole.Meta)
	}
	s := do(t, c, streamed("hi"))
	if s.Meta.Cache.Status != forebay.CacheHit || llmtest.Text(s.Body) != "hello there" || !strings.Contains(string(s.Body), "END") {
		t.Errorf("streamed hit: %+v %q", s.Meta.Cache, s.Body)
	}
	if n := len(p.Calls()); n != 1 {
		t.Errorf("%d calls upstream, want 1", n)
	}
}

func TestStreamIsStoredAndServedWhole(t *testing.T) {
	p := llmtest.Script(llmtest.OK(llmtest.EightWords))
	c := newClient(t, nil, p)
	s, err := c.Stream(t.Context(), streamed("hi"))
	if err != nil {
		t.Fatal(err)
	}
	chunks := 0
	for {
		if _, err = s.Next(); err != nil {
			break
		}
		chunks++
	}
	if !errors.Is(err, io.EOF) || chunks < 4 {
		t.Fatalf("%d chunks, end %v", chunks, err)
	}
	if m := s.Meta(); !m.Cache.Stored || m.Usage.Output != 8 {
		t.Errorf("meta at the end: %+v", m)
	}
	if res := do(t, c, request("hi")); res.Meta.Cache.Status != forebay.CacheHit || llmtest.Text(res.Body) != llmtest.EightWords {
		t.Errorf("whole hit of a stream: %+v %q", res.Meta.Cache, res.Body)
	}
}

func TestNobodyGetsAnothersAnswer(t *testing.T) {
	mine := request("hi")
	for name, change := range map[string]func(*llm.Request){
		"tenant":    func(r *llm.Request) { r.Tenant = "other" },
		"user":      func(r *llm.Request) { r.User = "other" },
		"persona":   func(r *llm.Request) { r.Persona = "other" },
		"operation": func(r *llm.Request) { r.Operation = "vc-analysis" },
		"namespace": func(r *llm.Request) { r.Cache.Namespace = "other" },
		"prompt":    func(r *llm.Request) { r.Body = []byte("hi!") },
	} {
		t.Run(name, func(t *testing.T) {
			p := llmtest.Script(llmtest.Echo())
			c := newClient(t, nil, p)
			do(t, c, mine)
			r := *mine
			change(&r)
			if res := do(t, c, &r); res.Meta.Cache.Status != forebay.CacheMiss {
				t.Errorf("got %q", res.Meta.Cache.Status)
			}
		})
	}
}

func TestCacheDirectives(t *testing.T) {
	p := llmtest.Script(llmtest.OK("a"))
	c := newClient(t, nil, p)
	with := func(d llm.CacheDirectives) *llm.Request {
		r := request("hi")
		r.Cache = d
		return r
	}
	_, err := c.Do(t.Context(), with(llm.CacheDirectives{OnlyIfCached: true}))
	wantKind(t, err, llm.CallerNotCached)
	if res := do(t, c, with(llm.CacheDirectives{NoWrite: true})); res.Meta.Cache.Stored {
		t.Error("no-store was stored")
	}
	do(t, c, request("hi"))
	if res := do(t, c, with(llm.CacheDirectives{NoRead: true})); res.Meta.Cache.Status != forebay.CacheBypass || res.Meta.Attempts != 1 {
		t.Errorf("no-cache: %+v", res.Meta)
	}
	if res := do(t, c, with(llm.CacheDirectives{OnlyIfCached: true})); res.Meta.Cache.Status != forebay.CacheHit {
		t.Errorf("only-if-cached: %+v", res.Meta.Cache)
	}
	_, err = c.Do(t.Context(), with(llm.CacheDirectives{NoRead: true, NoWrite: true, OnlyIfCached: true}))
	wantKind(t, err, llm.CallerNotCached)
}

func TestWhatIsNotStored(t *testing.T) {
	for name, step := range map[string]llmtest.Step{
		"cut":   llmtest.CutAfter(3),
		"stall": llmtest.StallAfter(3),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := llmtest.Script(step, llmtest.OK("whole"))
				c := newClient(t, func(cfg *forebay.Config) { cfg.Defaults.Deadline = 10 * time.Second }, p)
				_, err := c.Do(t.Context(), streamed("hi"))
				if err == nil {
					t.Fatal("a broken stream counts as an answer")
				}
				if res := do(t, c, streamed("hi")); res.Meta.Cache.Status != forebay.CacheMiss {
					t.Errorf("the broken answer was found: %+v", res.Meta.Cache)
				}
			})
		})
	}
}

func TestIdenticalMissesShareOneCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := llmtest.Script(llmtest.Delay(time.Second))
		c := newClient(t, nil, p)
		var wg sync.WaitGroup
		collapsed := make(chan bool, 1000)
		for range 1000 {
			wg.Go(func() {
				res, err := c.Do(t.Context(), request("hi"))
				if err != nil {
					t.Error(err)
					return
				}
				collapsed <- res.Meta.Cache.Status == forebay.CacheCollapsed
			})
		}
		wg.Wait()
		close(collapsed)
		n := 0
		for yes := range collapsed {
			if yes {
				n++
			}
		}
		if calls := len(p.Calls()); calls != 1 || n != 999 {
			t.Errorf("%d calls upstream and %d that joined, want 1 and 999", calls, n)
		}
	})
}

func TestLoadBeyondTheLimitWaitsByPriority(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := llmtest.Script(llmtest.Delay(time.Second))
		c := newClient(t, func(cfg *forebay.Config) { cfg.Limits = limit.Config{MaxConcurrent: 1} }, p)
		var mu sync.Mutex
		var order []string
		var wg sync.WaitGroup
		send := func(prompt string, band llm.Priority) {
			wg.Go(func() {
				r := request(prompt)
				r.Priority = band
				res, err := c.Do(t.Context(), r)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				order = append(order, prompt)
				mu.Unlock()
				if prompt != "first" && res.Meta.Timing.Queue <= 0 {
					t.Errorf("%s: no wait noted", prompt)
				}
			})
			synctest.Wait()
		}
		send("first", llm.Normal)
		send("low", llm.Low)
		send("normal", llm.Normal)
		send("critical", llm.Critical)
		wg.Wait()
		if got := strings.Join(order, " "); got != "first critical normal low" {
			t.Errorf("order %q", got)
		}
		if _, most := p.InFlight(); most != 1 {
			t.Errorf("%d calls at once, the limit is 1", most)
		}
	})
}

func TestHopelessCallsAreRefusedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := llmtest.Script(llmtest.Delay(time.Second))
		c := newClient(t, func(cfg *forebay.Config) {
			cfg.Limits = limit.Config{MaxConcurrent: 1}
			cfg.Queue = queue.Config{Max: 2}
		}, p)
		var wg sync.WaitGroup
		for i := range 3 {
			wg.Go(func() { _, _ = c.Do(t.Context(), request(fmt.Sprint(i))) })
		}
		synctest.Wait()
		start := time.Now()
		_, err := c.Do(t.Context(), request("one too many"))
		wantKind(t, err, llm.PolicyOverloaded)
		e := llm.AsError(err)
		if e.RetryAfter <= 0 || e.Limit != "queue.max" || e.Value != "2" || e.SupportID != "req-1" || time.Since(start) != 0 {
			t.Errorf("refusal %+v after %v", e, time.Since(start))
		}
		wg.Wait()
	})
}

func TestRetriesUntilItWorks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := llmtest.Script(llmtest.Fail(503), llmtest.Fail(429), llmtest.OK("at last"))
		c := newClient(t, func(cfg *forebay.Config) { cfg.Retry = forebay.Retry{Max: 3} }, p)
		res := do(t, c, request("hi"))
		if llmtest.Text(res.Body) != "at last" || res.Meta.Attempts != 3 {
			t.Errorf("%q after %d attempts", res.Body, res.Meta.Attempts)
		}
	})
}

func TestCallersFaultsAreNotRepeated(t *testing.T) {
	p := llmtest.Script(llmtest.Fail(llm.ProviderRejected))
	c := newClient(t, func(cfg *forebay.Config) { cfg.Retry = forebay.Retry{Max: 3} }, p, llmtest.Script(llmtest.OK("b")))
	_, err := c.Do(t.Context(), request("hi"))
	wantKind(t, err, llm.ProviderRejected)
	if n := len(p.Calls()); n != 1 {
		t.Errorf("%d calls", n)
	}
	if m := forebay.MetaOf(err); m.Attempts != 1 {
		t.Errorf("meta of the error: %+v", m)
	}
}

// At 100 % failure retries may add a tenth, and what a burst of ten allows.
func TestRetryBudgetBoundsAmplification(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := llmtest.Script(llmtest.Fail(500))
		c := newClient(t, func(cfg *forebay.Config) {
			cfg.Retry = forebay.Retry{Max: 3}
			cfg.Breaker = breaker.Config{Off: true}
		}, p)
		const calls = 1000
		for i := range calls {
			_, err := c.Do(t.Context(), request(fmt.Sprint(i)))
			wantKind(t, err, llm.ProviderError)
		}
		if n := len(p.Calls()); n > calls*11/10+10 {
			t.Errorf("%d calls upstream for %d requests", n, calls)
		}
	})
}

func TestFailureBeforeTheFirstUsefulChunkGoesToTheNextTargetUnseen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, step := range map[string]llmtest.Step{
			"refused": llmtest.Fail(500), "cut before the first token": llmtest.CutAfter(0),
		} {
			second := llmtest.Script(llmtest.OK("from the second"))
			c := newClient(t, nil, llmtest.Script(step), second)
			res := do(t, c, streamed("hi"))
			if llmtest.Text(res.Body) != "from the second" || res.Meta.Provider != "p2" || res.Meta.Attempts != 2 {
				t.Errorf("%s: %q from %s after %d attempts", name, res.Body, res.Meta.Provider, res.Meta.Attempts)
			}
		}
	})
}

func TestCutAfterTheFirstTokenIsAnError(t *testing.T) {
	p := llmtest.Script(llmtest.CutAfter(3))
	c := newClient(t, nil, p, llmtest.Script(llmtest.OK("never asked")))
	s, err := c.Stream(t.Context(), streamed("hi"))
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = s.Next()
	}
	wantKind(t, err, llm.ProviderTruncated)
	if e := llm.AsError(err); e.SupportID != "req-1" {
		t.Errorf("support id %q", e.SupportID)
	}
}

func TestBreakerOpensAndTheAnswerDegrades(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := llmtest.Script(llmtest.Fail(500))
		c := newClient(t, func(cfg *forebay.Config) { cfg.Breaker = breaker.Config{OpenFor: 30 * time.Second} }, p)
		ask := func(i int) *forebay.Response {
			r := request(fmt.Sprint("q", i))
			r.Operation = "vc-analysis"
			return do(t, c, r)
		}
		for i := range 8 {
			res := ask(i)
			if res.Meta.Fallback != degrade.Template || !res.Meta.Degraded || !strings.Contains(llmtest.Text(res.Body), "req-1") {
				t.Errorf("call %d: %+v %q", i, res.Meta, res.Body)
			}
		}
		if n := len(p.Calls()); n != 5 {
			t.Errorf("%d calls reached the provider, the breaker opens at 5", n)
		}
		h := c.Health()
		if h.Overall != forebay.Unhealthy || h.Degradation.Level != degrade.Full || h.Degradation.Targets["p1/m"] != "open" {
			t.Errorf("health %+v", h)
		}
		// So does a caller who denies fallbacks.
		denied := request("denied")
		denied.Operation, denied.NoFallback = "vc-analysis", true
		_, err := c.Do(t.Context(), denied)
		wantKind(t, err, llm.PolicyBreakerOpen)
		// A call without an operation gets the error, with the time to come back.
		_, err = c.Do(t.Context(), request("plain"))
		wantKind(t, err, llm.PolicyBreakerOpen)
		if e := llm.AsError(err); e.RetryAfter <= 0 || !strings.Contains(e.Message, "p1/m") {
			t.Errorf("error %+v", e)
		}
		p.Set(llmtest.OK("back"))
		time.Sleep(40 * time.Second)
		for i := range 5 {
			if res := ask(100 + i); res.Meta.Degraded {
				t.Errorf("still degraded after recovery: %+v", res.Meta)
			}
		}
		time.Sleep(2 * time.Minute)
		if h := c.Health(); h.Overall != forebay.Healthy {
			t.Errorf("health after recovery %+v", h)
		}
	})
}

func TestExpiredAnswerServesWhenTheTargetFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := llmtest.Script(llmtest.OK("of yesterday"), llmtest.Fail(500))
		c := newClient(t, nil, p)
		r := request("hi")
		r.Operation, r.Cache.TTL = "vc-analysis", time.Hour
		do(t, c, r)
		time.Sleep(2 * time.Hour)
		res := do(t, c, r)
		if res.Meta.Fallback != degrade.Cached || llmtest.Text(res.Body) != "of yesterday" || !res.Meta.Degraded {
			t.Errorf("%+v %q", res.Meta, res.Body)
		}
	})
}

func TestDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := llmtest.Script(llmtest.Delay(time.Minute))
		c := newClient(t, func(cfg *forebay.Config) { cfg.Defaults.Deadline = 10 * time.Second }, p)
		start := time.Now()
		r := request("hi")
		r.Timeout = time.Second
		_, err := c.Do(t.Context(), r)
		wantKind(t, err, llm.CallerDeadline)
		if took := time.Since(start); took != time.Second {
			t.Errorf("took %v", took)
		}
		_, err = c.Do(t.Context(), request("other"))
		wantKind(t, err, llm.ProviderTimeout)
		synctest.Wait()
		if now, _ := p.InFlight(); now != 0 {
			t.Errorf("%d calls still run upstream", now)
		}
	})
}

func TestCallerGoneCancelsUpstreamAndIsNobodysFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := llmtest.Script(llmtest.StallAfter(2))
		c := newClient(t, nil, p)
		for range 10 {
			ctx, cancel := context.WithCancel(t.Context())
			s, err := c.Stream(ctx, streamed("hi"))
			if err != nil {
				t.Fatal(err)
			}
			time.AfterFunc(time.Second, cancel)
			for err == nil {
				_, err = s.Next()
			}
			wantKind(t, err, llm.CallerCancelled)
			_ = s.Close()
			synctest.Wait()
			if now, _ := p.InFlight(); now != 0 {
				t.Fatalf("%d calls still run upstream", now)
			}
		}
		if h := c.Health(); h.Degradation.Targets["p1/m"] != "closed" {
			t.Errorf("callers that leave opened the breaker: %+v", h.Degradation)
		}
	})
}

func TestPanicOfAProviderIsAnError(t *testing.T) {
	p := llmtest.Script(llmtest.Do(func(context.Context, string, *llm.Request) (llm.Stream, error) { panic("boom") }))
	c := newClient(t, nil, p)
	_, err := c.Do(t.Context(), request("hi"))
	wantKind(t, err, llm.ForebayInternal)
}

func TestUnknownNames(t *testing.T) {
	c := newClient(t, nil, llmtest.Script())
	r := request("hi")
	r.Model = "n"
	_, err := c.Do(t.Context(), r)
	wantKind(t, err, llm.CallerUnknownModel)
	if e := llm.AsError(err); !strings.Contains(e.Fix, "m") {
		t.Errorf("fix %q", e.Fix)
	}
	r = request("hi")
	r.Operation = "nope"
	_, err = c.Do(t.Context(), r)
	wantKind(t, err, llm.CallerUnknownOperation)
}

func TestCloseDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := llmtest.Script(llmtest.Delay(time.Second))
		c := newClient(t, nil, p)
		done := make(chan error, 1)
		go func() {
			_, err := c.Do(t.Context(), request("in progress"))
			done <- err
		}()
		synctest.Wait()
		closed := make(chan error, 1)
		go func() { closed <- c.Close(t.Context()) }()
		synctest.Wait()
		_, err := c.Do(t.Context(), request("late"))
		wantKind(t, err, llm.ForebayDraining)
		wantKind(t, c.Ready(), llm.ForebayDraining)
		if err := <-done; err != nil {
			t.Errorf("the call in progress: %v", err)
		}
		if err := <-closed; err != nil {
			t.Errorf("Close: %v", err)
		}
	})
}

func TestEveryUseIsSettledOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ledger := cost.NewMemory(cost.MemoryConfig{})
		p := llmtest.Script(llmtest.OK("one two"))
		c := newClient(t, func(cfg *forebay.Config) { cfg.Ledger = ledger }, p)
		want := do(t, c, request("hi")).Meta.CostMicroUSD
		do(t, c, request("hi"))
		do(t, c, streamed("hi"))
		var calls, micro int64
		for _, total := range ledger.Totals() {
			calls += total.Calls
			micro += total.MicroUSD
		}
		if calls != 3 || micro != want || want == 0 {
			t.Errorf("%d calls and %d micro-dollars in the ledger, want 3 and %d", calls, micro, want)
		}
	})
}

func TestNewReportsEveryFault(t *testing.T) {
	_, err := forebay.New(forebay.Config{
		Models:     map[string]forebay.Model{"a": {}, "b": {Targets: []forebay.Target{{Provider: "nope"}}}},
		Operations: map[string]forebay.Operation{"op": {Model: "c", Deadline: -1}},
		Retry:      forebay.Retry{Max: 99, Budget: 2},
		Limits:     limit.Config{MaxConcurrent: -7},
		Cache:      cache.Config{MemoryBytes: -1},
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, part := range []string{"models.a", `"nope"`, "operations.op.model", "operations.op.deadline", "retry.max", "retry.budget", "max_concurrent"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is missing in:\n%v", part, err)
		}
	}
}

func TestHitsSayThatTheTargetIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := llmtest.Script(llmtest.OK("kept"), llmtest.Fail(500))
		c := newClient(t, nil, p)
		do(t, c, request("hi"))
		if res := do(t, c, request("hi")); res.Meta.Level != degrade.None {
			t.Errorf("level %q of a hit while all is well", res.Meta.Level)
		}
		for i := range 5 {
			_, err := c.Do(t.Context(), request(fmt.Sprint(i)))
			wantKind(t, err, llm.ProviderError)
		}
		if res := do(t, c, request("hi")); res.Meta.Cache.Status != forebay.CacheHit || res.Meta.Level != degrade.Full {
			t.Errorf("hit with an open breaker: %+v", res.Meta)
		}
	})
}
