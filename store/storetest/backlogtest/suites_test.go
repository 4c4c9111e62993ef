package backlogtest_test

import (
	"testing"
	"time"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/store/storetest"
	"github.com/forebay-ai/forebay/store/storetest/backlogtest"
)

// stores keeps one store in memory for each directory.
type stores map[string]*storetest.MemoryBacklog

func (s stores) open(_ *testing.T, dir string) backlogtest.Lasting {
	m, ok := s[dir]
	if !ok {
		m = storetest.NewBacklog()
		s[dir] = m
	}
	m.Reopen()
	return backlogtest.Lasting{Store: m, Close: m.Close}
}

func (s stores) damage(t *testing.T, dir string, id backlog.ID) {
	if !s[dir].Damage(id, time.Now()) {
		t.Errorf("job %d is not there", id)
	}
}

// faulty has writes fail after they are made, and before: two of each in turn.
func faulty(*testing.T) backlogtest.Faulty {
	m := storetest.NewBacklog()
	failures := 0
	return backlogtest.Faulty{Store: m, Fill: m.Full, Fail: func() {
		fail := m.LoseAck
		if failures++; failures/2%2 == 1 {
			fail = m.Fail
		}
		fail(backlog.ErrFailed, 1, storetest.OpInsert, storetest.OpApply)
	}}
}

// TestMemory runs the suites on the implementation that tests use.
func TestMemory(t *testing.T) {
	t.Run("Store", func(t *testing.T) {
		backlogtest.Store(t, func(*testing.T) backlog.Store { return storetest.NewBacklog() })
	})
	t.Run("Failing", func(t *testing.T) { backlogtest.Failing(t, faulty) })
	t.Run("Durable", func(t *testing.T) { backlogtest.Durable(t, stores{}.open) })
	t.Run("Damaged", func(t *testing.T) {
		all := stores{}
		backlogtest.Damaged(t, all.open, all.damage)
	})
}
