package ledgertest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/ledger"
	"github.com/google/go-cmp/cmp"
)

func holdRules() []rule {
	return []rule{
		{"holds stay until they are released", holds},
		{"what is not held is released without an error", releases},
	}
}

// hold is reservation number n.
func hold(n int) ledger.Hold {
	return ledger.Hold{
		ID: fmt.Sprint("hold-", n), Account: account(n), MicroUSD: int64(n * 1000),
		Expires: time.Date(2026, time.November, 28, 12, 0, n, 123456000, time.UTC),
	}
}

// held checks which reservations there are.
func held(t testing.TB, s ledger.Store, want ...ledger.Hold) {
	t.Helper()
	got, err := s.Holds(context.WithoutCancel(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	byID := func(a, b ledger.Hold) int { return strings.Compare(a.ID, b.ID) }
	want = slices.Clone(want)
	slices.SortFunc(got, byID)
	slices.SortFunc(want, byID)
	if len(got)+len(want) == 0 {
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("holds:\n%s", diff)
	}
}

func holds(t *testing.T, s ledger.Store) {
	write(t, s, ledger.Batch{Held: []ledger.Hold{hold(0), hold(1)}})
	held(t, s, hold(0), hold(1))
	has(t, s, ledger.Query{}) // a reservation is no posting
	local := hold(2)
	local.Expires = local.Expires.In(time.FixedZone("east", 7200)).Add(999)
	write(t, s, ledger.Batch{Held: []ledger.Hold{local}, Released: []string{hold(0).ID}})
	held(t, s, hold(1), hold(2))
	write(t, s, ledger.Batch{Postings: []ledger.Posting{{Account: account(1), Amounts: usd(5)}}, Released: []string{hold(1).ID, hold(2).ID}})
	held(t, s)
	has(t, s, ledger.Query{}, ledger.Row{Amounts: usd(5)})
	write(t, s, ledger.Batch{Held: []ledger.Hold{hold(1)}}) // an ID may come again
	held(t, s, hold(1))
}

func releases(t *testing.T, s ledger.Store) {
	write(t, s, ledger.Batch{Held: []ledger.Hold{hold(0)}, Released: []string{"unknown", hold(1).ID, ""}})
	held(t, s, hold(0))
	write(t, s, ledger.Batch{Released: []string{hold(0).ID, hold(0).ID}})
	held(t, s)
}

func batchRules(rows int) []rule {
	return []rule{
		{"a batch is written whole or not at all", whole},
		{"concurrent batches all count", concurrent},
		{"a batch of many postings", func(t *testing.T, s ledger.Store) { many(t, s, rows) }},
		{"the store keeps no reference to a batch", references},
	}
}

func whole(t *testing.T, s ledger.Store) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	written := int64(0)
	for i := range 20 {
		ctx, stop := ended, cancel
		if i > 0 {
			ctx, stop = context.WithTimeout(t.Context(), time.Duration(i*i)*time.Microsecond)
		}
		b := ledger.Batch{Held: []ledger.Hold{hold(i)}}
		for n := range 50 {
			b.Postings = append(b.Postings, ledger.Posting{Account: account(n), Amounts: usd(1)})
		}
		err := s.Post(ctx, b)
		stop()
		if err == nil {
			written++
			write(t, s, ledger.Batch{Released: []string{hold(i).ID}})
		}
		held(t, s)
	}
	var want []ledger.Row
	for n := range 50 {
		if written > 0 {
			want = append(want, ledger.Row{Account: ledger.Account{Tenant: account(n).Tenant}, Amounts: usd(written)})
		}
	}
	has(t, s, ledger.Query{By: []ledger.Dimension{ledger.ByTenant}}, want...)
}

func torn(t *testing.T, s ledger.Store) {
	const batches, accounts = 60, 8
	var b ledger.Batch
	for n := range accounts {
		b.Postings = append(b.Postings, ledger.Posting{Account: account(n), Amounts: usd(1)})
	}
	done := make(chan error, 1)
	go func() {
		var err error
		for i := 0; i < batches && err == nil; i++ {
			err = s.Post(context.WithoutCancel(t.Context()), b)
		}
		done <- err
	}()
	for over := false; !over; {
		select {
		case err := <-done:
			over = true
			if err != nil {
				t.Fatal(err)
			}
		default:
		}
		rows, err := s.Spend(t.Context(), ledger.Query{By: []ledger.Dimension{ledger.ByUser}, Limit: everything})
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) == 0 {
			continue
		}
		if len(rows) != accounts || rows[0].MicroUSD != rows[accounts-1].MicroUSD {
			t.Fatalf("a part of a batch: %+v", rows)
		}
	}
	has(t, s, ledger.Query{}, ledger.Row{Amounts: usd(batches * accounts)})
}

func concurrent(t *testing.T, s ledger.Store) {
	const workers, batches = 8, 20
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range batches {
				h := hold(w*batches + i)
				for _, b := range []ledger.Batch{
					{Held: []ledger.Hold{h}, Postings: []ledger.Posting{{Account: account(0), Amounts: amounts(1)}}},
					{Released: []string{h.ID}, Postings: []ledger.Posting{{Account: account(w), Amounts: amounts(2)}}},
				} {
					if err := s.Post(t.Context(), b); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	var want ledger.Amounts
	for range workers * batches {
		want = sum(want, amounts(1), amounts(2))
	}
	has(t, s, ledger.Query{}, ledger.Row{Amounts: want})
	held(t, s)
}

func many(t *testing.T, s ledger.Store, n int) {
	var b ledger.Batch
	want := make([]ledger.Row, 0, n)
	for i := range n {
		a := ledger.Account{Day: day(0), Tenant: "t", User: fmt.Sprint("user ", i), Operation: "o"}
		b.Postings = append(b.Postings, ledger.Posting{Account: a, Amounts: amounts(int64(i))})
		b.Held = append(b.Held, hold(i))
		want = append(want, ledger.Row{Account: ledger.Account{User: a.User}, Amounts: amounts(int64(i))})
	}
	write(t, s, b)
	has(t, s, ledger.Query{By: []ledger.Dimension{ledger.ByUser}}, want...)
	release := ledger.Batch{}
	for i := range n {
		release.Released = append(release.Released, hold(i).ID)
	}
	write(t, s, release)
	held(t, s)
}

func references(t *testing.T, s ledger.Store) {
	b := ledger.Batch{
		Postings: []ledger.Posting{{Account: account(0), Amounts: usd(1)}}, Held: []ledger.Hold{hold(0), hold(1)}, Released: []string{"x"},
	}
	write(t, s, b)
	b.Postings[0], b.Held[0], b.Released[0] = ledger.Posting{Account: account(3), Amounts: usd(9)}, hold(7), hold(1).ID
	has(t, s, ledger.Query{By: all()}, ledger.Row{Account: account(0), Amounts: usd(1)})
	held(t, s, hold(0), hold(1))
}
