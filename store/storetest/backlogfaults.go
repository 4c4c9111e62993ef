package storetest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/forebay-ai/forebay/backlog"
)

// The operations of MemoryBacklog, as its faults name them; OpGet is another.
const (
	OpInsert    = "insert"
	OpApply     = "apply"
	OpRead      = "read"
	OpFind      = "find"
	OpList      = "list"
	OpCensus    = "census"
	OpPurge     = "purge"
	OpRemove    = "remove"
	OpDamaged   = "damaged"
	OpSetPaused = "set paused"
	OpPaused    = "paused"
	OpRecover   = "recover"
)

// writes reports whether an operation changes something: those stop when the store
// has failed.
func writes(op string) bool {
	return op == OpInsert || op == OpApply || op == OpPurge || op == OpRemove || op == OpSetPaused
}

// fault is what the next operations meet.
type fault struct {
	err  error
	made bool // the operation is done nevertheless
	left int
	ops  []string // empty: all
}

// BacklogRecord is one job as a MemoryBacklog keeps it.
type BacklogRecord struct {
	Job             backlog.Job
	Payload, Result []byte
	// Damaged says that the job is set apart.
	Damaged bool
	// Relaxed says that a power cut would undo the last changes.
	Relaxed bool
}

// Fail has the next n operations of the given names, or of all names where none is
// given, do nothing and return err. Where err is backlog.ErrFailed, the store has
// failed from then on, as after FailStop. Faults that were set before come first.
func (b *MemoryBacklog) Fail(err error, n int, ops ...string) {
	b.add(fault{err: err, left: n, ops: ops})
}

// LoseAck is Fail with the operations done before they return err, and nothing else.
func (b *MemoryBacklog) LoseAck(err error, n int, ops ...string) {
	b.add(fault{err: err, made: true, left: n, ops: ops})
}

func (b *MemoryBacklog) add(f fault) {
	if f.left <= 0 {
		return
	}
	f.ops = slices.Clone(f.ops)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults = append(b.faults, f)
}

// Full says whether the disk is full: Insert of a new job returns backlog.ErrFull.
func (b *MemoryBacklog) Full(full bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.full = full
}

// FailStop has all operations that change something return backlog.ErrFailed until
// Recover succeeds. Reading goes on.
func (b *MemoryBacklog) FailStop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failed = true
}

// Slow has operations of the given names, or all others where none is given, take d
// before they begin. Zero ends it. An operation whose context ends meanwhile does nothing.
func (b *MemoryBacklog) Slow(d time.Duration, ops ...string) {
	if len(ops) == 0 {
		ops = []string{""}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, op := range ops {
		b.slow[op] = d
	}
}

// Intercept has f called before each operation, with one of the Op constants. An
// error that it returns is the operation's, which then does nothing. It may block,
// which holds up that operation alone, and may be called concurrently. Nil ends it.
func (b *MemoryBacklog) Intercept(f func(op string) error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.intercept = f
}

// Damage makes a job's record unreadable, as found at the given time, and reports
// whether there is such a job. Only Remove ends that.
func (b *MemoryBacklog) Damage(id backlog.ID, found time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	k := b.jobs[id]
	if k == nil {
		return false
	}
	k.damage = &backlog.Damage{ID: id, Found: toMicrosecond(found), Reason: "damaged by a test"}
	return true
}

// PowerCut undoes, of each job, the relaxed changes that no other change followed.
// The operations in progress are not interrupted.
func (b *MemoryBacklog) PowerCut() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, k := range b.jobs {
		if k.synced != nil {
			k.synced.damage = k.damage
			b.jobs[id] = k.synced
		}
	}
}

// Share has Exclusive say whether other processes may have leases here.
func (b *MemoryBacklog) Share(shared bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.shared = shared
}

// Records returns a copy of all that is kept, in the order of the IDs. Faults do not
// concern it, and a damaged job is shown as it was.
func (b *MemoryBacklog) Records() []BacklogRecord {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make([]BacklogRecord, 0, len(b.ids))
	for _, id := range b.ids {
		k := b.jobs[id]
		all = append(all, BacklogRecord{
			Job: k.job, Payload: bytes.Clone(k.payload), Result: bytes.Clone(k.result),
			Damaged: k.damage != nil, Relaxed: k.synced != nil,
		})
	}
	return all
}

// Close has all operations fail with ErrClosed until Reopen. What is kept stays.
func (b *MemoryBacklog) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	return nil
}

// Reopen ends what Close began, and a failure, as a new start of the process would.
func (b *MemoryBacklog) Reopen() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed, b.failed = false, false
}

// Exclusive implements backlog.Store: true unless Share says otherwise.
func (b *MemoryBacklog) Exclusive() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.shared
}

// Recover implements backlog.Store: it ends what FailStop began.
func (b *MemoryBacklog) Recover(ctx context.Context) error {
	_, err := run(ctx, b, OpRecover, func() (none struct{}, err error) {
		b.failed = false
		return none, nil
	})
	return err
}

// run does an operation, or what its faults make of it. f runs with the mutex held.
func run[T any](ctx context.Context, b *MemoryBacklog, op string, f func() (T, error)) (none T, err error) {
	if err := b.wait(ctx, op); err != nil {
		return none, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return none, ErrClosed
	}
	if b.failed && writes(op) {
		return none, backlog.ErrFailed
	}
	met, ok := b.faultLocked(op)
	if !ok {
		return f()
	}
	if met.made {
		_, _ = f() // the answer is lost, whatever it was
	}
	if errors.Is(met.err, backlog.ErrFailed) {
		b.failed = true
	}
	return none, met.err
}

// wait is what an operation does before it begins.
func (b *MemoryBacklog) wait(ctx context.Context, op string) error {
	b.mu.Lock()
	slow, named := b.slow[op]
	if !named {
		slow = b.slow[""]
	}
	intercept := b.intercept
	b.mu.Unlock()
	if intercept != nil {
		if err := intercept(op); err != nil {
			return err
		}
	}
	if slow > 0 {
		timer := time.NewTimer(slow)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	return ctx.Err()
}

// faultLocked takes the first fault that concerns an operation, once.
func (b *MemoryBacklog) faultLocked(op string) (fault, bool) {
	for i := range b.faults {
		f := &b.faults[i]
		if len(f.ops) > 0 && !slices.Contains(f.ops, op) {
			continue
		}
		met := *f
		if f.left--; f.left <= 0 {
			b.faults = slices.Delete(b.faults, i, i+1)
		}
		return met, true
	}
	return fault{}, false
}
