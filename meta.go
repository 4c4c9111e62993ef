package forebay

import (
	"time"

	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/degrade"
	"github.com/forebay-ai/forebay/health"
	"github.com/forebay-ai/forebay/llm"
)

// Meta says how an answer came about. Of a stream that is still running it holds
// what was known when the first chunk came.
type Meta struct {
	RequestID string
	Operation string
	// Provider and Model are the target that answered; empty for a fallback that no
	// model made. For a cached answer they are the target that made it.
	Provider, Model string
	// Attempts counts calls to providers made for this answer: 0 for a hit.
	Attempts int
	// Cache says what the cache did.
	Cache CacheResult
	// Fallback is the strategy that made the answer; empty where a target or the
	// cache answered.
	Fallback degrade.Strategy
	// Template names the prepared text that answered, with locale and version, such as
	// vc-analysis/de@3; empty for other answers.
	Template string
	// Region is where the target that answered runs; empty where nobody said.
	Region string
	// Degraded says that the answer is not what was asked for, and Level how much
	// of the operation is affected.
	Degraded bool
	Level    degrade.Level
	// Usage is what the answer used; zero for a hit and until a stream has ended.
	Usage llm.Usage
	// CostMicroUSD is the price of all attempts in millionths of a dollar; 0 until
	// a stream has ended.
	CostMicroUSD int64
	Timing       Timing
}

// CacheResult is what the cache did for one call.
type CacheResult struct {
	// Status is what happened.
	Status CacheStatus
	// Stored says that the answer was put into the cache, or will be once the
	// stream is complete.
	Stored bool
	// Age is how long ago a hit was stored, TTL how long it stays fresh; negative
	// for a stale one.
	Age, TTL time.Duration
	// Reason says why there was no hit.
	Reason cache.Reason
	// Detail says what is special about an answer of the cache; mostly empty.
	Detail CacheDetail
}

// CacheDetail is a closed set.
type CacheDetail string

// The details.
const (
	DetailNegative     CacheDetail = "negative"       // a refusal that is repeated
	DetailStaleIfError CacheDetail = "stale-if-error" // expired; every target failed
	DetailSimilar      CacheDetail = "similar"        // the answer to a similar request
)

// CacheStatus is a closed set: it is a metric label too.
type CacheStatus string

// The statuses, named as in RFC 9211 where it has a word.
const (
	CacheHit       CacheStatus = "hit"
	CacheStaleHit  CacheStatus = "stale_hit" // expired just now, and given while a new answer is fetched
	CacheMiss      CacheStatus = "miss"      // never seen, or evicted
	CacheExpired   CacheStatus = "stale"     // seen, but no longer fresh
	CacheCollapsed CacheStatus = "collapsed" // joined an identical call in progress
	CacheBypass    CacheStatus = "bypass"    // the call or the operation said so
	CacheOff       CacheStatus = "off"       // no cache configured
)

// Timing says where the time went, as far as it is known.
type Timing struct {
	Start time.Time
	// Cache is the look-up, key included. Queue is the wait for a slot. Upstream is
	// the time from the last attempt's start to its first chunk. Total is the time
	// to the first chunk of the answer, or to its end for whole answers.
	Cache, Queue, Upstream, Total time.Duration
}

// Health is the state of the whole system, as A's getSystemHealth gives it.
type Health = health.Health

// HealthState is healthy, degraded or unhealthy.
type HealthState = health.State

// The states.
const (
	Healthy   = health.Healthy   // every target takes calls
	Degraded  = health.Degraded  // some targets do not, the queue is past its warning, or the store of jobs has failed
	Unhealthy = health.Unhealthy // some model has no target left, or the client is closed
)
