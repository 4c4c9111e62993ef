package logtest_test

import (
	"context"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/forebay-ai/forebay/alarm"
	"github.com/forebay-ai/forebay/requestlog"
	"github.com/forebay-ai/forebay/series"
	"github.com/forebay-ai/forebay/store/storetest/logtest"
)

// A broken store breaks one sentence of a contract. The suites have to notice.
type broken struct {
	rule string // the subtest that has to fail, as go test writes its name
	// One of these is called whenever a store is opened, with all that it had.
	requests func(*requestlog.Memory) requestlog.Store
	series   func(*logtest.Memory) series.Store
	alarms   func(*logtest.Memory) alarm.Store
}

func brokens() map[string]broken {
	all := brokenRequests()
	maps.Copy(all, brokenPages())
	maps.Copy(all, brokenRemovals())
	maps.Copy(all, brokenSeries())
	maps.Copy(all, brokenAlarms())
	return all
}

// TestSuitesFail runs the suites on stores that break a sentence of the contracts, in
// another process, and expects the sentence's subtest to fail: the first time, or where two
// goroutines have to meet for that, within five.
func TestSuitesFail(t *testing.T) {
	if os.Getenv("LOGTEST_BROKEN") != "" {
		t.Skip("this is the other process")
	}
	for name, b := range brokens() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			suite, rule, _ := strings.Cut(b.rule, "/")
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestBroken$/^"+suite+"$/^"+regexp.QuoteMeta(rule)+"$", "-test.v", "-test.count=5", "-test.failfast",
				"-rapid.nofailfile", "-rapid.checks=1000", "-rapid.shrinktime=1ms", "-test.timeout=60s")
			cmd.Env = append(os.Environ(), "LOGTEST_BROKEN="+name)
			out, err := cmd.CombinedOutput()
			if want := "--- FAIL: TestBroken/" + b.rule; err == nil || !strings.Contains(string(out), want) || strings.Contains(string(out), "panic:") {
				t.Errorf("the suite did not fail with %q (%v):\n%.2000s", want, err, out)
			}
		})
	}
}

// TestBroken is the other process's part of TestSuitesFail.
func TestBroken(t *testing.T) {
	b, ok := brokens()[os.Getenv("LOGTEST_BROKEN")]
	if !ok {
		return // this process checks stores that work
	}
	broken := func(s logtest.Lasting) logtest.Lasting {
		if b.requests != nil {
			s.Requests = b.requests(s.Requests.(*requestlog.Memory))
		}
		if b.series != nil {
			s.Series = b.series(s.Series.(*logtest.Memory))
		}
		if b.alarms != nil {
			s.Alarms = b.alarms(s.Alarms.(*logtest.Memory))
		}
		return s
	}
	fresh := func(t *testing.T) logtest.Lasting { return broken(stores{}.open(t, "")) }
	t.Run("Requests", func(t *testing.T) {
		logtest.Requests(t, func(t *testing.T) requestlog.Store { return fresh(t).Requests })
	})
	t.Run("Series", func(t *testing.T) { logtest.Series(t, func(t *testing.T) series.Store { return fresh(t).Series }) })
	t.Run("Alarms", func(t *testing.T) { logtest.Alarms(t, func(t *testing.T) alarm.Store { return fresh(t).Alarms }) })
	all := stores{}
	t.Run("Durable", func(t *testing.T) {
		logtest.Durable(t, func(t *testing.T, dir string) logtest.Lasting { return broken(all.open(t, dir)) })
	})
}

// requestsOf is a store of which some methods are others.
type requestsOf struct {
	*requestlog.Memory
	append func(context.Context, []requestlog.Entry) error
	page   func(context.Context, requestlog.Query) (requestlog.Page, error)
	get    func(context.Context, int64) (requestlog.Entry, bool, error)
	prune  func(context.Context, pruning) (int64, error)
	erase  func(ctx context.Context, tenant, user string) error
}

func (s requestsOf) AppendRequests(ctx context.Context, all []requestlog.Entry) error {
	if s.append != nil {
		return s.append(ctx, all)
	}
	return s.Memory.AppendRequests(ctx, all)
}

func (s requestsOf) Requests(ctx context.Context, q requestlog.Query) (requestlog.Page, error) {
	if s.page != nil {
		return s.page(ctx, q)
	}
	return s.Memory.Requests(ctx, q)
}

func (s requestsOf) Request(ctx context.Context, seq int64) (requestlog.Entry, bool, error) {
	if s.get != nil {
		return s.get(ctx, seq)
	}
	return s.Memory.Request(ctx, seq)
}

func (s requestsOf) EraseRequests(ctx context.Context, tenant, user string) error {
	if s.erase != nil {
		return s.erase(ctx, tenant, user)
	}
	return s.Memory.EraseRequests(ctx, tenant, user)
}

// seriesOf is a store of which some methods are others.
type seriesOf struct {
	*logtest.Memory
	save  func(context.Context, []series.Block) error
	load  func(context.Context, loading) error
	prune func(context.Context, cutting) error
}

func (s seriesOf) SaveSeries(ctx context.Context, all []series.Block) error {
	if s.save != nil {
		return s.save(ctx, all)
	}
	return s.Memory.SaveSeries(ctx, all)
}

// alarmsOf is a store of which some methods are others.
type alarmsOf struct {
	*logtest.Memory
	save   func(context.Context, alarm.Kept) error
	load   func(context.Context) (alarm.Kept, error)
	append func(context.Context, []alarm.Event) error
	events func(ctx context.Context, name string, before int64, limit int) ([]alarm.Event, error)
}

func (s alarmsOf) SaveAlarms(ctx context.Context, k alarm.Kept) error {
	if s.save != nil {
		return s.save(ctx, k)
	}
	return s.Memory.SaveAlarms(ctx, k)
}

func (s alarmsOf) LoadAlarms(ctx context.Context) (alarm.Kept, error) {
	if s.load != nil {
		return s.load(ctx)
	}
	return s.Memory.LoadAlarms(ctx)
}

func (s alarmsOf) AppendAlarmEvents(ctx context.Context, all []alarm.Event) error {
	if s.append != nil {
		return s.append(ctx, all)
	}
	return s.Memory.AppendAlarmEvents(ctx, all)
}

func (s alarmsOf) AlarmEvents(ctx context.Context, name string, before int64, limit int) ([]alarm.Event, error) {
	if s.events != nil {
		return s.events(ctx, name, before, limit)
	}
	return s.Memory.AlarmEvents(ctx, name, before, limit)
}
