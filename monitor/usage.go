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
	// Provider is who answered, by its name in configuration; empty where nobody did. It
	// is no label, and Endpoint is as in Call.
	Provider string
	Endpoint llm.Endpoint
	// Tokens are over all attempts. Negative counts are taken as zero.
	Tokens       llm.Usage
	CostMicroUSD int64
}

// RecordUsage counts tokens and price, under the same conditions as Record. What
// is recorded here has to be left out of Call.
func (m *Monitor) RecordUsage(u *Usage) {
	m.addUsage(usageKey{m.words.operation.number(u.Operation), m.words.model.number(u.Model)}, &u.Tokens, money{cost: u.CostMicroUSD})
	m.tellUsage(u)
}

// money is in micro-dollars.
type money struct{ cost, saved int64 }

func (m *Monitor) addUsage(k usageKey, tokens *llm.Usage, sum money) {
	if tokens.IsZero() && sum.cost == 0 && sum.saved == 0 {
		return // hits and refusals: no series for pairs that never used anything
	}
	s := m.usages.get(k)
	addTokens(s.tokens[tokensInput], tokens.Input)
	addTokens(s.tokens[tokensOutput], tokens.Output)
	addTokens(s.tokens[tokensCacheRead], tokens.CacheRead)
	addTokens(s.tokens[tokensCacheWrite], tokens.CacheWrite)
	addSaturating(&s.sums.cost, sum.cost)
	addSaturating(&s.sums.saved, sum.saved)
	m.totals.addUsage(tokens, sum.cost)
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
	sums   *moneySums
}

// moneySums is in micro-dollars.
type moneySums struct{ cost, saved atomic.Int64 }

func (m *Monitor) newUsageSeries(k usageKey) usageSeries {
	s := usageSeries{sums: m.sumsOf(k)}
	for i, direction := range directionNames {
		s.tokens[i] = m.metrics.tokens.WithLabelValues(m.words.operation.name(k.operation), m.words.model.name(k.model), direction)
	}
	return s
}

func (m *Monitor) sumsOf(k usageKey) *moneySums {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sums[k] == nil {
		m.sums[k] = new(moneySums)
	}
	return m.sums[k]
}
