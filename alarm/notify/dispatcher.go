package notify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/forebay-ai/forebay/alarm"
)

// Config says how notices are sent.
type Config struct {
	// Notifiers are where every notice goes. Their names differ. None is allowed.
	Notifiers []alarm.Notifier
	// Source is the name of this gateway, which test notices carry.
	Source string
	// Queue bounds the notices that wait for one notifier. One more pushes out the
	// oldest. Zero means 256.
	Queue int
	// Attempts bounds how often one notice is tried at one notifier. Zero means 10.
	Attempts int
	// MaxAge bounds how long one notice is tried, from Send on: a page about something
	// that began an hour ago helps nobody. Zero means 15 min.
	MaxAge time.Duration
	// Backoff is the longest pause before the second attempt, and doubles with each
	// attempt up to MaxBackoff. The pause itself is random between nothing and that (full
	// jitter), and at least what the receiver asked for. Zero means 1 s, and 1 min.
	Backoff, MaxBackoff time.Duration
	// Timeout bounds one attempt, whatever the notifier's own timeout is. Zero means 30 s.
	Timeout time.Duration
	// OnDrop is told of notices that were lost: pushed out of a queue, or given up. It is
	// called from several goroutines and must be quick. Nil: nobody is told.
	OnDrop func(n int64)
	// Logger is told when a notifier begins to fail, loses a notice, and works again. Nil
	// means silence.
	Logger *slog.Logger
	// Jitter returns a pause from nothing to most. Nil means a random one.
	Jitter func(most time.Duration) time.Duration
}

const (
	defaultQueue      = 256
	defaultAttempts   = 10
	defaultMaxAge     = 15 * time.Minute
	defaultBackoff    = time.Second
	defaultMaxBackoff = time.Minute
	defaultTimeout    = 30 * time.Second
)

// Validate returns every fault of c, joined.
func (c Config) Validate() error {
	var faults []error
	seen := map[string]bool{}
	for i, n := range c.Notifiers {
		if n == nil {
			faults = append(faults, fmt.Errorf("notifiers[%d] is nil", i))
			continue
		}
		if seen[n.Name()] {
			faults = append(faults, fmt.Errorf("notifiers[%d]: the name %q is taken", i, n.Name()))
		}
		seen[n.Name()] = true
	}
	if c.Queue < 0 || c.Attempts < 0 {
		faults = append(faults, errors.New("queue and attempts are not negative"))
	}
	if min(c.MaxAge, c.Backoff, c.MaxBackoff, c.Timeout) < 0 {
		faults = append(faults, errors.New("max_age, backoff, max_backoff and timeout are not negative"))
	}
	return errors.Join(faults...)
}

// Dispatcher sends notices to every notifier. Its methods may be called concurrently.
type Dispatcher struct {
	source  string
	workers []*worker
	closing chan struct{} // closed by Close: drain, then end
	halt    chan struct{} // closed by Close when its time is up: end

	mu      sync.Mutex // guards the four below
	running sync.WaitGroup
	started bool
	closed  bool
	halted  bool
}

// New returns a Dispatcher that does nothing until Run, or every fault of cfg, joined.
func New(cfg Config) (*Dispatcher, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg.Queue = cmp.Or(cfg.Queue, defaultQueue)
	cfg.Attempts = cmp.Or(cfg.Attempts, defaultAttempts)
	cfg.MaxAge = cmp.Or(cfg.MaxAge, defaultMaxAge)
	cfg.Backoff = cmp.Or(cfg.Backoff, defaultBackoff)
	cfg.MaxBackoff = max(cmp.Or(cfg.MaxBackoff, defaultMaxBackoff), cfg.Backoff)
	cfg.Timeout = cmp.Or(cfg.Timeout, defaultTimeout)
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.OnDrop == nil {
		cfg.OnDrop = func(int64) {}
	}
	if cfg.Jitter == nil {
		cfg.Jitter = func(most time.Duration) time.Duration { return rand.N(most + 1) }
	}
	d := &Dispatcher{source: cfg.Source, closing: make(chan struct{}), halt: make(chan struct{})}
	for _, n := range cfg.Notifiers {
		d.workers = append(d.workers, newWorker(n, cfg))
	}
	return d, nil
}

// Send hands a notice to every notifier's queue and returns at once. What has no room
// pushes out the oldest that waits. After Close it does nothing but count the notice as
// dropped.
func (d *Dispatcher) Send(n alarm.Notice) {
	n.Items = append([]alarm.Item(nil), n.Items...) // the caller may go on using its own
	now := time.Now()
	for _, w := range d.workers {
		w.add(n, now)
	}
}

// Run sends what comes until ctx ends, or until Close and the queues are empty, and
// returns when its goroutines have ended: nil after Close, else the cause of ctx. It may
// be called once.
func (d *Dispatcher) Run(ctx context.Context) error {
	if err := d.begin(); err != nil {
		return err
	}
	defer d.running.Done()

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var watch, workers sync.WaitGroup
	watch.Go(func() {
		select {
		case <-d.halt:
			cancel(context.Canceled)
		case <-ctx.Done():
		}
	})
	for _, w := range d.workers {
		workers.Go(func() { w.run(ctx, d.closing) })
	}
	workers.Go(func() { // nothing to send to is no reason to end
		select {
		case <-ctx.Done():
		case <-d.closing:
		}
	})
	workers.Wait()
	err := context.Cause(ctx)
	cancel(nil)
	watch.Wait()
	select {
	case <-d.closing:
		return nil
	default:
		return err
	}
}

// begin counts the one Run.
func (d *Dispatcher) begin() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.started || d.closed {
		return errors.New("notify: Run is called once, and before Close")
	}
	d.started = true
	d.running.Add(1)
	return nil
}

// Close takes no more notices, lets the queues run empty, and when ctx ends, stops what
// is left. It returns when Run has, with an error that says what was not sent. Without
// Run, nothing is sent. Further calls only wait.
func (d *Dispatcher) Close(ctx context.Context) error {
	d.mu.Lock()
	if !d.closed {
		d.closed = true
		for _, w := range d.workers {
			w.close()
		}
		close(d.closing)
	}
	d.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		d.running.Wait()
	}()
	select {
	case <-ended:
	case <-ctx.Done():
		d.mu.Lock()
		if !d.halted {
			d.halted = true
			close(d.halt)
		}
		d.mu.Unlock()
		<-ended
	}
	return d.unsent()
}

// unsent says what the queues still hold.
func (d *Dispatcher) unsent() error {
	var left []string
	for _, w := range d.workers {
		if n := w.abandon(); n > 0 {
			left = append(left, fmt.Sprintf("%s: %d", w.notifier.Name(), n))
		}
	}
	if len(left) == 0 {
		return nil
	}
	return fmt.Errorf("notify: notices were not sent before the end (%s)", strings.Join(left, ", "))
}

// Result is what became of a test notice.
type Result struct {
	// Name is the notifier's.
	Name string `json:"name"`
	// OK says that the notice was taken, Error why not.
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"`
	// Took is how long the attempt was, in nanoseconds.
	Took time.Duration `json:"took_ns"`
}

// Test sends a notice that says that it is a test, past the queues and once, to the
// notifier of that name, or with no name to all at the same time. It returns when all
// have answered, after Config.Timeout or when ctx ends at the latest. What becomes of it
// counts like any notice in Status and Healthy. It may be called before Run.
func (d *Dispatcher) Test(ctx context.Context, name string) []Result {
	now := time.Now()
	n := testNotice(d.source, now)
	var chosen []*worker
	for _, w := range d.workers {
		if name == "" || w.notifier.Name() == name {
			chosen = append(chosen, w)
		}
	}
	if len(chosen) == 0 && name != "" {
		return []Result{{Name: name, Error: "there is no notifier of this name"}}
	}
	results := make([]Result, len(chosen))
	var all sync.WaitGroup
	for i, w := range chosen {
		all.Go(func() {
			err := w.attempt(ctx, n)
			results[i] = Result{Name: w.notifier.Name(), OK: err == nil, Took: time.Since(now)}
			if err != nil {
				results[i].Error = err.Error()
			}
		})
	}
	all.Wait()
	return results
}

// testNotice is what Test sends.
func testNotice(source string, now time.Time) alarm.Notice {
	return alarm.Notice{
		ID: fmt.Sprintf("test-%d", now.UnixNano()), At: now, Severity: alarm.Warning, Source: source, Test: true,
		Title: "Test: alarms of " + cmp.Or(source, "forebay") + " arrive here",
		Items: []alarm.Item{{
			Status:   alarm.Status{Name: "test", State: alarm.Firing, Since: now, Reason: "somebody asked for a test"},
			Severity: alarm.Warning,
			Message:  "This is a test. Nothing is wrong.", Do: "Nothing.",
		}},
	}
}

// Status tells of every notifier, in the order of the configuration.
func (d *Dispatcher) Status() []Status {
	all := make([]Status, 0, len(d.workers))
	for _, w := range d.workers {
		all = append(all, w.status())
	}
	return all
}

// Healthy says whether alarms reach people: false while some notifier has been failing
// for more than a minute, and for five minutes after one lost a notice. It feeds the
// alarm that alerting is broken, which the notifiers that work then tell of.
func (d *Dispatcher) Healthy(now time.Time) bool {
	for _, w := range d.workers {
		if !w.healthy(now) {
			return false
		}
	}
	return true
}
