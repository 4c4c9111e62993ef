package jobs

import (
	"time"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/llm"
)

// stampLayout is RFC 3339 with milliseconds.
const stampLayout = "2006-01-02T15:04:05.000Z07:00"

// View is a job as JSON shows it. Times are RFC 3339 in UTC with milliseconds; what
// does not apply is left out.
type View struct {
	ID            string `json:"id"`
	Object        string `json:"object"` // always "job"
	State         string `json:"state"`
	Operation     string `json:"operation,omitempty"`
	Endpoint      string `json:"endpoint,omitempty"`
	Model         string `json:"model,omitempty"`
	Priority      string `json:"priority"`
	PriorityScore int64  `json:"priority_score"` // Unix milliseconds: a smaller one goes first
	Tenant        string `json:"tenant,omitempty"`
	User          string `json:"user,omitempty"`
	CustomID      string `json:"custom_id,omitempty"`
	CreatedAt     string `json:"created_at"`
	DeadlineAt    string `json:"deadline_at,omitempty"`
	NotBefore     string `json:"not_before,omitempty"`
	StartedAt     string `json:"started_at,omitempty"`
	FinishedAt    string `json:"finished_at,omitempty"`
	ResultUntil   string `json:"result_until,omitempty"`
	KeepUntil     string `json:"keep_until,omitempty"`
	Attempt       int    `json:"attempt"`
	Retries       int    `json:"retries"`
	LostLeases    int    `json:"lost_leases"`
	Bytes         int    `json:"bytes"` // of the sealed payload
	// Place is 1 for the job that is next in its band. EstimatedWaitMS is left out where
	// nobody can tell yet. Both are there for queued jobs only.
	Place           *int      `json:"place,omitempty"`
	EstimatedWaitMS int64     `json:"estimated_wait_ms,omitempty"`
	Error           *Failure  `json:"error,omitempty"`
	Webhook         *Delivery `json:"webhook,omitempty"`
}

// Failure says why a job failed, or why its last attempt did while it is queued again.
type Failure struct {
	ErrorType string `json:"error_type"` // an llm.Kind
	Message   string `json:"message"`
}

// Delivery says how far a webhook is: pending, delivered or failed.
type Delivery struct {
	State    string `json:"state"`
	Attempts int    `json:"attempts"`
}

// View returns the job as JSON shows it, with its place where it is queued.
func (q *Queue) View(j *backlog.Job) View {
	v := q.record(j)
	if j.State != backlog.Queued {
		return v
	}
	if place, wait, ok := q.Place(j.ID); ok {
		v.Place, v.EstimatedWaitMS = &place, wait.Milliseconds()
	}
	return v
}

// record is View without what only this moment knows.
func (q *Queue) record(j *backlog.Job) View {
	v := View{
		ID: j.ID.String(), Object: "job", State: j.State.String(),
		Operation: j.Operation, Endpoint: j.Endpoint, Model: j.Model,
		Priority: j.Band.String(), PriorityScore: q.rules.PriorityScore(j).UnixMilli(),
		Tenant: j.Tenant, User: j.User, CustomID: j.CustomID,
		CreatedAt: stamp(j.Enqueued), DeadlineAt: stamp(j.Deadline), NotBefore: stamp(j.NotBefore),
		StartedAt: stamp(j.Started), FinishedAt: stamp(j.Finished), ResultUntil: stamp(j.ResultUntil), KeepUntil: stamp(j.Keep),
		Attempt: j.Attempt, Retries: j.Retries, LostLeases: j.Deaths, Bytes: j.Bytes,
	}
	if j.Kind != "" {
		v.Error = &Failure{ErrorType: string(j.Kind), Message: j.Message}
	}
	if j.Webhook {
		v.Webhook = &Delivery{State: hookState(j), Attempts: j.Hook.Attempts}
	}
	return v
}

func hookState(j *backlog.Job) string {
	switch {
	case j.Hook.Delivered:
		return "delivered"
	case j.State.Final() && j.Hook.Due.IsZero():
		return "failed"
	}
	return "pending"
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(stampLayout)
}

// asStored is the job as a store gives it back: times to the microsecond, without a
// monotonic reading.
func asStored(j backlog.Job) backlog.Job {
	for _, t := range [...]*time.Time{
		&j.Enqueued, &j.NotBefore, &j.Deadline, &j.LeaseUntil, &j.Started, &j.Finished, &j.Keep, &j.ResultUntil, &j.Hook.Due,
	} {
		if !t.IsZero() {
			*t = time.UnixMicro(t.UnixMicro()).UTC()
		}
	}
	return j
}

// notFound is the answer for a job that is not there, or not for whoever asks.
func notFound(id backlog.ID) *llm.Error {
	return &llm.Error{Kind: llm.CallerNotFound, Message: "no job is named " + id.String(), Fix: "GET /v1/jobs lists jobs."}
}
