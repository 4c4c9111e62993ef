package monitor

import (
	"sync/atomic"

	"github.com/forebay-ai/forebay/llm"
)

// Places in stageOrder.
const (
	stageCacheIndex = iota
	stageQueueIndex
	stageUpstreamIndex
	stageFirstTokenIndex
)

// totals is the figures of Summary.
type totals struct {
	requests, failures, tokens atomic.Int64
	hits, misses, costMicroUSD atomic.Int64
	duration, overhead         Histogram
	stages                     [len(stageOrder)]Histogram
}

func (t *totals) add(c *Call) {
	t.requests.Add(1)
	if failed(c) {
		t.failures.Add(1)
	}
	switch c.Cache {
	case cacheHit, cacheStaleHit:
		t.hits.Add(1)
	case cacheMiss, cacheStale:
		t.misses.Add(1)
	}
}

func (t *totals) addUsage(tokens *llm.Usage, costMicroUSD int64) {
	addSaturating(&t.tokens, tokens.Input)
	addSaturating(&t.tokens, tokens.Output)
	addSaturating(&t.tokens, tokens.CacheRead)
	addSaturating(&t.tokens, tokens.CacheWrite)
	addSaturating(&t.costMicroUSD, costMicroUSD)
}

// failed says that the caller got no answer, by no fault of its own.
func failed(c *Call) bool {
	return (c.Outcome == Error || c.Outcome == Refused) && !callersFault(c.ErrorType)
}

// Summary gives the figures since the monitor was made. Calls that are recorded
// meanwhile may be in some of the figures and not yet in others.
func (m *Monitor) Summary() Summary {
	t := &m.totals
	// Failures are read first: a call counts as a request before it counts as a
	// failure, so there are never more failures than requests.
	failures := t.failures.Load()
	s := Summary{
		Requests:     t.requests.Load(),
		Failures:     failures,
		P50:          t.duration.Quantile(0.50),
		P95:          t.duration.Quantile(0.95),
		P99:          t.duration.Quantile(0.99),
		Tokens:       t.tokens.Load(),
		Hits:         t.hits.Load(),
		Misses:       t.misses.Load(),
		CostMicroUSD: t.costMicroUSD.Load(),
		OverheadP50:  t.overhead.Quantile(0.50),
		OverheadP99:  t.overhead.Quantile(0.99),
		Stages:       make([]StageSummary, len(stageOrder)),
	}
	if s.Requests > 0 {
		s.ErrorRate = float64(s.Failures) / float64(s.Requests)
	}
	for i, stage := range stageOrder {
		h := &t.stages[i]
		s.Stages[i] = StageSummary{
			Stage: stage, Count: h.Count(),
			P50: h.Quantile(0.50), P95: h.Quantile(0.95), P99: h.Quantile(0.99),
		}
	}
	return s
}
