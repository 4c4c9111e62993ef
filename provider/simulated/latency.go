package simulated

import (
	"math"
	"math/rand/v2"
	"time"
)

// LogNormal is a distribution of durations whose logarithm is normal with the
// mean mu = ln(Median) and the standard deviation Sigma. The zero value always
// gives zero.
type LogNormal struct {
	// Median is exp(mu): half of the draws are below it.
	Median time.Duration
	// Sigma is the standard deviation of the logarithm: 0 gives Median each time,
	// 1 puts two thirds of the draws between Median/e and Median*e.
	Sigma float64
}

// longest bounds a draw: no call takes longer, whatever the parameters say.
const longest = time.Hour

// Draw takes one value, between 0 and an hour.
func (l LogNormal) Draw(r *rand.Rand) time.Duration {
	d := float64(l.Median) * math.Exp(l.Sigma*r.NormFloat64())
	return clamp(d)
}

func clamp(d float64) time.Duration {
	return time.Duration(min(max(d, 0), float64(longest)))
}

// Latency says how long answers take before Config.Scale is applied.
type Latency struct {
	// FirstToken is the time to the head of a stream, and the fixed part of a
	// whole answer. Zero means DefaultLatency's.
	FirstToken LogNormal
	// PerToken is the time between tokens, drawn once for each call. A whole answer
	// takes it for each of its tokens. Zero means DefaultLatency's.
	PerToken LogNormal
	// Embedding is the time of a call for vectors. Zero means DefaultLatency's.
	Embedding LogNormal
}

// DefaultLatency is fitted to openai-processing-ms, which OpenAI's servers report,
// in recorded calls of gpt-3.5-turbo to gpt-5. mu and sigma are mean and standard
// deviation of the logarithms:
//
//   - FirstToken: the 44 streamed chat completions, where the server reports the
//     time to the head. Median 321 ms, sigma 0.842.
//   - PerToken: the 52 whole chat completions of at least 50 output tokens, the
//     median of FirstToken taken off and the rest divided by the tokens; shorter
//     ones say more about the first token than about the others. Median 15.6 ms,
//     sigma 0.417.
//   - Embedding: the 31 calls for embeddings. Median 76.5 ms, sigma 0.681.
//
// As a check: drawn for the output tokens of each of the 220 recorded whole chat
// completions, the sum of both has a median of 1.01 s and a sigma of 1.01; the
// recorded ones have 0.90 s and 1.06.
func DefaultLatency() Latency {
	return Latency{
		FirstToken: LogNormal{Median: 321 * time.Millisecond, Sigma: 0.842},
		PerToken:   LogNormal{Median: 15600 * time.Microsecond, Sigma: 0.417},
		Embedding:  LogNormal{Median: 76500 * time.Microsecond, Sigma: 0.681},
	}
}

func (l Latency) withDefaults() Latency {
	otherwise := DefaultLatency()
	if l.FirstToken == (LogNormal{}) {
		l.FirstToken = otherwise.FirstToken
	}
	if l.PerToken == (LogNormal{}) {
		l.PerToken = otherwise.PerToken
	}
	if l.Embedding == (LogNormal{}) {
		l.Embedding = otherwise.Embedding
	}
	return l
}
