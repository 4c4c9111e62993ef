package logtest

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/forebay-ai/forebay/alarm"
	"github.com/forebay-ai/forebay/series"
)

// Memory implements series.Store and alarm.Store in memory, for tests. Its methods may be
// called concurrently. The zero value is not ready: use NewMemory.
type Memory struct {
	mu     sync.Mutex // guards all below
	blocks map[blockKey][]byte
	kept   alarm.Kept
	events []alarm.Event // ascending by Seq
	last   int64         // the Seq that was given last
}

var (
	_ series.Store = (*Memory)(nil)
	_ alarm.Store  = (*Memory)(nil)
)

type blockKey struct {
	series.Key
	step  time.Duration
	start int64 // nanoseconds since 1970
}

// NewMemory makes an empty Memory.
func NewMemory() *Memory { return &Memory{blocks: map[blockKey][]byte{}} }

// SaveSeries implements series.Store.
func (m *Memory) SaveSeries(ctx context.Context, blocks []series.Block) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, b := range blocks {
		m.blocks[blockKey{b.Key, b.Step, b.Start.UnixNano()}] = slices.Clone(b.Data)
	}
	return nil
}

// LoadSeries implements series.Store.
func (m *Memory) LoadSeries(ctx context.Context, from func(step time.Duration) time.Time, yield func(series.Block) bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	all := make([]series.Block, 0, len(m.blocks))
	for k, data := range m.blocks {
		all = append(all, series.Block{Key: k.Key, Step: k.step, Start: time.Unix(0, k.start).UTC(), Data: slices.Clone(data)})
	}
	m.mu.Unlock()
	for _, b := range all {
		if !b.Start.Before(from(b.Step)) && !yield(b) {
			break
		}
	}
	return nil
}

// PruneSeries implements series.Store.
func (m *Memory) PruneSeries(ctx context.Context, step time.Duration, t time.Time) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for k := range m.blocks {
		if k.step == step && time.Unix(0, k.start).Before(t) {
			delete(m.blocks, k)
		}
	}
	return nil
}

// LoadAlarms implements alarm.Store.
func (m *Memory) LoadAlarms(ctx context.Context) (alarm.Kept, error) {
	if err := ctx.Err(); err != nil {
		return alarm.Kept{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return copied(m.kept), nil
}

// SaveAlarms implements alarm.Store.
func (m *Memory) SaveAlarms(ctx context.Context, k alarm.Kept) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.kept = copied(k)
	return nil
}

func copied(k alarm.Kept) alarm.Kept {
	return alarm.Kept{Statuses: slices.Clone(k.Statuses), Silences: slices.Clone(k.Silences)}
}

// AppendAlarmEvents implements alarm.Store.
func (m *Memory) AppendAlarmEvents(ctx context.Context, events []alarm.Event) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range events {
		m.last++
		events[i].Seq = m.last
		m.events = append(m.events, events[i])
	}
	return nil
}

// AlarmEvents implements alarm.Store.
func (m *Memory) AlarmEvents(ctx context.Context, name string, before int64, limit int) ([]alarm.Event, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []alarm.Event
	for _, e := range slices.Backward(m.events) {
		if len(all) >= limit {
			break
		}
		if (before <= 0 || e.Seq < before) && (name == "" || e.Name == name) {
			all = append(all, e)
		}
	}
	return all, nil
}

// PruneAlarmEvents implements alarm.Store.
func (m *Memory) PruneAlarmEvents(ctx context.Context, t time.Time) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.events = slices.DeleteFunc(m.events, func(e alarm.Event) bool { return e.At.Before(t) })
	return nil
}
