package forebay

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/forebay-ai/forebay/limit"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/requestlog"
	"github.com/forebay-ai/forebay/route"
	"github.com/forebay-ai/forebay/upstream"
)

// fetch makes the call: it goes through the model's targets until one answers, and
// stores a complete answer in the cache before anybody sees its end.
func (k *call) fetch(ctx context.Context) (llm.Stream, error) {
	k.fetching.Store(true)
	f := &fetched{call: k}
	ctx, left := k.leaveTime(ctx)
	err := left.Spent(ctx, k.tour(ctx, f))
	if err == nil {
		f.left = left
		return f, nil
	}
	f.abandon(err)
	left.Release()
	f.settle(err)
	return nil, &fetchError{error: err, attempts: f.attempts, waited: f.waited, failed: f.failed, tried: f.tried}
}

// fetchError is why no target answered, with what was tried. The error of a call
// in a flight reaches everybody who shares it, so nothing is noted at the call.
type fetchError struct {
	error
	attempts int
	waited   time.Duration
	failed   failures
	tried    []requestlog.Attempt
}

// failures are the targets that no other call should be made to in the place of one
// that failed: all that did but those that were too slow, for which less may be enough.
type failures []*upstream.Target

// Has says that t is among them.
func (f failures) Has(t *upstream.Target) bool { return slices.Contains(f, t) }

// Unwrap gives the last target's error.
func (e *fetchError) Unwrap() error { return e.error }

// effort is what was done before err: attempts made, time waited for slots, and where it
// failed.
func effort(err error) fetchError {
	var e *fetchError
	if errors.As(err, &e) {
		return *e
	}
	return fetchError{}
}

// tour is one call's way through the targets: each fit one once, without a pause, and
// then, while the budgets for retries last, again the one that is fit best. A call that
// stands in for another one goes where that one has not failed, and repeats nothing.
func (k *call) tour(ctx context.Context, f *fetched) error {
	tr := tour{call: k, draw: rand.Uint64(), tenant: k.client.budgets.Of(k.req.Tenant)}
	retries := k.client.retry.Max
	if k.instead != nil || k.req.Repeated {
		retries = 0
	} else {
		tr.earn()
	}
	plan, err := tr.plan()
	if err != nil {
		return err
	}
	for i, at := range plan {
		if i > 0 && tr.tooSmall(at) {
			continue
		}
		if err = tr.attempt(ctx, f, at, i+1 < len(plan)); err == nil || tr.over(ctx, err) {
			return tr.telling(err)
		}
	}
	for n := range max(retries, 0) {
		at, ok := tr.again()
		if !ok || !tr.pause(ctx, n, at) {
			return tr.telling(err)
		}
		if err = tr.attempt(ctx, f, at, false); err == nil || tr.over(ctx, err) {
			return tr.telling(err)
		}
	}
	return tr.telling(err)
}

// tour keeps what was seen on the way.
type tour struct {
	*call
	draw   uint64
	tenant *limit.RetryBudget
	failed [maxTargets]*llm.Error // the last error of each target
	tokens int                    // that the call may take; 0 where no target asks
	window int                    // of the widest target for which the request was too long
	order  [maxTargets]int
}

// earn books the call with the budgets of its tenant and of all its targets: any of
// them may have to answer it.
func (t *tour) earn() {
	share := t.client.retry.Budget
	t.tenant.Earn(share)
	for _, tg := range t.model.targets {
		tg.Budget.Earn(share)
	}
}

// plan lists the targets to try as indices, best first. An error says why no target may
// serve the call.
func (t *tour) plan() ([]int, error) {
	targets := t.model.targets
	asker := upstream.Asker{Now: time.Now(), Source: t.source(), Regions: t.client.regions, Request: t.req}
	if t.model.sized && t.tokens == 0 {
		t.tokens = targets[0].Tokens(t.req)
	}
	asker.Tokens = t.tokens
	need := route.Need{Residency: t.residency, Window: t.window, Draw: t.draw}
	if t.model.windows {
		need.Tokens = asker.Tokens
	}
	state := func(i int) route.State { return targets[i].State(&asker) }
	plan := t.model.router.Plan(t.order[:0], need, state)
	if len(plan) == 0 && need.Tokens > 0 { // tokens are guessed, of pictures badly: let the provider decide
		need.Tokens = 0
		plan = t.model.router.Plan(plan, need, state)
	}
	if len(plan) == 0 {
		return nil, t.nowhere(need)
	}
	if t.instead != nil {
		plan = slices.DeleteFunc(plan, func(i int) bool { return t.instead.Has(targets[i]) })
	}
	if len(plan) == 0 {
		return nil, llm.Errorf(llm.PolicyOverloaded, "every target of the model has failed in this call already")
	}
	return plan, nil
}

// nowhere says why no target may serve the call.
func (t *tour) nowhere(need route.Need) *llm.Error {
	need.Tokens, need.Window = 0, 0
	if t.residency != "" && len(t.model.router.Exclusions(need)) == len(t.model.targets) {
		return &llm.Error{
			Kind: llm.PolicyResidency, Message: fmt.Sprintf("no target of model %.100q is marked %q", t.model.name, t.residency),
			Param: "x-forebay-residency", Limit: "residency", Value: t.residency,
			Fix: "Ask for another model, or mark one of its targets with this residency.",
		}
	}
	return &llm.Error{
		Kind: llm.ProviderContextExceeded, Message: "the request is longer than any target's context window",
		Limit: "context_window", Fix: "Shorten the request, or ask for a model with a larger context window.",
	}
}

// attempt makes one call of the target at an index, and notes how it failed.
func (t *tour) attempt(ctx context.Context, f *fetched, at int, others bool) error {
	tg := t.model.targets[at]
	err := t.call.attempt(ctx, tg, f, others)
	if err == nil {
		return nil
	}
	e := llm.AsError(err)
	if e.Kind == llm.ProviderContextExceeded {
		t.window = max(t.window, tg.Place.ContextWindow)
	}
	t.failed[at] = e
	if e.Kind != llm.ProviderTimeout {
		f.failed = append(f.failed, tg)
	}
	return e
}

// tooSmall says that the request was too long for a target with a window as large.
func (t *tour) tooSmall(at int) bool {
	return t.window > 0 && t.model.targets[at].Place.ContextWindow <= t.window
}

// telling is the error that says most of why no target answered: that of one that was
// called, before that of one that took nobody in.
func (t *tour) telling(err error) error {
	if err == nil || llm.KindOf(err).Domain() != llm.PolicyFault {
		return err
	}
	for i := range t.model.targets {
		if e := t.failed[i]; e != nil && e.Kind.Domain() == llm.ProviderFault {
			err = e
		}
	}
	return err
}

// over says that no further target may help: the time is up, or the error is about the
// request itself. A request that is too long goes on to a larger window alone.
func (t *tour) over(ctx context.Context, err error) bool {
	kind := llm.KindOf(err)
	return ctx.Err() != nil || !kind.TryNext() && !(kind == llm.ProviderContextExceeded && t.window > 0)
}

// again is the target to try once more: the best one by now of those whose failure may
// pass.
func (t *tour) again() (at int, ok bool) {
	plan, err := t.plan()
	if err != nil {
		return 0, false
	}
	for _, at := range plan {
		if e := t.failed[at]; e != nil && e.Kind.Retryable() && !e.NoRetry {
			return at, true
		}
	}
	return 0, false
}

// pause waits before a repeated attempt, for which it takes from both budgets. It is
// false where the call has to do without one.
func (t *tour) pause(ctx context.Context, n, at int) bool {
	e, share := t.failed[at], t.client.retry.Budget
	wait := max(limit.Backoff(n, t.client.retry.Base, t.client.retry.Cap), e.RetryAfter)
	if time.Now().Add(wait).After(t.targetsUntil()) {
		return false
	}
	if !t.tenant.Spend(share) {
		return false
	}
	if !t.model.targets[at].Budget.Spend(share) {
		t.tenant.Earn(1) // it was not spent after all
		return false
	}
	t.client.monitor.Retried(e.Kind)
	return limit.Pause(ctx, wait)
}
