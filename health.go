package forebay

import (
	"slices"
	"time"

	"github.com/forebay-ai/forebay/breaker"
	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/degrade"
	"github.com/forebay-ai/forebay/health"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/monitor"
	"github.com/forebay-ai/forebay/queue"
	"github.com/forebay-ai/forebay/upstream"
)

// level is the level of degradation of an operation's calls to m.
func (c *Client) level(op *operation, m *model) degrade.Level {
	return c.levels.Level(op.label, upstream.Open(m.targets), len(m.targets), time.Now())
}

// breakerChanged is told of every change of a breaker.
func (c *Client) breakerChanged(t *upstream.Target, change breaker.Change) {
	c.regions.Set(change.At, t.Place.Region, t.Name, change.To == breaker.Open)
	c.monitor.BreakerChanged(change.Name, change.From.String(), change.To.String())
	c.log.Warn("breaker changed", "target", change.Name, "from", change.From.String(), "to", change.To.String(), "reason", change.Reason)
}

// regionDown says that most targets of some region refuse calls.
func (c *Client) regionDown() bool {
	return slices.ContainsFunc(c.targets, func(t *upstream.Target) bool { return t.Place.Region != "" && c.regions.Down(t.Place.Region) })
}

// Source is what the client tells of its state to those who look: waiting lines, cache,
// jobs.
func (c *Client) Source() monitor.Source {
	src := monitor.Source{Queue: func() monitor.QueueSample { return upstream.Sample(c.targets) }, Cache: c.cacheSample}
	if c.jobs != nil {
		src.Jobs = c.jobSample
	}
	return src
}

// watch lets the monitor read the gauges whenever somebody looks.
func (c *Client) watch() {
	c.unwatch = c.monitor.Watch(c.Source())
	for _, t := range c.targets {
		c.monitor.SetBreaker(t.Name, breaker.Closed.String())
	}
}

func (c *Client) cacheSample() monitor.CacheSample {
	if c.cache == nil {
		return monitor.CacheSample{}
	}
	s := c.Cache().Stats()
	sample := monitor.CacheSample{
		Entries: s.Entries, Bytes: s.Bytes, Hits: s.Hits, Misses: s.Misses + s.Stale - s.StaleHits, Evictions: s.Evictions,
		HitsOnDisk: s.DiskHits, StaleHits: s.StaleHits, Damaged: s.Disk.Damaged, Invalidations: int64(s.Generation),
		MissReasons: map[string]int64{string(cache.ReasonExpired): max(s.Stale-s.StaleHits, 0)}, Saved: map[string]monitor.Saving{},
	}
	for reason, n := range s.MissedBy {
		sample.MissReasons[string(reason)] += n
	}
	for name, o := range s.Operations {
		if o.SavedTokens > 0 {
			sample.Saved[name] = monitor.Saving{Tokens: o.SavedTokens, CostMicroUSD: o.SavedMicroUSD}
		}
	}
	if d := &s.Disk; d.State != cache.StoreOff {
		sample.Store = &monitor.StoreSample{
			Up: d.State == cache.StoreUp, Pending: d.WaitingBytes, Written: d.Written, Dropped: d.Dropped,
			BytesPacked: int64(d.Envelope.PackedOut), BytesUnpacked: int64(d.Envelope.PackedIn),
		}
	}
	return sample
}

// Load is how much room there is for calls, for x-ratelimit headers.
type Load = upstream.Load

// Load sums up the room at all targets. It is cheap enough for every call.
func (c *Client) Load() Load { return upstream.Room(c.targets, c.places) }

// Health is the state of the whole system (A's getSystemHealth).
func (c *Client) Health() Health {
	now := time.Now()
	h := Health{Overall: Healthy, Queue: health.Queue{ByPriority: map[string]int{}}}
	s := c.monitor.Summary()
	h.Performance = health.Performance{
		Requests: s.Requests, Failures: s.Failures, ErrorRate: s.ErrorRate, TokensTotal: s.Tokens,
		P50Seconds: s.P50.Seconds(), P95Seconds: s.P95.Seconds(), P99Seconds: s.P99.Seconds(),
	}
	h.Degradation.Targets = map[string]string{}
	for _, t := range c.targets {
		addQueue(&h.Queue, t)
		h.Degradation.Targets[t.Name] = t.Breaker.State().String()
	}
	open := upstream.Open(c.targets)
	h.Degradation.Level = c.levels.Overall(open, len(c.targets), now)
	h.Degradation.Reasons = c.levels.OverallReasons(open, c.regionDown(), now)
	if c.cache != nil {
		s := c.cache.Stats()
		h.Cache = health.Cache{Enabled: true, Entries: s.Entries, Bytes: s.Bytes, Hits: s.Hits, Misses: s.Misses + s.Stale}
		if all := h.Cache.Hits + h.Cache.Misses; all > 0 {
			h.Cache.HitRate = float64(h.Cache.Hits) / float64(all)
		}
	}
	h.Jobs.Enabled = c.jobs != nil
	h.Jobs.Up = h.Jobs.Enabled && c.jobs.Ready() == nil
	h.Overall = c.overall(h)
	return h
}

// addQueue adds a target's line.
func addQueue(q *health.Queue, t *upstream.Target) {
	s := t.Line.Stats()
	q.Waiting += s.Waiting
	q.Processing += t.Limiter.InFlight()
	q.Capacity += max(t.Limiter.Max(), 0)
	q.Refused += s.Refused + s.Expired + s.Displaced + s.Dropped
	for i, n := range s.ByPriority {
		q.ByPriority[llm.Priorities[i].String()] += n
	}
}

// overall judges the parts: unhealthy when a model cannot be had at all.
func (c *Client) overall(h Health) HealthState {
	if c.closing.Load() {
		return Unhealthy
	}
	for _, m := range c.allModels() {
		if upstream.Open(m.targets) == len(m.targets) {
			return Unhealthy
		}
	}
	if h.Degradation.Level != degrade.None || upstream.Pressure(c.targets) != queue.PressureNone || h.Jobs.Enabled != h.Jobs.Up {
		return Degraded
	}
	return Healthy
}

func (c *Client) allModels() []*model {
	all := make([]*model, 0, len(c.models)+1)
	for _, m := range c.models {
		all = append(all, m)
	}
	if c.any != nil {
		all = append(all, c.any)
	}
	return all
}
