package requestlog

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Memory is a Store of the newest entries, in memory. Its methods may be called
// concurrently and never wait for anything but one another.
type Memory struct {
	most int

	mu      sync.Mutex // guards all below
	entries []Entry    // ascending by Seq; of more than most the last count
	last    int64      // the Seq that was given last
}

var _ Store = (*Memory)(nil)

// NewMemory makes a Memory of the newest n entries. Below 1 it keeps 1,000.
func NewMemory(n int) *Memory {
	if n < 1 {
		n = inMemory
	}
	return &Memory{most: n}
}

// AppendRequests implements Store.
func (m *Memory) AppendRequests(ctx context.Context, entries []Entry) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range entries {
		m.addLocked(&entries[i])
	}
	return nil
}

// addLocked keeps a copy of e and sets its Seq. The entries that are too many go
// when they are as many as those that stay, so that each is moved once at most.
func (m *Memory) addLocked(e *Entry) {
	m.last++
	e.Seq = m.last
	kept := *e
	kept.Attempts = slices.Clone(e.Attempts)
	m.entries = append(m.entries, kept)
	if len(m.entries) >= 2*m.most {
		m.keepLocked(m.most)
	}
}

// add is AppendRequests of one.
func (m *Memory) add(e *Entry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.addLocked(e)
}

// keepLocked removes all but the newest n, and returns how many.
func (m *Memory) keepLocked(n int) int64 {
	surplus := len(m.entries) - n
	if surplus <= 0 {
		return 0
	}
	m.entries = slices.Delete(m.entries, 0, surplus)
	return int64(surplus)
}

// nowLocked are the entries that count.
func (m *Memory) nowLocked() []Entry { return m.entries[max(0, len(m.entries)-m.most):] }

// Requests implements Store.
func (m *Memory) Requests(ctx context.Context, q Query) (Page, error) {
	if err := ctx.Err(); err != nil {
		return Page{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var p Page
	for _, e := range slices.Backward(m.nowLocked()) {
		if q.Before > 0 && e.Seq >= q.Before || !q.Match(&e) {
			continue
		}
		if len(p.Entries) == q.Size() {
			p.Next = p.Entries[len(p.Entries)-1].Seq
			break
		}
		e.Attempts = nil
		p.Entries = append(p.Entries, e)
	}
	return p, nil
}

// Request implements Store.
func (m *Memory) Request(ctx context.Context, seq int64) (Entry, bool, error) {
	if err := ctx.Err(); err != nil {
		return Entry{}, false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.nowLocked()
	i, ok := slices.BinarySearchFunc(now, seq, func(e Entry, seq int64) int { return int(min(max(e.Seq-seq, -1), 1)) })
	if !ok {
		return Entry{}, false, nil
	}
	e := now[i]
	e.Attempts = slices.Clone(e.Attempts)
	return e, true, nil
}

// PruneRequests implements Store.
func (m *Memory) PruneRequests(ctx context.Context, t time.Time, keep int64) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keepLocked(m.most)
	before := len(m.entries)
	m.entries = slices.DeleteFunc(m.entries, func(e Entry) bool { return e.Start.Before(t) })
	if keep >= 0 {
		m.keepLocked(int(min(keep, int64(m.most))))
	}
	return int64(before - len(m.entries)), nil
}

// EraseRequests implements Store.
func (m *Memory) EraseRequests(ctx context.Context, tenant, user string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	erase(m.entries, tenant, user)
	return nil
}

// erase gives the entries of a user the name of those that were erased.
func erase(entries []Entry, tenant, user string) {
	for i := range entries {
		if e := &entries[i]; e.Tenant == tenant && e.User == user {
			e.User = ErasedUser
		}
	}
}
