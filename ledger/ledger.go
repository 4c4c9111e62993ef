package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/forebay-ai/forebay/budget"
	"github.com/forebay-ai/forebay/cost"
	"github.com/forebay-ai/forebay/llm"
)

// The defaults and bounds of Config.
const (
	defaultFlush       = 50 * time.Millisecond
	maxFlush           = time.Minute
	defaultMaxAccounts = 65_536
	mostAccounts       = 10_000_000
)

// Config configures Open.
type Config struct {
	// Store keeps the books. Required.
	Store Store
	// Budgets bound what calls may cost. Nil means that none do.
	Budgets *budget.Book
	// Estimate says what a call may cost at most, in micro-dollars: what is reserved for it.
	// It is called on the request's path, concurrently. Required where there are budgets.
	Estimate func(*llm.Request) int64
	// Flush is how long a booking stays in memory at most while the store works: what a
	// crash may lose. 1 ms to 1 min. Zero means 50 ms.
	Flush time.Duration
	// Refresh says that Refresh is called: what budgets were told of two days is kept in memory for it, some 300 bytes for
	// each of their accounts. It is for a Store that several processes share.
	Refresh bool
	// MaxAccounts bounds the rows in memory that are not written yet, some 400 bytes each: what
	// has no room is booked without its names, on the account Other. Zero means 65,536.
	MaxAccounts int
	// OnDrop is told how many bookings lost their names for want of room, and how many were lost because the
	// store can never write them. Nil means that
	// nobody is. It is called on the request's path, concurrently, and must not block.
	OnDrop func(n int64)
	// Logger gets what goes wrong with the store. Nil means no log.
	Logger *slog.Logger
}

// Ledger keeps the books. All methods may be called concurrently. Reserve, Settle, Saved
// and Track never wait for the store; Run writes what they booked.
type Ledger struct {
	store    Store
	budgets  *budget.Book // nil where there are none
	estimate func(*llm.Request) int64
	flush    time.Duration
	max      int
	// refreshes is Config.Refresh.
	refreshes bool
	onDrop    func(int64)
	log       *slog.Logger

	prefix    string // of the holds' IDs: different in every process
	last      atomic.Uint64
	recovered []Hold

	gate *gate         // held while the store writes, and shared by those who read what writing would change
	kick chan struct{} // has room for one; filled when there is something to write

	mu      sync.Mutex // guards all below; never held during I/O
	pending pending
	calls   map[callKey]*holds
	watches map[*watch]struct{}
	told    bool        // that bookings lose their names; until the store works again
	others  *refreshing // nil where nobody shares the store, or there are no budgets

	refreshed atomic.Int64 // when budgets were told last what others spent, in Unix nanoseconds
}

// Open reads what budgets have to know, books the calls that were in progress when the
// process before this one died, and returns the ledger. It does not start Run. Where the
// store cannot be read or written, the error is an *llm.Error of kind ForebayUnavailable.
func Open(ctx context.Context, cfg Config) (*Ledger, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	l := &Ledger{
		refreshes: cfg.Refresh,
		store:     cfg.Store, budgets: cfg.Budgets, estimate: cfg.Estimate, onDrop: cfg.OnDrop, log: cfg.Logger,
		flush: cmp.Or(cfg.Flush, defaultFlush), max: cmp.Or(cfg.MaxAccounts, defaultMaxAccounts),
		prefix: strconv.FormatUint(rand.Uint64(), 36) + "-",
		gate:   newGate(), kick: make(chan struct{}, 1),
		pending: newPending(), calls: map[callKey]*holds{}, watches: map[*watch]struct{}{},
	}
	if l.onDrop == nil {
		l.onDrop = func(int64) {}
	}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	_, shared := l.store.(Sharer)
	if shared { // first: what recover takes out of the store it charges to the budgets itself, and nobody else has it any more
		if err := l.restore(ctx, time.Now()); err != nil {
			return nil, unavailable("what was spent cannot be read", err)
		}
	}
	if err := l.recover(ctx); err != nil {
		return nil, unavailable("the books cannot be opened", err)
	}
	if !shared {
		if err := l.restore(ctx, time.Now()); err != nil {
			return nil, unavailable("what was spent cannot be read", err)
		}
	}
	return l, nil
}

// Validate reports every fault at once, or nil.
func (cfg Config) Validate() error {
	var faults []error
	if cfg.Store == nil {
		faults = append(faults, errors.New("ledger: no store"))
	}
	if cfg.Budgets != nil && len(cfg.Budgets.Rules()) > 0 && cfg.Estimate == nil {
		faults = append(faults, errors.New("ledger: budgets need an estimate of what a call costs"))
	}
	if cfg.Flush != 0 && (cfg.Flush < time.Millisecond || cfg.Flush > maxFlush) {
		faults = append(faults, fmt.Errorf("ledger: a flush of %v is outside 1ms to %v", cfg.Flush, maxFlush))
	}
	if cfg.MaxAccounts < 0 || cfg.MaxAccounts > mostAccounts {
		faults = append(faults, fmt.Errorf("ledger: %d accounts in memory are outside 0 to %d", cfg.MaxAccounts, mostAccounts))
	}
	return errors.Join(faults...)
}

// Settle books a record: usage and price, once. It ends the reservation that was made
// under the record's request ID, if there is one, unless the record is about a part of its call; further
// records of the same call are booked and end none. The price goes to the day, and to the periods of
// budgets, in which it was reserved; that of a part, and where no budget applies, to the day of r.At.
func (l *Ledger) Settle(r cost.Record) {
	now := time.Now()
	if r.At.IsZero() {
		r.At = now
	}
	a := Account{
		Day: dayOf(r.At), Tenant: name(r.Tenant), User: name(r.User), Key: name(r.Key), Operation: operation(r.Operation),
		Provider: name(r.Provider), Model: name(r.Model),
	}
	sum := Amounts{Calls: 1, Usage: r.Usage, MicroUSD: r.MicroUSD}
	if r.Estimated {
		sum.EstimatedMicroUSD = r.MicroUSD
	}
	if r.Part {
		sum.Calls = 0
	}
	var h *held
	l.mu.Lock()
	if !r.Part && !r.Unreserved { // after a part the call goes on, and may cost as much again
		h = l.takeLocked(keyOf(r.RequestID, &a))
	}
	if h != nil {
		a.Day = dayOf(h.made)
		l.pending.release(h.id)
	}
	dropped, first := l.bookLocked(a, sum, now)
	l.mu.Unlock()
	l.charge(h, owner(&a), r.MicroUSD, now, r.At)
	l.booked(dropped, first)
}

// charge tells the budgets what a call has cost.
func (l *Ledger) charge(h *held, a budget.Account, microUSD int64, now, at time.Time) {
	switch {
	case l.budgets == nil:
	case h == nil:
		l.budgets.SettleFor(a, microUSD, at)
	case !l.budgets.Settle(h.id, microUSD, now):
		l.budgets.SettleFor(a, microUSD, h.made)
	}
}

// bookLocked adds to an account. Where it is new and has no room, it loses its names:
// then dropped is true, and first says that it is the first time in an outage.
func (l *Ledger) bookLocked(a Account, sum Amounts, now time.Time) (dropped, first bool) {
	if !l.pending.add(a, sum, l.max) {
		a = nameless(now)
		l.pending.force(a, sum)
		dropped, first, l.told = true, !l.told, true
	}
	l.others.add(&a, sum.MicroUSD)
	return dropped, first
}

// booked wakes the writer and tells of a booking that lost its names.
func (l *Ledger) booked(dropped, first bool) {
	if dropped {
		l.onDrop(1)
	}
	if first {
		l.log.Error("the ledger has no room for more accounts until its store works: what is booked on new ones loses its names",
			"accounts", l.max)
	}
	select {
	case l.kick <- struct{}{}:
	default: // it is awake
	}
}

// Budgets returns the state of all budgets.
func (l *Ledger) Budgets(now time.Time) []budget.State {
	if l.budgets == nil {
		return nil
	}
	return l.budgets.States(now)
}

// BudgetsOfTenant returns the state of the budgets that are a tenant's alone; see budget.Book's StatesOfTenant.
func (l *Ledger) BudgetsOfTenant(tenant string, now time.Time) []budget.State {
	if l.budgets == nil {
		return nil
	}
	return l.budgets.StatesOfTenant(tenant, now)
}

// BudgetsOf returns the state of the budgets that apply to the calls of a.
func (l *Ledger) BudgetsOf(a budget.Account, now time.Time) []budget.State {
	if l.budgets == nil {
		return nil
	}
	return l.budgets.StatesOf(a, now)
}

// unavailable is the error of a store that does not do its work.
func unavailable(what string, err error) *llm.Error {
	return &llm.Error{
		Kind: llm.ForebayUnavailable, Message: what, Fix: "Look at the disk of the store, then try again.", Err: err,
	}
}
