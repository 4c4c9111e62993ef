package ledger

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"
)

// mostRemembered bounds the accounts of a Memory, at some 500 bytes each.
const mostRemembered = 100_000

// erased is the user to whom the sums of erased users move.
const erased = "erased"

// errFull is what a Memory says when it has no room for another account. The Ledger
// keeps what it could not write, and drops names for want of room.
var errFull = errors.New("ledger: the books in memory are full; give them a directory")

// Memory is a Store for a process without a directory: what it has is lost at the end,
// and it has room for 100,000 accounts. Its methods may be called concurrently.
type Memory struct {
	mu    sync.Mutex // guards what follows
	books map[Account]Amounts
	holds map[string]Hold
}

// NewMemory makes an empty Memory.
func NewMemory() *Memory {
	return &Memory{books: map[Account]Amounts{}, holds: map[string]Hold{}}
}

// Post implements Store.
func (m *Memory) Post(_ context.Context, b Batch) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	fresh := 0
	for _, p := range b.Postings {
		if _, known := m.books[p.Account]; !known {
			fresh++
		}
	}
	if len(m.books)+fresh > mostRemembered {
		return errFull
	}
	for _, p := range b.Postings {
		if p.Amounts == (Amounts{}) {
			continue
		}
		sum := m.books[p.Account]
		sum.Add(p.Amounts)
		m.books[p.Account] = sum
	}
	for _, h := range b.Held {
		h.Expires = h.Expires.UTC().Truncate(time.Microsecond)
		m.holds[h.ID] = h
	}
	for _, id := range b.Released {
		delete(m.holds, id)
	}
	return nil
}

// Holds implements Store.
func (m *Memory) Holds(context.Context) ([]Hold, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.SortedFunc(maps.Values(m.holds), func(a, b Hold) int { return cmp.Compare(a.ID, b.ID) }), nil
}

// Spend implements Store.
func (m *Memory) Spend(_ context.Context, q Query) ([]Row, error) {
	sums := NewSums(q)
	m.mu.Lock()
	for a, amounts := range m.books {
		sums.Add(a, amounts)
	}
	m.mu.Unlock()
	return sums.Rows(), nil
}

// ErasePostings implements Store.
func (m *Memory) ErasePostings(_ context.Context, tenant, user string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for a, amounts := range maps.Clone(m.books) {
		if a.Tenant == tenant && a.User == user {
			delete(m.books, a)
			a.User = erased
			sum := m.books[a]
			sum.Add(amounts)
			m.books[a] = sum
		}
	}
	return nil
}
