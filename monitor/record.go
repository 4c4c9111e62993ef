package monitor

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/forebay-ai/forebay/llm"
)

// Record counts a finished call. It keeps no reference to c and does not allocate
// for a combination of labels that was recorded before.
//
// The duration is recorded for calls that were carried out: not for refused ones,
// nor for those that failed by the caller's own fault before the deadline. These
// take microseconds, and would make latencies look best when things are worst.
func (m *Monitor) Record(c *Call) {
	w := &m.words
	what := usageKey{w.operation.number(c.Operation), w.model.number(c.Model)}
	s := m.calls.get(callKey{
		usageKey:  what,
		outcome:   uint8(w.outcome.number(string(c.Outcome))),
		errorType: uint8(w.errorType.number(string(c.ErrorType))),
		cache:     uint8(w.cache.number(c.Cache)),
		fallback:  uint8(w.fallback.number(c.Fallback)),
	})
	s.requests.Inc()
	if carriedOut(c) && c.Duration > 0 {
		s.duration.Observe(c.Duration.Seconds())
		m.totals.duration.Observe(c.Duration)
	}
	m.observeStage(stageCacheIndex, c.CacheLookup)
	m.observeStage(stageQueueIndex, c.QueueWait)
	m.observeStage(stageUpstreamIndex, c.Upstream)
	m.observeStage(stageFirstTokenIndex, c.FirstToken)
	observe(s.firstToken, c.FirstToken)
	observe(m.metrics.waits[c.Priority.Index()], c.QueueWait)
	if c.Overhead > 0 {
		m.metrics.overhead.Observe(c.Overhead.Seconds())
		m.totals.overhead.Observe(c.Overhead)
	}
	observe(s.perToken, perToken(c))
	good := c.Outcome == OK && c.Duration <= m.objective
	if good {
		s.good.Inc()
	}
	m.totals.add(c)
	m.addUsage(what, &c.Usage, money{c.CostMicroUSD, c.SavedMicroUSD})
	m.tellCall(c, good)
}

// perToken is the mean time between the tokens of a streamed answer, after the first;
// 0 where it does not apply. Answers out of the cache are left out: they say nothing
// of a model.
func perToken(c *Call) time.Duration {
	if !c.Stream || c.FirstToken <= 0 || c.OutputTokens < 2 || c.Cache == cacheHit || c.Cache == cacheStaleHit {
		return 0
	}
	return (c.Duration - c.FirstToken) / time.Duration(c.OutputTokens-1)
}

// carriedOut says that the duration of c tells how fast calls are.
func carriedOut(c *Call) bool {
	switch c.Outcome {
	case Refused:
		return false
	case Error:
		return c.ErrorType == llm.CallerDeadline || !callersFault(c.ErrorType)
	}
	return true
}

// callersFault reports whether an error of this kind is the caller's own fault.
// The empty kind is nobody's.
func callersFault(k llm.Kind) bool { return k != "" && k.Domain() == llm.CallerFault }

// RecordAttempt counts a finished call to a provider, under the same conditions
// as Record.
func (m *Monitor) RecordAttempt(a *Attempt) {
	s := m.attempts.get(attemptKey{
		provider:  m.words.provider.number(a.Provider),
		model:     m.words.model.number(a.Model),
		errorType: m.words.errorType.number(string(a.ErrorType)),
	})
	s.attempts.Inc()
	observe(s.duration, a.Duration)
	observe(s.firstToken, a.FirstToken)
	m.tellAttempt(a)
}

func (m *Monitor) observeStage(i int, d time.Duration) {
	if d > 0 {
		m.metrics.stages[i].Observe(d.Seconds())
		m.totals.stages[i].Observe(d)
	}
}

func observe(o prometheus.Observer, d time.Duration) {
	if d > 0 {
		o.Observe(d.Seconds())
	}
}

// callKey is the labels of one series of calls, as numbers of their closed sets.
type callKey struct {
	usageKey
	outcome, errorType, cache, fallback uint8
}

// callSeries is what a call with these labels changes.
type callSeries struct {
	requests, good       prometheus.Counter
	duration             prometheus.Observer
	firstToken, perToken prometheus.Observer
}

func (m *Monitor) newCallSeries(k callKey) callSeries {
	w := &m.words
	operation, model := w.operation.name(k.operation), w.model.name(k.model)
	cache := w.cache.name(uint32(k.cache))
	return callSeries{
		requests: m.metrics.requests.WithLabelValues(operation, model,
			w.outcome.name(uint32(k.outcome)), w.errorType.name(uint32(k.errorType)), cache, w.fallback.name(uint32(k.fallback))),
		good:       m.metrics.good.WithLabelValues(operation, model),
		duration:   m.metrics.duration.WithLabelValues(operation, cache),
		firstToken: m.metrics.firstToken.WithLabelValues(model),
		perToken:   m.metrics.perToken.WithLabelValues(model),
	}
}

// attemptKey is the labels of one series of attempts.
type attemptKey struct{ provider, model, errorType uint32 }

// attemptSeries is what an attempt with these labels changes.
type attemptSeries struct {
	attempts             prometheus.Counter
	duration, firstToken prometheus.Observer
}

func (m *Monitor) newAttemptSeries(k attemptKey) attemptSeries {
	provider, model := m.words.provider.name(k.provider), m.words.model.name(k.model)
	return attemptSeries{
		attempts:   m.metrics.attempts.WithLabelValues(provider, model, m.words.errorType.name(k.errorType)),
		duration:   m.metrics.upstream.WithLabelValues(provider, model),
		firstToken: m.metrics.upstreamFirstToken.WithLabelValues(provider, model),
	}
}

// seriesCache keeps the metrics of each combination of labels at hand: looking
// them up by strings takes longer than changing them. It grows with the
// combinations of closed sets that occur, no further.
type seriesCache[K comparable, S any] struct {
	make func(K) S

	mu    sync.RWMutex // guards known; not held while make runs
	known map[K]*S
}

func (c *seriesCache[K, S]) get(k K) *S {
	c.mu.RLock()
	s := c.known[k]
	c.mu.RUnlock()
	if s != nil {
		return s
	}
	// Two callers may both make it, and the last one's stays: the metrics behind
	// are the same.
	made := c.make(k)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil {
		c.known = make(map[K]*S)
	}
	c.known[k] = &made
	return &made
}
