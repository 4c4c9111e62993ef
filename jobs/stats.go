package jobs

import (
	"context"
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

// Stats counts jobs by state, for an operator those of all tenants. Errors:
// ForebayUnavailable.
func (q *Queue) Stats(ctx context.Context, as As) (Stats, error) {
	if !as.All {
		return q.tenantStats(ctx, as)
	}
	counts, err := q.cfg.Store.Census(ctx, nil)
	if err != nil {
		return Stats{}, unavailable(q.failsIf(err))
	}
	s := Stats{Damaged: counts[0], Bands: make(map[string]BandStats, len(llm.Priorities))}
	s.count(counts)
	now := time.Now()
	q.mu.Lock()
	d := q.desk.Stats(now)
	q.mu.Unlock()
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
	return s, nil
}

func (q *Queue) tenantStats(ctx context.Context, as As) (Stats, error) {
	counts, err := q.cfg.Store.Census(ctx, &as.Tenant)
	if err != nil {
		return Stats{}, unavailable(q.failsIf(err))
	}
	s := Stats{Paused: []string{}}
	s.count(counts)
	return s, nil
}

func (s *Stats) count(counts map[backlog.State]int) {
	s.Queued, s.Processing = counts[backlog.Queued], counts[backlog.Processing]
	s.Completed, s.Failed, s.Timeout = counts[backlog.Completed], counts[backlog.Failed], counts[backlog.Timeout]
	s.Cancelled, s.Dead = counts[backlog.Cancelled], counts[backlog.Dead]
}
