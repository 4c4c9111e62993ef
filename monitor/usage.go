package monitor

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/forebay-ai/forebay/llm"
)

// Usage is what a call to providers used. It is recorded apart from the Call that
// caused it: a caller may leave while others take the answer, and then the use is
// known only later.
type Usage struct {
	// Operation and Model are labels; see Config.
	Operation, Model string
	// Tokens are over all attempts. Negative counts are taken as zero.
	Tokens       llm.Usage
	CostMicroUSD int64
}

// RecordUsage counts tokens and price, under the same conditions as Record. What
// is recorded here has to be left out of Call.
func (m *Monitor) RecordUsage(u *Usage) {
	m.addUsage(usageKey{m.words.operation.number(u.Operation), m.words.model.number(u.Model)}, &u.Tokens, u.CostMicroUSD)
}

func (m *Monitor) addUsage(k usageKey, tokens *llm.Usage, costMicroUSD int64) {
	if tokens.IsZero() && costMicroUSD == 0 {
		return // hits and refusals: no series for pairs that never used anything
	}
	s := m.usages.get(k)
	addTokens(s.tokens[tokensInput], tokens.Input)
	addTokens(s.tokens[tokensOutput], tokens.Output)
	addTokens(s.tokens[tokensCacheRead], tokens.CacheRead)
	addTokens(s.tokens[tokensCacheWrite], tokens.CacheWrite)
	addSaturating(s.cost, costMicroUSD)
	m.totals.addUsage(tokens, costMicroUSD)
}

// addTokens takes care that nothing negative arrives: a Counter panics on it.
func addTokens(c prometheus.Counter, n int64) {
	if n > 0 {
		c.Add(float64(n))
	}
}

// usageKey is the labels of one series of tokens and costs.
type usageKey struct{ operation, model uint32 }

// usageSeries is what usage with these labels changes.
type usageSeries struct {
	tokens [directionCount]prometheus.Counter
	cost   *atomic.Int64 // micro-dollars
}

func (m *Monitor) newUsageSeries(k usageKey) usageSeries {
	s := usageSeries{cost: m.costOf(k)}
	for i, direction := range directionNames {
		s.tokens[i] = m.metrics.tokens.WithLabelValues(m.words.operation.name(k.operation), m.words.model.name(k.model), direction)
	}
	return s
}

func (m *Monitor) costOf(k usageKey) *atomic.Int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.costs[k] == nil {
		m.costs[k] = new(atomic.Int64)
	}
	return m.costs[k]
}
