package requestlog

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/forebay-ai/forebay/llm"
)

const (
	inMemory         = 1000 // entries, where there is no store
	defaultBuffer    = 8192
	defaultRetention = 7 * 24 * time.Hour
	defaultMost      = 2_000_000
)

// Config says where a Log keeps its entries and for how long.
type Config struct {
	// Store keeps entries. Nil means the last 1,000 in memory.
	Store Store
	// Buffer is how many entries may wait for the store: beyond it new ones are
	// dropped and counted. Below 1 it is 8192, which is about 6 MiB.
	Buffer int
	// Retention is how long entries are kept, counted from their start. Zero means
	// 7 days, below zero for ever.
	Retention time.Duration
	// MaxEntries bounds the entries that are kept; the oldest go. Zero means 2,000,000,
	// below zero no bound.
	MaxEntries int64
	// OnDrop is told how many entries were dropped. It is called by Add and Run,
	// possibly concurrently, and must not block. Nil means that nobody is told.
	OnDrop func(int64)
	// Logger gets what an operator should know: a store that fails, once until it
	// works again. Nil means that nobody is told.
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.Buffer < 1 {
		c.Buffer = defaultBuffer
	}
	if c.Retention == 0 {
		c.Retention = defaultRetention
	}
	if c.MaxEntries == 0 {
		c.MaxEntries = defaultMost
	}
	if c.OnDrop == nil {
		c.OnDrop = func(int64) {}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Log is the log of calls. Its methods may be called concurrently.
type Log struct {
	cfg      Config
	store    Store
	memory   *Memory // the store where there is no other; nil else
	watchers watchers
	dropped  atomic.Int64
	last     atomic.Int64 // the Seq that was given last
	wake     chan struct{}
	full     chan struct{} // a whole batch waits

	mu      sync.Mutex // guards waiting, taken and ended; held for moments only
	waiting queue
	taken   int  // entries of batch, which count to the buffer
	ended   bool // nobody writes any more

	turn  chan struct{} // has the token while nobody uses batch or erases
	batch []Entry       // being written, or to be tried again; belongs to whoever has the turn
	told  int           // entries of batch that watchers know of; the same
}

// New makes a Log. With a store, Run has to run for entries to get there.
func New(cfg Config) *Log {
	cfg = cfg.withDefaults()
	l := &Log{
		cfg: cfg, store: cfg.Store, watchers: watchers{all: map[*watcher]struct{}{}},
		wake: make(chan struct{}, 1), full: make(chan struct{}, 1), turn: make(chan struct{}, 1),
	}
	if l.store == nil {
		l.memory = NewMemory(inMemory)
		l.store = l.memory
	}
	l.turn <- struct{}{}
	return l
}

// Add takes an entry. It copies it, sets no Seq in it, and never blocks: where the
// buffer is full, or Run has ended, the entry is dropped and counted.
func (l *Log) Add(e *Entry) {
	kept := tidy(e)
	if l.memory != nil {
		l.remember(&kept)
		return
	}
	if !l.push(kept) {
		l.drop(1)
	}
}

// push has an entry wait where there is room. It signals under mu, so that no signal comes
// when what it was about has been taken.
func (l *Log) push(e Entry) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended || l.waiting.len()+l.taken >= l.cfg.Buffer {
		return false
	}
	l.waiting.push(e)
	if l.waiting.len() >= batchEntries {
		signal(l.full)
	}
	signal(l.wake)
	return true
}

// remember keeps an entry in memory, where nothing waits. Under mu, so that watchers see
// entries in their order.
func (l *Log) remember(e *Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.memory.add(e)
	l.last.Store(e.Seq)
	l.watchers.tell([]Entry{*e})
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default: // somebody is told already
	}
}

func (l *Log) drop(n int64) {
	if n > 0 {
		l.dropped.Add(n)
		l.cfg.OnDrop(n)
	}
}

// Dropped is how many entries were lost since New.
func (l *Log) Dropped() int64 { return l.dropped.Load() }

// Last is the Seq of the newest entry that this Log has written; 0 before the first.
func (l *Log) Last() int64 { return l.last.Load() }

// Page returns a page of entries, newest first, without their attempts. Entries that
// still wait for the store, at most a fraction of a second unless it fails, are not in it.
func (l *Log) Page(ctx context.Context, q Query) (Page, error) {
	p, err := l.store.Requests(ctx, q)
	if err != nil {
		return Page{}, fmt.Errorf("requestlog: read a page: %w", err)
	}
	return p, nil
}

// Get returns the entry with this Seq, attempts included; false for none.
func (l *Log) Get(ctx context.Context, seq int64) (Entry, bool, error) {
	e, ok, err := l.store.Request(ctx, seq)
	if err != nil {
		return Entry{}, false, fmt.Errorf("requestlog: read an entry: %w", err)
	}
	return e, ok, nil
}

// Erase replaces the name of a tenant's user in all entries, those that wait for the
// store included, by ErasedUser. An entry that is added later has its name again. Where it
// fails, to call it again is enough.
func (l *Log) Erase(ctx context.Context, tenant, user string) error {
	if user == "" || user == ErasedUser {
		return &llm.Error{
			Kind: llm.CallerInvalidRequest, Message: fmt.Sprintf("the user %q cannot be erased", user),
			Limit: "user", Value: user, Fix: "Name the user as calls do",
		}
	}
	tenant, user = short(tenant), short(user)
	select {
	case <-l.turn:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { l.turn <- struct{}{} }()
	erase(l.batch, tenant, user)
	l.mu.Lock()
	erase(l.waiting.all(), tenant, user)
	l.mu.Unlock()
	if err := l.store.EraseRequests(ctx, tenant, user); err != nil {
		return fmt.Errorf("requestlog: erase a user: %w", err)
	}
	return nil
}

// queue is a list that is appended to at one end and taken from at the other.
type queue struct {
	entries []Entry
	head    int
}

func (q *queue) len() int     { return len(q.entries) - q.head }
func (q *queue) all() []Entry { return q.entries[q.head:] }

// push moves what is there to the front where that is no more than what was taken, so
// that the room stays within twice what waits at once.
func (q *queue) push(e Entry) {
	if q.head > 0 && q.head >= q.len() {
		n := copy(q.entries, q.entries[q.head:])
		clear(q.entries[n:])
		q.entries, q.head = q.entries[:n], 0
	}
	q.entries = append(q.entries, e)
}

// take moves up to n entries to dst.
func (q *queue) take(dst []Entry, n int) []Entry {
	n = min(n, q.len())
	dst = append(dst, q.entries[q.head:q.head+n]...)
	clear(q.entries[q.head : q.head+n]) // their texts are dst's alone
	q.head += n
	return dst
}
