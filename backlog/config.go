package backlog

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/forebay-ai/forebay/llm"
)

// Config says how many jobs a Desk takes in, how many it hands out at once, and how
// long it tries. Zero values mean the default; Validate reports what is wrong.
type Config struct {
	// Max is how many jobs are queued at once at most, of all bands, those that wait
	// for their next attempt included. Zero means 500 (MAX_QUEUE_SIZE). A job that is
	// queued again is never refused, so that there may be a few more for a while.
	Max int
	// MaxBytes bounds the sealed payloads of the queued jobs, in bytes. -1 means no
	// bound. Zero means 1 GiB.
	MaxBytes int64
	// Concurrency is how many jobs of each band are claimed at once. Zero means 10
	// (MAX_CONCURRENT_REQUESTS).
	Concurrency int
	// Retries is how many attempts follow the first one where they fail in a way that
	// another attempt may change. -1 means none. Zero means 3 (MAX_RETRIES).
	Retries int
	// Deaths is how many leases of a job may be lost, because its worker died or
	// stalled, with the job queued again after each. The loss after these makes it dead:
	// with 3 the fourth lost lease does. -1 means none: the first one does. Zero means 3.
	Deaths int
	// BackoffBase and BackoffCap bound the pause before another attempt: it is drawn
	// between 0 and the base, which doubles with each retry until it is the cap.
	// Zero means 1 s and 1 min.
	BackoffBase, BackoffCap time.Duration
	// Lease is T, the time without a sign of life after which a worker's lease is lost;
	// leases are renewed every T/3. Zero means 15 s.
	Lease time.Duration
	// Timeout is the time from acceptance to the deadline of a job that asks for none.
	// Zero means 45 s (DEFAULT_TIMEOUT_MS).
	Timeout time.Duration
	// MaxTimeout is the longest timeout that a job may ask for. Zero means 7 days.
	MaxTimeout time.Duration
	// Retention is how long the result of a job that asks for nothing else is kept.
	// Zero means 24 h.
	Retention time.Duration
	// MaxRetention is the longest retention that a job may ask for. Zero means 30 days.
	MaxRetention time.Duration
	// DeadRetention is how long dead, failed and timed-out jobs are kept with their
	// payload, so that they can be requeued. Zero means 14 days.
	DeadRetention time.Duration
	// Offsets are added to the time of acceptance for PriorityScore, by
	// llm.Priority.Index: low, normal, high, critical. They do not change who is next.
	// All zero means 60 s, 15 s, 5 s and 0.
	Offsets [len(llm.Priorities)]time.Duration
	// HookAttempts is how often the delivery of a webhook is tried at most, with pauses
	// of 5 s, 5 min, 30 min, 2 h, 5 h, 10 h and 14 h, each with up to 10 % more or less,
	// and only while the result is kept. Zero means 8.
	HookAttempts int
	// Exclusive says that no other process can hold leases in the store; see
	// Switches.Exclusive.
	Exclusive bool
	// Worker names this process in leases. It has to be another one in every process
	// and after every start. It is required.
	Worker string
	// Rand draws pauses. Nil means one that is seeded by the system.
	Rand *rand.Rand
	// RelaxedClaims makes claims and renewals Relaxed: a power cut may undo a claim, so
	// that the job runs once more without a lost lease being counted.
	RelaxedClaims bool
}

const day = 24 * time.Hour

// Validate reports everything that is wrong with the configuration: for each fault
// the configuration key, the value, and what to do.
func (c Config) Validate() error {
	var faults []error
	check := func(ok bool, key string, value any, fix string) {
		if !ok {
			faults = append(faults, fmt.Errorf("%s: %v is not possible; %s", key, value, fix))
		}
	}
	d := c.withDefaults()
	check(c.Worker != "", "jobs.worker", `""`, "name this process, by host and number for example")
	check(c.Max >= 0, "jobs.max", c.Max, "use a number of jobs from 1")
	check(c.MaxBytes >= -1, "jobs.max_bytes", c.MaxBytes, "use a number of bytes, or -1 for no bound")
	check(c.Concurrency >= 0, "jobs.concurrency", c.Concurrency, "use a number of jobs from 1")
	check(c.Retries >= -1, "jobs.retries", c.Retries, "use a number of attempts, or -1 for none")
	check(c.Deaths >= -1, "jobs.lost_leases", c.Deaths, "use a number of lost leases, or -1 for none")
	check(c.HookAttempts >= 0, "jobs.webhook_attempts", c.HookAttempts, "use a number of attempts from 1")
	for _, t := range []struct {
		key   string
		value time.Duration
	}{
		{"jobs.backoff", c.BackoffBase},
		{"jobs.max_backoff", c.BackoffCap},
		{"jobs.lease", c.Lease},
		{"jobs.timeout", c.Timeout},
		{"jobs.max_timeout", c.MaxTimeout},
		{"jobs.retention", c.Retention},
		{"jobs.max_retention", c.MaxRetention},
		{"jobs.dead_retention", c.DeadRetention},
	} {
		check(t.value >= 0, t.key, t.value, "use a duration above 0, such as 60s")
	}
	check(c.Lease <= 0 || c.Lease >= leastLease, "jobs.lease", c.Lease, fmt.Sprintf("use at least %s", leastLease))
	check(d.BackoffBase <= d.BackoffCap, "jobs.backoff", d.BackoffBase, fmt.Sprintf("use at most jobs.max_backoff (%s)", d.BackoffCap))
	check(d.Timeout <= d.MaxTimeout, "jobs.timeout", d.Timeout, fmt.Sprintf("use at most jobs.max_timeout (%s)", d.MaxTimeout))
	check(d.Retention <= d.MaxRetention, "jobs.retention", d.Retention, fmt.Sprintf("use at most jobs.max_retention (%s)", d.MaxRetention))
	for i, p := range llm.Priorities {
		check(c.Offsets[i] >= 0, "queue.offsets."+p.String(), c.Offsets[i], "use a duration from 0")
	}
	return errors.Join(faults...)
}

// leastLease leaves room for a renewal that waits for a slow disk.
const leastLease = 100 * time.Millisecond

// withDefaults replaces zeros by what they mean, and values that Validate refuses by
// the default, so that a desk made from them is safe.
func (c Config) withDefaults() Config {
	c.Max = positive(c.Max, 500)
	if c.MaxBytes == 0 || c.MaxBytes < -1 {
		c.MaxBytes = 1 << 30
	}
	c.Concurrency = positive(c.Concurrency, 10)
	c.Retries = orNone(c.Retries, 3)
	c.Deaths = orNone(c.Deaths, 3)
	c.BackoffBase = positive(c.BackoffBase, min(time.Second, positive(c.BackoffCap, time.Second)))
	c.BackoffCap = positive(c.BackoffCap, max(time.Minute, c.BackoffBase))
	c.Lease = positive(c.Lease, 15*time.Second)
	c.Timeout = positive(c.Timeout, min(45*time.Second, positive(c.MaxTimeout, 45*time.Second)))
	c.MaxTimeout = positive(c.MaxTimeout, max(7*day, c.Timeout))
	c.Retention = positive(c.Retention, min(day, positive(c.MaxRetention, day)))
	c.MaxRetention = positive(c.MaxRetention, max(30*day, c.Retention))
	c.DeadRetention = positive(c.DeadRetention, 14*day)
	c.HookAttempts = positive(c.HookAttempts, 8)
	if c.Offsets == ([len(llm.Priorities)]time.Duration{}) {
		c.Offsets = [...]time.Duration{60 * time.Second, 15 * time.Second, 5 * time.Second, 0}
	}
	return c
}

func positive[T int | time.Duration](v, fallback T) T {
	if v <= 0 {
		return fallback
	}
	return v
}

func orNone(v, fallback int) int {
	if v == 0 {
		return fallback
	}
	return max(v, 0)
}

// PriorityScore is the time of the job's acceptance plus the offset of its band: of two
// jobs, the one with the smaller score has the older claim. It is shown to people.
func (c Config) PriorityScore(j *Job) time.Time {
	return j.Enqueued.Add(c.withDefaults().Offsets[j.Band.Index()])
}
