package observe_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/alarm"
	"github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/llm/llmtest"
	"github.com/forebay-ai/forebay/monitor"
	"github.com/forebay-ai/forebay/observe"
	"github.com/forebay-ai/forebay/requestlog"
	"github.com/forebay-ai/forebay/series"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// watched is a client that is watched, and what its alarms said.
type watched struct {
	*observe.Observer
	client *forebay.Client
	log    *requestlog.Log

	mu      sync.Mutex // guards notices
	notices []alarm.Notice
}

// watch starts to watch a client of provider, in the bubble of the test.
func watch(t *testing.T, p llm.Provider, change func(*observe.Config)) *watched {
	t.Helper()
	w := &watched{log: requestlog.New(requestlog.Config{})}
	cfg := observe.Config{
		Definitions: alarm.Profile(alarm.Interactive), Name: "test", Objective: 3 * time.Second, Log: w.log,
		Notices: func(n alarm.Notice) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.notices = append(w.notices, n)
		},
	}
	if change != nil {
		change(&cfg)
	}
	var err error
	if w.Observer, err = observe.New(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	w.client, err = forebay.New(forebay.Config{
		Providers: map[string]llm.Provider{"p": p}, Models: map[string]forebay.Model{"m": {Targets: []forebay.Target{{Provider: "p", Model: "m"}}}},
		Retry: forebay.Retry{Max: -1}, Observer: w.Observer, Metrics: monitor.Config{Custom: cfg.Custom},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.Bind(w.client)
	w.client.Monitor().Attach(w.Observer)
	ctx, stop := context.WithCancel(t.Context())
	var jobs sync.WaitGroup
	jobs.Go(func() {
		if err := w.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	jobs.Go(func() {
		if err := w.log.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		stop()
		jobs.Wait()
		if err := w.client.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return w
}

// load makes calls, so many a second, for a time.
func (w *watched) load(t *testing.T, perSecond int, span time.Duration) {
	t.Helper()
	var calls sync.WaitGroup
	pause := time.Second / time.Duration(perSecond)
	for n := range int(span / pause) {
		calls.Go(func() {
			_, _ = w.client.Do(t.Context(), &llm.Request{
				ID: fmt.Sprint(n), Tenant: "t", User: fmt.Sprintf("u%d", n%7), Endpoint: llm.Chat, Model: "m", Priority: llm.Normal, Dialect: openai.Dialect{},
				Cache: llm.CacheDirectives{NoRead: true, NoWrite: true},
				Body:  []byte(`{"model":"m","messages":[{"role":"user","content":"hello"}]}`),
			})
		})
		time.Sleep(pause)
	}
	calls.Wait()
}

// told lists the alarms of which a notice says that they fire, or are over.
func (w *watched) told(resolved bool) (names []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, n := range w.notices {
		for _, item := range n.Items {
			if n.Resolved == resolved && !slices.Contains(names, item.Name) {
				names = append(names, item.Name)
			}
		}
	}
	return names
}

// moody is a provider that is slow or fails on demand.
type moody struct {
	llm.Provider
	slow atomic.Int64 // nanoseconds that every answer takes
	fail atomic.Bool
}

func newMoody() *moody {
	m := &moody{}
	m.Provider = llmtest.Script(llmtest.Do(func(ctx context.Context, _ string, req *llm.Request) (llm.Stream, error) {
		select {
		case <-time.After(time.Duration(m.slow.Load())):
		case <-ctx.Done():
			return nil, llm.AsError(ctx.Err())
		}
		if m.fail.Load() {
			return nil, llm.Errorf(llm.ProviderError, "it fails")
		}
		return &llm.OneChunk{Chunk: llm.Chunk{Raw: []byte(`{}`), Events: 1, Last: true, Useful: true, Usage: llm.Usage{Input: 10, Output: 20}}}, nil
	}))
	return m
}

// A real client that becomes slow, or fails, has the right alarm told within a minute and
// resolved afterwards; a sound one has none. Whether a target fails at once or after a long
// wait, its breaker is told to be open: one that waits for its probes keeps calls away too.
func TestAlarmsOfARealClient(t *testing.T) {
	for _, x := range []struct {
		name         string
		break_, mend func(*moody)
		after        time.Duration // when the first call fails
		want         []string
	}{
		{"slow", func(m *moody) { m.slow.Store(int64(6 * time.Second)) }, func(m *moody) { m.slow.Store(int64(200 * time.Millisecond)) }, 0, []string{"response-time"}},
		{"failing", func(m *moody) { m.fail.Store(true) }, func(m *moody) { m.fail.Store(false) }, 0, []string{"error-rate", "breaker-open"}},
		{
			"failing late", func(m *moody) { m.slow.Store(int64(20 * time.Second)); m.fail.Store(true) },
			func(m *moody) { m.slow.Store(int64(200 * time.Millisecond)); m.fail.Store(false) }, 20 * time.Second,
			[]string{"breaker-open"},
		},
	} {
		t.Run(x.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMoody()
				m.slow.Store(int64(200 * time.Millisecond))
				w := watch(t, m, nil)
				w.load(t, 10, 10*time.Minute)
				if told := w.told(false); len(told) > 0 {
					t.Fatalf("a sound client has %v", told)
				}
				x.break_(m)
				w.load(t, 10, x.after+time.Minute+10*time.Second)
				for _, want := range x.want {
					if told := w.told(false); !slices.ContainsFunc(told, func(name string) bool {
						return name == want || name == want+"-critical" || name == want+"-warning" || name == want+"-p95"
					}) {
						t.Errorf("told %v, want %s", told, want)
					}
				}
				x.mend(m)
				w.load(t, 10, 15*time.Minute)
				if len(w.Engine().Firing()) > 0 {
					t.Errorf("still firing: %+v", w.Engine().Firing())
				}
				if over := w.told(true); len(over) == 0 {
					t.Error("nothing was resolved")
				}
			})
		})
	}
}

// What is measured of a client equals what was done.
func TestFiguresOfARealClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMoody()
		m.slow.Store(int64(time.Second))
		w := watch(t, m, func(c *observe.Config) { c.Custom = monitor.UserMetrics() })
		w.load(t, 5, time.Minute)
		if err := w.client.Monitor().Measure("documents", 3, nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(11 * time.Second)
		now := time.Now()
		span := series.Window{From: now.Add(-5 * time.Minute), To: now}
		value := func(metric, label, of string, st series.Stat) float64 {
			return w.Series().Value(series.Key{Metric: metric, Label: label, Value: of}, st, span).Value
		}
		for name, got := range map[string]float64{
			"requests": value(observe.Requests, "", "", series.Sum), "by operation": value(observe.Requests, observe.ByOperation, "default", series.Sum),
			"good": value(observe.Good, "", "", series.Sum), "attempts": value(observe.Attempts, observe.ByTarget, "p/m", series.Sum),
			"input": value(observe.InputTokens, "", "", series.Sum) / 10, "output": value(observe.OutputTokens, observe.ByModel, "m", series.Sum) / 20,
		} {
			if got != 300 {
				t.Errorf("%s: %v, want 300", name, got)
			}
		}
		if p50 := value(observe.Duration, "", "", series.P50); p50 < 0.98 || p50 > 1.02 {
			t.Errorf("the median is %v s, want 1", p50)
		}
		if users := value(observe.Users, "", "", series.Last); users != 7 {
			t.Errorf("%v users, want 7", users)
		}
		if documents := value("custom_documents", "", "", series.Sum); documents != 3 {
			t.Errorf("%v documents, want 3", documents)
		}
		page, err := w.log.Page(t.Context(), requestlog.Query{Limit: 500})
		if err != nil || len(page.Entries) != 300 {
			t.Fatalf("the log has %d calls: %v", len(page.Entries), err)
		}
	})
}
