package observe

import (
	"context"
	"sync"
	"time"

	"github.com/forebay-ai/forebay/alarm"
)

// maxRemembered bounds the changes of alarms in memory.
const maxRemembered = 1000

// memory keeps alarms where there is no store. It implements alarm.Store.
type memory struct {
	mu     sync.Mutex // guards what follows
	seq    int64
	kept   alarm.Kept
	events []alarm.Event
}

// LoadAlarms implements alarm.Store.
func (m *memory) LoadAlarms(context.Context) (alarm.Kept, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.kept, nil
}

// SaveAlarms implements alarm.Store.
func (m *memory) SaveAlarms(_ context.Context, k alarm.Kept) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.kept = k
	return nil
}

// AppendAlarmEvents implements alarm.Store.
func (m *memory) AppendAlarmEvents(_ context.Context, events []alarm.Event) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range events {
		m.seq++
		events[i].Seq = m.seq
	}
	m.events = append(m.events, events...)
	if over := len(m.events) - maxRemembered; over > 0 {
		m.events = append(m.events[:0], m.events[over:]...)
	}
	return nil
}

// AlarmEvents implements alarm.Store.
func (m *memory) AlarmEvents(_ context.Context, name string, before int64, limit int) ([]alarm.Event, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var found []alarm.Event
	for i := len(m.events) - 1; i >= 0 && len(found) < limit; i-- {
		e := m.events[i]
		if (before == 0 || e.Seq < before) && (name == "" || e.Name == name) {
			found = append(found, e)
		}
	}
	return found, nil
}

// PruneAlarmEvents implements alarm.Store: what is in memory is bounded anyway.
func (m *memory) PruneAlarmEvents(context.Context, time.Time) error { return nil }
