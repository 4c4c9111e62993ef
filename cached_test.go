package forebay_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/degrade"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/llm/llmtest"
)

// numbered answers each call with its number, the one that it has when it begins.
func numbered(n *atomic.Int64, after time.Duration) llmtest.Step {
	return llmtest.Do(func(ctx context.Context, model string, req *llm.Request) (llm.Stream, error) {
		answer := fmt.Sprintf("answer %d", n.Add(1))
		time.Sleep(after)
		return llmtest.Script(llmtest.OK(answer)).Call(ctx, model, req)
	})
}

// policy changes the cache policy of all operations.
func policy(p forebay.CachePolicy) func(*forebay.Config) {
	return func(c *forebay.Config) {
		c.Defaults.Cache = p
		c.Cache.Jitter = -1
	}
}

func text(r *forebay.Response) string { return llmtest.Text(r.Body) }

func TestStaleWhileRevalidate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		c := newClient(t, policy(forebay.CachePolicy{TTL: time.Hour, StaleWhileRevalidate: time.Minute}), llmtest.Script(numbered(&calls, time.Second)))
		do(t, c, request("q"))
		time.Sleep(time.Hour + 10*time.Second)
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				began := time.Now()
				r := do(t, c, request("q"))
				if text(r) != "answer 1" || r.Meta.Cache.Status != forebay.CacheStaleHit || r.Meta.Cache.TTL != -10*time.Second || time.Since(began) > 0 {
					t.Errorf("%q %+v after %v", text(r), r.Meta.Cache, time.Since(began))
				}
			})
		}
		wg.Wait()
		time.Sleep(2 * time.Second)
		if r := do(t, c, request("q")); text(r) != "answer 2" || r.Meta.Cache.Status != forebay.CacheHit || calls.Load() != 2 {
			t.Errorf("after the renewal: %q %+v, %d calls", text(r), r.Meta.Cache, calls.Load())
		}
		time.Sleep(time.Hour + time.Minute) // beyond the time in which it may be stale
		if r := do(t, c, request("q")); text(r) != "answer 3" || r.Meta.Cache.Status != forebay.CacheExpired || r.Meta.Cache.Reason != cache.ReasonExpired {
			t.Errorf("after that: %q %+v", text(r), r.Meta.Cache)
		}
		if s := c.Cache().Stats(); s.StaleHits != 20 || s.Operations["default"].StaleHits != 20 {
			t.Errorf("%+v", s.CacheMeetings)
		}
		if s := c.Monitor().Summary(); s.Requests != 23 {
			t.Errorf("%d requests counted, want 23: a renewal is no request of a caller", s.Requests)
		}
	})
}

// A renewal that fails leaves the stale answer, and costs those who get it nothing.
func TestRenewalThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := llmtest.Script(llmtest.OK("old"))
		c := newClient(t, policy(forebay.CachePolicy{TTL: time.Hour}), p)
		do(t, c, request("q"))
		time.Sleep(time.Hour + time.Second)
		p.Set(llmtest.Fail(500))
		for range 3 {
			if r := do(t, c, request("q")); text(r) != "old" || r.Meta.Cache.Status != forebay.CacheStaleHit {
				t.Errorf("%q %+v", text(r), r.Meta.Cache)
			}
			synctest.Wait()
		}
		if n := len(p.Calls()); n != 4 {
			t.Errorf("%d calls in all, want the first and three that failed", n)
		}
	})
}

func TestStaleIfError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := llmtest.Script(llmtest.OK("old"))
		c := newClient(t, policy(forebay.CachePolicy{TTL: time.Hour, StaleWhileRevalidate: -1, StaleIfError: time.Hour}), p)
		do(t, c, request("q"))
		p.Set(llmtest.Fail(500))
		time.Sleep(time.Hour + 30*time.Minute)
		r := do(t, c, request("q"))
		if text(r) != "old" || r.Meta.Fallback != degrade.Cached || !r.Meta.Degraded || r.Meta.Cache.Detail != forebay.DetailStaleIfError {
			t.Errorf("%q %+v", text(r), r.Meta)
		}
		time.Sleep(31 * time.Minute)
		_, err := c.Do(t.Context(), request("q"))
		wantKind(t, err, llm.ProviderError)
	})
}

func TestNegativeCaching(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := llmtest.Script(llmtest.Err(&llm.Error{Kind: llm.ProviderRejected, Message: "max_tokens is too large"}))
		c := newClient(t, nil, p)
		ask := func(change func(*llm.Request), calls int) error {
			t.Helper()
			r := request("q")
			if change != nil {
				change(r)
			}
			_, err := c.Do(t.Context(), r)
			if got := len(p.Calls()); got != calls {
				t.Errorf("%d calls, want %d (%v)", got, calls, err)
			}
			return err
		}
		wantKind(t, ask(nil, 1), llm.ProviderRejected)
		err := ask(nil, 1)
		wantKind(t, err, llm.ProviderRejected)
		if m := forebay.MetaOf(err); m.Cache.Status != forebay.CacheHit || m.Cache.Detail != forebay.DetailNegative || m.Attempts != 0 {
			t.Errorf("%+v", m)
		}
		_ = ask(func(r *llm.Request) { r.User = "other" }, 2)
		_ = ask(func(r *llm.Request) { r.Body = []byte("other") }, 3)
		_ = ask(func(r *llm.Request) { r.Cache.NoRead = true }, 4)
		if _, err := c.Cache().Invalidate(t.Context(), cache.Scope{Tenant: "t", User: "u"}); err != nil {
			t.Fatal(err)
		}
		_ = ask(nil, 5)
		time.Sleep(time.Minute + time.Second)
		_ = ask(nil, 6)
		p.Set(llmtest.Fail(500)) // every other failure is asked again
		time.Sleep(time.Minute + time.Second)
		_ = ask(nil, 7)
		_ = ask(nil, 8)
	})
}

// TestInvalidateVoidsWhatIsOnItsWay has a call in progress: its own caller and those
// who joined before get its answer, nobody later does, and it is not stored.
func TestInvalidateVoidsWhatIsOnItsWay(t *testing.T) {
	for _, stream := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var calls atomic.Int64
			c := newClient(t, nil, llmtest.Script(numbered(&calls, time.Second)))
			ask := func() string {
				r := request("q")
				r.Stream = stream
				return text(do(t, c, r))
			}
			var wg sync.WaitGroup
			for range 3 {
				wg.Go(func() {
					if got := ask(); got != "answer 1" {
						t.Errorf("a caller of before got %q", got)
					}
				})
			}
			time.Sleep(500 * time.Millisecond)
			if _, err := c.Cache().Invalidate(t.Context(), cache.Scope{Tenant: "t"}); err != nil {
				t.Fatal(err)
			}
			wg.Go(func() {
				if got := ask(); got != "answer 2" {
					t.Errorf("a caller of after joined a call of before: %q", got)
				}
			})
			wg.Wait()
			if got := ask(); got != "answer 2" || calls.Load() != 2 {
				t.Errorf("afterwards %q with %d calls", got, calls.Load())
			}
		})
	}
}

func TestInvalidateByModelName(t *testing.T) {
	c := newClient(t, func(cfg *forebay.Config) {
		cfg.Models["nice name"] = forebay.Model{Targets: []forebay.Target{{Provider: "p1", Model: "real-7b"}}}
	}, llmtest.Script(llmtest.Echo()))
	r := request("q")
	r.Model = "nice name"
	do(t, c, r)
	do(t, c, request("q"))
	for name, want := range map[string]int{"other": 0, "nice name": 1} {
		done, err := c.Cache().Invalidate(t.Context(), cache.Scope{Tenant: "t", Model: name})
		if err != nil || done.Entries != want {
			t.Errorf("%s: %+v %v, want %d entries", name, done, err, want)
		}
	}
	if do(t, c, request("q")).Meta.Cache.Status != forebay.CacheHit {
		t.Error("the other model's answer is gone too")
	}
}

// auditor notes changes, and refuses them where it is told to.
type auditor struct {
	noted  []string
	refuse error
}

func (a *auditor) Audit(_ context.Context, actor, action string, details map[string]string) error {
	a.noted = append(a.noted, fmt.Sprint(actor, " ", action, " ", details))
	return a.refuse
}

func TestChangesOfTheCacheAreAudited(t *testing.T) {
	a := &auditor{}
	c := newClient(t, func(cfg *forebay.Config) { cfg.Auditor = a }, llmtest.Script(llmtest.Echo()))
	do(t, c, request("q"))
	if _, err := c.Cache().By("web").Invalidate(t.Context(), cache.Scope{Tenant: "t", Operation: "other"}); err != nil {
		t.Fatal(err)
	}
	a.refuse = errors.New("disk full")
	_, err := c.Cache().Invalidate(t.Context(), cache.Scope{AllTenants: true})
	wantKind(t, err, llm.ForebayUnavailable)
	wantKind(t, c.Cache().Erase(t.Context(), "t", "u"), llm.ForebayUnavailable)
	want := []string{
		"web cache.invalidate map[operation:other tenant:t]", "library cache.invalidate map[tenant:*]", "library cache.erase map[tenant:t user:u]",
	}
	if !slices.Equal(a.noted, want) {
		t.Errorf("noted %q", a.noted)
	}
	if do(t, c, request("q")).Meta.Cache.Status != forebay.CacheHit {
		t.Error("a change that was not recorded took effect")
	}
}

func TestCacheThatIsOff(t *testing.T) {
	c := newClient(t, func(cfg *forebay.Config) { cfg.Cache.Off = true }, llmtest.Script(llmtest.Echo()))
	_, err := c.Cache().Invalidate(t.Context(), cache.Scope{Tenant: "t"})
	wantKind(t, err, llm.CallerNotFound)
	_, err = c.Cache().Explain(request("q"))
	wantKind(t, err, llm.CallerNotFound)
	if s := c.Cache().Stats(); s.Hits != 0 || c.Cache().Top(5) != nil {
		t.Errorf("%+v", s)
	}
}

// turns is a dialect whose bodies are "earlier turns|last turn".
type turns struct{ llmtest.Dialect }

func (turns) LastTurn(req *llm.Request) (string, []byte, bool) {
	earlier, last, ok := strings.Cut(string(req.Body), "|")
	return last, []byte(earlier), ok
}

func (turns) Omissions(*llm.Request, bool) ([]llm.Omission, error) {
	return []llm.Omission{{Path: "/user", Reason: "names the end user"}}, nil
}

func turn(body string) *llm.Request {
	r := request(body)
	r.Dialect = turns{}
	return r
}

const (
	asked    = "|What are the opening hours of the library?"
	reworded = "|what are the opening hours of the library please"
)

func TestSimilarWhenDegraded(t *testing.T) {
	p := llmtest.Script(llmtest.OK("nine to five"))
	c := newClient(t, policy(forebay.CachePolicy{Similar: forebay.SimilarDegraded, StaleIfError: time.Hour}), p)
	do(t, c, turn(asked))
	if r := do(t, c, turn(reworded)); r.Meta.Fallback != "" || r.Meta.Cache.Status != forebay.CacheMiss {
		t.Fatalf("a similar answer although the target works: %+v", r.Meta)
	}
	if _, err := c.Cache().Invalidate(t.Context(), cache.Scope{Tenant: "t"}); err != nil {
		t.Fatal(err)
	}
	do(t, c, turn(asked))
	p.Set(llmtest.Fail(500))
	r := do(t, c, turn(reworded))
	if text(r) != "nine to five" || r.Meta.Fallback != degrade.Similar || !r.Meta.Degraded || r.Meta.Cache.Detail != forebay.DetailSimilar || r.Meta.Cache.Stored {
		t.Errorf("%q %+v", text(r), r.Meta)
	}
	for name, other := range map[string]*llm.Request{
		"another user":         with(turn(reworded), func(r *llm.Request) { r.User = "v" }),
		"another tenant":       with(turn(reworded), func(r *llm.Request) { r.Tenant = "v" }),
		"another persona":      with(turn(reworded), func(r *llm.Request) { r.Persona = "v" }),
		"another conversation": turn("before" + reworded),
		"another meaning":      turn("|what are the closing hours of the library please"),
		"no reading":           with(turn(reworded), func(r *llm.Request) { r.Cache.NoRead = true }),
		"no fallback":          with(turn(reworded), func(r *llm.Request) { r.NoFallback = true }),
		"another namespace":    with(turn(reworded), func(r *llm.Request) { r.Cache.Namespace = "n" }),
	} {
		if r, err := c.Do(t.Context(), other); err == nil {
			t.Errorf("%s: %q", name, text(r))
		}
	}
}

func with(r *llm.Request, change func(*llm.Request)) *llm.Request {
	change(r)
	return r
}

func TestSimilarAlways(t *testing.T) {
	p := llmtest.Script(llmtest.OK("nine to five"))
	c := newClient(t, policy(forebay.CachePolicy{Similar: forebay.SimilarAlways}), p)
	do(t, c, turn(asked))
	r := do(t, c, turn(reworded))
	if text(r) != "nine to five" || r.Meta.Fallback != degrade.Similar || r.Meta.Cache.Detail != forebay.DetailSimilar || len(p.Calls()) != 1 {
		t.Errorf("%q %+v after %d calls", text(r), r.Meta, len(p.Calls()))
	}
	if r := do(t, c, turn(asked)); r.Meta.Fallback != "" || r.Meta.Cache.Status != forebay.CacheHit {
		t.Errorf("the same request: %+v", r.Meta)
	}
}

func TestExplain(t *testing.T) {
	c := newClient(t, func(cfg *forebay.Config) {
		cfg.Operations["shared"] = forebay.Operation{Cache: forebay.CachePolicy{Scope: []cache.Dimension{cache.Shared}, TTL: time.Minute}, PromptVersion: "7"}
	}, llmtest.Script(llmtest.Echo()))
	r := turn("a|b")
	x, err := c.Cache().Explain(r)
	if err != nil || !x.Cached || x.Found != "miss" || len(x.Key) != 64 || x.Scope["tenant"] != "t" || x.Scope["user"] != "u" || x.Model != "m" ||
		x.Family != "test" || x.TTLSeconds != 86400 || len(x.Omitted) != 1 {
		t.Errorf("%+v %v", x, err)
	}
	do(t, c, r)
	found, err := c.Cache().Explain(r)
	if err != nil || found.Found != "hit" || found.Key != x.Key || found.TTLSeconds == 86400 {
		t.Errorf("%+v %v", found, err)
	}
	r.Operation, r.Cache.NoWrite = "shared", true
	x, err = c.Cache().Explain(r)
	if err != nil || x.Cached || !strings.Contains(x.Why, "ro, no-store") || x.Scope["shared"] != "everybody" || len(x.Scope) != 1 || x.PromptVersion != "7" || x.Key == found.Key {
		t.Errorf("%+v %v", x, err)
	}
	r.Operation = "nobody's"
	_, err = c.Cache().Explain(r)
	wantKind(t, err, llm.CallerUnknownOperation)
	if n := len(c.Cache().Top(10)); n != 0 {
		t.Errorf("explaining counts as %d hits", n)
	}
}

func TestSimilarIsNotForSharedScopes(t *testing.T) {
	_, err := forebay.New(forebay.Config{
		Defaults:   forebay.Operation{Cache: forebay.CachePolicy{Similar: forebay.SimilarDegraded}},
		Operations: map[string]forebay.Operation{"open": {Cache: forebay.CachePolicy{Scope: []cache.Dimension{cache.Shared}}}},
	})
	if err == nil || !strings.Contains(err.Error(), "operations.open.cache.similar: not together with the scope shared") {
		t.Errorf("%v", err)
	}
}

func TestPolicyFaults(t *testing.T) {
	_, err := forebay.New(forebay.Config{Defaults: forebay.Operation{Cache: forebay.CachePolicy{
		Scope: []cache.Dimension{"team"}, NegativeTTL: 48 * time.Hour, AlsoStore: []llm.FinishReason{"stop"}, Similar: "sometimes", SimilarThreshold: 2, TTL: -1,
	}}})
	for _, want := range []string{"cache.scope", "cache.negative_ttl", "cache.store", "cache.similar:", "cache.similar_threshold", "cache.ttl"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no word of %s in %v", want, err)
		}
	}
}

// TestTenThousandIdenticalMisses asks the same at once, whole and streamed: one call.
func TestTenThousandIdenticalMisses(t *testing.T) {
	for _, stream := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			p := llmtest.Script(llmtest.OK("one answer").After(time.Second))
			c := newClient(t, nil, p)
			var wg sync.WaitGroup
			for range 10_000 {
				wg.Go(func() {
					r := request("q")
					r.Stream = stream
					if res, err := c.Do(t.Context(), r); err != nil || text(res) != "one answer" {
						t.Errorf("%v", err)
					}
				})
			}
			wg.Wait()
			if n := len(p.Calls()); n != 1 {
				t.Errorf("%d calls (streamed: %v)", n, stream)
			}
		})
	}
}
