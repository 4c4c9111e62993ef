package limit

import (
	"fmt"
	"math"
	"sync"
	"time"
)

const (
	// ReservationLife is when a reservation that nobody settles ends: it then counts as
	// used in full. It is longer than any call: Bedrock ends a call after 60 minutes.
	ReservationLife = time.Hour
	// MaxPerMinute bounds what a quota may be.
	MaxPerMinute = 1_000_000_000
	// maxBurn bounds OutputBurn. The highest that a provider has published is 5
	// (Bedrock, Claude models).
	maxBurn = 1000
	// debtMinutes is how far behind its quota a target may be. One wrong report of usage
	// must not shut a target off for hours; providers answer 429 with the time to wait.
	debtMinutes = 5
	// minute is the time that quotas are for, in the unit of quota clocks.
	minute = int64(time.Minute / time.Microsecond)
)

// QuotaConfig is what a provider grants per minute. The zero value is no bound.
type QuotaConfig struct {
	// RequestsPerMinute bounds calls that begin. Zero means no bound.
	RequestsPerMinute int
	// TokensPerMinute bounds tokens, input and output together. Zero means no bound.
	TokensPerMinute int
	// OutputBurn is how many tokens of the quota one token of output uses up at
	// settlement: 5 for Claude on Bedrock. Zero means 1.
	OutputBurn float64
}

// Validate reports the first thing that is wrong with the configuration, naming the
// configuration key, its value and what to do.
func (c QuotaConfig) Validate() error {
	switch {
	case c.RequestsPerMinute < 0 || c.RequestsPerMinute > MaxPerMinute:
		return fmt.Errorf("requests_per_minute: %d is not possible; use 1 to %d, or 0 for no bound", c.RequestsPerMinute, MaxPerMinute)
	case c.TokensPerMinute < 0 || c.TokensPerMinute > MaxPerMinute:
		return fmt.Errorf("tokens_per_minute: %d is not possible; use 1 to %d, or 0 for no bound", c.TokensPerMinute, MaxPerMinute)
	case !(c.OutputBurn >= 0 && c.OutputBurn <= maxBurn):
		return fmt.Errorf("output_burndown: %v is not possible; use a number from 0 to %d, 0 for 1", c.OutputBurn, maxBurn)
	}
	return nil
}

// withDefaults replaces what Validate refuses by the nearest value that it accepts.
func (c QuotaConfig) withDefaults() QuotaConfig {
	c.RequestsPerMinute = min(max(c.RequestsPerMinute, 0), MaxPerMinute)
	c.TokensPerMinute = min(max(c.TokensPerMinute, 0), MaxPerMinute)
	if !(c.OutputBurn > 0) {
		c.OutputBurn = 1
	}
	c.OutputBurn = min(c.OutputBurn, maxBurn)
	return c
}

// Quota keeps the calls of one target within what its provider grants per minute, by
// the provider's own way of counting: a call reserves what it may use when it begins,
// and is settled by what it used when it ends. Both buckets begin full, hold one
// minute's worth and fill up evenly all the time. It may be used concurrently;
// NewQuota makes it. All methods of a nil Quota allow everything.
//
// Times are the caller's. One that goes back counts as the latest seen.
type Quota struct {
	cfg   QuotaConfig
	begin time.Time // of the quota's clock

	mu       sync.Mutex // guards what follows
	now      int64      // the latest time seen, microseconds since begin
	requests bucket
	tokens   bucket
	open     reservations
	share    float64 // of cfg that this quota may give, 0 to 1
	wanted   wanted
}

// Reservation is what Reserve took. It is settled once; its zero value is nobody's.
type Reservation struct {
	slot   int32  // its place among the open ones, plus 1
	serial uint32 // tells it from those that had the place before
}

// QuotaSnapshot is a quota's state for people.
type QuotaSnapshot struct {
	// RequestsPerMinute and TokensPerMinute are the bounds; 0 means none.
	RequestsPerMinute int `json:"requests_per_minute"`
	TokensPerMinute   int `json:"tokens_per_minute"`
	// RequestsLeft and TokensLeft are what may be reserved now. TokensLeft is negative
	// while calls have used more than they had reserved. Both are 0 where there is no bound.
	RequestsLeft int `json:"requests_left"`
	TokensLeft   int `json:"tokens_left"`
	// Open counts the reservations that are not settled yet.
	Open int `json:"open"`
	// Share is the part of the bounds that is this gateway's; 0 where they are all its own.
	Share float64 `json:"share,omitempty"`
}

// NewQuota makes a quota with full buckets, or nil where cfg has no bound. Values that
// Validate refuses count as the nearest one that it accepts.
func NewQuota(cfg QuotaConfig) *Quota {
	cfg = cfg.withDefaults()
	if cfg.RequestsPerMinute == 0 && cfg.TokensPerMinute == 0 {
		return nil
	}
	return &Quota{
		cfg:      cfg,
		share:    1,
		requests: newBucket(cfg.RequestsPerMinute),
		tokens:   newBucket(cfg.TokensPerMinute),
	}
}

// Wait is how long it takes until Reserve could take so many tokens, if nobody else
// takes any; 0 means now.
func (q *Quota) Wait(now time.Time, tokens int) time.Duration {
	if q == nil {
		return 0
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.advanceLocked(now)
	wait := max(q.requests.wait(1), q.tokens.wait(tokens))
	q.wanted.short = q.wanted.short || wait > 0
	return time.Duration(wait) * time.Microsecond
}

// Reserve takes one request and so many tokens, and says whether both were there;
// if not, it takes nothing. Reserve what a call may use at most: input, what is written
// to the provider's cache, and the most output that it may make, without the burn.
// A call that may use more than a minute's tokens takes the whole minute's.
func (q *Quota) Reserve(now time.Time, tokens int) (Reservation, bool) {
	if q == nil {
		return Reservation{}, true
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.advanceLocked(now)
	if q.requests.wait(1) > 0 || q.tokens.wait(tokens) > 0 {
		q.wanted.short = true
		return Reservation{}, false
	}
	q.requests.take(1)
	taken := q.tokens.take(tokens)
	q.wanted.requests++
	q.wanted.tokens += taken
	return q.open.add(q.now, taken), true
}

// Settle puts what the call used in the place of what it had reserved: what was not
// used is free again, what was used beyond is owed, up to 5 minutes' worth. Used is
// what Used gives, or 0 where the provider did not take the call. The request itself
// stays counted: providers count those that they refuse.
//
// Settling twice, or after ReservationLife, changes nothing.
func (q *Quota) Settle(now time.Time, r Reservation, used int) {
	if q == nil {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.advanceLocked(now)
	if reserved, ok := q.open.remove(r); ok {
		q.tokens.settle(reserved, used)
		q.wanted.tokens += int64(used) - reserved
	}
}

// Used is what a call counts for at settlement: input without what came from the
// provider's cache, what was written to that cache, and output times OutputBurn,
// rounded up. Negative numbers count as 0.
func (q *Quota) Used(input, cacheWrite, output int) int {
	burn := 1.0
	if q != nil {
		burn = q.cfg.OutputBurn
	}
	used := float64(max(input, 0)) + float64(max(cacheWrite, 0)) + math.Ceil(float64(max(output, 0))*burn)
	return int(min(used, math.MaxInt32*float64(debtMinutes)))
}

// Snapshot is the state now. Of a nil Quota it is the zero value.
func (q *Quota) Snapshot(now time.Time) QuotaSnapshot {
	if q == nil {
		return QuotaSnapshot{}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.advanceLocked(now)
	s := QuotaSnapshot{
		RequestsPerMinute: q.cfg.RequestsPerMinute, TokensPerMinute: q.cfg.TokensPerMinute,
		RequestsLeft: q.requests.left(), TokensLeft: q.tokens.left(), Open: q.open.n,
	}
	if q.share < 1 {
		s.Share = q.share
	}
	return s
}

// advanceLocked fills the buckets up to now and ends reservations that are too old.
func (q *Quota) advanceLocked(now time.Time) {
	if q.begin.IsZero() {
		q.begin = now
	}
	t := now.Sub(q.begin).Microseconds()
	if t <= q.now {
		return
	}
	q.requests.fill(t - q.now)
	q.tokens.fill(t - q.now)
	q.now = t
	q.open.expire(t - ReservationLife.Microseconds())
}
