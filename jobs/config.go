package jobs

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/envelope"
	"github.com/forebay-ai/forebay/llm"
)

// defaultEventBytes is what is kept of a running stream: some 200,000 tokens.
const defaultEventBytes = 1 << 20

// Config says how a Queue works. Store, Keys and Handler are required.
type Config struct {
	// Store keeps the jobs. The Queue does not close it.
	Store backlog.Store
	// Keys seals payloads and results with the data keys of their tenant and user.
	Keys *envelope.Keyring
	// Desk has the bounds and times. Worker and Exclusive are filled in.
	Desk backlog.Config
	// Handler runs a job.
	Handler Handler
	// Hooks delivers webhooks. Nil means that jobs with a webhook are refused.
	Hooks Deliverer
	// Audit notes what an operator does, before it is done; an error prevents it. Nil
	// means that nobody notes it.
	Audit func(ctx context.Context, actor, action string, details map[string]string) error
	// Observe is told what happens, for metrics. It may be called concurrently and must
	// not block; no lock is held meanwhile. Nil means nobody.
	Observe func(Observation)
	// EventBytes bounds the chunks of one job's running stream that are kept for readers
	// of its events, in bytes. Zero means 1 MiB.
	EventBytes int
	// Logger is told what an operator should look at. Nil means slog.Default.
	Logger *slog.Logger
}

// Validate reports every fault of the configuration at once.
func (c *Config) Validate() error {
	var faults []error
	for _, part := range []struct {
		missing bool
		fault   string
	}{
		{c.Store == nil, "jobs: Store is missing"},
		{c.Keys == nil, "jobs: Keys is missing"},
		{c.Handler == nil, "jobs: Handler is missing"},
		{c.EventBytes < 0, "jobs: EventBytes is negative"},
	} {
		if part.missing {
			faults = append(faults, errors.New(part.fault))
		}
	}
	desk := c.Desk
	desk.Worker = "worker" // is filled in later
	return errors.Join(append(faults, desk.Validate())...)
}

// Handler runs one attempt of a job and returns its result. ctx ends at the job's
// deadline, when the job is cancelled, when its lease is lost and when the queue stops
// for good; a handler must return soon then, and what it returns is not kept. The kind
// of an error (llm.KindOf) decides whether the job is attempted again: kinds that are
// Retryable and llm.ForebayUnavailable are, after the error's RetryAfter at the earliest.
// A panic makes the job dead at once. Several attempts of a job may overlap when a
// lease was lost; at most one result counts.
type Handler func(ctx context.Context, t *Task) (result []byte, err error)

// Task is what a Handler gets.
type Task struct {
	// Job is the job as of this attempt.
	backlog.Job
	// Payload is what was submitted. It belongs to the handler.
	Payload []byte
	// Emit tells readers of the job's events a chunk of the result that is being made.
	// It copies chunk and never blocks. It may be called concurrently, and does nothing
	// once the attempt is over.
	Emit func(chunk []byte)
}

// Deliverer delivers webhooks. Its methods may be called concurrently.
type Deliverer interface {
	// Check says what is wrong with an address before a job is accepted with it.
	Check(address string) error
	// Deliver makes one attempt. again says whether another may succeed after an error.
	Deliver(ctx context.Context, m Message) (again bool, err error)
}

// Message is one delivery of a webhook.
type Message struct {
	// Address is where to, Tenant whose secret signs it.
	Address, Tenant string
	// ID is the same for all attempts of a delivery, so that a receiver can drop doubles.
	ID string
	// Body is JSON: {"type":"job.completed","timestamp":…,"data":<View>}.
	Body []byte
}

// As says who asks.
type As struct {
	// Tenant is whose jobs are seen; those of others are as if they did not exist.
	Tenant string
	// All says that it is an operator, who sees those of all tenants.
	All bool
	// Actor names who asks, for the audit.
	Actor string
}

// Submission is a call to be made durably.
type Submission struct {
	// Tenant, User and Key say whose it is, as in backlog.Spec.
	Tenant, User, Key string
	// Operation, Endpoint, Model and CustomID are as in backlog.Spec.
	Operation, Endpoint, Model, CustomID string
	Band                                 llm.Priority
	// Timeout is the time to the deadline, Retention how long the result is kept. Zero
	// means the Desk's defaults, and its bounds hold.
	Timeout, Retention time.Duration
	// Payload is what the Handler gets. It is not kept after Submit has returned.
	Payload []byte
	// IdempotencyKey makes a repeated submission of the tenant and user return the job of
	// the first, for 24 hours. Empty means none.
	IdempotencyKey string
	// Webhook is an address that is told of the end. Empty means none.
	Webhook string
	// Digest is that of everything that the caller asked for. Under one IdempotencyKey
	// another Digest is a conflict.
	Digest [32]byte
}
