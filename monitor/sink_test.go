package monitor_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/monitor"
)

// recorder is a sink that keeps the last thousand of all it is told of.
type recorder struct {
	calls    []monitor.Call
	attempts []monitor.Attempt
	usages   []monitor.Usage
	breakers []string
	custom   []string
}

func (r *recorder) Call(c *monitor.Call) {
	if len(r.calls) < 1000 {
		r.calls = append(r.calls, *c)
	}
	*c = monitor.Call{Operation: "changed by a sink"}
}

func (r *recorder) Attempt(a *monitor.Attempt) {
	if len(r.attempts) < 1000 {
		r.attempts = append(r.attempts, *a)
	}
	a.Model = "changed by a sink"
}

func (r *recorder) Usage(u *monitor.Usage) {
	if len(r.usages) < 1000 {
		r.usages = append(r.usages, *u)
	}
	u.Model = "changed by a sink"
}

func (r *recorder) BreakerChanged(target, from, to string) {
	r.breakers = append(r.breakers, target+" "+from+" "+to)
}

// measuring is a recorder that wants custom metrics too.
type measuring struct{ *recorder }

func (r measuring) Measured(c *monitor.CustomMetric, value float64, labels []string) {
	r.custom = append(r.custom, fmt.Sprintf("%s %v %v", c.Name, value, labels))
}

// nobody takes everything and does nothing.
type nobody struct{}

func (nobody) Call(*monitor.Call)            {}
func (nobody) Attempt(*monitor.Attempt)      {}
func (nobody) Usage(*monitor.Usage)          {}
func (nobody) BreakerChanged(_, _, _ string) {}

func (nobody) Measured(*monitor.CustomMetric, float64, []string) {}

// broken panics whatever it is told.
type broken struct{}

func (broken) Call(*monitor.Call)                                { panic("call") }
func (broken) Attempt(*monitor.Attempt)                          { panic("attempt") }
func (broken) Usage(*monitor.Usage)                              { panic("usage") }
func (broken) BreakerChanged(_, _, _ string)                     { panic("breaker") }
func (broken) Measured(*monitor.CustomMetric, float64, []string) { panic("measured") }

// Each sink is told of everything, as it was recorded, once, whatever the others do.
func TestSinks(t *testing.T) {
	m := make1(t, names)
	m.Record(fullCall()) // nobody is told
	first, second := &recorder{}, measuring{&recorder{}}
	m.Attach(nil)
	m.Attach(first)
	m.Attach(broken{})
	m.Attach(second)
	call, attempt, usage := fullCall(), &monitor.Attempt{Provider: "made up", Model: "m"}, &monitor.Usage{Operation: "o", Model: "m", CostMicroUSD: 4}
	m.Record(call)
	m.RecordAttempt(attempt)
	m.RecordUsage(usage)
	m.BreakerChanged("local/llama", "closed", "open")
	if err := m.Measure("grade", 0.5, map[string]string{"course": "biology"}); err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]*recorder{"first": first, "second": second.recorder} {
		if diff := cmp.Diff([]monitor.Call{*fullCall()}, r.calls); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff([]monitor.Attempt{*attempt}, r.attempts); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff([]monitor.Usage{*usage}, r.usages); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff([]string{"local/llama closed open"}, r.breakers); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if diff := cmp.Diff([]string{"grade 0.5 [other none]"}, second.custom); diff != "" {
		t.Errorf("custom (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(fullCall(), call); diff != "" {
		t.Errorf("what was recorded has changed (-want +got):\n%s", diff)
	}
	expect(t, series(t, m), map[string]float64{
		"dropped_total{what=sink}": 5,
		"requests_total{cache=miss,error_type=provider_timeout,fallback=template,model=haiku,operation=vc-analysis,outcome=degraded}": 2,
	})
}

// Sinks may be attached while calls are recorded.
func TestAttachMeanwhile(t *testing.T) {
	m := make1(t, names)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 500 {
				m.Record(fullCall())
				m.RecordAttempt(&monitor.Attempt{})
			}
		})
	}
	wg.Go(func() {
		for range 50 {
			m.Attach(nobody{})
		}
	})
	wg.Wait()
	last := &recorder{}
	m.Attach(last)
	m.Record(fullCall())
	if diff := cmp.Diff([]monitor.Call{*fullCall()}, last.calls); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// blockedWriter is a scraper that has stopped reading.
type blockedWriter struct {
	*httptest.ResponseRecorder
	once             sync.Once
	reached, release chan struct{}
}

func (w *blockedWriter) Write(b []byte) (int, error) {
	w.once.Do(func() { close(w.reached) })
	<-w.release
	return len(b), nil
}

// Scrapers that stand still, and sources that do, hold up no call.
func TestSlowScraperHoldsUpNobody(t *testing.T) {
	m := make1(t, names)
	useEverything(m)
	var wg sync.WaitGroup
	defer wg.Wait()
	w := &blockedWriter{ResponseRecorder: httptest.NewRecorder(), reached: make(chan struct{}), release: make(chan struct{})}
	defer close(w.release)
	wg.Go(func() { m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil)) })
	<-w.reached

	asked := make(chan struct{})
	stop := m.Watch(monitor.Source{Queue: func() monitor.QueueSample { close(asked); <-w.release; return monitor.QueueSample{} }})
	wg.Go(func() { _, _ = m.Registry().Gather() })
	<-asked
	stop()

	done, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	go func() {
		useEverything(m)
		m.Record(&monitor.Call{Operation: "a combination that is new", Outcome: monitor.OK})
		m.Summary()
		cancel()
	}()
	<-done.Done()
	if done.Err() == context.DeadlineExceeded {
		t.Fatal("a scraper that does not read has stopped calls")
	}
}

// A source that panics loses its own metrics and nothing else.
func TestSourceThatPanics(t *testing.T) {
	m := make1(t, names)
	m.Watch(monitor.Source{
		Queue: func() monitor.QueueSample { panic("queue") }, Cache: func() monitor.CacheSample { panic("cache") },
		Jobs: func() monitor.JobSample { panic("jobs") }, State: func() monitor.StateSample { panic("state") },
		Tables: func() monitor.TablesSample { panic("tables") },
	})
	m.Record(&monitor.Call{Operation: "chat", Model: "haiku", Outcome: monitor.OK, CostMicroUSD: 1_000_000})
	series(t, m) // what is dropped in a scrape may be in the next one's count only
	got := series(t, m)
	if n := got["dropped_total{what=sample}"]; n < 5 {
		t.Errorf("%v samples are counted as dropped", n)
	}
	expect(t, got, map[string]float64{
		"cost_usd_total{model=haiku,operation=chat}": 1,
	})
	if _, there := got["queue_depth{priority=low}"]; there {
		t.Error("a depth that nobody told")
	}
}

func TestDropped(t *testing.T) {
	m := make1(t, names)
	for _, what := range monitor.DroppedKinds() {
		m.Dropped(what, 2)
		m.Dropped(what, 0)
		m.Dropped(what, -7)
		expect(t, series(t, m), map[string]float64{"dropped_total{what=" + what + "}": 2})
	}
	m.Dropped("made up", 1)
	expect(t, series(t, m), map[string]float64{"dropped_total{what=other}": 1})
}

func ExampleMonitor_Attach() {
	m, err := monitor.New(monitor.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	m.Attach(printer{})
	m.Record(&monitor.Call{User: "ada", Outcome: monitor.OK, Duration: 2 * time.Second})
	m.Record(&monitor.Call{User: "bob", Outcome: monitor.Error, ErrorType: llm.ProviderTimeout, Duration: 40 * time.Second})
	// Output:
	// ada ok true
	// bob error false
}

// printer is a sink that prints calls.
type printer struct{ nobody }

func (printer) Call(c *monitor.Call) { fmt.Println(c.User, c.Outcome, c.Good) }
