package jobs

import (
	"context"
	"errors"
	"time"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/llm"
)

// Stats says how the queue stands. What a tenant may see of others is left out.
type Stats struct {
	Queued     int `json:"queued"`
	Processing int `json:"processing"`
	Completed  int `json:"completed"`
	Failed     int `json:"failed"`
	Timeout    int `json:"timeout"`
	Cancelled  int `json:"cancelled"`
	Dead       int `json:"dead"`
	// CountedAt is when the jobs of a store that several processes share were counted; zero where it was just now, or where
	// they are not counted yet: then an operator is told of those alone that are queued or processing.
	CountedAt time.Time `json:"counted_at,omitzero"`
	// Damaged counts jobs whose records are set apart. Operators only.
	Damaged int `json:"damaged"`
	// Bands are by name. Operators only, as what follows.
	Bands map[string]BandStats `json:"bands,omitempty"`
	// QueuedBytes is the size of the sealed payloads of queued jobs.
	QueuedBytes int64 `json:"queued_bytes,omitempty"`
	// DrainRate is how many jobs ended a second, over the last minute.
	DrainRate float64 `json:"drain_rate_per_second"`
	// Accepted, Refused, Retries, LostLeases and Fenced count since the start: jobs
	// taken in and not, attempts that failed and were repeated, leases that were lost,
	// results that were thrown away because their lease was.
	Accepted   int64 `json:"accepted"`
	Refused    int64 `json:"refused"`
	Retries    int64 `json:"retries"`
	LostLeases int64 `json:"lost_leases"`
	Fenced     int64 `json:"fenced"`
	// Paused lists the operations of which nothing is claimed.
	Paused []string `json:"paused"`
	// Draining says that the queue takes nothing in because it stops.
	Draining bool `json:"draining,omitempty"`
}

// BandStats describes one band.
type BandStats struct {
	Queued     int `json:"queued"`
	Processing int `json:"processing"`
	// Delayed counts those of Queued that wait for their next attempt.
	Delayed int `json:"delayed"`
	// OldestSeconds is how long ago the oldest queued job was accepted.
	OldestSeconds float64 `json:"oldest_seconds"`
	// EstimatedWaitSeconds is what the last job in the band will wait; zero while nobody
	// can tell.
	EstimatedWaitSeconds float64 `json:"estimated_wait_seconds"`
}

// Stats counts jobs by state, for an operator those of all tenants. Where several processes share the store the counts are
// those of its last census (Stats.CountedAt), which is made in the background; what an operator is told of jobs that are
// queued or processing is what this process knows of them now. Errors: ForebayUnavailable, also for a tenant before the first
// census.
func (q *Queue) Stats(ctx context.Context, as As) (Stats, error) {
	var tenant *string
	if !as.All {
		tenant = &as.Tenant
	}
	counts, at, ok := q.counted(tenant)
	if !ok {
		var err error
		counts, err = q.cfg.Store.Census(ctx, tenant)
		switch {
		case err == nil:
			_, at, _ = q.counted(tenant)
		case !errors.Is(err, backlog.ErrNotCounted):
			return Stats{}, unavailable(q.failsIf(err))
		case !as.All:
			return Stats{}, uncounted(err)
		}
	}
	if !as.All {
		s := Stats{Paused: []string{}, CountedAt: at}
		s.count(counts)
		return s, nil
	}
	return q.stats(counts, at), nil
}

// uncounted is what a tenant is told before the first census.
func uncounted(cause error) *llm.Error {
	return &llm.Error{
		Kind: llm.ForebayUnavailable, Message: "the jobs have not been counted yet", RetryAfter: firstCount,
		Fix: "Try again; a large table of jobs takes some minutes.", Err: cause,
	}
}

// Sample is Stats for an operator at next to no cost, for gauges: where several processes share the store it reads nothing, and
// what nobody has counted yet is zero. The error says that the store cannot be read: ForebayUnavailable.
func (q *Queue) Sample(ctx context.Context) (Stats, error) {
	if q.sighter() == nil {
		return q.Stats(ctx, As{All: true})
	}
	counts, at, _ := q.counted(nil)
	s := q.stats(counts, at)
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.blind != nil {
		return s, unavailable(q.blind)
	}
	return s, nil
}

// sighter is the store if it is shared and can be looked at cheaply; else nil.
func (q *Queue) sighter() backlog.Sighter {
	if s, ok := q.cfg.Store.(backlog.Sighter); ok && !q.exclusive {
		return s
	}
	return nil
}

// counted is the last census of a shared store.
func (q *Queue) counted(tenant *string) (counts map[backlog.State]int, at time.Time, ok bool) {
	if s := q.sighter(); s != nil {
		return s.Counted(tenant)
	}
	return nil, time.Time{}, false
}

// stats joins what was counted with what the Desk knows.
func (q *Queue) stats(counts map[backlog.State]int, at time.Time) Stats {
	s := Stats{Damaged: counts[0], Bands: make(map[string]BandStats, len(llm.Priorities)), CountedAt: at}
	s.count(counts)
	now := time.Now()
	q.mu.Lock()
	d, all := q.desk.Stats(now), !q.partial
	q.mu.Unlock()
	if q.sighter() != nil {
		if s.Processing = d.Processing + d.Watched; all || d.Queued > s.Queued {
			s.Queued = d.Queued
		}
	}
	for _, p := range llm.Priorities {
		b := d.Bands[p.Index()]
		s.Bands[p.String()] = BandStats{
			Queued: b.Queued, Processing: b.Processing + b.Watched, Delayed: b.Delayed,
			OldestSeconds: b.Oldest.Seconds(), EstimatedWaitSeconds: b.EstimatedWait.Seconds(),
		}
	}
	s.QueuedBytes, s.DrainRate, s.Draining = d.Bytes, d.DrainRate, d.Draining
	s.Accepted, s.Refused, s.Retries, s.LostLeases, s.Fenced = d.Accepted, d.Refused, d.Retries, d.Deaths, d.Fenced
	s.Paused = append([]string{}, d.Paused...)
	return s
}

func (s *Stats) count(counts map[backlog.State]int) {
	s.Queued, s.Processing = counts[backlog.Queued], counts[backlog.Processing]
	s.Completed, s.Failed, s.Timeout = counts[backlog.Completed], counts[backlog.Failed], counts[backlog.Timeout]
	s.Cancelled, s.Dead = counts[backlog.Cancelled], counts[backlog.Dead]
}
