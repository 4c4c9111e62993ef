package fleet

import (
	"context"
	"maps"
	"slices"
	"sync"
)

// Memory is a Store for gateways of one process, and for tests. NewMemory makes it. Its methods may be called
// concurrently. It forgets nothing by itself but news, of which it keeps the last 4,096 of each member.
type Memory struct {
	mu      sync.Mutex // guards all below
	members map[string]Member
	news    map[string][]News
	grants  Grants
}

const keptNews = 4096

// NewMemory makes an empty Memory.
func NewMemory() *Memory { return &Memory{members: map[string]Member{}, news: map[string][]News{}} }

// Beat implements Store.
func (m *Memory) Beat(ctx context.Context, of Member) (State, error) {
	if err := ctx.Err(); err != nil {
		return State{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	of.Demand, of.Open = maps.Clone(of.Demand), slices.Clone(of.Open)
	m.members[of.ID] = of
	s := State{Grants: m.grants.clone()}
	for _, one := range m.members {
		one.Demand, one.Open = maps.Clone(one.Demand), slices.Clone(one.Open)
		s.Members = append(s.Members, one)
	}
	return s, nil
}

// Grant implements Store.
func (m *Memory) Grant(ctx context.Context, g Grants) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if g.Version != m.grants.Version+1 {
		return ErrChanged
	}
	m.grants = g.clone()
	return nil
}

// Tell implements Store.
func (m *Memory) Tell(ctx context.Context, id string, n News) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	all := m.news[id]
	if len(all) > 0 && n.Number <= all[len(all)-1].Number {
		return nil
	}
	n.Spent = slices.Clone(n.Spent)
	all = append(all, n)
	m.news[id] = all[max(0, len(all)-keptNews):]
	return nil
}

// Told implements Store.
func (m *Memory) Told(ctx context.Context, id string, after uint64) ([]News, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []News
	for _, n := range m.news[id] {
		if n.Number > after {
			all = append(all, News{Number: n.Number, At: n.At, Spent: slices.Clone(n.Spent)})
		}
	}
	return all, nil
}

// Leave implements Store.
func (m *Memory) Leave(ctx context.Context, id string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.members, id)
	delete(m.news, id)
	return nil
}
