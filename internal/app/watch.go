package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/access"
	"github.com/forebay-ai/forebay/alarm/notify"
	"github.com/forebay-ai/forebay/budget"
	"github.com/forebay-ai/forebay/config"
	"github.com/forebay-ai/forebay/console"
	"github.com/forebay-ai/forebay/dashboard"
	"github.com/forebay-ai/forebay/internal/estimate"
	"github.com/forebay-ai/forebay/ledger"
	"github.com/forebay-ai/forebay/monitor"
	"github.com/forebay-ai/forebay/observe"
	"github.com/forebay-ai/forebay/requestlog"
	"github.com/forebay-ai/forebay/telemetry"
	"github.com/forebay-ai/forebay/telemetry/cloudwatch"
)

// watching is what watches a client: series, alarms, the log of calls, the books, traces.
type watching struct {
	file     *config.File
	cfg      config.Watch
	observer *observe.Observer
	calls    *requestlog.Log // nil where calls are not logged
	books    *ledger.Ledger
	budgets  *budget.Book // nil without books
	notify   *notify.Dispatcher
	traces   *telemetry.Exporter // nil where nothing is sent
	metrics  *cloudwatch.Sink    // nil where nothing is published
	conns    func() int          // open connections of callers
	log      *slog.Logger

	monitor atomic.Pointer[monitor.Monitor] // set once there is a client
	unwatch func()                          // stops the monitor from asking the observer
	tables  func() monitor.TablesSample     // nil where none are shared
}

// leastLease is how long a reservation lasts that is never settled; longer than any call.
const leastLease = 10 * time.Minute

// newWatching makes what watches the client of cfg, and puts it into cfg.
func newWatching(ctx context.Context, o Options, stores *config.Stores, cfg *forebay.Config) (*watching, error) {
	w := &watching{file: o.File, log: o.Logger, conns: func() int { return 0 }, tables: tables(stores)}
	var err error
	if w.cfg, err = o.File.Watch(); err != nil {
		return nil, err
	}
	cfg.Metrics = monitor.Config{Budgets: budgetNames(w.cfg.Budgets), Objective: w.cfg.Objective, Custom: w.cfg.Custom, Functions: w.cfg.Functions, Version: o.Version}
	if err := w.openNotify(); err != nil {
		return nil, err
	}
	if w.cfg.Books {
		if err := w.openBooks(ctx, stores, cfg); err != nil {
			return nil, err
		}
	}
	if w.cfg.Requests {
		w.calls = requestlog.New(requestlog.Config{
			Store: callStore(stores), Retention: w.cfg.Retention, MaxEntries: w.cfg.MaxRequests, OnDrop: w.lose("request_log"), Logger: o.Logger,
		})
	}
	if err := w.openTraces(ctx, o); err != nil {
		return nil, err
	}
	if w.metrics, err = w.cfg.CloudWatch.Open(ctx, cloudwatch.Config{
		Operations: slices.Sorted(maps.Keys(cfg.Operations)), Gatherer: gatherer{w}, OnDrop: w.lose("cloudwatch"), Logger: o.Logger,
	}); err != nil {
		return nil, err
	}
	if w.observer, err = observe.New(ctx, w.observed(stores)); err != nil {
		return nil, err
	}
	cfg.Observer = w.observer
	return w, nil
}

func budgetNames(rules []budget.Rule) (names []string) {
	for _, r := range rules {
		names = append(names, r.Name)
	}
	return names
}

// callStore is the log's store, or none: a nil log would be a store that is not nil.
func callStore(s *config.Stores) requestlog.Store {
	if log := s.Log(); log != nil {
		return log
	}
	return nil
}

// observed configures the observer.
func (w *watching) observed(stores *config.Stores) observe.Config {
	c := observe.Config{
		Definitions: w.cfg.Alarms, Name: w.cfg.Telemetry.Service, Group: w.cfg.Group, Repeat: w.cfg.Repeat, PerUSD: w.perUSD(),
		Budgets: budgetNames(w.cfg.Budgets), Notices: w.notify.Send, Alerting: w.notify.Healthy, Objective: w.cfg.Objective, Custom: w.cfg.Custom, Log: w.calls, Ledger: w.books,
		Connections: func() int { return w.conns() }, Logger: w.log,
	}
	if w.traces != nil {
		c.Tracer = w.traces
	}
	if log := stores.Log(); log != nil {
		c.Series, c.Alarms = log, log
	}
	return c
}

// perUSD are today's exchange rates, for alarms in other currencies.
func (w *watching) perUSD() map[string]float64 {
	rates := map[string]float64{}
	for _, currency := range w.cfg.Rates.Currencies() {
		if rate, ok := w.cfg.Rates.At(currency, time.Now()); ok {
			rates[currency] = float64(rate.Micro) / 1e6
		}
	}
	return rates
}

func (w *watching) openNotify() error {
	notifiers, err := w.file.Notifiers(w.log)
	if err != nil {
		return err
	}
	w.notify, err = notify.New(notify.Config{Notifiers: notifiers, Source: w.cfg.Telemetry.Service, OnDrop: w.lose("notices"), Logger: w.log})
	return err
}

func (w *watching) openBooks(ctx context.Context, stores *config.Stores, cfg *forebay.Config) error {
	store := stores.Ledger()
	if store == nil {
		store = ledger.NewMemory()
	}
	longest := cfg.Defaults.Deadline
	for _, op := range cfg.Operations {
		longest = max(longest, op.Deadline)
	}
	var flush time.Duration
	if _, shared := store.(ledger.Sharer); shared {
		flush = time.Second // each write has its price, and reservations that end before it none
	}
	var err error
	w.budgets, err = budget.New(budget.Config{Rules: w.cfg.Budgets, Lease: max(leastLease, longest+time.Minute), Shared: stores.Fleet() != nil})
	if err != nil {
		return err
	}
	w.books, err = ledger.Open(ctx, ledger.Config{Store: store, Budgets: w.budgets, Flush: flush, Estimate: estimate.Of(*cfg), OnDrop: w.lose("ledger"), Logger: w.log})
	if err != nil {
		return err
	}
	cfg.Ledger = w.books
	return nil
}

func (w *watching) openTraces(ctx context.Context, o Options) error {
	t := w.cfg.Telemetry
	if t.Endpoint == "" {
		return nil
	}
	var err error
	w.traces, err = telemetry.Start(ctx, telemetry.Config{
		Endpoint: t.Endpoint, Headers: t.Headers, ServiceName: t.Service, Version: o.Version, Interval: t.Interval, SampleRatio: t.Sample,
		Gatherer: gatherer{w}, OnDrop: w.lose("spans"), Logger: w.log,
	})
	return err
}

// lose counts measurements that were lost.
func (w *watching) lose(what string) func(int64) {
	return func(n int64) {
		if w.observer != nil {
			w.observer.Lose(n)
		}
		if m := w.monitor.Load(); m != nil {
			m.Dropped(what, n)
		}
	}
}

// bind begins to watch a client that was made with what newWatching said.
func (w *watching) bind(c *forebay.Client) {
	w.monitor.Store(c.Monitor())
	w.observer.Bind(c)
	c.Monitor().Attach(w.observer)
	w.unwatch = c.Monitor().Watch(monitor.Source{State: w.observer.State, Tables: w.tables})
	if w.traces != nil {
		c.Monitor().Attach(w.traces)
	}
	if w.metrics != nil {
		c.Monitor().Attach(w.metrics)
	}
}

// run does the work beside calls until ctx ends, and then writes what is left.
func (w *watching) run(ctx context.Context) error {
	var jobs sync.WaitGroup
	var mu sync.Mutex // guards faults
	var faults []error
	work := func(what string, run func(context.Context) error) {
		jobs.Go(func() {
			if err := run(ctx); err != nil && !errors.Is(err, context.Canceled) {
				mu.Lock()
				defer mu.Unlock()
				faults = append(faults, fmt.Errorf("%s: %w", what, err))
			}
		})
	}
	work("series and alarms", w.observer.Run)
	if w.calls != nil {
		work("log of calls", w.calls.Run)
	}
	if w.books != nil {
		work("books", w.books.Run)
	}
	if w.metrics != nil {
		work("metrics for CloudWatch", w.metrics.Run)
	}
	sending, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var sender sync.WaitGroup
	sender.Go(func() { _ = w.notify.Run(sending) })
	jobs.Wait()
	w.unwatch()
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := w.notify.Close(late); err != nil { // after the last judgement
		faults = append(faults, fmt.Errorf("notices: %w", err))
	}
	stop()
	sender.Wait()
	return errors.Join(append(faults, w.close(late))...)
}

// close writes what is left.
func (w *watching) close(ctx context.Context) error {
	var err error
	if w.books != nil {
		err = w.books.Close(ctx)
	}
	if w.traces != nil {
		err = errors.Join(err, w.traces.Close(ctx))
	}
	return err
}

// console makes the API of operators.
func (w *watching) console(o Options, c *forebay.Client, auditor forebay.Auditor, page *dashboard.Handler) (*console.Console, error) {
	cfg := console.Config{
		Client: c, Observer: w.observer, Monitor: c.Monitor(), Log: w.calls, Ledger: w.books, Notify: w.notify, Rates: w.cfg.Rates,
		Profile: w.cfg.Profile, Version: o.Version, File: strings.Join(o.File.Found(), "; "), Configuration: func() []console.ConfigEntry { return entries(o.File) },
		ReadOnly: w.cfg.ReadOnly, Open: len(o.File.Keys) == 0, Auditor: auditor,
	}
	if page != nil {
		cfg.CSRF = func(r *http.Request) string {
			_, csrf, _ := page.Session(r)
			return csrf
		}
	}
	return console.New(cfg)
}

// page makes the dashboard; nil where there is none.
func (w *watching) page(ring *access.Ring, open bool) (*dashboard.Handler, error) {
	if !w.cfg.Dashboard {
		return nil, nil
	}
	cfg := dashboard.Config{ReadOnly: w.cfg.ReadOnly, TrustedProxies: w.cfg.Proxies, Logger: w.log}
	if !open {
		cfg.Authenticate = func(_ context.Context, secret string) (*access.Grant, error) {
			grant, err := ring.Find(http.Header{"Authorization": {"Bearer " + secret}}, time.Now())
			if err != nil {
				return nil, err
			}
			return grant, nil
		}
		cfg.Grant = func(name string) (*access.Grant, bool) { return ring.Named(name, time.Now()) }
	}
	return dashboard.New(cfg)
}

// entries is the configuration as it is shown.
func entries(f *config.File) []console.ConfigEntry {
	var all []console.ConfigEntry
	for _, v := range f.Explained() {
		all = append(all, console.ConfigEntry{Key: v.Key, Value: v.Value, Default: v.Default, Origin: v.Origin, Doc: v.Doc})
	}
	return all
}
