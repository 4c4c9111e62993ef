package policychain

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/forebay-ai/forebay/breaker"
	"github.com/forebay-ai/forebay/limit"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/queue"
	"github.com/forebay-ai/forebay/route"
	"github.com/forebay-ai/forebay/upstream"
)

// Settings of a call as the request path gives it.
const (
	deadline  = 45 * time.Second
	retryBase = 100 * time.Millisecond
	retryCap  = 5 * time.Second
	tenant    = "tenant"
	bodyBytes = 2000
	tokens    = 1000
)

// policies is the policies of Forebay around a call.
type policies struct {
	targets []*upstream.Target
	router  *route.Router
	regions route.Regions
	budgets *limit.RetryBudgets
	request llm.Request
}

// Forebay is the chain of Forebay's policies in front of two targets: choice of the
// target, retry budgets of tenant and targets, breaker, line and slots, adaptive bound,
// quota where one is set, and the deadline. It is put together as the request path of
// package forebay puts it together.
func Forebay(quota limit.QuotaConfig) (Chain, error) {
	f := &policies{budgets: limit.NewRetryBudgets(0), request: llm.Request{Tenant: tenant, Body: make([]byte, bodyBytes)}}
	guards := upstream.Policies{Limits: limit.Config{MaxConcurrent: slots}}
	var places []route.Target
	for _, name := range []string{"one", "two"} {
		place := upstream.Place{Provider: name, Region: "eu-central-1", Quota: quota}
		f.targets = append(f.targets, upstream.New(name, place, guards, nil))
		places = append(places, place.Route())
	}
	var err error
	f.router, err = route.New(route.Ordered, places)
	return f.do, err
}

// do is a call's way through the targets: each fit one once, and then, while the budgets
// last, the best one again.
func (f *policies) do(ctx context.Context, call Call) error {
	until := time.Now().Add(deadline)
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	own := f.budgets.Of(tenant)
	own.Earn(retryShare)
	for _, t := range f.targets {
		t.Budget.Earn(retryShare)
	}
	draw := rand.Uint64()
	var order [route.MaxTargets]int
	var err error
	for _, at := range f.plan(order[:0], draw) {
		if err = f.attempt(ctx, f.targets[at], until, call); err == nil {
			return nil
		}
	}
	for n := range retries {
		plan := f.plan(order[:0], draw)
		t := f.targets[plan[0]]
		if !t.Budget.Spend(retryShare) || !own.Spend(retryShare) || !limit.Pause(ctx, limit.Backoff(n, retryBase, retryCap)) {
			return err
		}
		if err = f.attempt(ctx, t, until, call); err == nil {
			return nil
		}
	}
	return err
}

func (f *policies) plan(dst []int, draw uint64) []int {
	asker := upstream.Asker{Now: time.Now(), Tokens: f.targets[0].Tokens(&f.request), Source: 1, Regions: &f.regions, Request: &f.request}
	return f.router.Plan(dst, route.Need{Draw: draw}, func(i int) route.State { return f.targets[i].State(&asker) })
}

// attempt makes one call of the target.
func (f *policies) attempt(ctx context.Context, t *upstream.Target, until time.Time, call Call) error {
	leave, err := t.Begin(ctx, upstream.Entry{
		Request: &f.request, Source: 1, Entry: queue.Entry{Tenant: tenant, Deadline: until, Bytes: bodyBytes},
	})
	if err != nil {
		return err
	}
	err = call(ctx)
	now := time.Now()
	var kind llm.Kind
	if err != nil {
		kind = llm.ProviderError
	}
	leave.End(now, &f.request, &upstream.Outcome{
		Kind: kind, FirstToken: now.Sub(leave.Start), Usage: llm.Usage{Input: tokens / 2, Output: tokens / 4}, Output: tokens / 4,
	})
	return err
}

var errOpen = llm.Errorf(llm.PolicyBreakerOpen, "the breaker is open") // never changed

// ForebayBreaker is Forebay's breaker alone.
func ForebayBreaker() Chain {
	b := breaker.New("alone", breaker.Config{})
	return func(ctx context.Context, call Call) error {
		permit, ok := b.Allow(time.Now())
		if !ok {
			return errOpen
		}
		err := call(ctx)
		b.Record(time.Now(), permit, breaker.Outcome{Failed: err != nil})
		return err
	}
}
