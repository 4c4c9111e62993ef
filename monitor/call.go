package monitor

import (
	"time"

	"github.com/forebay-ai/forebay/llm"
)

// Outcome is how a call ended for its caller. The set is closed.
type Outcome string

// The outcomes.
const (
	OK        Outcome = "ok"        // what was asked for, from a model or the cache
	Degraded  Outcome = "degraded"  // a fallback answered
	Refused   Outcome = "refused"   // not carried out: limits, budgets, policies
	Error     Outcome = "error"     // carried out and failed, or malformed
	Cancelled Outcome = "cancelled" // the caller went away
)

// Call is one finished call. Durations that are zero or negative do not apply to
// it and are not recorded.
type Call struct {
	// Operation, Model and Provider are labels; see Config. Model is the model that
	// was asked for, by its name in configuration.
	Operation, Model, Provider string
	// Endpoint is what was asked of the model. It is no label; the empty one counts as
	// a chat where a sink has to name it.
	Endpoint llm.Endpoint
	// Tenant and User are whose call it is. They are never labels: sinks count the
	// distinct ones.
	Tenant, User string
	Priority     llm.Priority
	Outcome      Outcome
	// ErrorType is the kind of the error that the call met: the one it ended with,
	// or the one that a fallback covered. Empty means none.
	ErrorType llm.Kind
	// Cache is what the cache did: hit, stale_hit, miss, stale, collapsed, bypass or off.
	Cache string
	// Fallback is the strategy that answered: cached, similar, template, simplified or
	// error. Empty means none.
	Fallback string
	// Stream says that the answer was sent in pieces.
	Stream bool
	// Duration is the whole call, from its arrival to the end of its answer.
	Duration time.Duration
	// CacheLookup is the look-up, key included. QueueWait is the wait for a slot.
	// Upstream is from the start of the last attempt to its first chunk.
	CacheLookup, QueueWait, Upstream time.Duration
	// FirstToken is from the call's arrival to the first useful chunk.
	FirstToken time.Duration
	// Overhead is what Forebay added: Duration without waiting and upstream.
	Overhead time.Duration
	// Usage and CostMicroUSD are over all attempts. Negative counts are taken as
	// zero. They stay zero where RecordUsage tells of them.
	Usage        llm.Usage
	CostMicroUSD int64
	// OutputTokens counts the tokens of this one answer, however it was got; 0 where that
	// is not known. From it comes the time per output token of a stream.
	OutputTokens int64
	// SavedMicroUSD is what the answer did not cost because it was in the cache or
	// shared with another call, in millionths of a US dollar.
	SavedMicroUSD int64
	// Attempts counts calls to providers: 0 for a hit.
	Attempts int
	// Good is told to sinks, and ignored where it is recorded: the call was answered
	// without a fallback and within Config.Objective.
	Good bool
}

// Attempt is one finished call to a provider.
type Attempt struct {
	// Provider and Model are the target, by their labels; see Config.
	Provider, Model string
	// Endpoint is as in Call.
	Endpoint llm.Endpoint
	// ErrorType is the kind of its failure. Empty means that it succeeded.
	ErrorType llm.Kind
	// Duration is the whole attempt, FirstToken the time to its first useful chunk.
	// Zero or negative means that it does not apply.
	Duration, FirstToken time.Duration
}

// Source is what is asked when somebody looks. Its functions are called from the
// goroutine of each scrape, several at once at times, and must return quickly.
// A nil function is not asked.
type Source struct {
	Queue func() QueueSample
	Cache func() CacheSample
	// Jobs is nil where there is no durable queue; the metrics of jobs are there then
	// once one is recorded.
	Jobs func() JobSample
	// State is asked of the first source that has it, and so is Tables.
	State  func() StateSample
	Tables func() TablesSample
}

// QueueSample is the state of the waiting line and of the limits behind it.
type QueueSample struct {
	// Waiting counts waiting calls by llm.Priority.Index.
	Waiting [4]int
	// Oldest is how long the one that waits longest has waited.
	Oldest time.Duration
	// InFlight counts calls in progress by target, and Max is how many there may
	// be. A target without a bound is left out of Max, or has a negative one.
	InFlight, Max map[string]int
}

// CacheSample is the state of the response cache. What it counts starts with the
// cache and never falls.
type CacheSample struct {
	// Entries and Bytes are what its memory holds now.
	Entries int
	Bytes   int64
	// Hits, Misses and Evictions count look-ups and what was dropped for room.
	Hits, Misses, Evictions int64
	// HitsOnDisk are those of Hits that the persistent tier answered. StaleHits are
	// expired answers that were given while new ones were fetched.
	HitsOnDisk, StaleHits int64
	// MissReasons splits Misses, by words of a closed set.
	MissReasons map[string]int64
	// Damaged counts entries that failed their check, and were not used.
	Damaged int64
	// Invalidations counts calls that made entries void.
	Invalidations int64
	// Saved is what hits did not have to be asked for again, by operation.
	Saved map[string]Saving
	// Store is the state of the persistent tier; nil where there is none.
	Store *StoreSample
}

// Saving is what hits of one operation saved.
type Saving struct{ Tokens, CostMicroUSD int64 }

// StoreSample is the state of the cache's persistent tier.
type StoreSample struct {
	// Up says that look-ups use it; false while it rests after failures.
	Up bool
	// Pending are the bytes of entries that wait to be written.
	Pending int64
	// Written and Dropped count entries that were written, or could not be.
	Written, Dropped int64
	// BytesUnpacked and BytesPacked are what was compressed, before and after.
	BytesUnpacked, BytesPacked int64
}

// Stage is a part of a call that is timed by itself.
type Stage string

// The stages, in the order of a call.
const (
	StageCache      Stage = "cache"       // Call.CacheLookup
	StageQueue      Stage = "queue"       // Call.QueueWait
	StageUpstream   Stage = "upstream"    // Call.Upstream
	StageFirstToken Stage = "first_token" // Call.FirstToken, which spans the others
)

// Summary is the figures since the Monitor was made. Percentiles are off by at
// most 2 %; see Histogram.
type Summary struct {
	// Requests counts all calls. Failures counts those that ended in an error or
	// were refused, except by the caller's own fault (error types caller_*).
	Requests, Failures int64
	// ErrorRate is Failures as a share of Requests, from 0 to 1.
	ErrorRate float64
	// P50, P95 and P99 are percentiles of the durations of calls that were carried
	// out; see Monitor.Record.
	P50, P95, P99 time.Duration
	// Tokens is the sum of all kinds.
	Tokens int64
	// Hits counts calls that the cache answered, Misses those that it could have
	// answered and had no fresh answer for. A call that joined another is neither.
	Hits, Misses int64
	CostMicroUSD int64
	// OverheadP50 and OverheadP99 are percentiles of Forebay's own time.
	OverheadP50, OverheadP99 time.Duration
	// Stages has one row for each stage, in order.
	Stages []StageSummary
}

// StageSummary is the percentiles of one stage over the calls that went through it.
type StageSummary struct {
	Stage         Stage
	Count         int64
	P50, P95, P99 time.Duration
}
