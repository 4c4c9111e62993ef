package backlog

import (
	"context"
	"errors"
	"time"
)

// The errors of a Store. Any other error, and one of a context, leaves open whether
// the change was made: whoever made it reads the job to know.
var (
	// ErrNotFound says that there is no such job.
	ErrNotFound = errors.New("backlog: no such job")
	// ErrConflict says that the job is not in the state or at the attempt from which
	// the change starts. Nothing was changed.
	ErrConflict = errors.New("backlog: the job has moved on")
	// ErrExists says that a job of this ID exists, or one under this idempotency key.
	ErrExists = errors.New("backlog: the job exists")
	// ErrFull says that the disk is full: no job was taken in. Changes of jobs that exist
	// still work.
	ErrFull = errors.New("backlog: no space for new jobs")
	// ErrBusy says that the store has no capacity for the moment: nothing was changed, and
	// another try may succeed soon.
	ErrBusy = errors.New("backlog: the store has no capacity at the moment")
	// ErrNotCounted says that there is no census yet: another process makes the first one, or it could not be made lately.
	ErrNotCounted = errors.New("backlog: the jobs are not counted yet")
	// ErrFailed says that a write or a sync failed, now or before: nothing is written
	// until Recover has succeeded.
	ErrFailed = errors.New("backlog: the store has failed")
	// ErrDamaged says that what is stored of the job is not what was written. The job
	// is set apart: it is counted, reported and kept, and not claimed.
	ErrDamaged = errors.New("backlog: the job's record is damaged")
)

// Store keeps jobs. It is a contract with several implementations; backlogtest.Store
// is its conformance suite.
//
// Whatever Insert and Apply have returned nil for outlasts a power cut, and a job
// that was neither removed nor purged is found by Get and List for ever: in its last
// state, or as ErrDamaged. All methods may be called concurrently, may block on I/O,
// and return soon after ctx has ended; a change may be made nevertheless then. What
// is passed in is not kept, and what is returned belongs to the caller. Times are
// kept to the microsecond, without a time zone.
type Store interface {
	Records
	Contents
	Switches
}

// Records are the jobs.
type Records interface {
	// Insert takes in a job, whose state is Queued, with its sealed payload. Where a
	// job under the same idempotency key was enqueued after since, it returns that one
	// with ErrExists; where only the ID is taken, the zero Job with ErrExists.
	Insert(ctx context.Context, j *Job, payload []byte, since time.Time) (Job, error)
	// Apply makes one change, or none: ErrConflict, ErrNotFound.
	Apply(ctx context.Context, c *Change) error
	// Get returns a job.
	Get(ctx context.Context, id ID) (Job, error)
	// List returns a page of jobs in the order of their IDs. Damaged ones are left
	// out: Census counts them.
	List(ctx context.Context, q Query) ([]Job, error)
	// Census counts jobs by state: of a tenant, or where that is nil of all, then with
	// those that are set apart under state 0. Nobody knows for sure whose those are. A store that several
	// processes share may return ErrNotCounted.
	Census(ctx context.Context, tenant *string) (map[State]int, error)
}

// Contents are what jobs carry.
type Contents interface {
	// Read returns a job with one of its sealed parts, which is nil where it has none.
	Read(ctx context.Context, id ID, part Part) (Job, []byte, error)
	// Find returns the job that Insert of another one under this idempotency key would
	// return with ErrExists, or ErrNotFound. It sees every Insert that was answered, and
	// what it returns is as durable as if Insert had. Under the zero key there is no job.
	Find(ctx context.Context, idempotency [32]byte, since time.Time) (Job, error)
	// Purge removes up to limit final jobs whose Keep has passed, and results and payloads of
	// up to limit final jobs whose ResultUntil has. more says that there may be others.
	Purge(ctx context.Context, now time.Time, limit int) (p Purged, more bool, err error)
	// Remove removes final jobs by hand, whatever their Keep: those of ids that are
	// final. It returns how many it removed. One that is set apart goes as well.
	Remove(ctx context.Context, ids ...ID) (int, error)
	// Damaged lists up to limit jobs that are set apart.
	Damaged(ctx context.Context, limit int) ([]Damage, error)
}

// Switches are settings that outlast the process.
type Switches interface {
	// SetPaused notes that jobs of an operation are not to be claimed, or are again.
	SetPaused(ctx context.Context, operation string, paused bool) error
	// Paused lists the operations of which no job is to be claimed.
	Paused(ctx context.Context) ([]string, error)
	// Exclusive says that no other process can have a lease in this store: one that
	// is processing belongs to this process, or to one that is gone.
	Exclusive() bool
	// Recover makes a store that has failed usable again, as opening it anew would, or
	// returns why not. It does nothing where the store has not failed.
	Recover(ctx context.Context) error
}

// Part names one of the sealed values of a job.
type Part uint8

// The parts.
const (
	Payload Part = iota + 1
	Result
)

// Change moves one job from one status to another.
type Change struct {
	ID ID
	// From and Attempt are what the job has to have for the change to be made.
	From    State
	Attempt int
	// LeaseUntil, where not zero, has to be the job's too: nobody renewed the lease.
	LeaseUntil time.Time
	// To is the status from then on, whole.
	To Status
	// Result, where not nil, is stored as the sealed result, in place of a former one.
	// The payload stays.
	Result []byte
	// DropPayload removes the payload: nobody will need it again.
	DropPayload bool
	// Relaxed lets Apply return before the change is durable. A power cut may undo it,
	// but then everything later of this job too.
	Relaxed bool
}

// Query selects jobs. Zero members select all.
type Query struct {
	Tenant, User *string
	Operation    *string
	States       []State
	CustomID     string
	// HooksDue selects jobs whose Hook.Due is set.
	HooksDue bool
	// After is the last ID of the page before; the page begins behind it.
	After ID
	// Newest lists the largest IDs first, and After counts backward.
	Newest bool
	// Limit bounds the page. Zero means 100; at most 10,000.
	Limit int
}

// Purged counts what Purge removed.
type Purged struct{ Jobs, Results int }

// Damage is a job whose record cannot be read.
type Damage struct {
	ID     ID
	Found  time.Time
	Reason string
}
