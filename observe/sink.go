package observe

import (
	"time"

	"github.com/forebay-ai/forebay/ledger"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/monitor"
	"github.com/forebay-ai/forebay/requestlog"
	"github.com/forebay-ai/forebay/series"
)

// Call implements monitor.Sink.
func (o *Observer) Call(c *monitor.Call) {
	now := time.Now()
	o.users.seen(c.Tenant, c.User, now)
	o.count(Requests, c, 1, now)
	switch {
	case c.Outcome == monitor.Refused:
		o.count(Refused, c, 1, now)
	case c.Outcome == monitor.Degraded:
		o.add(series.Key{Metric: Degraded}, 1, now)
		o.add(series.Key{Metric: Degraded, Label: ByFallback, Value: c.Fallback}, 1, now)
	}
	if c.ErrorType != "" && (c.Outcome == monitor.Refused || c.Outcome == monitor.Error) {
		domain := c.ErrorType.Domain()
		if domain != llm.CallerFault {
			o.count(Failures, c, 1, now)
		}
		o.add(series.Key{Metric: Failures, Label: ByFault, Value: string(domain)}, 1, now)
		o.add(series.Key{Metric: Failures, Label: ByError, Value: string(c.ErrorType)}, 1, now)
	}
	switch c.Cache {
	case "hit", "stale_hit":
		o.count(Hits, c, 1, now)
		o.count(Lookups, c, 1, now)
	case "miss", "stale":
		o.count(Misses, c, 1, now)
		o.count(Lookups, c, 1, now)
	}
	if c.SavedMicroUSD > 0 {
		o.count(Saved, c, float64(c.SavedMicroUSD), now)
	}
	if c.Attempts > 1 {
		o.add(series.Key{Metric: Retries}, float64(c.Attempts-1), now)
	}
	o.times(c, now)
}

// times takes the durations of a call.
func (o *Observer) times(c *monitor.Call, now time.Time) {
	if c.Outcome != monitor.Refused && (c.Outcome != monitor.Error || c.ErrorType == llm.CallerDeadline || c.ErrorType.Domain() != llm.CallerFault) {
		o.observe(Duration, c, c.Duration, now)
	}
	if c.Outcome == monitor.OK && c.Duration <= o.cfg.Objective {
		o.count(Good, c, 1, now)
	}
	o.observe(FirstToken, c, c.FirstToken, now)
	if c.FirstToken > 0 && c.OutputTokens > 1 && c.Attempts > 0 {
		o.observe(PerToken, c, (c.Duration-c.FirstToken)/time.Duration(c.OutputTokens-1), now)
	}
	if c.QueueWait > 0 {
		o.set.Observe(series.Key{Metric: QueueWait}, c.QueueWait.Seconds(), now)
		o.set.Observe(series.Key{Metric: QueueWait, Label: ByBand, Value: c.Priority.String()}, c.QueueWait.Seconds(), now)
	}
	if c.Overhead > 0 {
		o.set.Observe(series.Key{Metric: Overhead}, c.Overhead.Seconds(), now)
	}
}

// Attempt implements monitor.Sink.
func (o *Observer) Attempt(a *monitor.Attempt) {
	now := time.Now()
	target := o.target(a.Provider, a.Model)
	o.add(series.Key{Metric: Attempts}, 1, now)
	o.add(series.Key{Metric: Attempts, Label: ByTarget, Value: target}, 1, now)
	if a.ErrorType.Domain() == llm.ProviderFault && a.ErrorType != "" {
		o.add(series.Key{Metric: AttemptFailures}, 1, now)
		o.add(series.Key{Metric: AttemptFailures, Label: ByTarget, Value: target}, 1, now)
	}
	if a.Duration > 0 {
		o.set.Observe(series.Key{Metric: Upstream}, a.Duration.Seconds(), now)
		o.set.Observe(series.Key{Metric: Upstream, Label: ByTarget, Value: target}, a.Duration.Seconds(), now)
	}
}

// Usage implements monitor.Sink.
func (o *Observer) Usage(u *monitor.Usage) {
	now := time.Now()
	c := monitor.Call{Operation: u.Operation, Model: u.Model}
	o.count(InputTokens, &c, float64(max(u.Tokens.Input, 0)+max(u.Tokens.CacheRead, 0)+max(u.Tokens.CacheWrite, 0)), now)
	o.count(OutputTokens, &c, float64(max(u.Tokens.Output, 0)), now)
	o.count(Cost, &c, float64(max(u.CostMicroUSD, 0)), now)
}

// BreakerChanged implements monitor.Sink.
func (o *Observer) BreakerChanged(target, from, to string) {
	o.breakers.changed(Transition{At: time.Now(), Target: target, From: from, To: to})
}

// Measured implements monitor.CustomSink: a custom metric is a series of its own.
func (o *Observer) Measured(c *monitor.CustomMetric, value float64, labels []string) {
	now := time.Now()
	metric := CustomPrefix + c.Name
	take := func(k series.Key) {
		switch c.Kind {
		case monitor.CustomCounter:
			o.set.Add(k, value, now)
		case monitor.CustomGauge:
			o.set.Set(k, value, now)
		default:
			o.set.Observe(k, value, now)
		}
	}
	take(series.Key{Metric: metric})
	for i, l := range c.Labels {
		take(series.Key{Metric: metric, Label: l.Name, Value: labels[i]})
	}
}

// Observe implements forebay.Observer: the log of requests, the books of what was saved,
// and traces.
func (o *Observer) Observe(e *requestlog.Entry) {
	if o.cfg.Log != nil {
		o.cfg.Log.Add(e)
	}
	o.bookSaved(e)
	if o.cfg.Tracer != nil {
		o.cfg.Tracer.Observe(e, e.Trace, e.TraceParent)
	}
}

// bookSaved books a call that cost nothing because its answer was there, or was shared.
func (o *Observer) bookSaved(e *requestlog.Entry) {
	if o.cfg.Ledger == nil || e.ErrorType != "" || e.Fallback != "" {
		return
	}
	var by ledger.Saving
	switch e.Cache {
	case "hit", "stale_hit":
		by = ledger.ByCache
	case "collapsed":
		by = ledger.BySharing
	default:
		return
	}
	o.cfg.Ledger.SavedBy(by, ledger.Account{
		Day: e.Start, Tenant: e.Tenant, User: e.User, Key: e.Key, Operation: e.Operation, Model: e.Answered,
	}, e.SavedMicroUSD, 1)
}

// count adds to a counter as a whole, by operation and by model.
func (o *Observer) count(metric string, c *monitor.Call, n float64, now time.Time) {
	if n == 0 {
		return
	}
	o.add(series.Key{Metric: metric}, n, now)
	o.add(series.Key{Metric: metric, Label: ByOperation, Value: c.Operation}, n, now)
	if c.Model != "" {
		o.add(series.Key{Metric: metric, Label: ByModel, Value: c.Model}, n, now)
	}
}

// observe takes a duration as a whole, by operation and by model.
func (o *Observer) observe(metric string, c *monitor.Call, d time.Duration, now time.Time) {
	if d <= 0 {
		return
	}
	o.set.Observe(series.Key{Metric: metric}, d.Seconds(), now)
	o.set.Observe(series.Key{Metric: metric, Label: ByOperation, Value: c.Operation}, d.Seconds(), now)
	if c.Model != "" {
		o.set.Observe(series.Key{Metric: metric, Label: ByModel, Value: c.Model}, d.Seconds(), now)
	}
}

func (o *Observer) add(k series.Key, n float64, now time.Time) { o.set.Add(k, n, now) }
