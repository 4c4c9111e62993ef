package forebay

import (
	"time"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/monitor"
	"github.com/forebay-ai/forebay/requestlog"
)

// Observer is told of every call that has ended, on the goroutine that ended it. It must
// not block, and keeps neither the entry nor what is in it.
type Observer interface{ Observe(*requestlog.Entry) }

// measure tells the monitor and the observer how the call went. A call that nobody waits
// for is none of a caller's: what it used was counted where it was made.
func (k *call) measure(kind llm.Kind) {
	if k.req.Background {
		return
	}
	k.op.count(k.meta.Cache.Status)
	t, saved := &k.meta.Timing, k.saved(kind)
	c := monitor.Call{
		Operation: k.op.label, Model: k.label(), Provider: k.meta.Provider, Priority: k.req.Priority, Endpoint: k.req.Endpoint,
		Outcome: outcomeOf(kind, k.meta.Degraded), ErrorType: kind, Cache: string(k.meta.Cache.Status),
		Fallback: string(k.meta.Fallback), Stream: k.req.Stream, Attempts: k.meta.Attempts, Tenant: k.req.Tenant, User: k.req.User,
		Duration: time.Since(k.start), CacheLookup: t.Cache, QueueWait: t.Queue, Upstream: t.Upstream,
		OutputTokens: k.meta.Usage.Output, SavedMicroUSD: saved,
	}
	if k.req.Stream && kind == "" {
		c.FirstToken = t.Total
	}
	tried, estimated := k.tried, false
	if f := k.fetched; f != nil {
		tried, estimated = f.tries()
	}
	if t.Total > 0 && c.Fallback == "" {
		c.Overhead = max(t.Total-t.Queue-t.Upstream-requestlog.Lost(tried), 0)
	}
	if kind == llm.PolicyOverloaded {
		k.client.levels.Shed(k.op.label, time.Now())
	}
	k.client.monitor.Record(&c)
	if k.client.observer != nil {
		k.client.observer.Observe(k.entry(&c, tried, estimated))
	}
}

// saved is what an answer that was there already, or that others paid for, would have cost.
func (k *call) saved(kind llm.Kind) int64 {
	switch {
	case kind != "" || k.meta.Fallback != "":
		return 0
	case k.shared != nil:
		return k.shared.price()
	}
	return k.recalled
}

// entry is the call as the log of requests has it.
func (k *call) entry(c *monitor.Call, tried []requestlog.Attempt, estimated bool) *requestlog.Entry {
	e := &requestlog.Entry{
		ID: k.req.ID, Start: k.start, Tenant: k.req.Tenant, User: k.req.User, Key: k.req.Key, Operation: k.op.label,
		Persona: k.req.Persona, Endpoint: string(k.req.Endpoint), Model: c.Model, Priority: k.req.Priority.String(),
		Stream: k.req.Stream, Job: k.req.Durable, Provider: k.meta.Provider, Answered: k.meta.Model, Region: k.meta.Region,
		Outcome: string(c.Outcome), ErrorType: c.ErrorType, Cache: c.Cache, CacheReason: string(k.meta.Cache.Reason),
		CacheDetail: string(k.meta.Cache.Detail), Stored: k.meta.Cache.Stored, Fallback: c.Fallback, Template: k.meta.Template,
		Duration: c.Duration, Lookup: c.CacheLookup, Queue: c.QueueWait, Upstream: c.Upstream, FirstToken: c.FirstToken,
		Overhead: c.Overhead, Usage: k.meta.Usage, MicroUSD: k.meta.CostMicroUSD, SavedMicroUSD: c.SavedMicroUSD,
		Trace: k.req.TraceParent, TraceParent: k.req.CallerTrace, Attempts: tried, Estimated: estimated,
	}
	if k.cacheable {
		e.CacheKey = k.key.String()
	}
	return e
}
