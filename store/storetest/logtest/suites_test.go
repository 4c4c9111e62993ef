package logtest_test

import (
	"testing"

	"github.com/forebay-ai/forebay/alarm"
	"github.com/forebay-ai/forebay/requestlog"
	"github.com/forebay-ai/forebay/series"
	"github.com/forebay-ai/forebay/store/storetest/logtest"
)

// TestMemory runs the suites on the implementations in memory.
func TestMemory(t *testing.T) {
	t.Run("Requests", func(t *testing.T) {
		logtest.Requests(t, func(*testing.T) requestlog.Store { return requestlog.NewMemory(20_000) })
	})
	t.Run("Series", func(t *testing.T) {
		logtest.Series(t, func(*testing.T) series.Store { return logtest.NewMemory() })
	})
	t.Run("Alarms", func(t *testing.T) {
		logtest.Alarms(t, func(*testing.T) alarm.Store { return logtest.NewMemory() })
	})
	t.Run("Durable", func(t *testing.T) {
		logtest.Durable(t, stores{}.open)
	})
}

// stores keeps stores in memory for each directory.
type stores map[string]logtest.Lasting

func (s stores) open(_ *testing.T, dir string) logtest.Lasting {
	if _, ok := s[dir]; !ok {
		m := logtest.NewMemory()
		s[dir] = logtest.Lasting{Requests: requestlog.NewMemory(20_000), Series: m, Alarms: m, Close: func() error { return nil }}
	}
	return s[dir]
}
