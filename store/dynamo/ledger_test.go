package dynamo_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay/ledger"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/store/dynamo"
	"github.com/forebay-ai/forebay/store/storetest/ledgertest"
)

func openBooks(t *testing.T) (ledger.Store, func() ledger.Store) {
	cfg := newTables(t)
	return openStore(t, cfg).Ledger(), func() ledger.Store { return openStore(t, cfg).Ledger() }
}

func TestLedger(t *testing.T) {
	fewer(t)
	ledgertest.RunSlow(t, openBooks)
}

var today = time.Date(2026, time.November, 22, 0, 0, 0, 0, time.UTC)

func posting(user int, micro int64) ledger.Posting {
	return ledger.Posting{
		Account: ledger.Account{Day: today, Tenant: "t", User: fmt.Sprint("user ", user), Operation: "o", Provider: "p", Model: "m"},
		Amounts: ledger.Amounts{Calls: 1, MicroUSD: micro, Usage: llm.Usage{Input: 10}},
	}
}

// total is what the books say in all.
func total(t testing.TB, s ledger.Store) ledger.Amounts {
	t.Helper()
	rows, err := s.Spend(t.Context(), ledger.Query{})
	must(t, err)
	if len(rows) == 0 {
		return ledger.Amounts{}
	}
	return rows[0].Amounts
}

// TestPostedOnce has three gateways post while calls are refused, broken and not answered. Each posts a batch again until it
// is acknowledged. In the end the books say exactly what was posted.
func TestPostedOnce(t *testing.T) {
	cfg, w := stormy(t)
	const gateways, batches = 3, 12
	var books []*dynamo.Ledger
	for range gateways {
		books = append(books, openStore(t, cfg).Ledger())
	}
	w.set(0.05, 0.1, 0.1)
	var all sync.WaitGroup
	for g, s := range books {
		all.Go(func() {
			for n := range batches {
				b := ledger.Batch{ID: fmt.Sprint("batch ", g, n)}
				for user := range 6 {
					b.Postings = append(b.Postings, posting(user, 100), posting(user, 1))
				}
				for try := 0; s.Post(t.Context(), b) != nil; try++ {
					if try == 300 {
						t.Error("a batch fails for ever")
						return
					}
				}
			}
		})
	}
	all.Wait()
	w.set(0, 0, 0)
	want := ledger.Amounts{Calls: 12 * gateways * batches, MicroUSD: 606 * gateways * batches, Usage: llm.Usage{Input: 120 * gateways * batches}}
	if diff := cmp.Diff(want, total(t, openStore(t, cfg).Ledger())); diff != "" {
		t.Error(diff)
	}
	if w.sawLost == 0 || w.sawCut == 0 || w.sawThrottled == 0 {
		t.Error("the weather was fair")
	}
}

// A row of a small account costs a write unit, a look at a tenant's month half a unit for two rows.
func TestLedgerCosts(t *testing.T) {
	s := openStore(t, newTables(t))
	l := s.Ledger()
	var b ledger.Batch
	for user := range 10 {
		b.Postings = append(b.Postings, posting(user, 5))
	}
	must(t, l.Post(t.Context(), b)) // registers the month
	before := s.Stats()
	must(t, l.Post(t.Context(), b))
	if _, got := used(s, before, "ledger.post"); got != 10 {
		t.Errorf("10 rows cost %v units", got)
	}
	if _, got := used(s, before, "ledger.register"); got != 0 {
		t.Errorf("a known month costs %v units", got)
	}
	before = s.Stats()
	if _, err := l.Spend(t.Context(), ledger.Query{Tenant: "t"}); err != nil {
		t.Fatal(err)
	}
	if got, _ := used(s, before, "ledger.spend"); got > 2 {
		t.Errorf("to add up 10 rows costs %v units", got)
	}
}

// What cannot be written keeps nothing else out.
func TestLedgerRefuses(t *testing.T) {
	l := openStore(t, newTables(t)).Ledger()
	bad := posting(1, 5)
	bad.User = strings.Repeat("x", 5000)
	err := l.Post(t.Context(), ledger.Batch{Postings: []ledger.Posting{bad, posting(2, 7)}, Held: []ledger.Hold{{ID: "\xff"}}})
	var refused *ledger.RefusedError
	if !errors.As(err, &refused) || refused.Rows != 2 {
		t.Errorf("%v", err)
	}
	if got := total(t, l); got.MicroUSD != 7 {
		t.Errorf("%+v", got)
	}
}

// Reservations of the living are left alone; those of the dead go to one of all who ask.
func TestAbandoned(t *testing.T) {
	cfg := newTables(t)
	a, b := openStore(t, cfg).Ledger(), openStore(t, cfg).Ledger()
	now := time.Now().UTC()
	var held []ledger.Hold
	for n := range 20 {
		expires := now.Add(-2 * time.Minute)
		if n%2 == 0 {
			expires = now.Add(time.Minute)
		}
		held = append(held, ledger.Hold{ID: fmt.Sprint("hold ", n), Account: posting(n, 0).Account, MicroUSD: 5, Expires: expires})
	}
	must(t, a.Post(t.Context(), ledger.Batch{Held: held}))
	var mu sync.Mutex
	taken := map[string]int{}
	var both sync.WaitGroup
	for _, l := range []ledger.Sharer{a, b} {
		both.Go(func() {
			left, err := l.Abandoned(t.Context(), now)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, h := range left {
				taken[h.ID]++
			}
		})
	}
	both.Wait()
	for n := range 20 {
		if id := fmt.Sprint("hold ", n); taken[id] != n%2 {
			t.Errorf("%s was taken %d times", id, taken[id])
		}
	}
	again, err := b.Abandoned(t.Context(), now.Add(9*time.Minute))
	if must(t, err); len(again) != 10 { // whose lease is over by then; the others are somebody's
		t.Errorf("%d reservations were taken over again", len(again))
	}
	must(t, a.Post(t.Context(), ledger.Batch{ID: "booked", Released: slices.Collect(maps.Keys(taken))}))
	if left, err := a.Holds(t.Context()); err != nil || len(left) != 10 {
		t.Errorf("%d reservations are left, %v", len(left), err)
	}
}

// A reservation that is taken over by a call whose answer is lost is booked all the same, and one whose taker dies goes to another.
func TestAbandonedInBadWeather(t *testing.T) {
	cfg, w := stormy(t)
	a := openStore(t, cfg).Ledger()
	now := time.Now().UTC()
	var held []ledger.Hold
	for n := range 40 {
		held = append(held, ledger.Hold{ID: fmt.Sprint("hold ", n), Account: posting(n, 0).Account, MicroUSD: 5, Expires: now.Add(-2 * time.Minute)})
	}
	must(t, a.Post(t.Context(), ledger.Batch{Held: held}))
	w.set(0, 0.2, 0)
	taken := map[string]int{}
	for range 200 {
		left, _ := a.Abandoned(t.Context(), now)
		for _, h := range left {
			taken[h.ID]++
		}
	}
	w.set(0, 0, 0)
	lost := 0
	for _, h := range held {
		if taken[h.ID] > 1 {
			t.Errorf("%s was taken %d times", h.ID, taken[h.ID])
		}
		lost += 1 - taken[h.ID]
	}
	if lost > 3 { // three answers in a row
		t.Errorf("%d of 40 reservations are nobody's", lost)
	}
	left, err := a.Abandoned(t.Context(), now.Add(12*time.Minute))
	if must(t, err); len(left) != 40 {
		t.Errorf("%d reservations were taken over from those who did not book them; want all", len(left))
	}
}

// Names are erased exactly while others post to them.
func TestEraseBesidePosts(t *testing.T) {
	cfg := newTables(t)
	a, b := openStore(t, cfg).Ledger(), openStore(t, cfg).Ledger()
	const posts = 40
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range posts {
			if err := a.Post(t.Context(), ledger.Batch{Postings: []ledger.Posting{posting(1, 10)}}); err != nil {
				t.Error(err)
			}
		}
	}()
	for over := false; !over; {
		select {
		case <-done:
			over = true
		default:
		}
		must(t, b.ErasePostings(t.Context(), "t", "user 1"))
	}
	rows, err := b.Spend(t.Context(), ledger.Query{By: []ledger.Dimension{ledger.ByUser}})
	must(t, err)
	if len(rows) != 1 || rows[0].User != "erased" || rows[0].MicroUSD != 10*posts {
		t.Errorf("%+v", rows)
	}
}
