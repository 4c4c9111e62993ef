// Package health is the shape in which the state of the whole system is told: by the
// library, by GET /v1/health and by the dashboard. It computes nothing.
package health

import "github.com/forebay-ai/forebay/degrade"

// Health is the state of the whole system, as A's getSystemHealth gives it.
type Health struct {
	Overall     State       `json:"overall"`
	Performance Performance `json:"performance"`
	Queue       Queue       `json:"queue"`
	Jobs        Jobs        `json:"jobs"`
	Cache       Cache       `json:"cache"`
	Degradation Degradation `json:"degradation"`
}

// State is healthy, degraded or unhealthy.
type State string

// The states.
const (
	Healthy   State = "healthy"   // every target takes calls
	Degraded  State = "degraded"  // some targets do not, the queue is past its warning, or the store of jobs has failed
	Unhealthy State = "unhealthy" // some model has no target left, or the client is closed
)

// Performance sums up the calls since the start.
type Performance struct {
	Requests    int64   `json:"requests"`
	Failures    int64   `json:"failures"`
	ErrorRate   float64 `json:"error_rate"`
	P50Seconds  float64 `json:"p50_seconds"`
	P95Seconds  float64 `json:"p95_seconds"`
	P99Seconds  float64 `json:"p99_seconds"`
	TokensTotal int64   `json:"tokens_total"`
}

// Queue sums up the waiting lines.
type Queue struct {
	Waiting    int            `json:"waiting"`
	Processing int            `json:"processing"`
	Capacity   int            `json:"capacity"`
	ByPriority map[string]int `json:"by_priority"`
	Refused    int64          `json:"refused"`
}

// Jobs says whether durable jobs are taken in: there is a store for them, and it
// takes changes.
type Jobs struct {
	Enabled bool `json:"enabled"`
	Up      bool `json:"up"`
}

// Cache sums up the response cache.
type Cache struct {
	Enabled bool    `json:"enabled"`
	Entries int     `json:"entries"`
	Bytes   int64   `json:"bytes"`
	Hits    int64   `json:"hits"`
	Misses  int64   `json:"misses"`
	HitRate float64 `json:"hit_rate"`
}

// Degradation says what works only in part.
type Degradation struct {
	Level   degrade.Level     `json:"level"`
	Reasons []degrade.Reason  `json:"reasons,omitempty"`
	Targets map[string]string `json:"targets"` // breaker state by target
}
