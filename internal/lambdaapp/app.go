package lambdaapp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/access"
	"github.com/forebay-ai/forebay/access/sigv4"
	"github.com/forebay-ai/forebay/awslambda"
	"github.com/forebay-ai/forebay/budget"
	"github.com/forebay-ai/forebay/config"
	"github.com/forebay-ai/forebay/gateway"
	"github.com/forebay-ai/forebay/internal/estimate"
	"github.com/forebay-ai/forebay/ledger"
	"github.com/forebay-ai/forebay/monitor"
)

// Options say what to open.
type Options struct {
	// Environ is the environment, each entry NAME=value; FOREBAY_CONFIG in it names the
	// file. Nil means no variables.
	Environ []string
	// Started is when the process began, for the measurement of the cold start. Zero
	// means that it is not measured.
	Started time.Time
	// Log is where the log goes, a JSON object a line. Required.
	Log io.Writer
	// Version is shown by the gateway's index; may be empty.
	Version string
	// Export is told of the client's monitor once, and returns what writes the metrics out
	// at the end of an invocation. Nil means as metrics.cloudwatch says.
	Export func(*monitor.Monitor) (flush func(context.Context) error, err error)
}

// App is the function with all that it holds. Make it with Open.
type App struct {
	function *awslambda.Function
	file     *config.File
	stores   *config.Stores
	books    *ledger.Ledger // nil where costs are not booked
	log      *slog.Logger

	base   forebay.Config // of clients, with one monitor for all
	jobs   forebay.Jobs   // without a store where there are none
	client *forebay.Client
	gate   *gateway.Gateway // for calls
	door   gateway.Config   // of other gateways
	export func(context.Context) error

	budgetsAge time.Duration // how long the budgets go by what they know of others

	// turn guards the use of a store of jobs that one queue at a time may use.
	turn sync.Mutex

	gates    sync.Mutex // guards jobsGate; held while the store of jobs is opened
	jobsGate *jobsGate  // for what concerns jobs; nil before the first call
}

// initMetric is how long a cold start took.
const initMetric = "lambda_init"

// Open reads the configuration and makes the function. Nothing is dialled but what a
// configured store needs, and no goroutine is started but those of an embedded store. The error lists every fault.
func Open(ctx context.Context, o Options) (*App, error) {
	environ, own, err := split(o.Environ)
	if err != nil {
		return nil, err
	}
	if environ == nil {
		environ = []string{} // nil would be the process's own
	}
	a := &App{budgetsAge: budgetsAge}
	if a.file, err = config.Read(source(environ)); err != nil {
		return nil, err
	}
	a.log = slog.New(slog.NewJSONHandler(o.Log, &slog.HandlerOptions{Level: a.file.Log.Level}))
	for _, warning := range a.file.Warnings() {
		a.log.Warn(warning)
	}
	if err := a.makeClient(ctx, o); err != nil {
		return nil, errors.Join(err, a.closeStores())
	}
	if err := a.makeFunction(o, own); err != nil {
		return nil, errors.Join(err, a.Close(ctx))
	}
	return a, nil
}

// makeClient opens the stores and makes the client for calls.
func (a *App) makeClient(ctx context.Context, o Options) error {
	var err error
	if a.base, err = a.file.Forebay(); err != nil {
		return err
	}
	if a.stores, err = a.file.OpenStores(ctx, a.log); err != nil {
		return err
	}
	a.stores.Attach(&a.base)
	w, err := a.file.Watch()
	if err != nil {
		return err
	}
	a.base.Metrics = measured(w, o.Version)
	a.base.Logger, a.base.Cache.Logger = a.log, a.log
	noRenewals(&a.base)
	if w.Books {
		if err := a.openBooks(ctx, w.Budgets); err != nil {
			return err
		}
	}
	a.jobs, a.base.Jobs.Store = a.base.Jobs, nil
	if a.client, err = forebay.New(a.base); err != nil {
		return err
	}
	a.base.Monitor = a.client.Monitor()
	if o.Export != nil {
		a.export, err = o.Export(a.client.Monitor())
	} else {
		a.export, err = a.publish(ctx, a.client.Monitor(), w.CloudWatch)
	}
	return err
}

// measured is the monitor's configuration: the file's, and the start's own metric.
func measured(w config.Watch, version string) monitor.Config {
	m := monitor.Config{
		Objective: w.Objective, Functions: w.Functions, Version: version,
		Custom: append(slices.Clone(w.Custom), monitor.CustomMetric{
			Name: initMetric, Unit: "s", Kind: monitor.CustomHistogram, CloudWatch: "InitDuration",
			Doc: "Time from the start of a Lambda environment's process until it takes its first event.",
		}),
	}
	for _, rule := range w.Budgets {
		m.Budgets = append(m.Budgets, rule.Name)
	}
	return m
}

// noRenewals gives no stale answers that are renewed behind: they would be renewed when
// the process is frozen. Stale answers in place of errors stay.
func noRenewals(cfg *forebay.Config) {
	cfg.Defaults.Cache.StaleWhileRevalidate = -1
	cfg.Operations = maps.Clone(cfg.Operations)
	for name, op := range cfg.Operations {
		op.Cache.StaleWhileRevalidate = -1
		cfg.Operations[name] = op
	}
}

// leastLease is how long a reservation lasts that is never settled: longer than an
// invocation may take (15 minutes).
const leastLease = 16 * time.Minute

func (a *App) openBooks(ctx context.Context, rules []budget.Rule) error {
	store := a.stores.Ledger()
	if store == nil {
		store = ledger.NewMemory()
	}
	book, err := budget.New(budget.Config{Rules: rules, Lease: leastLease})
	if err != nil {
		return err
	}
	a.books, err = ledger.Open(ctx, ledger.Config{Store: store, Budgets: book, Refresh: true, Estimate: estimate.Of(a.base), Logger: a.log})
	if err == nil {
		a.base.Ledger = a.books
	}
	return err
}

// makeFunction makes the gateway and the function around it.
func (a *App) makeFunction(o Options, own settings) error {
	a.door = a.doorConfig(o)
	key, err := own.directKey(a.file.Keys)
	if err != nil {
		return err
	}
	cfg := a.door
	cfg.Client = a.client
	if a.gate, err = gateway.New(cfg); err != nil {
		return err
	}
	f := awslambda.Config{
		Handler: http.HandlerFunc(a.serve), Key: key, NeedAuthorizer: cfg.Open && !own.public, BufferedURL: own.bufferedURL, StreamREST: own.streamREST,
		Deadline: a.deadline, Flush: a.flush, Logger: a.log,
	}
	if a.jobs.Store != nil {
		f.Work = a.work
	}
	if a.function, err = awslambda.New(f); err != nil {
		return err
	}
	a.tellStart(o.Started)
	return nil
}

func (a *App) doorConfig(o Options) gateway.Config {
	f, g := a.file, a.file.Gateway
	cfg := gateway.Config{
		Open: len(f.Keys) == 0, Logger: a.log, Version: o.Version, LogRequests: f.Log.Requests,
		MaxBody: g.MaxBody, MaxHeader: g.MaxHeader, PublicMetrics: g.PublicMetrics,
		Announce:      -1, // who waits in front of Lambda sees no comment before the head's own bytes
		WebhookSecret: a.stores.HookSecrets(), RepeatedSignatures: sigv4.Repeats(g.RepeatedSignatures),
	}
	for _, k := range f.Keys {
		cfg.Keys = append(cfg.Keys, access.Key{Name: k.Name, Secret: k.Secret, AccessKeyID: k.AccessKeyID, Tenant: k.Tenant, Scopes: k.Scopes, Bands: k.Bands, Expires: k.Expires})
	}
	return cfg
}

// tellStart says how long the start took.
func (a *App) tellStart(started time.Time) {
	if started.IsZero() {
		return
	}
	took := time.Since(started)
	a.log.Info("ready", "init_ms", float64(took.Microseconds())/1000, "profile", a.file.Profile, "jobs", a.jobs.Store != nil)
	if err := a.client.Monitor().Measure(initMetric, took.Seconds(), nil); err != nil {
		a.log.Warn("the cold start was not measured", "error", err)
	}
}

// Function is the function that was made.
func (a *App) Function() *awslambda.Function { return a.function }

// Close frees what the function holds. Lambda never has a process do so; tests do.
func (a *App) Close(ctx context.Context) error {
	var err error
	a.gates.Lock()
	if a.jobsGate != nil {
		err = a.jobsGate.client.Close(ctx)
	}
	a.gates.Unlock()
	if a.client != nil {
		err = errors.Join(err, a.client.Close(ctx))
	}
	if a.books != nil {
		err = errors.Join(err, a.books.Close(ctx))
	}
	return errors.Join(err, a.closeStores())
}

func (a *App) closeStores() error {
	if a.stores == nil {
		return nil
	}
	return a.stores.Close()
}

// deadline is how long calls of an operation may take.
func (a *App) deadline(operation string) time.Duration {
	op, ok := a.client.Operation(operation)
	if !ok {
		op, _ = a.client.Operation("")
	}
	return op.Deadline
}

// flushFor bounds what is written at the end of an invocation; what is late is
// written by the next one.
const flushFor = 2 * time.Second

// flush writes at the end of an invocation what would be written behind it elsewhere.
func (a *App) flush(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, flushFor)
	defer cancel()
	err := a.writeCache(ctx)
	if a.books != nil {
		err = errors.Join(err, a.books.Close(ctx))
	}
	if a.export != nil {
		err = errors.Join(err, a.export(ctx))
	}
	return err
}

// writeCache waits until the answers that are to be stored are.
func (a *App) writeCache(ctx context.Context) error {
	if a.base.Cache.Persistent == nil {
		return nil
	}
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		left := a.client.Cache().Stats().Disk.WaitingBytes
		if left == 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("answers of %d bytes still wait to be written to the cache's store", left)
		}
	}
}
