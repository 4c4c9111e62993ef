package requestlog_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/forebay-ai/forebay/requestlog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var errDisk = errors.New("the disk is gone")

// store is a Store that can be told to fail and to block, and counts.
type store struct {
	*requestlog.Memory

	mu      sync.Mutex // guards all below
	failing bool
	block   chan struct{} // an append waits for it
	tries   int
	batches []int // how many entries each had
	pruned  []time.Time
	keeps   []int64
}

func newStore() *store { return &store{Memory: requestlog.NewMemory(100_000)} }

func (s *store) AppendRequests(ctx context.Context, all []requestlog.Entry) error {
	s.mu.Lock()
	failing, block := s.failing, s.block
	s.tries++
	s.mu.Unlock()
	if block != nil {
		select {
		case <-block:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if failing {
		all[0].Seq = 77 // a store may have begun
		return errDisk
	}
	s.mu.Lock()
	s.batches = append(s.batches, len(all))
	s.mu.Unlock()
	return s.Memory.AppendRequests(ctx, all)
}

func (s *store) PruneRequests(ctx context.Context, t time.Time, keep int64) (int64, error) {
	s.mu.Lock()
	s.pruned, s.keeps = append(s.pruned, t), append(s.keeps, keep)
	failing := s.failing
	s.mu.Unlock()
	if failing {
		return 0, errDisk
	}
	return s.Memory.PruneRequests(ctx, t, keep)
}

func (s *store) fail(yes bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failing = yes
}

// log is a Log with all that a test looks at.
type log struct {
	*requestlog.Log
	store   *store
	dropped int64
	text    bytes.Buffer
	end     func() error // ends Run
}

// start runs a Log over a store of its own, in a bubble of synctest.
func start(t *testing.T, change func(*requestlog.Config)) *log {
	t.Helper()
	l := &log{store: newStore()}
	var mu sync.Mutex
	cfg := requestlog.Config{
		Store: l.store, Logger: slog.New(slog.NewTextHandler(&l.text, nil)),
		OnDrop: func(n int64) { mu.Lock(); defer mu.Unlock(); l.dropped += n },
	}
	if change != nil {
		change(&cfg)
	}
	l.Log = requestlog.New(cfg)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	l.end = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() { _ = l.end() })
	return l
}

func entry(n int) *requestlog.Entry {
	return &requestlog.Entry{
		ID: fmt.Sprint("req_", n), Start: time.Date(2026, 3, 1, 0, 0, n, 0, time.UTC), Tenant: "school", User: fmt.Sprint("user-", n%3),
		Operation: "chat", Outcome: "ok", Duration: time.Duration(n) * time.Millisecond,
		Attempts: []requestlog.Attempt{{Target: "bedrock/haiku"}},
	}
}

// ids are the ids of a page, newest first.
func ids(t testing.TB, l *requestlog.Log, q requestlog.Query) []string {
	t.Helper()
	p, err := l.Page(t.Context(), q)
	must(t, err)
	var all []string
	for _, e := range p.Entries {
		all = append(all, e.ID)
	}
	return all
}
