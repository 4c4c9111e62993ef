package jobs

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/llm"
)

// operateFor bounds one operation of the store. A disk that is stuck for longer leaves
// its outcome open, and the job is read until it is known.
const operateFor = 10 * time.Second

// pageSize is how many jobs are listed at once where all are.
const pageSize = 5000

// Queue runs durable jobs. Its methods may be called concurrently, before, while and
// after Run runs.
type Queue struct {
	cfg       Config
	rules     backlog.Config // of the Desk, with defaults
	exclusive bool
	ids       backlog.IDs
	hub       *hub
	buffers   sync.Pool     // of *[]byte: what is being sealed
	switching chan struct{} // capacity 1: held while an operation is paused or resumed
	wake      chan struct{} // capacity 1: Due, Hooks or the alarm have to be looked at
	broken    chan struct{} // capacity 1: the store has failed
	doubted   chan struct{} // capacity 1: there is a doubt
	quit      chan struct{} // closed when Run ends: nothing is waited for any more

	mu         sync.Mutex // guards what follows; not held during I/O, callbacks and waiting
	desk       *backlog.Desk
	started    bool // Run was called
	working    bool // Run runs: goroutines may be started
	draining   bool
	failed     bool          // the store has failed and is not recovered yet
	recovered  chan struct{} // closed while the store has not failed
	inflight   int           // changes that are being made
	misses     int           // changes in a row that were not made for no reason
	blind      error         // why the last look at a shared store failed
	partial    bool          // the last look at it saw more queued jobs than the Desk was told of
	idle       chan struct{} // closed when inflight is zero; nil unless the recovery waits
	runs       map[lease]*run
	ended      chan struct{} // closed when a run ends; nil while nobody waits
	alarm      time.Time     // when the loop looks next; zero: when it is told to
	urgent     []backlog.Change
	todo       []backlog.Change
	appliers   int
	hooks      []backlog.ID
	couriers   int
	calling    map[string]int          // deliveries of webhooks that are being made, by tenant
	parked     map[string][]backlog.ID // webhooks that wait for one of those to end
	doubts     []doubt
	goroutines sync.WaitGroup // Add only under mu while working
}

// New makes a Queue and reads the backlog. It starts nothing; Run does. Whatever other
// queue uses the store must have ended where the store is Exclusive.
func New(ctx context.Context, cfg Config) (*Queue, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.EventBytes == 0 {
		cfg.EventBytes = defaultEventBytes
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	cfg.Desk.Exclusive = cfg.Store.Exclusive()
	if cfg.Desk.Worker == "" {
		cfg.Desk.Worker = workerName()
	}
	desk := backlog.NewDesk(cfg.Desk)
	q := &Queue{
		cfg: cfg, desk: desk, rules: desk.Config(), exclusive: cfg.Desk.Exclusive, hub: newHub(cfg.EventBytes),
		switching: make(chan struct{}, 1), wake: make(chan struct{}, 1), broken: make(chan struct{}, 1),
		doubted: make(chan struct{}, 1), quit: make(chan struct{}),
		recovered: make(chan struct{}), runs: make(map[lease]*run),
		calling: make(map[string]int), parked: make(map[string][]backlog.ID),
	}
	close(q.recovered)
	if err := q.load(ctx); err != nil {
		return nil, fmt.Errorf("jobs: read the backlog: %w", err)
	}
	return q, nil
}

// workerName names this process so that no other one, and no former one, has its name.
func workerName() string {
	host, _ := os.Hostname()
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails
	return fmt.Sprintf("%.40s/%d/%s", host, os.Getpid(), hex.EncodeToString(b[:]))
}

// load tells the Desk of every job that is not final, of every webhook that is due and
// of what is paused.
func (q *Queue) load(ctx context.Context) error {
	if err := q.loadPaused(ctx); err != nil {
		return err
	}
	if s := q.sighter(); s != nil {
		_, err := q.look(ctx, s, true)
		return err
	}
	open := backlog.Query{States: []backlog.State{backlog.Queued, backlog.Processing}, Limit: pageSize}
	if err := q.loadAll(ctx, open); err != nil {
		return err
	}
	return q.loadAll(ctx, backlog.Query{HooksDue: true, Limit: pageSize})
}

func (q *Queue) loadPaused(ctx context.Context) error {
	if err := q.holdSwitches(ctx); err != nil {
		return err
	}
	defer q.letSwitches()
	paused, err := q.cfg.Store.Paused(ctx)
	if err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, operation := range q.desk.Paused() {
		if !slices.Contains(paused, operation) {
			q.desk.Resume(operation)
		}
	}
	for _, operation := range paused {
		q.desk.Pause(operation)
	}
	return nil
}

func (q *Queue) loadAll(ctx context.Context, query backlog.Query) error {
	for {
		page, err := q.cfg.Store.List(ctx, query)
		if err != nil {
			return err
		}
		now := time.Now()
		q.mu.Lock()
		for i := range page {
			if c, ok := q.desk.Load(now, &page[i]); ok {
				q.todo = append(q.todo, c)
			}
		}
		q.mu.Unlock()
		if len(page) < query.Limit {
			return nil
		}
		query.After = page[len(page)-1].ID
	}
}

// Ready returns nil, or ForebayUnavailable while the store has failed and is being
// recovered.
func (q *Queue) Ready() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.failed {
		return unavailable(backlog.ErrFailed)
	}
	return nil
}

// Busy says that there is something to do which does not wait for a later time: attempts or changes are being made, those
// that the store had no capacity for included, or jobs wait that this process leaves to others for some seconds. It is false
// while the store has failed.
func (q *Queue) Busy() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return !q.failed && (len(q.runs)+q.inflight+len(q.urgent)+len(q.todo) > 0 || q.desk.Left())
}

// Place returns how many queued jobs of its band are likely to be claimed before a
// queued job, itself included, and how long that is likely to take.
func (q *Queue) Place(id backlog.ID) (place int, wait time.Duration, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.desk.Place(id)
}

// enter notes that a change is being made, so that the recovery waits for it. It
// returns false while the store has failed.
func (q *Queue) enter() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.failed {
		return false
	}
	q.inflight++
	return true
}

func (q *Queue) leaveLocked() {
	if q.inflight--; q.inflight == 0 && q.idle != nil {
		close(q.idle)
		q.idle = nil
	}
}

// rearmLocked has the loop look at the Desk earlier if there is something earlier.
func (q *Queue) rearmLocked(now time.Time) {
	if at, ok := q.desk.Wake(now); ok && (q.alarm.IsZero() || at.Before(q.alarm)) {
		signal(q.wake)
	}
}

// goLocked starts a goroutine that Run waits for.
func (q *Queue) goLocked(f func()) { q.goroutines.Go(f) }

// signal leaves a note in a channel of capacity 1.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// pause waits, and returns false when the queue stops meanwhile, or has: also where there is nothing to wait for.
func (q *Queue) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-q.quit:
	}
	select {
	case <-q.quit:
		return false
	default:
		return true
	}
}

func unavailable(cause error) *llm.Error {
	return &llm.Error{
		Kind: llm.ForebayUnavailable, Message: "the store of jobs does not work at the moment", RetryAfter: time.Second,
		Fix: "Try again; a submission under the same idempotency key.", Err: cause,
	}
}
