package ledger_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay/budget"
	"github.com/forebay-ai/forebay/cost"
	"github.com/forebay-ai/forebay/ledger"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/store/storetest/ledgertest"
)

// lossy is a store whose acknowledgements get lost: it writes half of a batch or all of it and fails, and knows a batch
// by its ID when it comes again.
type lossy struct {
	*ledgertest.Memory
	failures int
	posted   map[string]int // postings written of each batch
	batches  []ledger.Batch
}

func (s *lossy) Post(ctx context.Context, b ledger.Batch) error {
	s.batches = append(s.batches, b)
	fails := s.failures > 0
	s.failures--
	upTo := len(b.Postings)
	if fails && s.failures%2 == 0 {
		upTo /= 2
	}
	part := b
	part.Postings = b.Postings[min(s.posted[b.ID], upTo):upTo]
	s.posted[b.ID] = max(s.posted[b.ID], upTo)
	if err := s.Memory.Post(ctx, part); err != nil {
		return err
	}
	if fails {
		return errors.New("no answer")
	}
	return nil
}

// A batch that was not acknowledged comes again as it was, before what was booked meanwhile: so nothing counts twice.
func TestUnacknowledgedBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &lossy{Memory: ledgertest.NewMemory(), failures: 5, posted: map[string]int{}}
		l, err := ledger.Open(t.Context(), ledger.Config{Store: store})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- l.Run(ctx) }()
		settle := func(user string) {
			l.Settle(cost.Record{Tenant: "t", User: user, Operation: "o", MicroUSD: 100, At: time.Now()})
		}
		for range 20 {
			settle("ada")
			settle("bob")
			time.Sleep(60 * time.Millisecond)
		}
		if rows, err := l.Spend(t.Context(), ledger.Query{}); err != nil || rows[0].MicroUSD < 4000 {
			t.Errorf("while batches fail the books miss something: %+v, %v", rows, err)
		}
		time.Sleep(time.Minute)
		stop()
		if err := errors.Join(<-done, l.Close(t.Context())); err != nil {
			t.Error(err)
		}
		rows, err := store.Spend(t.Context(), ledger.Query{By: []ledger.Dimension{ledger.ByUser}})
		if err != nil || len(rows) != 2 || rows[0].MicroUSD != 2000 || rows[1].MicroUSD != 2000 || rows[0].Calls != 20 {
			t.Errorf("the books say %+v, %v", rows, err)
		}
		first := store.batches[0]
		for i := range 5 {
			if diff := cmp.Diff(first, store.batches[i+1]); diff != "" {
				t.Errorf("try %d is another batch: %s", i+2, diff)
			}
		}
	})
}

// together is a store that several processes share.
type together struct {
	*ledgertest.Memory
	mu   sync.Mutex // guards left
	left []ledger.Hold
}

func (s *together) Abandoned(context.Context, time.Time) ([]ledger.Hold, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	left := s.left
	s.left = nil
	return left, nil
}

// dies leaves a reservation behind.
func (s *together) dies(h ledger.Hold) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left = append(s.left, h)
}

// Where several processes share the books, reservations of others are theirs, and those of the dead are booked once,
// at the start or later, and count in budgets.
func TestReservationsOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		today := time.Now().UTC().Truncate(24 * time.Hour)
		hold := func(id string) ledger.Hold {
			return ledger.Hold{ID: id, Account: ledger.Account{Day: today, Tenant: "t", Operation: "o"}, MicroUSD: 70, Expires: time.Now()}
		}
		store := &together{Memory: ledgertest.NewMemory(), left: []ledger.Hold{hold("dead")}}
		if err := store.Post(t.Context(), ledger.Batch{Held: []ledger.Hold{hold("alive")}}); err != nil {
			t.Fatal(err)
		}
		book, err := budget.New(budget.Config{Rules: []budget.Rule{{Name: "b", Period: budget.Day, Kind: budget.Hard, MicroUSD: 1000}}})
		if err != nil {
			t.Fatal(err)
		}
		l, err := ledger.Open(t.Context(), ledger.Config{Store: store, Budgets: book, Estimate: func(*llm.Request) int64 { return 1 }})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- l.Run(ctx) }()
		time.Sleep(time.Second)
		if err := store.Post(t.Context(), ledger.Batch{Held: []ledger.Hold{hold("died later")}}); err != nil {
			t.Fatal(err)
		}
		store.dies(hold("died later"))
		time.Sleep(2 * time.Minute)
		stop()
		if err := errors.Join(<-done, l.Close(t.Context())); err != nil {
			t.Error(err)
		}
		rows, err := store.Spend(t.Context(), ledger.Query{})
		if err != nil || len(rows) != 1 || rows[0].MicroUSD != 140 || rows[0].EstimatedMicroUSD != 140 {
			t.Errorf("the books say %+v, %v", rows, err)
		}
		if left, err := store.Holds(t.Context()); err != nil || len(left) != 1 || left[0].ID != "alive" {
			t.Errorf("%+v, %v", left, err)
		}
		if s := book.States(time.Now())[0]; s.Spent != 140 {
			t.Errorf("the budget knows of %d", s.Spent)
		}
		if n := len(l.Recovered()); n != 1 {
			t.Errorf("%d were recovered at the start", n)
		}
	})
}
