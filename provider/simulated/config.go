package simulated

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Config says how the simulated back end behaves. The zero value answers at once,
// without bound and without faults.
type Config struct {
	// Models are the names that it lists. Every other name is answered too. Nil
	// means simulated-chat and simulated-embedding.
	Models []string
	// Seed makes another back end of it: other words, other latencies.
	Seed uint64
	// Scale multiplies the latencies: 1 is as slow as Latency says, 0 answers at once.
	Scale float64
	// Latency says how long answers take. Zero parts mean DefaultLatency's.
	Latency Latency
	// Capacity bounds the calls at once; those over it are refused with 429 and
	// Retry-After. Zero means no bound.
	Capacity int
	// RetryAfter is what calls over the capacity are told. Zero means 1 s.
	RetryAfter time.Duration
	// Words is the length of texts in words, the label included. Zero means 20 to 60,
	// by the request's hash. A request's own bound on tokens is obeyed in any case.
	Words int
	// Dimensions is the length of vectors where the request does not say. Zero
	// means 1,536, as OpenAI's text-embedding-3-small.
	Dimensions int
	// Faults go wrong from the start; SetFaults replaces them.
	Faults []Fault
	// CallLog bounds the calls that are remembered. Zero means 1,000.
	CallLog int
}

const (
	defaultRetryAfter = time.Second
	defaultDimensions = 1536
	defaultCallLog    = 1000

	maxScale   = 1e6
	maxWords   = 100_000
	maxNumbers = 4 << 20 // numbers in one answer of vectors: 2,048 vectors of 2,048
)

// validate reports every fault at once.
func (c *Config) validate() error {
	var faults []error
	add := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if err := checkScale(c.Scale); err != nil {
		faults = append(faults, err)
	}
	if err := checkCapacity(c.Capacity); err != nil {
		faults = append(faults, err)
	}
	if c.RetryAfter < 0 {
		add("retry_after: %v is below zero", c.RetryAfter)
	}
	if c.Words < 0 || c.Words > maxWords {
		add("words: %d is not from 0 to %d", c.Words, maxWords)
	}
	if c.Dimensions < 0 || c.Dimensions > maxNumbers {
		add("dimensions: %d is not from 0 to %d", c.Dimensions, maxNumbers)
	}
	if c.CallLog < 0 {
		add("call_log: %d is below zero", c.CallLog)
	}
	for _, l := range []struct {
		key string
		LogNormal
	}{{"first_token", c.Latency.FirstToken}, {"per_token", c.Latency.PerToken}, {"embedding", c.Latency.Embedding}} {
		if l.Median < 0 || !(l.Sigma >= 0 && l.Sigma <= 10) {
			add("latency.%s: a median not below zero and a sigma from 0 to 10, not %v and %v", l.key, l.Median, l.Sigma)
		}
	}
	for i, f := range c.Faults {
		if err := f.Validate(); err != nil {
			add("faults[%d]: %w", i, err)
		}
	}
	return errors.Join(faults...)
}

func checkScale(scale float64) error {
	if math.IsNaN(scale) || scale < 0 || scale > maxScale {
		return fmt.Errorf("scale: %v is not from 0 to %v", scale, float64(maxScale))
	}
	return nil
}

func checkCapacity(capacity int) error {
	if capacity < 0 {
		return fmt.Errorf("capacity: %d is below zero; 0 means no bound", capacity)
	}
	return nil
}

func (c Config) withDefaults() Config {
	if len(c.Models) == 0 {
		c.Models = []string{"simulated-chat", "simulated-embedding"}
	}
	if c.RetryAfter == 0 {
		c.RetryAfter = defaultRetryAfter
	}
	if c.Dimensions == 0 {
		c.Dimensions = defaultDimensions
	}
	if c.CallLog == 0 {
		c.CallLog = defaultCallLog
	}
	c.Latency = c.Latency.withDefaults()
	return c
}
