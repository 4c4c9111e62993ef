package forebay

import (
	"context"
	"errors"
	"hash/maphash"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/coalesce"
	"github.com/forebay-ai/forebay/degrade"
	"github.com/forebay-ai/forebay/jobs"
	"github.com/forebay-ai/forebay/limit"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/monitor"
	"github.com/forebay-ai/forebay/queue"
	"github.com/forebay-ai/forebay/route"
	"github.com/forebay-ai/forebay/similar"
	"github.com/forebay-ai/forebay/upstream"
)

// Client runs calls. Make it with New; all methods may be used concurrently.
type Client struct {
	models     map[string]*model
	any        *model // the model named "*"; nil where there is none
	operations map[string]*operation
	byDefault  *operation
	targets    []*upstream.Target // every target once, in the order of their names
	functions  *functionTargets

	cache     *cache.Cache // nil where the cache is off
	flights   *coalesce.Flights
	similar   *similar.Index // nil where no operation takes similar answers
	jobs      *jobs.Queue    // nil where there are no durable jobs
	refreshes refreshes
	degrader  atomic.Pointer[degrade.Degrader]
	levels    *degrade.Tracker
	regions   *route.Regions
	budgets   *limit.RetryBudgets // of tenants
	seed      maphash.Seed        // of the numbers that stand for tenants
	simpler   sync.Map            // SimplifyFunc by operation
	monitor   *monitor.Monitor
	unwatch   func() // stops the monitor from asking the client
	ledger    Ledger
	privacy   Privacy  // nil where there is no inspection
	auditor   Auditor  // nil where changes are not recorded
	observer  Observer // nil where nobody is told of calls
	retry     Retry
	log       *slog.Logger
	places    int // how many calls may wait for one target

	dialects      map[string]llm.Dialect // of jobs, by name
	handlers      sync.Map               // JobFunc by operation
	jobTimeout    time.Duration          // of jobs that ask for none; zero means the operation's deadline
	jobRetries    int                    // as backlog.Config has it
	jobMaxTimeout time.Duration
	running       atomic.Bool // Run has begun

	scratch sync.Pool    // of *[]byte, for canonical forms that live until they are hashed
	active  atomic.Int64 // calls between begin and end
	closing atomic.Bool
	idle    chan struct{} // gets a value whenever active falls to zero while closing
}

// model is a name that callers may ask for, with its targets resolved.
type model struct {
	name    string
	targets []*upstream.Target
	router  *route.Router
	windows bool // some target says how large its context window is
	sized   bool // some target asks how many tokens a call may take
}

// operation is an Operation with its defaults filled in.
type operation struct {
	Operation
	name  string
	label string // for metrics: the name, or "default"

	// How calls met the cache, as far as the cache itself does not see it.
	coalesced, staleHits, bypassed atomic.Int64
}

// New checks cfg and builds a Client. It reports every fault of cfg at once and
// starts nothing; the client takes calls right away.
func New(cfg Config) (*Client, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	c := &Client{
		ledger:  cfg.Ledger,
		privacy: cfg.Privacy,
		auditor: cfg.Auditor, observer: cfg.Observer,
		retry:   cfg.Retry,
		log:     cfg.Logger,
		monitor: cfg.Monitor,
		flights: coalesce.New(coalesce.Config{}),
		idle:    make(chan struct{}, 1),
		regions: new(route.Regions),
		budgets: limit.NewRetryBudgets(0),
		seed:    maphash.MakeSeed(),
		scratch: sync.Pool{New: func() any { return new([]byte) }},
	}
	if err := c.build(cfg); err != nil {
		return nil, errors.Join(err, c.closeCache(context.Background()))
	}
	c.watch()
	return c, nil
}

// build makes the parts. After an error the cache may be open.
func (c *Client) build(cfg Config) (err error) {
	if err = c.SetTemplates(cfg.Degrade); err != nil {
		return err
	}
	if !cfg.Cache.Off {
		if c.cache, err = cache.New(cfg.Cache); err != nil {
			return err
		}
	}
	if err = c.resolve(cfg); err != nil {
		return err
	}
	if c.takesSimilar() {
		c.similar = similar.New(cfg.Similar)
		if c.cache != nil { // it holds texts, also of those who are erased elsewhere
			c.cache.OnShredded(c.similar.Clear)
		}
	}
	if c.monitor == nil {
		if c.monitor, err = monitor.New(c.labels(cfg)); err != nil {
			return err
		}
	}
	return c.openJobs(cfg)
}

// Run does the client's work beside calls until ctx ends: it runs durable jobs, and
// reports waiting lines that pass their marks. Calls do not need it. It runs once.
func (c *Client) Run(ctx context.Context) error {
	if c.running.Swap(true) {
		return llm.Errorf(llm.ForebayInternal, "the client runs already, or has run")
	}
	var wg sync.WaitGroup
	var err error
	if c.jobs != nil {
		wg.Go(func() { err = c.jobs.Run(ctx) })
	}
	c.watchPressure(ctx)
	wg.Wait()
	return err
}

// watchPressure reports lines that pass their marks until ctx ends.
func (c *Client) watchPressure(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	pressure := queue.PressureNone
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			pressure = upstream.ReportPressure(c.log, c.targets, pressure)
		}
	}
}

// Close stops taking calls, waits for those in progress until ctx ends, and frees
// what the client holds. Calls that come later fail with ForebayDraining. The
// error says how many calls were still running when ctx ended.
func (c *Client) Close(ctx context.Context) error {
	if c.closing.Swap(true) {
		return nil
	}
	for _, t := range c.targets {
		t.Line.Drain()
	}
	c.functions.drain()
	var late error
	if c.jobs != nil {
		late = c.drainJobs(ctx)
	}
	for c.active.Load() > 0 && late == nil {
		select {
		case <-c.idle:
		case <-ctx.Done():
			late = llm.Errorf(llm.ForebayDraining, "calls still running at the end of the drain: %d", c.active.Load())
		}
	}
	if err := c.flights.Close(ctx); late == nil {
		late = err // what is shared is part of what was counted above
	}
	c.unwatch()
	// Calls that still run find the cache closed, and go on without it.
	return errors.Join(late, c.closeCache(ctx))
}

// drainJobs lets jobs that run come to their end, and hands the leases of the others
// back. It begins with that a tenth of the time before ctx ends, so that a job which
// goes on after the restart does not look like a call that was cut off.
func (c *Client) drainJobs(ctx context.Context) error {
	if end, ok := ctx.Deadline(); ok {
		soon, cancel := context.WithDeadline(ctx, end.Add(-time.Until(end)/10))
		defer cancel()
		ctx = soon
	}
	return c.jobs.Drain(ctx)
}

func (c *Client) closeCache(ctx context.Context) error {
	if c.cache == nil {
		return nil
	}
	return c.cache.Close(ctx)
}

// takesSimilar says that some operation takes answers to similar requests.
func (c *Client) takesSimilar() bool {
	for _, op := range c.operations {
		if op.Cache.Similar != SimilarOff {
			return true
		}
	}
	return c.byDefault.Cache.Similar != SimilarOff
}

// begin counts a call in, or refuses it once the client is closing.
func (c *Client) begin() error {
	c.active.Add(1)
	if c.closing.Load() {
		c.end()
		return errDraining
	}
	return nil
}

// end counts a call out.
func (c *Client) end() {
	if c.active.Add(-1) == 0 && c.closing.Load() {
		select {
		case c.idle <- struct{}{}:
		default: // Close has a value to read already
		}
	}
}

var errDraining = &llm.Error{
	Kind:       llm.ForebayDraining,
	Message:    "shutting down",
	Fix:        "Send the request again; another instance or the restarted one will take it.",
	RetryAfter: time.Second,
}

// Ready is nil while the client takes calls and, where there are durable jobs, their
// store takes changes.
func (c *Client) Ready() error {
	if c.closing.Load() {
		return errDraining
	}
	if c.jobs != nil {
		return c.jobs.Ready()
	}
	return nil
}

// Monitor is where the client records what happens.
func (c *Client) Monitor() *monitor.Monitor { return c.monitor }

// Operation returns the named operation with its defaults filled in. The empty
// name is the default operation.
func (c *Client) Operation(name string) (Operation, bool) {
	op := c.operation(name)
	if op == nil {
		return Operation{}, false
	}
	return op.Operation, true
}

// Operations lists the names of the configured operations, sorted.
func (c *Client) Operations() []string {
	return slices.Sorted(maps.Keys(c.operations))
}

func (c *Client) operation(name string) *operation {
	if name == "" {
		return c.byDefault
	}
	return c.operations[name]
}

// model finds the model that a caller asks for; nil where there is none.
func (c *Client) model(name string) *model {
	if m, ok := c.models[name]; ok {
		return m
	}
	return c.any
}

// Models lists what callers may ask for: the configured names, and behind the
// name "*" whatever its targets' providers list. A provider that cannot be asked
// is left out, unless there is nothing else to list: then its error is returned.
func (c *Client) Models(ctx context.Context) ([]llm.ModelInfo, error) {
	var all []llm.ModelInfo
	seen := map[string]bool{}
	add := func(m llm.ModelInfo) {
		if !seen[m.ID] {
			seen[m.ID] = true
			all = append(all, m)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.models)) {
		add(llm.ModelInfo{ID: name, OwnedBy: "forebay"})
	}
	var failed error
	if c.any != nil {
		var listed []llm.ModelInfo
		listed, failed = upstream.Listed(ctx, c.any.targets)
		for _, m := range listed {
			add(m)
		}
	}
	if len(all) == 0 && failed != nil {
		return nil, llm.AsError(failed)
	}
	return all, nil
}

// Exchange is an HTTP exchange of a provider's own dialect that is passed through
// unread: no cache, no queue, no fallback.
type Exchange = upstream.Exchange

// ExchangeAnswer is the provider's answer to an Exchange.
type ExchangeAnswer = upstream.ExchangeAnswer

// Forward passes x to the first target of modelName (empty: of the default model)
// whose provider can carry it. The error is an *llm.Error.
func (c *Client) Forward(ctx context.Context, modelName string, x Exchange) (ExchangeAnswer, error) {
	if err := c.begin(); err != nil {
		return ExchangeAnswer{}, err
	}
	defer c.end()
	m := c.model(modelName)
	if m == nil {
		return ExchangeAnswer{}, c.unknownModel(modelName)
	}
	area, err := c.byDefault.reside(x.Residency)
	if err != nil {
		return ExchangeAnswer{}, err
	}
	return upstream.Forward(ctx, m.targets, area, x)
}
