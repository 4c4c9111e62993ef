package forebay

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/forebay-ai/forebay/breaker"
	"github.com/forebay-ai/forebay/cost"
	"github.com/forebay-ai/forebay/limit"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/queue"
)

// target is one place where a model runs, with the policies that guard it.
type target struct {
	name         string // "provider/model", for breakers and metrics
	providerName string
	provider     llm.Provider
	model        string // the provider's name of the model; empty: the name asked for
	family       string // answers of one family and model may stand for one another
	price        cost.Price

	limiter *limit.Limiter
	line    *queue.Line
	breaker *breaker.Breaker
	budget  limit.RetryBudget
}

// modelFor is the model that t runs for req.
func (t *target) modelFor(req *llm.Request) string {
	if t.model != "" {
		return t.model
	}
	return req.Model
}

// fetch makes the call: it tries the model's targets in order and stores a
// complete answer in the cache before anybody sees its end.
func (k *call) fetch(ctx context.Context) (llm.Stream, error) {
	k.fetching.Store(true)
	f := &fetched{call: k}
	var last error
	for _, t := range k.model.targets {
		err := k.try(ctx, t, f)
		if err == nil {
			return f, nil
		}
		last = err
		if ctx.Err() != nil || !llm.KindOf(err).TryNext() {
			break
		}
	}
	f.settle(last)
	return nil, &fetchError{error: last, attempts: f.attempts, waited: f.waited}
}

// fetchError is why no target answered, with what was tried. The error of a call
// in a flight reaches everybody who shares it, so nothing is noted at the call.
type fetchError struct {
	error
	attempts int
	waited   time.Duration
}

// Unwrap gives the last target's error.
func (e *fetchError) Unwrap() error { return e.error }

// effort is what was done before err: attempts made and time waited for slots.
func effort(err error) (attempts int, waited time.Duration) {
	var e *fetchError
	if errors.As(err, &e) {
		return e.attempts, e.waited
	}
	return 0, 0
}

// try calls one target until it answers, gives up or may not be repeated.
func (k *call) try(ctx context.Context, t *target, f *fetched) error {
	share := k.client.retry.Budget
	t.budget.Earn(share)
	for n := 0; ; n++ {
		err := k.attempt(ctx, t, f)
		if err == nil {
			return nil
		}
		e := llm.AsError(err)
		if !e.Kind.Retryable() || n >= k.client.retry.Max || ctx.Err() != nil {
			return e
		}
		wait := k.client.retry.wait(n, e.RetryAfter)
		if time.Now().Add(wait).After(k.deadline) || !t.budget.Spend(share) {
			return e
		}
		k.client.monitor.Retried(e.Kind)
		if !sleep(ctx, wait) {
			return llm.AsError(ctx.Err())
		}
	}
}

// attempt makes one call of one target: breaker, slot, provider, and the wait for
// the first useful chunk.
func (k *call) attempt(ctx context.Context, t *target, f *fetched) error {
	if !t.breaker.Ready(time.Now()) {
		return t.refused() // no need to wait for a slot first
	}
	waited, err := t.line.Enter(ctx, queue.Entry{
		Priority: k.req.Priority, Tenant: k.req.Tenant, Deadline: k.deadline, Bytes: len(k.req.Body),
		Durable: k.req.Durable, Waiting: k.req.Waiting,
	})
	f.waited += waited
	if err != nil {
		k.client.monitor.QueueRefused(refusalReason(llm.AsError(err)))
		return err
	}
	a := attempt{start: time.Now(), target: t}
	permit, ok := t.breaker.Allow(a.start)
	if !ok {
		t.line.Leave(0)
		return t.refused()
	}
	a.permit = permit
	if k.req.Durable { // it may have hours: a target that hangs must not take them all
		ctx, a.stop = context.WithTimeout(ctx, k.op.Deadline)
	}
	f.attempts++
	k.attempted.Store(true)
	f.target, f.model, f.attempt = t, t.modelFor(k.req), a
	f.stream, err = k.invokeSafely(ctx, t)
	if err == nil {
		err = f.hold()
	}
	if err != nil {
		f.endAttempt(err)
		return err
	}
	return nil
}

// refusalReason is the label of a refusal: monitor.DefaultRefusalReasons has them all.
func refusalReason(e *llm.Error) string {
	switch {
	case e.Kind == llm.ForebayDraining:
		return "draining"
	case e.Kind == llm.CallerCancelled:
		return "cancelled"
	case e.Kind == llm.CallerDeadline || e.Limit == "queue.max_age":
		return "expired"
	case e.Limit == "deadline":
		return "deadline"
	case e.Limit == "queue.target":
		return "delay"
	}
	return "full"
}

// invokeSafely turns a panic of a provider or a function into an error: one bad
// call must not take the process with it.
func (k *call) invokeSafely(ctx context.Context, t *target) (s llm.Stream, err error) {
	defer func() {
		if p := recover(); p != nil {
			k.client.log.Error("panic in a call", "request_id", k.req.ID, "target", t.name, "panic", p)
			s, err = nil, llm.Errorf(llm.ForebayInternal, "the call failed inside the gateway")
		}
	}()
	return k.invoke(ctx, t, k.req)
}

// callProvider is the invoker of calls to models.
func callProvider(ctx context.Context, t *target, req *llm.Request) (llm.Stream, error) {
	return t.provider.Call(ctx, t.modelFor(req), req)
}

// refused is the error of a target whose breaker lets no call through.
func (t *target) refused() *llm.Error {
	s := t.breaker.Snapshot(time.Now())
	return &llm.Error{
		Kind: llm.PolicyBreakerOpen, Message: "the breaker of " + t.name + " is open: " + s.Reason,
		Fix: "Send the request again later.", RetryAfter: max(time.Until(s.RetryAt), time.Second),
		Provider: t.providerName, Model: t.model,
	}
}

// wait is how long to pause before attempt n+2: a random time up to an
// exponentially growing bound (full jitter, the AWS Architecture Blog's
// "Exponential Backoff And Jitter"), or what the provider asks for if that is longer.
func (r Retry) wait(n int, retryAfter time.Duration) time.Duration {
	bound := min(r.Base<<min(n, 20), r.Cap)
	return max(rand.N(bound+1), retryAfter)
}

// sleep pauses for d and reports whether ctx was still alive at the end.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
