package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay/budget"
	"github.com/forebay-ai/forebay/cost"
	"github.com/forebay-ai/forebay/ledger"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/store/storetest/ledgertest"
	"github.com/google/go-cmp/cmp"
)

func ExampleLedger() {
	budgets, err := budget.New(budget.Config{Rules: []budget.Rule{
		{Name: "school", Tenant: "school", Period: budget.Month, Kind: budget.Hard, MicroUSD: 1_000_000},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	l, err := ledger.Open(ctx, ledger.Config{
		Store:    ledgertest.NewMemory(), // store/sqlite keeps it
		Budgets:  budgets,
		Estimate: func(*llm.Request) int64 { return 600_000 },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	req := &llm.Request{ID: "1", Tenant: "school", User: "asha"}
	fmt.Println(l.Reserve(ctx, req))
	fmt.Println(llm.KindOf(l.Reserve(ctx, &llm.Request{ID: "2", Tenant: "school", User: "ravi"})))
	l.Settle(cost.Record{RequestID: "1", Tenant: "school", User: "asha", Operation: "default", Provider: "p", Model: "m", MicroUSD: 250_000})
	rows, err := l.Spend(ctx, ledger.Query{By: []ledger.Dimension{ledger.ByUser}})
	fmt.Println(rows[0].User, rows[0].MicroUSD, err)
	fmt.Println(l.Close(ctx))
	// Output:
	// <nil>
	// policy_budget_exceeded
	// asha 250000 <nil>
	// <nil>
}

func TestSettle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := ledgertest.NewMemory()
		l := open(t, s, hard(1000))
		a, b := call("1", "t", "u", 100), call("2", "t", "v", 200)
		reserve(t, l, a)
		reserve(t, l, b)
		if got := standing(l); got != [2]int64{0, 300} {
			t.Errorf("%v", got)
		}
		r := record(a, 70)
		r.Estimated = true
		l.Settle(r)
		l.Settle(record(b, 500)) // above its estimate
		if got := standing(l); got != [2]int64{570, 0} {
			t.Errorf("%v", got)
		}
		want := []ledger.Row{
			{Account: ledger.Account{User: "v"}, Amounts: ledger.Amounts{Calls: 1, Usage: llm.Usage{Input: 1, Output: 2}, MicroUSD: 500}},
			{Account: ledger.Account{User: "u"}, Amounts: ledger.Amounts{Calls: 1, Usage: llm.Usage{Input: 1, Output: 2}, MicroUSD: 70, EstimatedMicroUSD: 70}},
		}
		for range 2 { // from memory, and from the store
			if diff := cmp.Diff(want, spend(t, l, ledger.Query{By: []ledger.Dimension{ledger.ByUser}})); diff != "" {
				t.Error(diff)
			}
			flush(t, l)
		}
		if n := len(held(t, s)); n != 0 {
			t.Errorf("%d reservations are left", n)
		}
		// Another process finds the budget as it was.
		if got := standing(open(t, s, hard(1000))); got != [2]int64{570, 0} {
			t.Errorf("restored: %v", got)
		}
	})
}

func TestRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // the clock begins with the year 2000
		l := open(t, ledgertest.NewMemory(), hard(1000))
		refused := func(estimate int) llm.Error {
			t.Helper()
			err := l.Reserve(t.Context(), call("x", "t", "u", estimate))
			var e *llm.Error
			if !errors.As(err, &e) {
				t.Fatalf("%v", err)
			}
			return *e
		}
		first := call("1", "t", "u", 900)
		reserve(t, l, first)
		want := llm.Error{
			Kind: llm.PolicyBudgetExceeded, Limit: "budgets.all", Value: "$0.001", RetryAfter: time.Second,
			Message: "what is left of the budget of this month is reserved by calls in progress", Fix: "Send the request again when they have ended.",
		}
		if diff := cmp.Diff(want, refused(200)); diff != "" {
			t.Error(diff)
		}
		l.Settle(record(first, 900))
		want.Message, want.RetryAfter = "what is left of the budget of this month is less than the call may cost", 31*24*time.Hour
		want.Fix = "Ask for a shorter answer or a cheaper model, wait until 2000-02-01 00:00 UTC, or ask for a larger budget."
		if diff := cmp.Diff(want, refused(200)); diff != "" {
			t.Error(diff)
		}
		reserve(t, l, call("2", "t", "u", 100))
		l.Settle(record(call("2", "t", "u", 100), 100))
		time.Sleep(24 * time.Hour)
		want.Message, want.RetryAfter, want.Fix = "the budget of this month is spent", 30*24*time.Hour, "Wait until 2000-02-01 00:00 UTC, or ask for a larger budget."
		if diff := cmp.Diff(want, refused(1)); diff != "" {
			t.Error(diff)
		}
		time.Sleep(30 * 24 * time.Hour)
		reserve(t, l, call("3", "t", "u", 1000)) // the next month
	})
}

func TestDegrade(t *testing.T) {
	rule := hard(100)
	rule.Kind = budget.Degrade
	l := open(t, ledgertest.NewMemory(), rule)
	for i, want := range []bool{false, true, true} {
		req := call(fmt.Sprint(i), "t", "u", 80)
		if degrade, err := l.ReserveOrDegrade(t.Context(), req); err != nil || degrade != want {
			t.Errorf("call %d: %t, %v", i, degrade, err)
		}
		if err := l.Reserve(t.Context(), call("x", "t", "u", 1)); err != nil {
			t.Errorf("a budget of this kind refuses: %v", err)
		}
	}
}

// Callers may bring the same request ID, or none. What stays reserved is never less than
// what the calls that go on may cost.
func TestDuplicateIDs(t *testing.T) {
	for _, id := range []string{"same", ""} {
		s := ledgertest.NewMemory()
		l := open(t, s, hard(1000))
		small, large := call(id, "t", "u", 10), call(id, "t", "u", 400)
		reserve(t, l, small)
		reserve(t, l, large)
		l.Settle(record(large, 300)) // which of them it is cannot be told
		if got := standing(l); got != [2]int64{300, 400} {
			t.Errorf("%v: the small call goes on, and too little is reserved", got)
		}
		flush(t, l)
		l.Settle(record(small, 5))
		if got := standing(l); got != [2]int64{305, 0} {
			t.Errorf("%v", got)
		}
		flush(t, l)
		if n := len(held(t, s)); n != 0 {
			t.Errorf("%d reservations are left", n)
		}
		if got := total(t, l); got.MicroUSD != 305 || got.Calls != 2 {
			t.Errorf("%+v", got)
		}
	}
}

// A call that was refused, and records of other accounts, end no reservation.
func TestRefusedDuplicates(t *testing.T) {
	l := open(t, ledgertest.NewMemory(), hard(1000))
	goesOn := call("same", "t", "u", 900)
	reserve(t, l, goesOn)
	for range 3 {
		if err := l.Reserve(t.Context(), call("same", "t", "u", 200)); err == nil {
			t.Fatal("it passes")
		}
		if got := standing(l); got != [2]int64{0, 900} {
			t.Errorf("%v", got)
		}
	}
	for _, r := range []cost.Record{
		{RequestID: "same", Tenant: "s", User: "u", Operation: "default"},
		{RequestID: "same", Tenant: "t", User: "v", Operation: "default"},
		{RequestID: "same", Tenant: "t", User: "u", Key: "k", Operation: "default"},
		{RequestID: "same", Tenant: "t", User: "u", Operation: "o"},
	} {
		l.Settle(r)
		if got := standing(l); got != [2]int64{0, 900} {
			t.Errorf("%+v: %v", r, got)
		}
	}
	l.Settle(record(goesOn, 800))
	if got := standing(l); got != [2]int64{800, 0} {
		t.Errorf("%v", got)
	}
}

// A call in several records is booked in all of them, and releases once.
func TestSeveralRecords(t *testing.T) {
	l := open(t, ledgertest.NewMemory(), hard(1000))
	a, b := call("a", "t", "u", 100), call("b", "t", "u", 100)
	reserve(t, l, a)
	reserve(t, l, b)
	l.Settle(record(a, 30))
	l.Settle(record(a, 20))
	if got := standing(l); got != [2]int64{50, 100} {
		t.Errorf("%v", got)
	}
	if got := total(t, l); got.MicroUSD != 50 || got.Calls != 2 {
		t.Errorf("%+v", got)
	}
}

// An attempt that was lost is paid for. The call goes on, and may cost as much again.
func TestParts(t *testing.T) {
	l := open(t, ledgertest.NewMemory(), hard(1000))
	req := call("a", "t", "u", 100)
	reserve(t, l, req)
	lost := record(req, 30)
	lost.Part, lost.Model = true, "first"
	l.Settle(lost)
	if got := standing(l); got != [2]int64{30, 100} {
		t.Errorf("%v", got)
	}
	l.Settle(record(req, 90))
	if got := standing(l); got != [2]int64{120, 0} {
		t.Errorf("%v", got)
	}
	if got := total(t, l); got.MicroUSD != 120 || got.Calls != 1 || got.Usage.Output != 4 {
		t.Errorf("%+v", got)
	}
}

// A reservation ends with its lease; the price that comes later counts once, in the day
// and the period in which it was reserved.
func TestLateRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := ledgertest.NewMemory()
		l := open(t, s, budget.Rule{Name: "d", Period: budget.Day, Kind: budget.Hard, MicroUSD: 1000})
		run(t, l)
		time.Sleep(23*time.Hour + 55*time.Minute)
		first, day := call("1", "t", "u", 900), time.Now()
		reserve(t, l, first)
		time.Sleep(4 * time.Minute)
		if got := standing(l); got != [2]int64{0, 900} {
			t.Errorf("%v", got)
		}
		time.Sleep(7 * time.Minute)
		if got := standing(l); got != [2]int64{0, 0} {
			t.Errorf("the next day: %v", got)
		}
		l.Settle(record(first, 800))
		if got := standing(l); got != [2]int64{0, 0} {
			t.Errorf("booked into the next day: %v", got)
		}
		rows := spend(t, l, ledger.Query{By: []ledger.Dimension{ledger.ByDay}})
		if len(rows) != 1 || rows[0].Day.Day() != day.Day() || rows[0].MicroUSD != 800 {
			t.Errorf("%+v", rows)
		}
	})
}

// A price of which the budgets have forgotten the reservation goes into its period nevertheless.
func TestVeryLateRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := open(t, ledgertest.NewMemory(), hard(1000))
		req := call("1", "t", "u", 900)
		reserve(t, l, req)
		time.Sleep(25 * time.Hour)
		l.Settle(record(req, 800))
		if got := standing(l); got != [2]int64{800, 0} {
			t.Errorf("%v", got)
		}
	})
}

// A call that may take hours keeps its reservation as long.
func TestLongCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := open(t, ledgertest.NewMemory(), hard(1000))
		a := call("a", "t", "u", 10)
		a.Timeout = 3 * time.Hour
		reserve(t, l, a)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Hour)
		defer cancel()
		if err := l.Reserve(ctx, call("b", "t", "u", 100)); err != nil {
			t.Fatal(err)
		}
		reserve(t, l, call("c", "t", "u", 500))
		for _, want := range []struct {
			at       time.Duration
			reserved int64
		}{{9 * time.Minute, 610}, {time.Hour, 110}, {3 * time.Hour, 110}, {3*time.Hour + 2*time.Minute, 100}, {5*time.Hour + 2*time.Minute, 0}} {
			time.Sleep(want.at - time.Since(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)))
			if got := standing(l)[1]; got != want.reserved {
				t.Errorf("after %v %d is reserved; want %d", want.at, got, want.reserved)
			}
		}
	})
}

// A reservation that nobody settles does not stay for ever: not in memory, and not in the store.
func TestForgottenCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := ledgertest.NewMemory()
		l := open(t, s, hard(1000))
		run(t, l)
		lost := call("lost", "t", "u", 10)
		reserve(t, l, lost)
		if err := l.Reserve(t.Context(), call("refused", "t", "u", 5000)); err == nil {
			t.Error("it passes")
		}
		time.Sleep(time.Hour)
		if n := len(held(t, s)); n != 1 {
			t.Errorf("%d reservations; the call may still go on", n)
		}
		time.Sleep(24 * time.Hour)
		if n, calls := len(held(t, s)), l.InProgress(); n != 0 || calls != 0 {
			t.Errorf("%d reservations and %d calls are left", n, calls)
		}
		l.Settle(record(lost, 7)) // after all
		if got := standing(l); got != [2]int64{7, 0} {
			t.Errorf("%v", got)
		}
	})
}

func TestNames(t *testing.T) {
	l := open(t, ledgertest.NewMemory(), hard(1000))
	long := strings.Repeat("x", 257)
	req := call("1", "t", long, 10)
	req.Key = "bad\xffbytes"
	reserve(t, l, req)
	r := record(req, 9)
	r.Model = strings.Repeat("y", 256)
	l.Settle(r)
	if got := standing(l); got != [2]int64{9, 0} {
		t.Errorf("%v", got)
	}
	rows := spend(t, l, ledger.Query{By: []ledger.Dimension{ledger.ByTenant, ledger.ByUser, ledger.ByKey, ledger.ByOperation, ledger.ByModel}})
	want := ledger.Account{Tenant: "t", User: cost.Other, Key: "bad\uFFFDbytes", Operation: "default", Model: r.Model}
	if len(rows) != 1 || rows[0].Account != want {
		t.Errorf("%+v", rows)
	}
}

func TestWithoutBudgets(t *testing.T) {
	s := ledgertest.NewMemory()
	l, err := ledger.Open(t.Context(), ledger.Config{Store: s})
	if err != nil {
		t.Fatal(err)
	}
	req := call("1", "t", "u", 10)
	reserve(t, l, req)
	flush(t, l)
	if s.Posts() != 0 || len(held(t, s)) != 0 {
		t.Error("a reservation was written where there is no budget")
	}
	l.Settle(record(req, 9))
	if got := total(t, l); got.MicroUSD != 9 || l.Budgets(time.Now()) != nil || l.BudgetsOf(budget.Account{}, time.Now()) != nil {
		t.Errorf("%+v", got)
	}
	// A budget that does not apply to the call costs nothing either.
	rule := hard(100)
	rule.Tenant = "another"
	l = open(t, s, rule)
	reserve(t, l, req)
	flush(t, l)
	if len(held(t, s)) != 0 {
		t.Error("a reservation was written where no budget applies")
	}
}

func TestFaults(t *testing.T) {
	_, err := ledger.Open(t.Context(), ledger.Config{Budgets: newBook(t, hard(1)), Flush: time.Microsecond, MaxAccounts: -1})
	for _, text := range []string{"no store", "need an estimate", "a flush of", "accounts in memory"} {
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%v\ndoes not say %q", err, text)
		}
	}
	for _, op := range []string{ledgertest.OpHolds, ledgertest.OpSpend} {
		s := ledgertest.NewMemory()
		s.Fail(func(o string) error {
			if o == op {
				return errors.New("broken")
			}
			return nil
		})
		_, err := ledger.Open(t.Context(), ledger.Config{Store: s, Budgets: newBook(t, hard(1)), Estimate: estimated})
		if llm.KindOf(err) != llm.ForebayUnavailable {
			t.Errorf("%s: %v", op, err)
		}
	}
}

// Bookings are written within Flush, in few batches.
func TestFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := ledgertest.NewMemory()
		l := open(t, s, hard(1e9))
		run(t, l)
		for i := range 1000 {
			req := call(fmt.Sprint(i), "t", "u", 100)
			reserve(t, l, req)
			time.Sleep(time.Millisecond)
			l.Settle(record(req, 1))
		}
		time.Sleep(49 * time.Millisecond)
		synctest.Wait()
		if n := s.Posts(); n > 21 {
			t.Errorf("%d batches in a second", n)
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		rows, err := s.Spend(t.Context(), ledger.Query{})
		if err != nil || len(rows) != 1 || rows[0].MicroUSD != 1000 {
			t.Errorf("%+v, %v", rows, err)
		}
		before := s.Posts()
		time.Sleep(time.Hour)
		if n := s.Posts(); n != before {
			t.Errorf("%d batches of nothing", n-before)
		}
	})
}

// A store that fails costs nothing but memory, and that is bounded: names are lost, sums are not.
func TestFailingStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := ledgertest.NewMemory()
		var broken atomic.Bool
		var tries atomic.Int64
		s.Fail(func(op string) error {
			if op == ledgertest.OpPost && broken.Load() {
				tries.Add(1)
				return errors.New("broken")
			}
			return nil
		})
		var dropped atomic.Int64
		l, err := ledger.Open(t.Context(), ledger.Config{
			Store: s, Budgets: newBook(t, hard(1e9)), Estimate: estimated, MaxAccounts: 50, OnDrop: func(n int64) { dropped.Add(n) },
		})
		if err != nil {
			t.Fatal(err)
		}
		run(t, l)
		before := call("before", "t", "u", 10)
		reserve(t, l, before)
		time.Sleep(time.Second)
		broken.Store(true)
		l.Settle(record(before, 1))
		for i := range 100 {
			req := call(fmt.Sprint(i), "t", fmt.Sprint("u", i), 10)
			reserve(t, l, req)
			time.Sleep(time.Second)
			l.Settle(record(req, 1))
		}
		if n := dropped.Load(); n != 51 {
			t.Errorf("%d bookings lost their names", n)
		}
		if n := tries.Load(); n > 40 {
			t.Errorf("%d tries in 100 s", n)
		}
		if got := total(t, l).MicroUSD; got != 101 {
			t.Errorf("%d are booked", got)
		}
		if err := l.Close(t.Context()); llm.KindOf(err) != llm.ForebayUnavailable {
			t.Errorf("%v", err)
		}
		broken.Store(false)
		time.Sleep(6 * time.Second)
		synctest.Wait()
		rows, err := s.Spend(t.Context(), ledger.Query{By: []ledger.Dimension{ledger.ByTenant}})
		if err != nil || len(rows) != 2 || rows[0].MicroUSD+rows[1].MicroUSD != 101 || len(held(t, s)) != 0 {
			t.Errorf("%+v, %v; holds %+v", rows, err, held(t, s))
		}
	})
}

// What a store did not take is written when it works again, also where nothing comes after it.
func TestTheLastBookingIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := ledgertest.NewMemory()
		var fails atomic.Int64
		s.Fail(func(op string) error {
			if op == ledgertest.OpPost && fails.Add(1) < 5 {
				return errors.New("broken")
			}
			return nil
		})
		l := open(t, s)
		run(t, l)
		l.Settle(record(call("1", "t", "u", 1), 7))
		time.Sleep(10 * time.Second)
		if n := s.Posts(); n != 1 {
			t.Errorf("%d batches were written after %d tries", n, fails.Load())
		}
	})
}

// What is being written counts for the bound of what is in memory.
func TestBoundDuringAWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := ledgertest.NewMemory()
		release := make(chan struct{})
		s.Fail(func(op string) error {
			if op == ledgertest.OpPost {
				<-release
			}
			return nil
		})
		var dropped atomic.Int64
		l, err := ledger.Open(t.Context(), ledger.Config{Store: s, MaxAccounts: 10, OnDrop: func(n int64) { dropped.Add(n) }})
		if err != nil {
			t.Fatal(err)
		}
		run(t, l)
		book := func(from, to int) {
			for i := from; i < to; i++ {
				l.Settle(record(call("1", "t", fmt.Sprint("u", i), 1), 1))
			}
		}
		book(0, 8)
		time.Sleep(time.Second) // they are being written
		book(0, 20)
		if n := dropped.Load(); n != 12 { // eight have their names in both
			t.Errorf("%d bookings lost their names", n)
		}
		close(release)
		time.Sleep(time.Second)
		book(50, 60)
		if n := dropped.Load(); n != 12 {
			t.Errorf("%d bookings lost their names once the store worked again", n)
		}
	})
}
