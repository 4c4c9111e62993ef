package upstream

import (
	"context"
	"time"

	"github.com/forebay-ai/forebay/breaker"
	"github.com/forebay-ai/forebay/limit"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/queue"
)

// Attempt is the leave to call a target once. It ends with End.
type Attempt struct {
	Target   *Target
	Start    time.Time     // when the slot was there
	Waited   time.Duration // for the slot
	permit   breaker.Permit
	reserved limit.Reservation
	source   uint64
	inFlight int
	shown    bool // Shown was called
}

// Entry is what a target wants to know of a call that wants in.
type Entry struct {
	queue.Entry
	Request *llm.Request
	// Source stands for whose call it is: the breaker tells one tenant's failures from
	// the target's own (breaker.Outcome.Source). 0 means unknown.
	Source uint64
	// Others says that another target could be tried instead: then nobody waits for a
	// quota here.
	Others bool
}

// Begin waits for leave to call the target: breaker, quota, slot. On an error nothing is held
// and the target was not called; it is an *llm.Error, of kind PolicyBreakerOpen or
// PolicyOverloaded or what ended ctx. The attempt says what was waited in any case.
func (t *Target) Begin(ctx context.Context, e Entry) (Attempt, error) {
	tokens := 0
	if t.Quota != nil {
		tokens = t.Tokens(e.Request)
	}
	if e.Others { // a target that hangs must not take the time in which another would answer
		e.Deadline = time.Now().Add(time.Until(e.Deadline) / 2)
	}
	var waited time.Duration
	for {
		if !t.Breaker.ReadySource(time.Now(), e.Source) {
			return Attempt{Waited: waited}, t.refused() // no need to wait for a slot first
		}
		if err := t.waitForQuota(ctx, tokens, &e); err != nil {
			return Attempt{Waited: waited}, err
		}
		more, err := t.Line.Enter(ctx, e.Entry)
		if waited += more; err != nil {
			return Attempt{Waited: waited}, err
		}
		a := Attempt{Target: t, Start: time.Now(), Waited: waited, source: e.Source, inFlight: t.Limiter.InFlight()}
		var ok bool
		if a.permit, ok = t.Breaker.AllowSource(a.Start, e.Source); !ok {
			t.Line.Leave(0)
			return Attempt{Waited: waited}, t.refused()
		}
		if a.reserved, ok = t.Quota.Reserve(a.Start, tokens); ok {
			return a, nil
		}
		t.Breaker.Cancel(a.permit) // another call was faster: once more, from the quota on
		t.Line.Leave(0)
	}
}

// waitForQuota waits until the quota has room for the call, if that is before the call's
// end and there is no other target to go to.
func (t *Target) waitForQuota(ctx context.Context, tokens int, e *Entry) error {
	for t.Quota != nil {
		now := time.Now()
		wait := t.Quota.Wait(now, tokens)
		if wait <= 0 {
			return nil
		}
		if e.Others || now.Add(wait).After(e.Deadline) {
			return t.spent(wait)
		}
		if !limit.Pause(ctx, wait) {
			return llm.AsError(ctx.Err())
		}
	}
	return nil
}

// spent is the error of a target whose quota is used up for now.
func (t *Target) spent(wait time.Duration) *llm.Error {
	return &llm.Error{
		Kind: llm.PolicyOverloaded, Message: "the quota of " + t.Name + " is used up",
		Limit: "targets.requests_per_minute, targets.tokens_per_minute", RetryAfter: max(wait, time.Second),
		Fix: "Send the request again later, or raise the target's quota.", Provider: t.Place.Provider, Model: t.Place.Model,
	}
}

// refused is the error of a target whose breaker lets no call through.
func (t *Target) refused() *llm.Error {
	s := t.Breaker.Snapshot(time.Now())
	return &llm.Error{
		Kind: llm.PolicyBreakerOpen, Message: "the breaker of " + t.Name + " is open: " + s.Reason,
		Fix: "Send the request again later.", RetryAfter: max(time.Until(s.RetryAt), time.Second),
		Provider: t.Place.Provider, Model: t.Place.Model,
	}
}

// Outcome is how an attempt went.
type Outcome struct {
	// Kind is the error's, or empty. Those of the caller say nothing of the target.
	Kind llm.Kind
	// RetryAfter is how much patience an overloaded target asked for; zero: none.
	RetryAfter time.Duration
	// FirstToken is the time to the first useful chunk; zero where there was none.
	FirstToken time.Duration
	// Usage is what was used, and Output the tokens of the answer, counted where the
	// provider did not report them.
	Usage  llm.Usage
	Output int
}

// End gives back what the attempt holds, and tells breaker, quota, limit and routing how
// it went. It is called once, and returns how long the attempt took.
func (a *Attempt) End(now time.Time, req *llm.Request, o *Outcome) time.Duration {
	t, took := a.Target, now.Sub(a.Start)
	if o.Kind == "" || o.Kind.CountsForBreaker() {
		t.Breaker.Record(now, a.permit, breaker.Outcome{Failed: o.Kind != "", Took: took, Reason: string(o.Kind), Source: a.source})
	} else {
		t.Breaker.Cancel(a.permit)
	}
	t.Quota.Settle(now, a.reserved, t.Quota.Used(int(o.Usage.Input), int(o.Usage.CacheWrite), int(o.Usage.Output)))
	wake := a.feed(now, req, o) // before the slot is given back: the control looks at how many are taken
	t.Line.Leave(took)
	if wake {
		t.Line.Wake()
	}
	return took
}

// Shown tells the limit that a streamed answer began to show itself first after the
// start. It is called at most once, before End.
func (a *Attempt) Shown(now time.Time, req *llm.Request, first time.Duration) {
	a.shown = true
	s := limit.Sample{Stage: limit.First, Start: a.Start, InFlight: a.inFlight, FirstToken: first, Streamed: true, InputBytes: len(req.Body)}
	if a.Target.Control.Observe(now, s) {
		a.Target.Line.Wake()
	}
}

// feed tells the limit and what routing goes by. It is true where the limit was raised.
// An attempt that the caller ended says nothing of the target but that it is over.
func (a *Attempt) feed(now time.Time, req *llm.Request, o *Outcome) bool {
	t := a.Target
	s := limit.Sample{
		Start: a.Start, InFlight: a.inFlight, FirstToken: o.FirstToken, Took: now.Sub(a.Start), OutputTokens: o.Output,
		Streamed: req.Stream, Overloaded: o.Kind.FeedsLimiter(), Failed: o.Kind != "", InputBytes: len(req.Body),
	}
	if a.shown {
		s.Stage = limit.Rest
	}
	answer := req.Endpoint != llm.CountTokens // a count takes a moment, and says nothing of answers
	if !answer {
		s.FirstToken, s.Took, s.OutputTokens = 0, 0, 0
	}
	switch {
	case o.Kind == "" && answer:
		t.recent.answered(now, req.Stream, o.FirstToken, o.Output)
	case s.Overloaded:
		s.RetryAfter = o.RetryAfter
		t.recent.patience(now, o.RetryAfter)
	}
	return t.Control.Observe(now, s)
}
