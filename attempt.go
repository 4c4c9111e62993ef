package forebay

import (
	"context"
	"hash/maphash"
	"runtime/debug"
	"time"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/monitor"
	"github.com/forebay-ai/forebay/pace"
	"github.com/forebay-ai/forebay/queue"
	"github.com/forebay-ai/forebay/requestlog"
	"github.com/forebay-ai/forebay/upstream"
)

// attempt is one call of one target while it runs.
type attempt struct {
	upstream.Attempt
	stop context.CancelFunc // ends the attempt's own context; nil where it has none
	done bool
}

// attempt makes one call of one target: its leave, the provider, and the wait for the
// chunks that are held back. others says that another target could be tried after it.
func (k *call) attempt(ctx context.Context, t *upstream.Target, f *fetched, others bool) error {
	leave, err := t.Begin(ctx, upstream.Entry{Request: k.req, Source: k.source(), Others: others, Entry: queue.Entry{
		Priority: k.req.Priority, Tenant: k.req.Tenant, Deadline: k.targetsUntil(), Bytes: len(k.req.Body),
		Durable: k.req.Durable, Waiting: k.req.Waiting,
	}})
	f.waited += leave.Waited
	if err != nil {
		if e := llm.AsError(err); e.Kind != llm.PolicyBreakerOpen {
			k.client.monitor.QueueRefused(queue.Reason(e))
		}
		return err
	}
	a := attempt{Attempt: leave}
	ctx, a.stop, f.pace = k.bound(ctx, others)
	f.attempts++
	f.first, f.begun, f.held = 0, false, f.held[:0]
	k.attempts.Add(1)
	f.target, f.model, f.attempt = t, t.ModelFor(k.req), a
	f.pace.Begin(a.Start)
	f.stream, err = k.invokeSafely(ctx, t)
	err = f.pace.End(time.Now(), llm.Chunk{}, err)
	if err == nil {
		err = f.hold()
	}
	if err != nil {
		err = k.named(t, err)
		f.endAttempt(err)
		return err
	}
	return nil
}

// bound gives an attempt its own bounds: a durable call may have hours, and a target
// that hangs must not take them all; a stream has to keep its pace. While another
// target could answer, the wait for the first token takes half of the time that is
// left at most.
func (k *call) bound(ctx context.Context, others bool) (context.Context, context.CancelFunc, *pace.Watch) {
	var stop context.CancelFunc
	if k.req.Durable {
		ctx, stop = context.WithTimeout(ctx, k.op.Deadline)
	}
	if !k.req.Stream {
		return ctx, stop, nil
	}
	cfg := k.op.Pace
	if others {
		end := k.targetsUntil()
		if own, ok := ctx.Deadline(); ok && own.Before(end) {
			end = own
		}
		if half := time.Until(end) / 2; cfg.FirstToken < 0 || half < cfg.FirstToken {
			cfg.FirstToken = max(half, time.Millisecond)
		}
	}
	ctx, w := pace.NewWatch(ctx, cfg)
	return ctx, func() {
		w.Stop()
		if stop != nil {
			stop()
		}
	}, w
}

// named is err with the target's names, where its maker did not know them.
func (k *call) named(t *upstream.Target, err error) error {
	e := llm.AsError(err)
	if e.Provider != "" || e.Kind.Domain() != llm.ProviderFault {
		return err
	}
	c := *e
	c.Provider, c.Model = t.Place.Provider, t.ModelFor(k.req)
	return &c
}

// invokeSafely makes the call. A panic of a provider or a function is an error like any
// other: one bad call must not take the process with it.
func (k *call) invokeSafely(ctx context.Context, t *upstream.Target) (s llm.Stream, err error) {
	defer k.recovered(t, &err)
	return k.invoke(ctx, t, k.req)
}

// recovered turns a panic of what is deferred around into an error.
func (k *call) recovered(t *upstream.Target, err *error) {
	if p := recover(); p != nil {
		k.client.log.Error("panic in a call", "request_id", k.req.ID, "target", t.Name, "panic", p, "stack", string(debug.Stack()))
		*err = llm.Errorf(llm.ForebayInternal, "the call failed inside the gateway")
	}
}

// callProvider is the invoker of calls to models.
func callProvider(ctx context.Context, t *upstream.Target, req *llm.Request) (llm.Stream, error) {
	return t.Backend.Call(ctx, t.ModelFor(req), req)
}

// endAttempt tells the target's guards and the metrics how the attempt went. Only the
// first call for an attempt counts.
func (f *fetched) endAttempt(err error) {
	f.mu.Lock()
	a := f.attempt
	f.attempt.done = true
	passed := f.passed
	usage, _ := f.usageLocked()
	output := int(f.answer.Usage.Output)
	if output == 0 {
		output = f.events
	}
	f.mu.Unlock()
	if a.done {
		return
	}
	if a.stop != nil {
		defer a.stop()
	}
	now := time.Now()
	kind := f.verdict(err, now.Sub(a.Start))
	if kind != "" && !passed {
		usage = f.lose(kind)
	}
	o := upstream.Outcome{
		Kind: kind, FirstToken: f.first, Usage: usage, Output: output,
	}
	if o.Kind.FeedsLimiter() {
		o.RetryAfter = llm.AsError(err).RetryAfter
	}
	took := a.End(now, f.call.req, &o)
	f.note(requestlog.Attempt{
		Target: f.target.Name, Region: f.target.Place.Region, Start: a.Start.Sub(f.call.start), Waited: a.Waited,
		Duration: took, FirstToken: f.first, ErrorType: kind,
	})
	f.call.client.monitor.RecordAttempt(&monitor.Attempt{
		Provider: f.target.Place.Provider, Model: f.model, Endpoint: f.call.req.Endpoint, ErrorType: o.Kind, Duration: took, FirstToken: f.first,
	})
}

// source stands for whose call it is: one tenant's failures alone say little of a
// target. Nobody outside can choose a tenant that has the number of another.
func (k *call) source() uint64 { return maphash.String(k.client.seed, k.req.Tenant) }
