package forebay_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/breaker"
	"github.com/forebay-ai/forebay/degrade"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/llm/llmtest"
	"github.com/forebay-ai/forebay/pace"
)

// A silent target leaves half of the time to the next one.
func TestFirstTokenBound(t *testing.T) {
	for name, step := range map[string]llmtest.Step{"no head": llmtest.Hang(), "no token": llmtest.StallAfter(0)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := llmtest.Script(step), llmtest.Script(llmtest.OK("b"))
				c := newClient(t, func(cfg *forebay.Config) { cfg.Defaults.Deadline = 20 * time.Second }, a, b)
				began := time.Now()
				if got := llmtest.Text(do(t, c, streamed("hi")).Body); got != "b" || time.Since(began) != 10*time.Second {
					t.Errorf("%q after %s", got, time.Since(began))
				}
			})
		})
	}
}

func TestFirstTokenBoundConfigured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := llmtest.Script(llmtest.Hang())
		c := newClient(t, func(cfg *forebay.Config) { cfg.Defaults.Pace.FirstToken = 3 * time.Second }, a)
		began := time.Now()
		_, err := c.Do(t.Context(), streamed("hi"))
		var e *llm.Error
		if errors.As(err, &e); e == nil || e.Kind != llm.ProviderTimeout || e.Limit != "first_token_timeout" || time.Since(began) != 3*time.Second {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
	})
}

// A stream that trickles is ended, and what it was is told; a reader who takes his time
// is not the target's fault.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := llmtest.Script(llmtest.Trickle(2 * time.Second))
		c := newClient(t, func(cfg *forebay.Config) { cfg.Defaults.Pace = pace.Config{MinRate: 50, Window: 4 * time.Second} }, slow)
		_, err := c.Do(t.Context(), streamed("hi"))
		var e *llm.Error
		if errors.As(err, &e); e == nil || e.Kind != llm.ProviderTimeout || e.Limit != "min_throughput" {
			t.Errorf("a trickle: %v", err)
		}
		fast := newClient(t, func(cfg *forebay.Config) { cfg.Defaults.Pace = pace.Config{MinRate: 50, Window: 4 * time.Second} }, llmtest.Script(llmtest.OK(llmtest.EightWords)))
		s, err := fast.Stream(t.Context(), streamed("hi"))
		if err != nil {
			t.Fatal(err)
		}
		for err == nil {
			time.Sleep(3 * time.Second)
			_, err = s.Next()
		}
		if err != io.EOF {
			t.Errorf("a slow reader: %v", err)
		}
	})
}

// A stream that is held whole is repaired unseen wherever it breaks; one that is not is cut.
func TestHold(t *testing.T) {
	for name, step := range map[string]llmtest.Step{"cut": llmtest.CutAfter(4), "stalled": llmtest.StallAfter(4), "garbage": llmtest.Garbage()} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for _, hold := range []int{0, 2, forebay.HoldAll} {
					a, b := llmtest.Script(step), llmtest.Script(llmtest.OK("whole and well"))
					c := newClient(t, func(cfg *forebay.Config) {
						cfg.Defaults.Hold, cfg.Defaults.Deadline = hold, 20*time.Second
						cfg.Defaults.Pace = pace.Config{MinRate: 1, Window: time.Second}
					}, a, b)
					res, err := c.Do(t.Context(), streamed("hi"))
					repaired := err == nil && llmtest.Text(res.Body) == "whole and well"
					if want := hold == forebay.HoldAll || hold == 2 && name == "garbage"; repaired != want {
						t.Errorf("hold %d: repaired %t, want %t (%v)", hold, repaired, want, err)
					}
				}
			})
		})
	}
}

func TestSimplifiedByAModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := llmtest.Script(llmtest.Hang()), llmtest.Script(llmtest.OK("less").After(time.Second))
		c := newClient(t, func(cfg *forebay.Config) {
			all := cfg.Models["m"].Targets
			cfg.Models["m"], cfg.Models["small"] = forebay.Model{Targets: all[:1]}, forebay.Model{Targets: all[1:]}
			cfg.Operations["o"] = forebay.Operation{
				Deadline: 20 * time.Second, Simplified: forebay.Simplified{Model: "small", MaxTokens: 100}, Fallback: []degrade.Strategy{degrade.Simplified, degrade.Error},
			}
		}, a, b)
		r := request("hi")
		r.Operation = "o"
		began := time.Now()
		res := do(t, c, r)
		if llmtest.Text(res.Body) != "less" || res.Meta.Fallback != degrade.Simplified || !res.Meta.Degraded || res.Meta.Provider != "p2" {
			t.Errorf("%q, %+v", res.Body, res.Meta)
		}
		if took := time.Since(began); took > 18*time.Second {
			t.Errorf("took %s of 20 s", took)
		}
		if res.Meta.Usage.IsZero() || res.Meta.CostMicroUSD == 0 {
			t.Errorf("usage %+v, price %d", res.Meta.Usage, res.Meta.CostMicroUSD)
		}
		r = request("hi")
		r.Operation, r.Cache.OnlyIfCached = "o", true
		if _, err := c.Do(t.Context(), r); llm.KindOf(err) != llm.CallerNotCached {
			t.Errorf("a simplified answer was stored: %v", err)
		}
	})
}

// The caller's own bound leaves time for the fallback too.
func TestSimplifiedWithinTheCallersTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, func(cfg *forebay.Config) {
			cfg.Operations["o"] = forebay.Operation{Fallback: []degrade.Strategy{degrade.Simplified, degrade.Error}}
		}, llmtest.Script(llmtest.Hang()))
		c.Simplify("o", func(_ context.Context, req *llm.Request) (string, error) { return "short of " + string(req.Body), nil })
		r := request("hi")
		r.Operation, r.Timeout = "o", 5*time.Second
		began := time.Now()
		if res := do(t, c, r); llmtest.Text(res.Body) != "short of hi" || time.Since(began) != 4*time.Second {
			t.Errorf("%q after %s", res.Body, time.Since(began))
		}
		c.Simplify("o", func(context.Context, *llm.Request) (string, error) { panic("boom") })
		_, err := c.Do(t.Context(), r)
		wantKind(t, err, llm.ProviderTimeout)
		c.Simplify("o", nil)
		_, err = c.Do(t.Context(), r)
		wantKind(t, err, llm.CallerDeadline)
	})
}

// One tenant whose calls always fail does not take the target from the others.
func TestOneTenantsFailuresAreItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := llmtest.Script(llmtest.Do(func(_ context.Context, _ string, req *llm.Request) (llm.Stream, error) {
			if req.Tenant == "poison" {
				return nil, llm.Errorf(llm.ProviderError, "boom")
			}
			return &plan{chunks: []llm.Chunk{{Raw: llmtest.Whole("fine", llm.Usage{}), Events: 1, Useful: true, Finish: llm.FinishStop}}, end: io.EOF}, nil
		}))
		c := newClient(t, func(cfg *forebay.Config) { cfg.Cache.Off = true }, a)
		for i := range 600 {
			r := request("hi")
			r.Tenant = []string{"one", "poison", "two"}[i%3]
			if _, err := c.Do(t.Context(), r); (err != nil) != (r.Tenant == "poison") {
				t.Fatalf("call %d of %s: %v", i, r.Tenant, err)
			}
			time.Sleep(50 * time.Millisecond)
		}
	})
}

func TestSetBreaker(t *testing.T) {
	a, b := llmtest.Script(llmtest.OK("a")), llmtest.Script(llmtest.OK("b"))
	record := &recorded{}
	c := newClient(t, func(cfg *forebay.Config) { cfg.Cache.Off, cfg.Auditor, cfg.Breaker.Ramp = true, record, -1 }, a, b)
	if err := c.SetBreaker(t.Context(), "ops", "p1/m", forebay.BreakerOpen, "maintenance"); err != nil {
		t.Fatal(err)
	}
	if got := llmtest.Text(do(t, c, request("hi")).Body); got != "b" {
		t.Errorf("answered by %q", got)
	}
	if s := c.Targets()[0]; !s.Breaker.Forced || s.Breaker.State != breaker.Open || !strings.Contains(s.Breaker.Reason, "maintenance") {
		t.Errorf("status %+v", s.Breaker)
	}
	if err := c.SetBreaker(t.Context(), "ops", "p1/m", forebay.BreakerReset, ""); err != nil {
		t.Fatal(err)
	}
	if got := llmtest.Text(do(t, c, request("hi")).Body); got != "a" {
		t.Errorf("answered by %q after the reset", got)
	}
	wantKind(t, c.SetBreaker(t.Context(), "ops", "nobody", forebay.BreakerOpen, ""), llm.CallerNotFound)
	wantKind(t, c.SetBreaker(t.Context(), "ops", "p1/m", "explode", ""), llm.CallerInvalidRequest)
	record.err = errors.New("disk full")
	wantKind(t, c.SetBreaker(t.Context(), "ops", "p1/m", forebay.BreakerOpen, ""), llm.ForebayUnavailable)
	if c.Targets()[0].Breaker.State != breaker.Closed {
		t.Error("a change that could not be recorded was made")
	}
	if n := record.n.Load(); n != 3 {
		t.Errorf("%d records, want 3", n)
	}
}

// recorded is an auditor.
type recorded struct {
	n   atomic.Int64
	err error
}

func (r *recorded) Audit(context.Context, string, string, map[string]string) error {
	r.n.Add(1)
	return r.err
}
