package storetest

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/forebay-ai/forebay/backlog"
)

// ErrClosed is what the operations of a MemoryBacklog return between Close and Reopen.
var ErrClosed = errors.New("storetest: the store is closed")

// MemoryBacklog implements backlog.Store in memory, for tests here and elsewhere. It
// fails, loses answers, is slow or damaged as it is told to (Fail, LoseAck, Full,
// FailStop, Slow, Intercept, Damage, PowerCut), and Records shows all that it keeps. It
// has no bound. All methods may be called concurrently. It shares no bytes with its
// callers, and holds no lock while it waits.
type MemoryBacklog struct {
	mu sync.Mutex // guards all below; not held while intercept runs or an operation is slow

	jobs   map[backlog.ID]*kept
	ids    []backlog.ID              // of jobs, ascending
	keys   map[[32]byte][]backlog.ID // of jobs with an idempotency key, in the order of their insertion
	paused map[string]bool

	faults    []fault
	slow      map[string]time.Duration // by operation; "" is for those that are not listed
	intercept func(op string) error
	full      bool // disk full
	failed    bool // until Recover
	closed    bool // until Reopen
	shared    bool
}

// kept is a job as MemoryBacklog keeps it.
type kept struct {
	job             backlog.Job
	payload, result []byte
	damage          *backlog.Damage // nil where it can be read
	// synced is what a power cut leaves of the job: the state before the first relaxed
	// change since the last that was not. Nil where that is the state now.
	synced *kept
}

// NewBacklog makes an empty MemoryBacklog without faults.
func NewBacklog() *MemoryBacklog {
	return &MemoryBacklog{
		jobs: map[backlog.ID]*kept{}, keys: map[[32]byte][]backlog.ID{},
		paused: map[string]bool{}, slow: map[string]time.Duration{},
	}
}

// Insert implements backlog.Store. Of several jobs under the key it returns the one
// that was enqueued last. A damaged job has no idempotency key any more.
func (b *MemoryBacklog) Insert(ctx context.Context, j *backlog.Job, payload []byte, since time.Time) (backlog.Job, error) {
	return run(ctx, b, OpInsert, func() (backlog.Job, error) {
		if old := b.underKeyLocked(j.Idempotency, since); old != nil {
			return old.job, backlog.ErrExists
		}
		if b.jobs[j.ID] != nil {
			return backlog.Job{}, backlog.ErrExists
		}
		if b.full {
			return backlog.Job{}, backlog.ErrFull
		}
		b.jobs[j.ID] = &kept{job: stored(*j), payload: bytes.Clone(payload)}
		at, _ := slices.BinarySearch(b.ids, j.ID)
		b.ids = slices.Insert(b.ids, at, j.ID)
		if j.Idempotency != ([32]byte{}) {
			b.keys[j.Idempotency] = append(b.keys[j.Idempotency], j.ID)
		}
		return backlog.Job{}, nil
	})
}

// underKeyLocked returns the job under an idempotency key that was enqueued last, if
// that was after since; nil where there is none.
func (b *MemoryBacklog) underKeyLocked(key [32]byte, since time.Time) *kept {
	var newest *kept
	for _, id := range b.keys[key] {
		k := b.jobs[id]
		if k.damage == nil && k.job.Enqueued.After(toMicrosecond(since)) && (newest == nil || !k.job.Enqueued.Before(newest.job.Enqueued)) {
			newest = k
		}
	}
	return newest
}

// Apply implements backlog.Store.
func (b *MemoryBacklog) Apply(ctx context.Context, c *backlog.Change) error {
	_, err := run(ctx, b, OpApply, func() (none struct{}, err error) { return none, b.applyLocked(c) })
	return err
}

func (b *MemoryBacklog) applyLocked(c *backlog.Change) error {
	k, err := b.readLocked(c.ID)
	if err != nil {
		return err
	}
	if k.job.State != c.From || k.job.Attempt != c.Attempt ||
		!c.LeaseUntil.IsZero() && !toMicrosecond(c.LeaseUntil).Equal(k.job.LeaseUntil) {
		return backlog.ErrConflict
	}
	before := *k
	k.job.Status = c.To
	k.job = stored(k.job)
	if c.Result != nil {
		k.result = bytes.Clone(c.Result)
	}
	if c.DropPayload {
		k.payload = nil
	}
	switch {
	case !c.Relaxed:
		k.synced = nil
	case k.synced == nil:
		k.synced = &before
	}
	return nil
}

// readLocked returns a job that can be read.
func (b *MemoryBacklog) readLocked(id backlog.ID) (*kept, error) {
	k := b.jobs[id]
	if k == nil {
		return nil, backlog.ErrNotFound
	}
	if k.damage != nil {
		return nil, backlog.ErrDamaged
	}
	return k, nil
}

// Get implements backlog.Store.
func (b *MemoryBacklog) Get(ctx context.Context, id backlog.ID) (backlog.Job, error) {
	return run(ctx, b, OpGet, func() (backlog.Job, error) {
		k, err := b.readLocked(id)
		if err != nil {
			return backlog.Job{}, err
		}
		return k.job, nil
	})
}

// Read implements backlog.Store.
func (b *MemoryBacklog) Read(ctx context.Context, id backlog.ID, part backlog.Part) (backlog.Job, []byte, error) {
	type both struct {
		job    backlog.Job
		sealed []byte
	}
	answer, err := run(ctx, b, OpRead, func() (both, error) {
		k, err := b.readLocked(id)
		if err != nil {
			return both{}, err
		}
		sealed := k.payload
		if part == backlog.Result {
			sealed = k.result
		}
		return both{k.job, bytes.Clone(sealed)}, nil
	})
	return answer.job, answer.sealed, err
}

// Find implements backlog.Store. It chooses as Insert does.
func (b *MemoryBacklog) Find(ctx context.Context, idempotency [32]byte, since time.Time) (backlog.Job, error) {
	return run(ctx, b, OpFind, func() (backlog.Job, error) {
		if k := b.underKeyLocked(idempotency, since); k != nil {
			return k.job, nil
		}
		return backlog.Job{}, backlog.ErrNotFound
	})
}

// List implements backlog.Store.
func (b *MemoryBacklog) List(ctx context.Context, q backlog.Query) ([]backlog.Job, error) {
	return run(ctx, b, OpList, func() ([]backlog.Job, error) { return b.listLocked(&q), nil })
}

func (b *MemoryBacklog) listLocked(q *backlog.Query) []backlog.Job {
	limit := 100
	if q.Limit > 0 {
		limit = min(q.Limit, 10_000)
	}
	at, step := 0, 1
	switch {
	case q.Newest && q.After == 0:
		at, step = len(b.ids)-1, -1
	case q.Newest:
		at, _ = slices.BinarySearch(b.ids, q.After)
		at, step = at-1, -1
	default:
		found := false
		if at, found = slices.BinarySearch(b.ids, q.After); found {
			at++
		}
	}
	var page []backlog.Job
	for ; at >= 0 && at < len(b.ids) && len(page) < limit; at += step {
		if k := b.jobs[b.ids[at]]; k.damage == nil && asked(q, &k.job) {
			page = append(page, k.job)
		}
	}
	return page
}

// Census implements backlog.Store.
func (b *MemoryBacklog) Census(ctx context.Context, tenant *string) (map[backlog.State]int, error) {
	return run(ctx, b, OpCensus, func() (map[backlog.State]int, error) {
		counts := map[backlog.State]int{}
		for _, k := range b.jobs {
			switch {
			case k.damage == nil && (tenant == nil || *tenant == k.job.Tenant):
				counts[k.job.State]++
			case k.damage != nil && tenant == nil:
				counts[0]++
			}
		}
		return counts, nil
	})
}

// Purge implements backlog.Store. Jobs with the smallest IDs go first.
func (b *MemoryBacklog) Purge(ctx context.Context, now time.Time, limit int) (backlog.Purged, bool, error) {
	type both struct {
		purged backlog.Purged
		more   bool
	}
	answer, err := run(ctx, b, OpPurge, func() (both, error) {
		p, more := b.purgeLocked(now, limit)
		return both{p, more}, nil
	})
	return answer.purged, answer.more, err
}

func (b *MemoryBacklog) purgeLocked(now time.Time, limit int) (p backlog.Purged, more bool) {
	passed := func(t time.Time) bool { return !t.IsZero() && !t.After(now) }
	for _, id := range slices.Clone(b.ids) {
		k := b.jobs[id]
		switch {
		case k.damage != nil || !k.job.State.Final():
		case passed(k.job.Keep) && p.Jobs >= limit:
			more = true
		case passed(k.job.Keep):
			b.deleteLocked(id)
			p.Jobs++
		case !passed(k.job.ResultUntil) || k.payload == nil && k.result == nil:
		case p.Results >= limit:
			more = true
		default:
			k.payload, k.result, k.synced = nil, nil, nil
			p.Results++
		}
	}
	return p, more
}

// Remove implements backlog.Store.
func (b *MemoryBacklog) Remove(ctx context.Context, ids ...backlog.ID) (int, error) {
	return run(ctx, b, OpRemove, func() (removed int, err error) {
		for _, id := range ids {
			if k := b.jobs[id]; k != nil && (k.damage != nil || k.job.State.Final()) {
				b.deleteLocked(id)
				removed++
			}
		}
		return removed, nil
	})
}

// deleteLocked removes a job that is there.
func (b *MemoryBacklog) deleteLocked(id backlog.ID) {
	key := b.jobs[id].job.Idempotency
	delete(b.jobs, id)
	at, _ := slices.BinarySearch(b.ids, id)
	b.ids = slices.Delete(b.ids, at, at+1)
	if rest := slices.DeleteFunc(b.keys[key], func(other backlog.ID) bool { return other == id }); len(rest) > 0 {
		b.keys[key] = rest
	} else {
		delete(b.keys, key)
	}
}

// Damaged implements backlog.Store. It lists them in the order of their IDs.
func (b *MemoryBacklog) Damaged(ctx context.Context, limit int) ([]backlog.Damage, error) {
	return run(ctx, b, OpDamaged, func() (all []backlog.Damage, err error) {
		for _, id := range b.ids {
			if d := b.jobs[id].damage; d != nil && len(all) < limit {
				all = append(all, *d)
			}
		}
		return all, nil
	})
}

// SetPaused implements backlog.Store.
func (b *MemoryBacklog) SetPaused(ctx context.Context, operation string, paused bool) error {
	_, err := run(ctx, b, OpSetPaused, func() (none struct{}, err error) {
		if paused {
			b.paused[operation] = true
		} else {
			delete(b.paused, operation)
		}
		return none, nil
	})
	return err
}

// Paused implements backlog.Store. It sorts the operations.
func (b *MemoryBacklog) Paused(ctx context.Context) ([]string, error) {
	return run(ctx, b, OpPaused, func() ([]string, error) { return slices.Sorted(maps.Keys(b.paused)), nil })
}

// asked reports whether a query selects a job, apart from its place.
func asked(q *backlog.Query, j *backlog.Job) bool {
	is := func(want *string, text string) bool { return want == nil || *want == text }
	return is(q.Tenant, j.Tenant) && is(q.User, j.User) && is(q.Operation, j.Operation) &&
		(len(q.States) == 0 || slices.Contains(q.States, j.State)) &&
		(q.CustomID == "" || q.CustomID == j.CustomID) &&
		(!q.HooksDue || !j.Hook.Due.IsZero())
}

// stored is the job as a store gives it back: its times to the microsecond, in UTC.
func stored(j backlog.Job) backlog.Job {
	for _, t := range []*time.Time{
		&j.Enqueued, &j.NotBefore, &j.Deadline, &j.LeaseUntil, &j.Started, &j.Finished, &j.Keep, &j.ResultUntil, &j.Hook.Due,
	} {
		*t = toMicrosecond(*t)
	}
	return j
}

// toMicrosecond drops what stores do not keep of a time.
func toMicrosecond(t time.Time) time.Time { return time.UnixMicro(t.UnixMicro()).UTC() }
