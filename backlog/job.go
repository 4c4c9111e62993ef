package backlog

import (
	"time"

	"github.com/forebay-ai/forebay/llm"
)

// State says where a job is in its life.
type State uint8

// The states. A job begins as Queued; Queued and Processing are followed by others,
// the rest is final unless somebody requeues the job.
const (
	Queued     State = iota + 1
	Processing       // some worker has a lease on it
	Completed        // its result is stored
	Failed           // the call failed in a way that another attempt does not change
	Timeout          // its deadline passed, queued or processing
	Cancelled        // its caller did not want it any more
	Dead             // a dead letter: attempts or workers were used up
)

// States lists the states in the order of their numbers.
func States() []State {
	return []State{Queued, Processing, Completed, Failed, Timeout, Cancelled, Dead}
}

var stateNames = [...]string{"", "queued", "processing", "completed", "failed", "timeout", "cancelled", "dead"}

// String returns the state's name in lower case, or "unknown".
func (s State) String() string {
	if s < Queued || s > Dead {
		return "unknown"
	}
	return stateNames[s]
}

// ParseState reads a state's name. The error is an *llm.Error of CallerInvalidRequest.
func ParseState(name string) (State, error) {
	for _, s := range States() {
		if s.String() == name {
			return s, nil
		}
	}
	return 0, &llm.Error{
		Kind: llm.CallerInvalidRequest, Message: "there is no state of that name", Param: "state",
		Fix: "Use queued, processing, completed, failed, timeout, cancelled or dead.",
	}
}

// Final says that nothing happens to a job in this state by itself any more.
func (s State) Final() bool { return s >= Completed }

// Job is a durable call as a store keeps it, without payload and result.
type Job struct {
	ID ID
	Spec
	Status
}

// Spec is what was accepted. It never changes.
type Spec struct {
	// Tenant and User say whose job it is, Key the name of the key that it came with.
	Tenant, User, Key string
	// Operation selects handler and settings; empty means the default one.
	Operation string
	// Endpoint and Model say what is asked for, for people; the payload has the call.
	Endpoint, Model string
	// CustomID is the caller's own name for the job; may be empty.
	CustomID string
	// Enqueued is when it was accepted, in nanoseconds. Jobs of one process that are
	// accepted later have a later time and a larger ID.
	Enqueued time.Time
	// Timeout is the time from acceptance to the deadline.
	Timeout time.Duration
	// Retention is how long the result is kept.
	Retention time.Duration
	// Bytes is the length of the sealed payload.
	Bytes int
	// Idempotency is the digest of tenant, user and idempotency key; zero means none.
	Idempotency [32]byte
	// Digest is that of everything that the caller asked for, to tell a repeated
	// submission from another one under the same idempotency key.
	Digest [32]byte
	// Webhook says that the payload names an address that wants to know of the end.
	Webhook bool
}

// Status is what changes.
type Status struct {
	State State
	Band  llm.Priority
	// Attempt counts claims, and requeueings by hand. It is the fencing token of the lease.
	Attempt int
	// Retries counts failed attempts, Deaths leases that ran out or whose worker died.
	// Both begin anew when a job is requeued by hand.
	Retries, Deaths int
	// NotBefore is when a queued job may be claimed; zero means at once.
	NotBefore time.Time
	// Deadline ends everything: waiting, attempts and pauses between them.
	Deadline time.Time
	// LeaseUntil is when the lease of Worker runs out; zero unless processing.
	LeaseUntil time.Time
	Worker     string
	// Started is the first claim, Finished the end; zero until then.
	Started, Finished time.Time
	// Kind and Message say why it failed; the last failure while it is queued again.
	Kind    llm.Kind
	Message string
	// Keep is until when a final job is kept, ResultUntil until when its result is.
	// Zero unless final.
	Keep, ResultUntil time.Time
	// Hook is the delivery of the webhook.
	Hook Hook
}

// Hook is how far the delivery of a webhook is.
type Hook struct {
	// Due is the next attempt; zero means none is due: not yet, or not any more.
	Due time.Time
	// Attempts counts those made. Delivered says that one succeeded.
	Attempts  int
	Delivered bool
}
