package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/ledger"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/store/storetest/ledgertest"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func byUser() []ledger.Dimension { return []ledger.Dimension{ledger.ByTenant, ledger.ByUser} }

func track(t testing.TB, l *ledger.Ledger, user string, microUSD int64) {
	t.Helper()
	if err := l.Track(ledger.Account{Tenant: "t", User: user}, microUSD, 0, 0); err != nil {
		t.Error(err)
	}
}

// A query with a small limit works however many groups there are, and asks for no more than it needs.
func TestTopOfMany(t *testing.T) {
	s := ledgertest.NewMemory()
	l := open(t, s)
	n := 250_001 // more than a query without a small limit may have
	b := ledger.Batch{}
	for i := range n {
		a := ledger.Account{Day: time.Now().UTC().Truncate(24 * time.Hour), Tenant: "t", User: fmt.Sprint("u", i)}
		b.Postings = append(b.Postings, ledger.Posting{Account: a, Amounts: ledger.Amounts{MicroUSD: int64(i + 1)}})
	}
	if err := s.Post(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	track(t, l, "u0", int64(n)) // the cheapest becomes the dearest, in memory alone
	track(t, l, "new", int64(n))
	rows := spend(t, l, ledger.Query{By: byUser(), Limit: 4})
	var got []string
	for _, r := range rows {
		got = append(got, fmt.Sprint(r.User, " ", r.MicroUSD))
	}
	want := []string{fmt.Sprint("u0 ", n+1), fmt.Sprint("new ", n), fmt.Sprintf("u%d %d", n-1, n), fmt.Sprintf("u%d %d", n-2, n-1)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, err := l.Spend(t.Context(), ledger.Query{By: byUser(), Limit: 1001}); llm.KindOf(err) != llm.CallerInvalidRequest {
		t.Errorf("%v", err)
	}
}

// The first rows are those of all rows, whatever is written, pending, and booked while they are read.
func TestTopIsExact(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := ledgertest.NewMemory()
		l := open(t, s)
		book := func(rt *rapid.T) {
			for range rapid.IntRange(0, 12).Draw(rt, "bookings") {
				a := ledger.Account{
					Day: time.Now().AddDate(0, 0, -rapid.IntRange(0, 3).Draw(rt, "days ago")), Tenant: rapid.SampledFrom([]string{"", "t"}).Draw(rt, "tenant"),
					User: fmt.Sprint(rapid.IntRange(0, 30).Draw(rt, "user")),
				}
				if err := l.Track(a, rapid.Int64Range(0, 5).Draw(rt, "cost"), rapid.Int64Range(0, 2).Draw(rt, "compute"), 0); err != nil {
					rt.Fatal(err)
				}
			}
			if rapid.Bool().Draw(rt, "flush") {
				flush(t, l)
			}
		}
		for range rapid.IntRange(1, 6).Draw(rt, "rounds") {
			book(rt)
		}
		// What happens while the store is read for the first time, which is beside the writer.
		once := false
		s.After(func(op string) {
			if op == ledgertest.OpSpend && !once {
				once = true
				book(rt)
			}
		})
		q := ledger.Query{By: byUser(), Limit: rapid.IntRange(1, 40).Draw(rt, "limit")}
		got := spend(t, l, q)
		s.After(nil)
		limit := q.Limit
		q.Limit = -1
		want := spend(t, l, q)
		if diff := cmp.Diff(want[:min(limit, len(want))], got); diff != "" {
			rt.Fatal(diff)
		}
	})
}

// It reads the store twice, however many groups are written to meanwhile.
func TestTopReadsTwice(t *testing.T) {
	s := ledgertest.NewMemory()
	l := open(t, s)
	for i := range 3000 {
		track(t, l, fmt.Sprint("u", i), int64(10_000-i))
	}
	flush(t, l)
	var reads atomic.Int64
	s.After(func(op string) {
		if op == ledgertest.OpSpend && reads.Add(1) == 1 {
			for i := range 1500 { // among them all that were read
				track(t, l, fmt.Sprint("u", i), 1)
			}
			track(t, l, "u2999", 100_000)
			flush(t, l)
		}
	})
	rows := spend(t, l, ledger.Query{By: byUser(), Limit: 2})
	s.After(nil)
	if len(rows) != 2 || rows[0].User != "u2999" || rows[0].MicroUSD != 107_001 || rows[1].User != "u0" || rows[1].MicroUSD != 10_001 || reads.Load() != 2 {
		t.Errorf("%+v after %d readings", rows, reads.Load())
	}
}

// Every booking is in a limited answer once, while the writer is at work.
func TestTopWhileWriting(t *testing.T) {
	s := ledgertest.NewMemory()
	l := open(t, s)
	stop := run(t, l)
	var begun, done atomic.Int64
	n := 3000
	if long() {
		n = 100_000
	}
	var booking sync.WaitGroup
	for w := range 2 {
		booking.Go(func() {
			for i := range n {
				begun.Add(1)
				track(t, l, fmt.Sprint("u", (i+w)%7), 1)
				done.Add(1)
			}
		})
	}
	for over := false; !over; {
		over = done.Load() == int64(2*n)
		least := done.Load()
		rows := spend(t, l, ledger.Query{By: byUser(), Limit: 7})
		most, sum := begun.Load(), int64(0)
		for _, r := range rows {
			sum += r.MicroUSD
		}
		if sum < least || sum > most {
			t.Fatalf("%d to %d were booked, and %d are told", least, most, sum)
		}
	}
	booking.Wait()
	stop()
}

// A name that is erased while the store is read is not in the answer beside what took its place.
func TestTopWhileErasing(t *testing.T) {
	s := ledgertest.NewMemory()
	l := open(t, s)
	track(t, l, "asha", 5)
	flush(t, l)
	var reads atomic.Int64
	s.After(func(op string) {
		if op == ledgertest.OpSpend && reads.Add(1) == 1 {
			if err := l.Erase(context.Background(), "t", "asha"); err != nil {
				t.Error(err)
			}
		}
	})
	rows := spend(t, l, ledger.Query{By: byUser(), Limit: 2})
	s.After(nil)
	if len(rows) != 1 || rows[0].User != ledgertest.Erased || rows[0].MicroUSD != 5 {
		t.Errorf("%+v", rows)
	}
}

func TestTopFails(t *testing.T) {
	s := ledgertest.NewMemory()
	l := open(t, s)
	track(t, l, "u", 1)
	s.Fail(func(op string) error { return errors.New("broken") })
	if _, err := l.Spend(t.Context(), ledger.Query{By: byUser(), Limit: 1}); llm.KindOf(err) != llm.ForebayUnavailable {
		t.Errorf("%v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Spend(ended, ledger.Query{By: byUser(), Limit: 1}); llm.KindOf(err) != llm.ForebayUnavailable {
		t.Errorf("%v", err)
	}
}

// picky is a store that can never write the bookings of one user.
type picky struct{ *ledgertest.Memory }

func (p picky) Post(ctx context.Context, b ledger.Batch) error {
	n := len(b.Postings)
	b.Postings = slices.DeleteFunc(slices.Clone(b.Postings), func(p ledger.Posting) bool { return p.User == "cursed" })
	if err := p.Memory.Post(ctx, b); err != nil || len(b.Postings) == n {
		return err
	}
	return &ledger.RefusedError{Rows: n - len(b.Postings), Err: errors.New("cursed")}
}

// A booking that can never be written is dropped and counted; the books of others go on.
func TestRefused(t *testing.T) {
	s := picky{ledgertest.NewMemory()}
	var dropped atomic.Int64
	l, err := ledger.Open(t.Context(), ledger.Config{Store: s, OnDrop: func(n int64) { dropped.Add(n) }})
	if err != nil {
		t.Fatal(err)
	}
	track(t, l, "cursed", 5)
	track(t, l, "u", math.MaxInt64)
	track(t, l, "u", math.MaxInt64)
	flush(t, l)
	posts := s.Posts()
	flush(t, l) // nothing is left
	if got := total(t, l); dropped.Load() != 1 || got.MicroUSD != math.MaxInt64 || s.Posts() != posts {
		t.Errorf("%d dropped, %+v, %d writes after %d", dropped.Load(), got, s.Posts(), posts)
	}
	if e := (&ledger.RefusedError{Rows: 2, Err: context.Canceled}); !errors.Is(e, context.Canceled) || e.Error() != "2 rows were left out: context canceled" {
		t.Errorf("%v", e)
	}
}
