package envelope_test

import (
	"context"
	"slices"
	"sync"

	"github.com/forebay-ai/forebay/envelope"
)

// memStore is a KeyStore in memory. Tests reach into it while nothing else uses it.
type memStore struct {
	mu    sync.Mutex // guards what is below
	rows  map[uint64]envelope.WrappedKey
	order []uint64 // ids as they were first saved
	calls map[string]int

	// before and after run around each call, with no lock held; an error of before is
	// the call's. Set before the store is used.
	before func(ctx context.Context, call string) error
	after  func(call string)
}

func newMemStore() *memStore {
	return &memStore{rows: map[uint64]envelope.WrappedKey{}, calls: map[string]int{}}
}

// enter begins a call; the function that it returns ends it.
func (s *memStore) enter(ctx context.Context, call string) (leave func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.before != nil {
		if err := s.before(ctx, call); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	s.calls[call]++
	return func() {
		s.mu.Unlock()
		if s.after != nil {
			s.after(call)
		}
	}, nil
}

func (s *memStore) Key(ctx context.Context, id uint64) (envelope.WrappedKey, error) {
	leave, err := s.enter(ctx, "Key")
	if err != nil {
		return envelope.WrappedKey{}, err
	}
	defer leave()
	row, ok := s.rows[id]
	if !ok {
		return row, envelope.ErrNoKey
	}
	return copyRow(row), nil
}

func (s *memStore) Newest(ctx context.Context, tenant, user uint64) (envelope.WrappedKey, error) {
	leave, err := s.enter(ctx, "Newest")
	if err != nil {
		return envelope.WrappedKey{}, err
	}
	defer leave()
	var newest envelope.WrappedKey
	for _, id := range s.order {
		row := s.rows[id]
		if row.Tenant == tenant && row.User == user && !row.Created.Before(newest.Created) {
			newest = row
		}
	}
	if newest.ID == 0 {
		return newest, envelope.ErrNoKey
	}
	return copyRow(newest), nil
}

func (s *memStore) Save(ctx context.Context, keys ...envelope.WrappedKey) error {
	leave, err := s.enter(ctx, "Save")
	if err != nil {
		return err
	}
	defer leave()
	for _, row := range keys {
		if _, ok := s.rows[row.ID]; !ok {
			s.order = append(s.order, row.ID)
		}
		s.rows[row.ID] = copyRow(row)
	}
	return nil
}

func (s *memStore) Shred(ctx context.Context, tenant, user uint64) ([]uint64, error) {
	leave, err := s.enter(ctx, "Shred")
	if err != nil {
		return nil, err
	}
	defer leave()
	var ids []uint64
	s.order = slices.DeleteFunc(s.order, func(id uint64) bool {
		row := s.rows[id]
		if row.Tenant != tenant || user != 0 && row.User != user {
			return false
		}
		ids = append(ids, id)
		delete(s.rows, id)
		return true
	})
	return ids, nil
}

func (s *memStore) WrappedByOthers(ctx context.Context, master uint64, limit int) ([]envelope.WrappedKey, error) {
	leave, err := s.enter(ctx, "WrappedByOthers")
	if err != nil {
		return nil, err
	}
	defer leave()
	var found []envelope.WrappedKey
	for _, id := range s.order {
		if row := s.rows[id]; row.Master != master && len(found) < limit {
			found = append(found, copyRow(row))
		}
	}
	return found, nil
}

// called is how often a method was called.
func (s *memStore) called(call string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[call]
}

// owned are the rows of owners: all but the keyring's own keys.
func (s *memStore) owned() []envelope.WrappedKey {
	s.mu.Lock()
	defer s.mu.Unlock()
	var rows []envelope.WrappedKey
	for _, id := range s.order {
		if row := s.rows[id]; row.Tenant != 0 {
			rows = append(rows, copyRow(row))
		}
	}
	return rows
}

func copyRow(row envelope.WrappedKey) envelope.WrappedKey {
	row.Wrapped = slices.Clone(row.Wrapped)
	return row
}
