package forebay

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/coalesce"
	"github.com/forebay-ai/forebay/cost"
	"github.com/forebay-ai/forebay/degrade"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/monitor"
	"github.com/forebay-ai/forebay/requestlog"
	"github.com/forebay-ai/forebay/route"
	"github.com/forebay-ai/forebay/upstream"
)

// call carries one request through the steps of run.
type call struct {
	client *Client
	req    *llm.Request
	op     *operation
	model  *model
	start  time.Time
	// deadline ends the whole call. asked says that the caller set it, so that
	// missing it is no fault of the target. For a durable call the operation's deadline
	// bounds each attempt, from its slot on.
	deadline  time.Time
	asked     bool
	failed    failures           // where this one has; for its fallback
	instead   failures           // where the call that this one stands in for has failed; nil for calls of their own
	residency string             // the area that the call must not leave; empty: anywhere
	cancel    context.CancelFunc // ends the call's context; nil before it has one

	key               cache.Key
	digest            uint64       // of what is asked, whoever asks
	since             uint64       // the last invalidation before the look-up
	cacheable         bool         // key is set, and the cache may be used
	stale             *cache.Entry // an expired entry under key; nil where there is none
	fetched           *fetched     // the answer that this call made; nil where it made none
	lesser            *Stream      // the simplified answer of another model; nil where there is none
	fetching          atomic.Bool  // fetch has begun, and does the bookkeeping of use and price
	attempts          atomic.Int32 // targets that were called, also where the flight goes on without this call
	shared            *fetched     // the answer of another call that this one takes part in; nil for none
	recalled          int64        // what the answer cost when it was made that the cache gave; micro-dollars
	tried             []requestlog.Attempt
	reserved, settled bool // the ledger waits to be told of the call's end; has been told
	meta              Meta

	function invoker // of Process; nil for calls to models
	invoke   invoker
}

// invoker calls a target. It is the provider's Call but for functions.
type invoker func(ctx context.Context, t *upstream.Target, req *llm.Request) (llm.Stream, error)

// Do runs req and returns the whole answer. The error is a *CallError around an
// *llm.Error. If req.Stream is set the body holds the events of the stream.
func (c *Client) Do(ctx context.Context, req *llm.Request) (*Response, error) {
	return c.do(ctx, req, nil)
}

// Stream runs req and returns the answer in pieces. It returns once the first
// useful chunk is there; until then a failing target is retried and replaced
// unseen. The error is a *CallError around an *llm.Error.
func (c *Client) Stream(ctx context.Context, req *llm.Request) (*Stream, error) {
	return c.run(ctx, req, nil, nil)
}

// run is one request's way. Each step is one policy; this is their order. instead is
// not nil where the call stands in for another one.
func (c *Client) run(ctx context.Context, req *llm.Request, function invoker, instead failures) (*Stream, error) {
	if err := c.begin(); err != nil {
		return nil, c.refuse(req, err)
	}
	k, err := c.open(req, function)
	k.instead = instead
	if err != nil {
		return nil, k.fail(err)
	}
	if err := k.inspect(ctx); err != nil {
		return nil, k.fail(err)
	}
	if hit, err := k.lookUp(ctx); hit != nil || err != nil {
		return k.deliverHit(hit, err)
	}
	ctx, k.cancel = context.WithDeadline(ctx, k.deadline)
	if answer, err := k.reserve(ctx); answer != nil || err != nil { // a hit costs nothing
		return answer, err
	}
	src, err := k.coalesce(ctx) // joins an identical call, or runs fetch: queue, route, provider
	if err != nil {
		e := effort(err)
		k.meta.Timing.Queue, k.failed, k.tried = e.waited, e.failed, e.tried
		k.meta.Attempts = max(e.attempts, int(k.attempts.Load()))
		return k.degrade(ctx, k.blame(err))
	}
	return k.deliver(src), nil
}

// open fixes operation, model and deadline of a call.
func (c *Client) open(req *llm.Request, function invoker) (*call, error) {
	k := &call{client: c, req: req, function: function, invoke: function, start: req.Arrived}
	if k.start.IsZero() {
		k.start = time.Now()
	}
	k.meta = Meta{RequestID: req.ID, Operation: req.Operation, Timing: Timing{Start: k.start}}
	k.meta.Cache.Status = CacheBypass
	if c.cache == nil {
		k.meta.Cache.Status = CacheOff
	}
	if k.op = c.operation(req.Operation); k.op == nil {
		k.op = c.byDefault
		return k, c.unknownOperation(req.Operation)
	}
	k.asked = req.Timeout > 0 && !req.Durable
	timeout := k.op.Deadline
	if req.Timeout > 0 {
		timeout = req.Timeout
	}
	k.deadline = k.start.Add(timeout)
	if k.function != nil {
		k.model = c.functions.model(k.op, c)
		return k, nil
	}
	var err error
	if k.residency, err = k.op.reside(req.Residency); err != nil {
		return k, err
	}
	k.invoke = callProvider
	name := req.Model
	if name == "" {
		name = k.op.Model
	}
	if k.model = c.model(name); k.model == nil {
		return k, c.unknownModel(name)
	}
	return k, nil
}

// reside gives the area that a call must not leave: that of its operation, or a part of it
// that the call asks for.
func (op *operation) reside(asked string) (string, error) {
	own := op.Residency
	switch {
	case asked == "" || own != "" && route.Allowed(asked, own):
		return own, nil
	case own != "" && !route.Allowed(own, asked):
		return "", &llm.Error{
			Kind: llm.PolicyResidency, Param: "x-forebay-residency", Limit: "operations." + op.label + ".residency", Value: own,
			Message: fmt.Sprintf("the operation's calls do not leave %q, and this one asks for %.40q", own, asked),
			Fix:     "Send the request without a residency, or with a part of the operation's.",
		}
	}
	if err := route.CheckResidency(asked); err != nil {
		return "", &llm.Error{Kind: llm.CallerInvalidRequest, Param: "x-forebay-residency", Message: err.Error(), Fix: "Send an area such as eu."}
	}
	return asked, nil
}

// inspect lets the privacy policy see the request, and replace it.
func (k *call) inspect(ctx context.Context) error {
	if k.client.privacy == nil {
		return nil
	}
	req, err := k.client.privacy.Inspect(ctx, k.req)
	if err == nil {
		k.req = req
	}
	return err
}

// degrader is a ledger that would rather have a call answered more cheaply.
type degrader interface {
	ReserveOrDegrade(ctx context.Context, req *llm.Request) (degrade bool, err error)
}

// reserve has the ledger let the call pass. Where the ledger wants a cheaper answer the
// call gets its operation's simplified one, or is refused.
func (k *call) reserve(ctx context.Context) (*Stream, error) {
	d, ok := k.client.ledger.(degrader)
	cheaper, err := false, error(nil)
	if ok && k.instead == nil {
		cheaper, err = d.ReserveOrDegrade(ctx, k.req)
	} else {
		err = k.client.ledger.Reserve(ctx, k.req)
	}
	if err != nil {
		return nil, k.fail(err)
	}
	if k.reserved = true; !cheaper {
		return nil, nil
	}
	k.client.ledger.Settle(k.record(monitor.Degraded)) // what stands in reserves for itself
	k.reserved, k.settled = false, true
	if k.simplifies() {
		if answer := k.fallBack(ctx, degrade.Simplified, errBudget); answer != nil {
			return answer, nil
		}
	}
	return nil, k.fail(errBudget)
}

// coalesce joins an identical call in progress or makes the call.
func (k *call) coalesce(ctx context.Context) (llm.Stream, error) {
	if !k.cacheable || k.req.Cache.NoRead {
		return k.fetch(ctx)
	}
	share, err := k.client.flights.Do(ctx, k.flightKey(), k.req.Priority, func(ctx context.Context) (llm.Stream, error) {
		// The call that this one would have joined may have ended after the look-up.
		if e := k.client.cache.Peek(k.query()); e != nil && k.serves(e) {
			return k.recall(e)
		}
		return k.fetch(ctx)
	})
	if err != nil {
		return nil, err
	}
	if !share.Leader() {
		k.meta.Cache.Status = CacheCollapsed
	}
	return share, nil
}

// describe takes over from src how the answer came about.
func (k *call) describe(src llm.Stream) {
	k.meta.Timing.Total = time.Since(k.start)
	if share, ok := src.(*coalesce.Share); ok {
		src = share.Source()
	}
	switch s := src.(type) {
	case *recalled:
		k.meta.Provider, k.meta.Model, k.recalled = s.entry.Provider, s.entry.Model, s.entry.CostMicroUSD
	case *fetched:
		k.meta.Provider, k.meta.Model, k.meta.Region = s.target.Place.Provider, s.model, s.target.Place.Region
		k.meta.Cache.Stored = s.storable
		if k.shared = s; k.meta.Cache.Status != CacheCollapsed {
			k.fetched, k.shared = s, nil
			k.meta.Attempts = s.attempts
			k.meta.Timing.Queue, k.meta.Timing.Upstream = s.waited, s.first
		}
	}
	k.meta.Level = k.client.level(k.op, k.model)
}

// blame settles whose fault it is that time ran out. The operation's own deadline
// is a promise of ours: missing it is the target's failure, or that of the line in
// front of it, not the caller's.
func (k *call) blame(err error) *llm.Error {
	e := llm.AsError(err)
	if e.Kind != llm.CallerDeadline || k.asked {
		return e
	}
	late := &llm.Error{
		Kind: llm.ProviderTimeout, Message: "no answer within the operation's deadline",
		Limit: "operations." + k.op.label + ".deadline", Value: k.op.Deadline.String(),
		Fix: "Send the request again later, or raise the deadline.", Err: e,
	}
	if k.fetching.Load() && k.attempts.Load() == 0 {
		late.Kind, late.RetryAfter = llm.PolicyOverloaded, max(e.RetryAfter, time.Second)
		late.Message = "no slot came free within the operation's deadline"
	}
	return late
}

// record is what the ledger is told of the call, but for target, usage and price.
func (k *call) record(outcome monitor.Outcome) cost.Record {
	return cost.Record{
		RequestID: k.req.ID, Tenant: k.req.Tenant, User: k.req.User, Key: k.req.Key, Operation: k.op.label,
		Outcome: string(outcome), At: time.Now(),
	}
}
