package warmup_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/llm/llmtest"
	"github.com/forebay-ai/forebay/warmup"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newClient(t *testing.T, p llm.Provider) *forebay.Client {
	t.Helper()
	c, err := forebay.New(forebay.Config{
		Providers: map[string]llm.Provider{"p": p}, Retry: forebay.Retry{Max: -1},
		Models: map[string]forebay.Model{"m": {Targets: []forebay.Target{{Provider: "p"}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

func request(prompt string) *llm.Request {
	return &llm.Request{
		ID: "req-1", Tenant: "t", User: "u", Model: "m", Endpoint: llm.Chat, Dialect: llmtest.Dialect{}, Body: []byte(prompt),
	}
}

func do(t *testing.T, c *forebay.Client, r *llm.Request) *forebay.Response {
	t.Helper()
	res, err := c.Do(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func requestsOf(requests []*llm.Request) iter.Seq2[*llm.Request, error] {
	return func(yield func(*llm.Request, error) bool) {
		for _, r := range requests {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := llmtest.Script(llmtest.Echo().After(time.Second))
		c := newClient(t, p)
		do(t, c, request("q 3"))
		requests := func(yield func(*llm.Request, error) bool) {
			for i := range 10 {
				r := request(fmt.Sprintf("q %d", i))
				r.Priority = llm.Critical
				if i == 4 {
					r.Cache.NoWrite = true
				}
				if i == 5 {
					r, _ = nil, yield(nil, errors.New("line 6: no JSON"))
					continue
				}
				if !yield(r, nil) {
					return
				}
			}
		}
		began, told := time.Now(), 0
		report, err := warmup.Run(t.Context(), c, warmup.List{Requests: requests, Concurrency: 4, Progress: func(r warmup.Report) {
			told++
			if r.Requests != int64(told) {
				t.Errorf("told %d requests at time %d", r.Requests, told)
			}
		}})
		want := warmup.Report{Requests: 10, Cached: 1, Fetched: 7, Unstored: 1, Failed: 1, Failures: []string{"line 6: no JSON"}}
		report.Tokens, report.CostMicroUSD = 0, 0
		if err != nil || fmt.Sprint(report) != fmt.Sprint(want) || told != 10 {
			t.Errorf("%+v %v, want %+v", report, err, want)
		}
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("took %v: four at once make eight calls in 2 s", took)
		}
		if _, most := p.InFlight(); most != 4 {
			t.Errorf("%d calls at once", most)
		}
		for _, call := range p.Calls()[1:] {
			if call.Request.Priority != llm.Low {
				t.Errorf("a warm-up with the priority %s", call.Request.Priority)
			}
		}
		if do(t, c, request("q 9")).Meta.Cache.Status != forebay.CacheHit {
			t.Error("not warm")
		}
		if s := c.Monitor().Summary(); s.Requests != 2 {
			t.Errorf("%d requests counted, want those of callers", s.Requests)
		}
	})
}

// While there is no room a warm-up waits: it is never in anybody's way.
func TestRunWaitsForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := llmtest.Script(llmtest.Err(&llm.Error{Kind: llm.PolicyOverloaded, Message: "full", RetryAfter: 3 * time.Second}), llmtest.OK("fine"))
		c := newClient(t, p)
		began := time.Now()
		report, err := warmup.Run(t.Context(), c, warmup.List{Requests: requestsOf([]*llm.Request{request("q")})})
		if err != nil || report.Fetched != 1 || time.Since(began) != 3*time.Second {
			t.Errorf("%+v %v after %v", report, err, time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		p.Set(llmtest.Hang())
		if _, err := warmup.Run(ctx, c, warmup.List{Requests: requestsOf([]*llm.Request{request("a"), request("b"), request("c")})}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v after the end of its context", err)
		}
	})
}
