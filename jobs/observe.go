package jobs

import (
	"time"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/llm"
)

// Happening names what an Observation is of. The set is closed, for labels of metrics.
type Happening string

// The happenings.
const (
	Accepted      Happening = "accepted"       // a job is durable
	Refused       Happening = "refused"        // a submission was not taken in
	Claimed       Happening = "claimed"        // an attempt begins
	Completed     Happening = "completed"      // the result is durable
	Failed        Happening = "failed"         // for good
	TimedOut      Happening = "timeout"        // the deadline passed
	Cancelled     Happening = "cancelled"      // by its caller
	DeadLettered  Happening = "dead"           // attempts or workers were used up
	Retried       Happening = "retried"        // an attempt failed and there will be another
	LostLease     Happening = "lost_lease"     // a worker died or stalled
	Fenced        Happening = "fenced"         // a result was thrown away because its lease was lost
	HookDelivered Happening = "hook_delivered" // a webhook's receiver has taken it
	HookFailed    Happening = "hook_failed"    // an attempt to deliver one failed
	Damaged       Happening = "damaged"        // a stored part is not what was written
)

// Happenings lists all of them.
func Happenings() []Happening {
	return []Happening{
		Accepted, Refused, Claimed, Completed, Failed, TimedOut, Cancelled, DeadLettered,
		Retried, LostLease, Fenced, HookDelivered, HookFailed, Damaged,
	}
}

// Observation is something that happened to a job.
type Observation struct {
	Happening Happening
	Band      llm.Priority
	// Operation may be empty where the default one was asked for.
	Operation string
	// Wait is how long the job waited for this claim (Claimed) or for its first one
	// (final states); zero where it was never claimed.
	Wait time.Duration
	// Run is how long the attempt took (Completed, Failed, Retried, Fenced, final states
	// of a job that ran); zero where it did not run here.
	Run time.Duration
}

// finals are the happenings of final states.
var finals = map[backlog.State]Happening{
	backlog.Completed: Completed, backlog.Failed: Failed, backlog.Timeout: TimedOut,
	backlog.Cancelled: Cancelled, backlog.Dead: DeadLettered,
}

func (q *Queue) observe(what Happening, j *backlog.Job, run time.Duration) {
	if q.cfg.Observe == nil {
		return
	}
	o := Observation{Happening: what, Band: j.Band, Operation: j.Operation, Run: run}
	if !j.Started.IsZero() {
		o.Wait = max(j.Started.Sub(j.Enqueued), 0)
	}
	q.cfg.Observe(o)
}
