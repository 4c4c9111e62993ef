package forebay_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/degrade"
	"github.com/forebay-ai/forebay/dialect/bedrock"
	"github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/dialect/translate"
	"github.com/forebay-ai/forebay/limit"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/llm/llmtest"
	"github.com/forebay-ai/forebay/route"
)

// targets changes the targets of the model m.
func targets(change func(i int, t *forebay.Target)) func(*forebay.Config) {
	return func(cfg *forebay.Config) {
		m := cfg.Models["m"]
		for i := range m.Targets {
			change(i, &m.Targets[i])
		}
	}
}

// Each target is tried once before anything is repeated, and without a pause.
func TestTargetsBeforeRepetitions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := llmtest.Script(llmtest.Fail(500), llmtest.OK("late"))
		b := llmtest.Script(llmtest.OK("soon"))
		c := newClient(t, func(cfg *forebay.Config) { cfg.Retry = forebay.Retry{Max: 3} }, a, b)
		began := time.Now()
		res := do(t, c, request("hi"))
		if got := llmtest.Text(res.Body); got != "soon" || time.Since(began) > 0 {
			t.Errorf("%q after %s, want soon at once", got, time.Since(began))
		}
		if len(a.Calls()) != 1 || len(b.Calls()) != 1 || res.Meta.Attempts != 2 {
			t.Errorf("%d and %d calls, %d attempts", len(a.Calls()), len(b.Calls()), res.Meta.Attempts)
		}
	})
}

// When all have failed in a way that may pass, the one that is fit best is tried again.
func TestRepetitionAfterAllTargets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := llmtest.Script(llmtest.Fail(500), llmtest.OK("second try"))
		b := llmtest.Script(llmtest.Fail(401))
		c := newClient(t, func(cfg *forebay.Config) { cfg.Retry = forebay.Retry{Max: 3} }, a, b)
		if got := llmtest.Text(do(t, c, request("hi")).Body); got != "second try" {
			t.Errorf("%q", got)
		}
		if len(b.Calls()) != 1 {
			t.Errorf("%d calls of a target whose key was refused", len(b.Calls()))
		}
	})
}

// A target that asks not to be tried again is not, although its error would allow it.
func TestShouldRetryFalseIsObeyed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &llm.Error{Kind: llm.ProviderError, Message: "no", NoRetry: true}
		a := llmtest.Script(llmtest.Err(e))
		c := newClient(t, func(cfg *forebay.Config) { cfg.Retry = forebay.Retry{Max: 3} }, a)
		_, err := c.Do(t.Context(), request("hi"))
		wantKind(t, err, llm.ProviderError)
		if n := len(a.Calls()); n != 1 {
			t.Errorf("%d calls, want 1", n)
		}
	})
}

// At 100 % failure, with the breaker off, repetitions add a tenth and no more.
func TestAmplification(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := llmtest.Script(llmtest.Fail(500))
		c := newClient(t, func(cfg *forebay.Config) {
			cfg.Retry, cfg.Breaker.Off, cfg.Cache.Off = forebay.Retry{Max: 3}, true, true
		}, a)
		const n = 1000
		for range n {
			if _, err := c.Do(t.Context(), request("hi")); err == nil {
				t.Fatal("answered")
			}
		}
		if calls := len(a.Calls()); calls > n*11/10 || calls == n {
			t.Errorf("%d calls for %d requests, want more and at most %d", calls, n, n*11/10)
		}
	})
}

// The tenant's budget bounds repetitions that are spread over many targets.
func TestTenantsHaveABudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := llmtest.Script(llmtest.Fail(500)), llmtest.Script(llmtest.Fail(500))
		c := newClient(t, func(cfg *forebay.Config) {
			cfg.Retry, cfg.Breaker.Off, cfg.Cache.Off = forebay.Retry{Max: 3}, true, true
			cfg.Models["m"] = forebay.Model{Strategy: route.Weighted, Targets: cfg.Models["m"].Targets}
		}, a, b)
		const n = 1000
		for range n {
			_, _ = c.Do(t.Context(), request("hi"))
		}
		if calls := len(a.Calls()) + len(b.Calls()); calls > 2*n+n/10 {
			t.Errorf("%d calls: %d repetitions for %d requests", calls, calls-2*n, n)
		}
	})
}

func TestResidency(t *testing.T) {
	us, eu, de := llmtest.Script(llmtest.OK("us")), llmtest.Script(llmtest.OK("eu")), llmtest.Script(llmtest.OK("de"))
	c := newClient(t, func(cfg *forebay.Config) {
		targets(func(i int, t *forebay.Target) { t.Residency = []string{"us", "eu", "eu-de"}[i] })(cfg)
		cfg.Operations["bound"] = forebay.Operation{Residency: "eu"}
		cfg.Cache.Off = true
	}, us, eu, de)
	for _, test := range []struct {
		operation, asked, want string
		kind                   llm.Kind
	}{
		{"", "", "us", ""},
		{"", "eu", "eu", ""},
		{"", "eu-de", "de", ""},
		{"", "eu-fr", "", llm.PolicyResidency},
		{"", "Not an area", "", llm.CallerInvalidRequest},
		{"bound", "", "eu", ""},
		{"bound", "eu-de", "de", ""},
		{"bound", "us", "", llm.PolicyResidency},
	} {
		r := request("hi")
		r.Operation, r.Residency = test.operation, test.asked
		res, err := c.Do(t.Context(), r)
		if llm.KindOf(err) != test.kind || err == nil && llmtest.Text(res.Body) != test.want {
			t.Errorf("%q asks for %q: %v", test.operation, test.asked, err)
		}
	}
}

// A call that must not leave an area leaves it in no failure.
func TestResidencyHoldsInFailures(t *testing.T) {
	us, eu := llmtest.Script(llmtest.OK("us")), llmtest.Script(llmtest.Fail(500))
	small := llmtest.Script(llmtest.OK("small"))
	c := newClient(t, func(cfg *forebay.Config) {
		targets(func(i int, t *forebay.Target) { t.Residency = []string{"us", "eu", ""}[i] })(cfg)
		all := cfg.Models["m"].Targets
		cfg.Models["m"] = forebay.Model{Targets: all[:2]}
		cfg.Models["small"] = forebay.Model{Targets: all[2:]}
		cfg.Operations["bound"] = forebay.Operation{
			Residency: "eu", Simplified: forebay.Simplified{Model: "small"}, Fallback: []degrade.Strategy{degrade.Simplified, degrade.Error},
		}
	}, us, eu, small)
	r := request("hi")
	r.Operation = "bound"
	_, err := c.Do(t.Context(), r)
	wantKind(t, err, llm.ProviderError)
	if len(us.Calls())+len(small.Calls()) != 0 {
		t.Errorf("%d and %d calls left the area", len(us.Calls()), len(small.Calls()))
	}
}

// Calls bound to an area do not share a call that is not.
func TestResidencySeparatesFlights(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		us, eu := llmtest.Script(llmtest.OK("us").After(time.Second)), llmtest.Script(llmtest.OK("eu").After(time.Second))
		c := newClient(t, targets(func(i int, t *forebay.Target) { t.Residency = []string{"us", "eu"}[i] }), us, eu)
		answers := make(chan string, 2)
		for _, area := range []string{"", "eu"} {
			go func() {
				r := request("hi")
				r.Residency = area
				res, err := c.Do(context.Background(), r)
				if err != nil {
					t.Error(err)
				}
				answers <- area + " " + llmtest.Text(res.Body)
			}()
			synctest.Wait()
		}
		got := map[string]bool{<-answers: true, <-answers: true}
		if !got[" us"] || !got["eu eu"] {
			t.Errorf("answers: %v", got)
		}
	})
}

func TestTooLongGoesToALargerWindowOnly(t *testing.T) {
	tooLong := llmtest.Fail(llm.ProviderContextExceeded)
	a, b, c3 := llmtest.Script(tooLong), llmtest.Script(llmtest.OK("small too")), llmtest.Script(llmtest.OK("large"))
	c := newClient(t, targets(func(i int, t *forebay.Target) { t.ContextWindow = []int{8_000, 8_000, 200_000}[i] }), a, b, c3)
	if got := llmtest.Text(do(t, c, request("hi")).Body); got != "large" || len(b.Calls()) != 0 {
		t.Errorf("%q, and %d calls of a window as small", got, len(b.Calls()))
	}

	unknown := newClient(t, nil, llmtest.Script(tooLong), llmtest.Script(llmtest.OK("x")))
	_, err := unknown.Do(t.Context(), request("hi"))
	wantKind(t, err, llm.ProviderContextExceeded)
}

// What only some of a model's targets can serve goes to these, wherever they are listed.
func TestTargetsThatCannotServeAreLeftOut(t *testing.T) {
	for endpoint, dialect := range map[llm.Endpoint]llm.Dialect{llm.CountTokens: bedrock.Converse{}, llm.Chat: bedrock.Invoke{}} {
		asks := func() *llm.Request {
			r := request(`{"messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}],"max_tokens":9,"anthropic_version":"bedrock-2023-05-31"}`)
			r.Endpoint, r.Dialect = endpoint, dialect
			return r
		}
		other, own := llmtest.Script(llmtest.OK("x")), llmtest.Script(llmtest.Fail(llm.ProviderAuthFailed), llmtest.OK("42"))
		c := newClient(t, nil, translate.Provider(other, openai.Dialect{}), own)
		_, err := c.Do(t.Context(), asks())
		wantKind(t, err, llm.ProviderAuthFailed) // and not that the other one cannot
		if do(t, c, asks()); len(own.Calls()) != 2 || len(other.Calls()) != 0 {
			t.Errorf("%s: %d calls of the target that can, %d of the other", endpoint, len(own.Calls()), len(other.Calls()))
		}
		if err := c.SetBreaker(t.Context(), "test", "p2/m", forebay.BreakerOpen, "test"); err != nil {
			t.Fatal(err)
		}
		r := asks()
		r.Cache.NoRead = true
		_, err = c.Do(t.Context(), r)
		wantKind(t, err, llm.PolicyBreakerOpen)

		alone := newClient(t, nil, translate.Provider(other, openai.Dialect{}))
		_, err = alone.Do(t.Context(), asks())
		wantKind(t, err, llm.CallerInvalidRequest)
	}
}

func TestFilteredIsNotRoutedAround(t *testing.T) {
	b := llmtest.Script(llmtest.OK("x"))
	c := newClient(t, nil, llmtest.Script(llmtest.Fail(llm.ProviderFiltered)), b)
	_, err := c.Do(t.Context(), request("hi"))
	if wantKind(t, err, llm.ProviderFiltered); len(b.Calls()) != 0 {
		t.Error("another target was asked")
	}
}

func TestQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := llmtest.Script(llmtest.OK("x"))
		c := newClient(t, func(cfg *forebay.Config) {
			targets(func(_ int, t *forebay.Target) { t.Quota = limit.QuotaConfig{RequestsPerMinute: 60} })(cfg)
			cfg.Cache.Off = true
		}, a)
		for range 60 {
			do(t, c, request("hi"))
		}
		began := time.Now()
		do(t, c, request("hi")) // waits for a place
		if took := time.Since(began); took < 500*time.Millisecond || took > 2*time.Second {
			t.Errorf("the call over the quota took %s", took)
		}
		r := request("hi")
		r.Timeout = 100 * time.Millisecond
		_, err := c.Do(t.Context(), r)
		var e *llm.Error
		if errors.As(err, &e); e == nil || e.Kind != llm.PolicyOverloaded || e.RetryAfter < time.Second {
			t.Errorf("without the time to wait: %v", err)
		}
	})
}

func TestSpentQuotaGoesElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := llmtest.Script(llmtest.OK("a")), llmtest.Script(llmtest.OK("b"))
		c := newClient(t, func(cfg *forebay.Config) {
			targets(func(i int, t *forebay.Target) { t.Quota = limit.QuotaConfig{RequestsPerMinute: []int{60, 0}[i]} })(cfg)
			cfg.Cache.Off = true
		}, a, b)
		for range 100 {
			do(t, c, request("hi"))
		}
		if len(a.Calls()) > 61 || len(b.Calls()) < 39 {
			t.Errorf("%d and %d calls", len(a.Calls()), len(b.Calls()))
		}
	})
}

// A place that is described in two ways is a mistake of the configuration.
func TestPlacesAreDescribedOnce(t *testing.T) {
	p := llmtest.Script(llmtest.OK("x"))
	at := forebay.Target{Provider: "p", Model: "m", Region: "r1"}
	other := at
	other.Region = "r2"
	_, err := forebay.New(forebay.Config{
		Providers: map[string]llm.Provider{"p": p},
		Models:    map[string]forebay.Model{"a": {Targets: []forebay.Target{at}}, "b": {Targets: []forebay.Target{other}}},
	})
	if err == nil || !strings.Contains(err.Error(), "models.b.targets[0]") || !strings.Contains(err.Error(), "region") {
		t.Errorf("error %v", err)
	}
}
