package ledger_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay/budget"
	"github.com/forebay-ai/forebay/cost"
	"github.com/forebay-ai/forebay/ledger"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/store/storetest/ledgertest"
)

// counted is a store that several processes share, whose reads are counted and may fail.
type counted struct {
	together
	reads int
	fail  error
}

func (s *counted) Spend(ctx context.Context, q ledger.Query) ([]ledger.Row, error) {
	s.reads++
	if s.fail != nil {
		return nil, s.fail
	}
	return s.together.Spend(ctx, q)
}

// process is one of several that share books and stand still in between.
type process struct {
	*ledger.Ledger
	book *budget.Book
}

func newProcess(t *testing.T, store ledger.Store) *process {
	t.Helper()
	p := &process{}
	var err error
	p.book, err = budget.New(budget.Config{Rules: []budget.Rule{
		{Name: "day", Tenant: "t", Period: budget.Day, Kind: budget.Hard, MicroUSD: 1_000_000},
		{Name: "month", User: "*", Period: budget.Month, Kind: budget.Hard, MicroUSD: 1_000_000},
	}})
	if err != nil {
		t.Fatal(err)
	}
	p.Ledger, err = ledger.Open(t.Context(), ledger.Config{Store: store, Budgets: p.book, Refresh: true, Estimate: func(*llm.Request) int64 { return 1 }})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *process) pays(t *testing.T, user string, micro int64) {
	t.Helper()
	p.Settle(cost.Record{Tenant: "t", User: user, Operation: "o", MicroUSD: micro, At: time.Now()})
}

// wants checks what the budgets of the day, and of a user's month, know of.
func (p *process) wants(t *testing.T, day, month int64) {
	t.Helper()
	for _, s := range p.book.StatesOf(budget.Account{Tenant: "t", User: "ada", Operation: "o"}, time.Now()) {
		if want := map[string]int64{"day": day, "month": month}[s.Rule]; s.Spent != want {
			t.Errorf("the budget of the %s knows of %d; want %d", s.Rule, s.Spent, want)
		}
	}
}

// What others spent is known after a Refresh, once, with what is one's own: written or not; over midnight too.
func TestRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(12*time.Hour + 24*time.Hour) // noon, not on the first of a month
		store := &counted{together: together{Memory: ledgertest.NewMemory()}}
		a := newProcess(t, store)
		a.pays(t, "ada", 100)
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		must(a.Close(t.Context()))
		b := newProcess(t, store) // has read the 100
		b.pays(t, "ada", 7)
		must(b.Close(t.Context()))
		a.pays(t, "ada", 20)
		must(a.Close(t.Context()))
		a.pays(t, "bob", 3) // is not written yet
		a.wants(t, 123, 120)

		before := store.reads
		must(a.Refresh(t.Context(), 30*time.Second))
		if store.reads != before {
			t.Error("it reads although it is not due")
		}
		time.Sleep(31 * time.Second)
		must(a.Refresh(t.Context(), 30*time.Second))
		a.wants(t, 130, 127)
		must(a.Refresh(t.Context(), 30*time.Second))
		must(a.Refresh(t.Context(), 0))
		if got := store.reads - before; got != 1 {
			t.Errorf("%d reads; want one while it is not due", got)
		}
		time.Sleep(time.Second)
		must(a.Refresh(t.Context(), 0))
		a.wants(t, 130, 127)

		must(a.Close(t.Context()))
		time.Sleep(12 * time.Hour) // past midnight, not refreshed: b pays for the day before, and for this one
		b.Settle(cost.Record{Tenant: "t", User: "ada", Operation: "o", MicroUSD: 1000, At: time.Now().Add(-13 * time.Hour)})
		b.pays(t, "ada", 30)
		must(b.Close(t.Context()))
		must(a.Refresh(t.Context(), 30*time.Second))
		a.wants(t, 30, 1157)
		for range 40 { // days, one of them the first of a month
			time.Sleep(24 * time.Hour)
			b.pays(t, "ada", 1)
			must(b.Close(t.Context()))
			must(a.Refresh(t.Context(), 30*time.Second))
		}
		a.wants(t, 1, int64(time.Now().Day()))
		store.fail = errors.New("down")
		time.Sleep(time.Minute)
		if err := a.Refresh(t.Context(), 30*time.Second); llm.KindOf(err) != llm.ForebayUnavailable {
			t.Errorf("a store that is down: %v", err)
		}
		a.wants(t, 1, int64(time.Now().Day()))
	})
}

// halves is a shared store that writes half of a batch and fails, a number of times.
type halves struct {
	together
	failures int
	done     map[string]int // postings written of each batch
}

func (s *halves) Post(ctx context.Context, b ledger.Batch) error {
	upTo := len(b.Postings)
	if s.failures > 0 {
		upTo /= 2
	}
	part := b
	part.Postings = b.Postings[min(s.done[b.ID], upTo):upTo]
	s.done[b.ID] = max(s.done[b.ID], upTo)
	if err := s.together.Post(ctx, part); err != nil {
		return err
	}
	if s.failures--; s.failures >= 0 {
		return errors.New("throttled")
	}
	return nil
}

// A batch of which the store wrote a part counts once in reports and budgets: it is completed first, and while it cannot be nothing
// is reported.
func TestHalfABatchCountsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &halves{together: together{Memory: ledgertest.NewMemory()}, done: map[string]int{}}
		p := newProcess(t, store)
		for _, q := range []ledger.Query{{}, {By: []ledger.Dimension{ledger.ByTenant}, Limit: 10}} {
			p.pays(t, "ada", 100)
			p.pays(t, "bob", 10)
			store.failures = 2
			if p.Close(t.Context()) == nil {
				t.Fatal("half a batch is acknowledged")
			}
			if rows, err := p.Spend(t.Context(), q); llm.KindOf(err) != llm.ForebayUnavailable {
				t.Errorf("while a batch cannot be completed: %+v, %v", rows, err)
			}
			time.Sleep(time.Minute)
			store.failures = 1
			if p.Refresh(t.Context(), 0) == nil {
				t.Error("half a batch is read")
			}
			rows, err := p.Spend(t.Context(), q)
			if err != nil || len(rows) != 1 || rows[0].MicroUSD%110 != 0 || rows[0].MicroUSD > 220 {
				t.Errorf("%+v, %v", rows, err)
			}
			if err := p.Refresh(t.Context(), 0); err != nil {
				t.Error(err)
			}
		}
		p.wants(t, 220, 200)
	})
}
