package console_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/access"
	"github.com/forebay-ai/forebay/alarm"
	"github.com/forebay-ai/forebay/alarm/notify"
	"github.com/forebay-ai/forebay/budget"
	"github.com/forebay-ai/forebay/console"
	"github.com/forebay-ai/forebay/cost"
	"github.com/forebay-ai/forebay/gateway"
	"github.com/forebay-ai/forebay/ledger"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/llm/llmtest"
	"github.com/forebay-ai/forebay/monitor"
	"github.com/forebay-ai/forebay/observe"
	"github.com/forebay-ai/forebay/requestlog"
	"github.com/forebay-ai/forebay/series"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The keys of the gateway under test.
const (
	adminKey = "admin-key-secret" // tenant a
	webKey   = "web-key-secret"   // tenant a: call and metrics
	otherKey = "other-key-secret" // tenant b: call and metrics
	costsKey = "costs-key-secret" // tenant b: costs alone
	callKey  = "call-key-secret"  // tenant a: call alone
)

// auditor remembers changes, and forbids them on demand.
type auditor struct {
	mu     sync.Mutex // guards what follows
	lines  []string
	broken error
}

func (a *auditor) Audit(_ context.Context, actor, action string, details map[string]string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.broken != nil {
		return a.broken
	}
	text, err := json.Marshal(details)
	a.lines = append(a.lines, actor+" "+action+" "+string(text))
	return err
}

func (a *auditor) fail(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.broken = err
}

// seen are the changes since it was asked last.
func (a *auditor) seen() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	lines := a.lines
	a.lines = nil
	return lines
}

// notifier takes notices, or fails.
type notifier struct {
	name string
	err  error
}

func (n notifier) Name() string                               { return n.name }
func (n notifier) Notify(context.Context, alarm.Notice) error { return n.err }

// world is a gateway with a console, in the bubble of a test.
type world struct {
	t        *testing.T
	gateway  *gateway.Gateway
	client   *forebay.Client
	observer *observe.Observer
	log      *requestlog.Log
	books    *ledger.Ledger
	audit    *auditor
}

// options are what worlds differ in.
type options struct {
	bare     bool // neither log nor books nor notifiers
	readOnly bool
	rules    []budget.Rule
}

// custom is a custom metric.
var custom = monitor.CustomMetric{Name: "tickets", Doc: "Tickets that were closed.", Kind: monitor.CustomCounter, Labels: []monitor.CustomLabel{{Name: "plan", Values: []string{"free", "paid"}}}}

// definitions are two alarms: one that fires at once when a breaker is open, one that never does.
func definitions() []alarm.Definition {
	return []alarm.Definition{
		{
			Name: "breaker-open", Severity: alarm.Critical, Op: ">", Threshold: 0, Message: "A breaker is open", Do: "Wait.",
			Measure: alarm.Measure{Metric: observe.AttemptFailures, Stat: string(series.Sum), By: observe.ByTarget, Window: time.Minute},
		},
		{
			Name: "error-rate", Severity: alarm.Warning, Op: ">", Threshold: 0.5, Message: "Calls fail",
			Measure: alarm.Measure{Metric: observe.Failures, Stat: string(series.Sum), Over: observe.Requests, Window: time.Minute},
		},
	}
}

// inWorld runs a test in a bubble, with a gateway.
func inWorld(t *testing.T, o options, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, newWorld(t, o)) })
}

func newWorld(t *testing.T, o options) *world {
	t.Helper()
	w := &world{t: t, audit: new(auditor)}
	cfg := console.Config{Version: "1.2.3", Profile: "standard", File: "forebay.yaml", ReadOnly: o.readOnly, Auditor: w.audit}
	seen := observe.Config{Definitions: definitions(), Name: "test", Objective: 2 * time.Second, Custom: []monitor.CustomMetric{custom}}
	if !o.bare {
		w.parts(o, &cfg)
		seen.Log, seen.Ledger = w.log, w.books
	}
	var err error
	if w.observer, err = observe.New(t.Context(), seen); err != nil {
		t.Fatal(err)
	}
	p := llmtest.Script(llmtest.Fail(500))
	w.client, err = forebay.New(forebay.Config{
		Providers: map[string]llm.Provider{"p": p}, Models: map[string]forebay.Model{"m": {Targets: []forebay.Target{{Provider: "p", Model: "m"}}}},
		Retry: forebay.Retry{Max: -1}, Metrics: monitor.Config{Custom: seen.Custom},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.observer.Bind(w.client)
	w.client.Monitor().Attach(w.observer)
	cfg.Client, cfg.Observer = w.client, w.observer
	c, err := console.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.gateway, err = gateway.New(gateway.Config{
		Client: w.client, Endpoints: c.Endpoints(),
		Keys: []access.Key{
			{Name: "admin", Secret: adminKey, Tenant: "a", Scopes: []string{access.Call, access.Admin}},
			{Name: "web", Secret: webKey, Tenant: "a", Scopes: []string{access.Call, access.Metrics}},
			{Name: "other", Secret: otherKey, Tenant: "b", Scopes: []string{access.Call, access.Metrics}},
			{Name: "costs", Secret: costsKey, Tenant: "b", Scopes: []string{access.Costs}},
			{Name: "call", Secret: callKey, Tenant: "a"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.run()
	return w
}

// parts makes log, books and notifiers.
func (w *world) parts(o options, cfg *console.Config) {
	t := w.t
	w.log = requestlog.New(requestlog.Config{})
	book, err := budget.New(budget.Config{Rules: o.rules})
	if err != nil {
		t.Fatal(err)
	}
	w.books, err = ledger.Open(t.Context(), ledger.Config{Store: ledger.NewMemory(), Budgets: book, Estimate: func(*llm.Request) int64 { return 1 }})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Notify, err = notify.New(notify.Config{Notifiers: []alarm.Notifier{notifier{"good", nil}, notifier{"bad", errors.New("it is full")}}})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Rates, err = cost.NewRates([]cost.Rate{{Currency: "INR", From: time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC), Micro: 80_500_000, Source: "a test"}})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Log, cfg.Ledger = w.log, w.books
	cfg.Configuration = func() []console.ConfigEntry {
		return []console.ConfigEntry{{Key: "listen", Value: "127.0.0.1:0", Origin: "file forebay.yaml:1"}}
	}
	cfg.CSRF = func(r *http.Request) string { return r.Header.Get("X-Test-Session") }
}

// run does the work beside requests until the test ends.
func (w *world) run() {
	ctx, stop := context.WithCancel(w.t.Context())
	var jobs sync.WaitGroup
	work := []func(context.Context) error{w.observer.Run}
	if w.log != nil {
		work = append(work, w.log.Run, w.books.Run)
	}
	for _, f := range work {
		jobs.Go(func() {
			if err := f(ctx); err != nil && !errors.Is(err, context.Canceled) {
				w.t.Error(err)
			}
		})
	}
	w.t.Cleanup(func() {
		stop()
		jobs.Wait()
		if err := w.client.Close(context.Background()); err != nil {
			w.t.Error(err)
		}
	})
}

// ask makes a request and reads the whole answer.
func (w *world) ask(method, path, key, body string) (status int, text string) {
	w.t.Helper()
	r := httptest.NewRequestWithContext(w.t.Context(), method, path, strings.NewReader(body))
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	rec := httptest.NewRecorder()
	w.gateway.ServeHTTP(rec, r)
	return rec.Code, rec.Body.String()
}

// read gets an answer that has to be 200.
func (w *world) read(path, key string, into any) {
	w.t.Helper()
	status, text := w.ask(http.MethodGet, path, key, "")
	if status != http.StatusOK {
		w.t.Fatalf("%s: %d %s", path, status, text)
	}
	reflect.ValueOf(into).Elem().SetZero() // members that are left out are not those of the last answer
	if err := json.Unmarshal([]byte(text), into); err != nil {
		w.t.Fatalf("%s: %v in %s", path, err, text)
	}
}

// call tells the observer of calls.
func (w *world) call(n int, c monitor.Call) {
	for range n {
		w.observer.Call(&c)
	}
}

// event is one server-sent event.
type event struct{ name, data string }

// reading is a reader of a stream of events, as slow as the test is: what it has not taken
// waits on the way.
type reading struct {
	head  http.Header
	lines *bufio.Scanner
	pipe  *io.PipeReader
	leave context.CancelFunc
	ended chan struct{}
}

// piped is the answer's way to its reader.
type piped struct {
	*io.PipeWriter
	head   http.Header
	status chan int
}

func (p *piped) Header() http.Header    { return p.head }
func (p *piped) WriteHeader(status int) { p.status <- status }
func (p *piped) Flush()                 {}

// listen begins to read a stream of events.
func (w *world) listen(path, key string) *reading {
	w.t.Helper()
	ctx, leave := context.WithCancel(w.t.Context())
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, path, http.NoBody)
	r.Header.Set("Authorization", "Bearer "+key)
	in, out := io.Pipe()
	answer := &piped{PipeWriter: out, head: http.Header{}, status: make(chan int, 1)}
	e := &reading{head: answer.head, lines: bufio.NewScanner(in), pipe: in, leave: leave, ended: make(chan struct{})}
	go func() {
		defer close(e.ended)
		defer out.Close()
		defer func() {
			if fault := recover(); fault != nil && fault != http.ErrAbortHandler { // a reader who left
				panic(fault)
			}
		}()
		w.gateway.ServeHTTP(answer, r)
	}()
	w.t.Cleanup(func() { e.close() })
	if status := <-answer.status; status != http.StatusOK {
		w.t.Fatalf("%s: %d", path, status)
	}
	return e
}

// close leaves, and waits until the gateway has noticed.
func (e *reading) close() {
	e.leave()
	_ = e.pipe.Close()
	<-e.ended
}

// next is the next event; false at the stream's end.
func (e *reading) next() (event, bool) {
	for e.lines.Scan() {
		name, found := strings.CutPrefix(e.lines.Text(), "event: ")
		if found && e.lines.Scan() {
			return event{name, strings.TrimPrefix(e.lines.Text(), "data: ")}, true
		}
	}
	return event{}, false
}

// until reads events up to the first of a name, and returns all of them.
func (e *reading) until(t *testing.T, name string) (all []event) {
	t.Helper()
	for {
		one, ok := e.next()
		if !ok {
			t.Fatalf("the stream ends before an event %s: %v", name, all)
		}
		if all = append(all, one); one.name == name {
			return all
		}
	}
}

// count counts the events of a name.
func count(all []event, name string) int {
	return len(slices.DeleteFunc(slices.Clone(all), func(e event) bool { return e.name != name }))
}
