package backlogtest_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/store/storetest"
)

// storeOf is a store in memory with some methods replaced.
type storeOf struct {
	*storetest.MemoryBacklog
	insert    func(ctx context.Context, j *backlog.Job, payload []byte, since time.Time) (backlog.Job, error)
	apply     func(context.Context, *backlog.Change) error
	get       func(context.Context, backlog.ID) (backlog.Job, error)
	list      func(context.Context, backlog.Query) ([]backlog.Job, error)
	census    func(ctx context.Context, tenant *string) (map[backlog.State]int, error)
	find      func(ctx context.Context, key [32]byte, since time.Time) (backlog.Job, error)
	read      func(context.Context, backlog.ID, backlog.Part) (backlog.Job, []byte, error)
	purge     func(ctx context.Context, now time.Time, limit int) (backlog.Purged, bool, error)
	remove    func(context.Context, []backlog.ID) (int, error)
	damaged   func(ctx context.Context, limit int) ([]backlog.Damage, error)
	setPaused func(ctx context.Context, operation string, paused bool) error
	paused    func(context.Context) ([]string, error)
	recover   func(context.Context) error
	close     func() error
}

func (s storeOf) Insert(ctx context.Context, j *backlog.Job, payload []byte, since time.Time) (backlog.Job, error) {
	if s.insert != nil {
		return s.insert(ctx, j, payload, since)
	}
	return s.MemoryBacklog.Insert(ctx, j, payload, since)
}

func (s storeOf) Apply(ctx context.Context, c *backlog.Change) error {
	if s.apply != nil {
		return s.apply(ctx, c)
	}
	return s.MemoryBacklog.Apply(ctx, c)
}

func (s storeOf) Get(ctx context.Context, id backlog.ID) (backlog.Job, error) {
	if s.get != nil {
		return s.get(ctx, id)
	}
	return s.MemoryBacklog.Get(ctx, id)
}

func (s storeOf) List(ctx context.Context, q backlog.Query) ([]backlog.Job, error) {
	if s.list != nil {
		return s.list(ctx, q)
	}
	return s.MemoryBacklog.List(ctx, q)
}

func (s storeOf) Census(ctx context.Context, tenant *string) (map[backlog.State]int, error) {
	if s.census != nil {
		return s.census(ctx, tenant)
	}
	return s.MemoryBacklog.Census(ctx, tenant)
}

func (s storeOf) Find(ctx context.Context, key [32]byte, since time.Time) (backlog.Job, error) {
	if s.find != nil {
		return s.find(ctx, key, since)
	}
	return s.MemoryBacklog.Find(ctx, key, since)
}

func (s storeOf) Read(ctx context.Context, id backlog.ID, part backlog.Part) (backlog.Job, []byte, error) {
	if s.read != nil {
		return s.read(ctx, id, part)
	}
	return s.MemoryBacklog.Read(ctx, id, part)
}

func (s storeOf) Purge(ctx context.Context, now time.Time, limit int) (backlog.Purged, bool, error) {
	if s.purge != nil {
		return s.purge(ctx, now, limit)
	}
	return s.MemoryBacklog.Purge(ctx, now, limit)
}

func (s storeOf) Remove(ctx context.Context, ids ...backlog.ID) (int, error) {
	if s.remove != nil {
		return s.remove(ctx, ids)
	}
	return s.MemoryBacklog.Remove(ctx, ids...)
}

func (s storeOf) Damaged(ctx context.Context, limit int) ([]backlog.Damage, error) {
	if s.damaged != nil {
		return s.damaged(ctx, limit)
	}
	return s.MemoryBacklog.Damaged(ctx, limit)
}

func (s storeOf) SetPaused(ctx context.Context, operation string, paused bool) error {
	if s.setPaused != nil {
		return s.setPaused(ctx, operation, paused)
	}
	return s.MemoryBacklog.SetPaused(ctx, operation, paused)
}

func (s storeOf) Paused(ctx context.Context) ([]string, error) {
	if s.paused != nil {
		return s.paused(ctx)
	}
	return s.MemoryBacklog.Paused(ctx)
}

func (s storeOf) Recover(ctx context.Context) error {
	if s.recover != nil {
		return s.recover(ctx)
	}
	return s.MemoryBacklog.Recover(ctx)
}

// inserting has insert in the place of Insert.
func inserting(insert func(ctx context.Context, m *storetest.MemoryBacklog, j *backlog.Job, payload []byte, since time.Time) (backlog.Job, error)) func(*storetest.MemoryBacklog) backlog.Store {
	return func(m *storetest.MemoryBacklog) backlog.Store {
		return storeOf{MemoryBacklog: m, insert: func(ctx context.Context, j *backlog.Job, payload []byte, since time.Time) (backlog.Job, error) {
			return insert(ctx, m, j, payload, since)
		}}
	}
}

// applying has apply in the place of Apply. It gets the job as it is, and its own copy
// of the change.
func applying(apply func(ctx context.Context, m *storetest.MemoryBacklog, c backlog.Change, now backlog.Job) error) func(*storetest.MemoryBacklog) backlog.Store {
	return func(m *storetest.MemoryBacklog) backlog.Store {
		return storeOf{MemoryBacklog: m, apply: func(ctx context.Context, c *backlog.Change) error {
			now, err := m.Get(ctx, c.ID)
			if err != nil {
				return err
			}
			return apply(ctx, m, *c, now)
		}}
	}
}

// asking changes the queries.
func asking(change func(*backlog.Query)) func(*storetest.MemoryBacklog) backlog.Store {
	return func(m *storetest.MemoryBacklog) backlog.Store {
		return storeOf{MemoryBacklog: m, list: func(ctx context.Context, q backlog.Query) ([]backlog.Job, error) {
			change(&q)
			return m.List(ctx, q)
		}}
	}
}

// choosing replaces the page by what pick makes of all jobs.
func choosing(pick func(q backlog.Query, all []backlog.Job) []backlog.Job) func(*storetest.MemoryBacklog) backlog.Store {
	return func(m *storetest.MemoryBacklog) backlog.Store {
		return storeOf{MemoryBacklog: m, list: func(ctx context.Context, q backlog.Query) ([]backlog.Job, error) {
			all, err := everything(ctx, m)
			return pick(q, all), err
		}}
	}
}

// everything is each job that can be read.
func everything(ctx context.Context, m *storetest.MemoryBacklog) ([]backlog.Job, error) {
	var all []backlog.Job
	for _, r := range m.Records() {
		if !r.Damaged {
			all = append(all, r.Job)
		}
	}
	return all, ctx.Err()
}

// changed changes jobs on their way in, by Insert and Apply.
func changed(change func(*backlog.Job)) func(*storetest.MemoryBacklog) backlog.Store {
	return func(m *storetest.MemoryBacklog) backlog.Store {
		return storeOf{
			MemoryBacklog: m,
			insert: func(ctx context.Context, j *backlog.Job, payload []byte, since time.Time) (backlog.Job, error) {
				stored := *j
				change(&stored)
				return m.Insert(ctx, &stored, payload, since)
			},
			apply: func(ctx context.Context, c *backlog.Change) error {
				stored := backlog.Job{Status: c.To}
				change(&stored)
				other := *c
				other.To = stored.Status
				return m.Apply(ctx, &other)
			},
		}
	}
}

// shown changes jobs on their way out, from Get and List.
func shown(change func(*backlog.Job)) func(*storetest.MemoryBacklog) backlog.Store {
	return func(m *storetest.MemoryBacklog) backlog.Store {
		return storeOf{
			MemoryBacklog: m,
			get: func(ctx context.Context, id backlog.ID) (backlog.Job, error) {
				j, err := m.Get(ctx, id)
				if err == nil {
					change(&j)
				}
				return j, err
			},
			list: func(ctx context.Context, q backlog.Query) ([]backlog.Job, error) {
				page, err := m.List(ctx, q)
				for i := range page {
					change(&page[i])
				}
				return page, err
			},
		}
	}
}

// purging changes the arguments and the results of Purge.
func purging(purge func(ctx context.Context, m *storetest.MemoryBacklog, now time.Time, limit int) (backlog.Purged, bool, error)) func(*storetest.MemoryBacklog) backlog.Store {
	return func(m *storetest.MemoryBacklog) backlog.Store {
		return storeOf{MemoryBacklog: m, purge: func(ctx context.Context, now time.Time, limit int) (backlog.Purged, bool, error) {
			return purge(ctx, m, now, limit)
		}}
	}
}

// keyless is a job without an idempotency key.
func keyless(j *backlog.Job) *backlog.Job {
	other := *j
	other.Idempotency = [32]byte{}
	return &other
}

// far is a time before which everything was enqueued.
func far() time.Time { return time.Date(9999, time.January, 1, 0, 0, 0, 0, time.UTC) }

// overwrite makes a job what it is told to be, whatever it was.
func overwrite(ctx context.Context, m *storetest.MemoryBacklog, j backlog.Job) error {
	now, err := m.Get(ctx, j.ID)
	if err != nil {
		return err
	}
	return m.Apply(ctx, &backlog.Change{ID: j.ID, From: now.State, Attempt: now.Attempt, To: j.Status})
}

// lazy makes relaxed changes only when the next operation comes that changes something.
func lazy(m *storetest.MemoryBacklog) backlog.Store {
	var mu sync.Mutex // guards later
	var later []backlog.Change
	return storeOf{MemoryBacklog: m, apply: func(ctx context.Context, c *backlog.Change) error {
		mu.Lock()
		defer mu.Unlock()
		for _, c := range later {
			_ = m.Apply(ctx, &c)
		}
		if later = nil; c.Relaxed {
			later = append(later, *c)
			return nil
		}
		return m.Apply(ctx, c)
	}}
}

// retaining gives back the very bytes that it was given.
func retaining(m *storetest.MemoryBacklog) backlog.Store {
	var mu sync.Mutex // guards given
	given := map[backlog.ID][]byte{}
	return storeOf{
		MemoryBacklog: m,
		insert: func(ctx context.Context, j *backlog.Job, payload []byte, since time.Time) (backlog.Job, error) {
			mu.Lock()
			defer mu.Unlock()
			given[j.ID] = payload
			return m.Insert(ctx, j, payload, since)
		},
		read: func(ctx context.Context, id backlog.ID, part backlog.Part) (backlog.Job, []byte, error) {
			j, sealed, err := m.Read(ctx, id, part)
			mu.Lock()
			defer mu.Unlock()
			if part == backlog.Payload && err == nil {
				sealed = given[id]
			}
			return j, sealed, err
		},
	}
}

// sharing gives every reader of a result the same bytes.
func sharing(m *storetest.MemoryBacklog) backlog.Store {
	var mu sync.Mutex // guards results
	results := map[backlog.ID][]byte{}
	return storeOf{MemoryBacklog: m, read: func(ctx context.Context, id backlog.ID, part backlog.Part) (backlog.Job, []byte, error) {
		j, sealed, err := m.Read(ctx, id, part)
		if part != backlog.Result || err != nil {
			return j, sealed, err
		}
		mu.Lock()
		defer mu.Unlock()
		if results[id] == nil {
			results[id] = sealed
		}
		return j, results[id], nil
	}}
}

// cachingCensus counts once.
func cachingCensus(m *storetest.MemoryBacklog) backlog.Store {
	var mu sync.Mutex // guards counts
	var counts map[backlog.State]int
	return storeOf{MemoryBacklog: m, census: func(ctx context.Context, tenant *string) (map[backlog.State]int, error) {
		if tenant != nil {
			return m.Census(ctx, tenant)
		}
		mu.Lock()
		defer mu.Unlock()
		if counts == nil {
			counts, _ = m.Census(ctx, nil)
		}
		return counts, nil
	}}
}

// halved takes in a job before its payload, so that an end between them leaves half.
func halved(m *storetest.MemoryBacklog) backlog.Store {
	return storeOf{MemoryBacklog: m, insert: func(ctx context.Context, j *backlog.Job, payload []byte, since time.Time) (backlog.Job, error) {
		found, err := m.Insert(ctx, j, nil, since)
		if err != nil {
			return found, err
		}
		if err := ctx.Err(); err != nil {
			return backlog.Job{}, err
		}
		// It is taken in anew, with its payload.
		ctx = context.WithoutCancel(ctx)
		gone := *j
		gone.State = backlog.Cancelled
		if err := overwrite(ctx, m, gone); err != nil {
			return backlog.Job{}, err
		}
		if _, err := m.Remove(ctx, j.ID); err != nil {
			return backlog.Job{}, err
		}
		return m.Insert(ctx, j, payload, since)
	}}
}

// forgetful undoes the last removal of three.
func forgetful(m *storetest.MemoryBacklog) backlog.Store {
	var mu sync.Mutex // guards n
	n := 0
	return storeOf{MemoryBacklog: m, remove: func(ctx context.Context, ids []backlog.ID) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		before := m.Records()
		removed, err := m.Remove(ctx, ids...)
		if n += removed; n%3 == 0 && removed > 0 {
			i := slices.IndexFunc(before, func(r storetest.BacklogRecord) bool { return slices.Contains(ids, r.Job.ID) && r.Job.State.Final() })
			_, err := m.Insert(ctx, keyless(&before[i].Job), before[i].Payload, far())
			return removed, err
		}
		return removed, err
	}}
}

// swapped gives the payload of a job that has no result.
func swapped(m *storetest.MemoryBacklog) backlog.Store {
	return storeOf{MemoryBacklog: m, read: func(ctx context.Context, id backlog.ID, part backlog.Part) (backlog.Job, []byte, error) {
		j, sealed, err := m.Read(ctx, id, part)
		if err == nil && sealed == nil && part == backlog.Result {
			return m.Read(ctx, id, backlog.Payload)
		}
		return j, sealed, err
	}}
}

// torn reads the job and its part at two moments.
func torn(m *storetest.MemoryBacklog) backlog.Store {
	return storeOf{MemoryBacklog: m, read: func(ctx context.Context, id backlog.ID, part backlog.Part) (backlog.Job, []byte, error) {
		j, err := m.Get(ctx, id)
		if err != nil {
			return j, nil, err
		}
		time.Sleep(100 * time.Microsecond)
		_, sealed, err := m.Read(ctx, id, part)
		return j, sealed, err
	}}
}

// racing looks first and acts later.
func racing(m *storetest.MemoryBacklog) backlog.Store {
	return storeOf{
		MemoryBacklog: m,
		insert: func(ctx context.Context, j *backlog.Job, payload []byte, since time.Time) (backlog.Job, error) {
			for _, r := range m.Records() {
				if r.Job.Idempotency == j.Idempotency && r.Job.Enqueued.After(since) {
					return r.Job, backlog.ErrExists
				}
			}
			time.Sleep(time.Millisecond)
			return m.Insert(ctx, j, payload, far())
		},
		apply: func(ctx context.Context, c *backlog.Change) error {
			now, err := m.Get(ctx, c.ID)
			if err != nil || now.State != c.From || now.Attempt != c.Attempt {
				return errors.Join(err, backlog.ErrConflict)
			}
			time.Sleep(time.Millisecond)
			for {
				other := *c
				if now, err = m.Get(ctx, c.ID); err != nil {
					return err
				}
				other.From, other.Attempt, other.LeaseUntil = now.State, now.Attempt, time.Time{}
				if err = m.Apply(ctx, &other); !errors.Is(err, backlog.ErrConflict) {
					return err
				}
			}
		},
	}
}

// bounded cuts parts that are larger than 64 KiB.
func bounded(m *storetest.MemoryBacklog) backlog.Store {
	return storeOf{MemoryBacklog: m, read: func(ctx context.Context, id backlog.ID, part backlog.Part) (backlog.Job, []byte, error) {
		j, sealed, err := m.Read(ctx, id, part)
		return j, bytes.Clone(sealed[:min(len(sealed), 1<<16)]), err
	}}
}
