package ledger_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/budget"
	"github.com/forebay-ai/forebay/cost"
	"github.com/forebay-ai/forebay/ledger"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/store/storetest/ledgertest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	flag.Parse()
	checks := "200"
	if long() {
		checks = "2000"
	}
	for name, value := range map[string]string{"rapid.checks": checks, "rapid.seed": "1", "rapid.nofailfile": "true"} {
		if f := flag.Lookup(name); f.Value.String() == f.DefValue { // the command line has the last word
			if err := f.Value.Set(value); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
		}
	}
	goleak.VerifyTestMain(m)
}

// long says that tests run in full.
func long() bool { return os.Getenv("FOREBAY_LONG") == "1" }

// estimated is the estimate of a call in these tests: what its body says.
func estimated(req *llm.Request) int64 { return int64(len(req.Body)) }

// call is a request that may cost so much.
func call(id, tenant, user string, estimate int) *llm.Request {
	return &llm.Request{ID: id, Tenant: tenant, User: user, Body: make([]byte, estimate)}
}

// record is how a call ended.
func record(req *llm.Request, microUSD int64) cost.Record {
	op := req.Operation
	if op == "" {
		op = "default" // as the request path calls it
	}
	return cost.Record{
		RequestID: req.ID, Tenant: req.Tenant, User: req.User, Key: req.Key, Operation: op, Provider: "p", Model: "m",
		Usage: llm.Usage{Input: 1, Output: 2}, MicroUSD: microUSD, Outcome: "ok", At: time.Now(),
	}
}

func newBook(t testing.TB, rules ...budget.Rule) *budget.Book {
	t.Helper()
	b, err := budget.New(budget.Config{Rules: rules})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func hard(limit int64) budget.Rule {
	return budget.Rule{Name: "all", Period: budget.Month, Kind: budget.Hard, MicroUSD: limit}
}

func open(t testing.TB, s ledger.Store, rules ...budget.Rule) *ledger.Ledger {
	t.Helper()
	l, err := ledger.Open(context.Background(), ledger.Config{Store: s, Budgets: newBook(t, rules...), Estimate: estimated})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// run runs l until the test ends, or stop is called.
func run(t testing.TB, l *ledger.Ledger) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	ended := false
	stop = func() {
		if ended {
			return
		}
		ended = true
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return stop
}

func reserve(t testing.TB, l *ledger.Ledger, req *llm.Request) {
	t.Helper()
	if err := l.Reserve(t.Context(), req); err != nil {
		t.Fatal(err)
	}
}

func spend(t testing.TB, l *ledger.Ledger, q ledger.Query) []ledger.Row {
	t.Helper()
	rows, err := l.Spend(context.WithoutCancel(t.Context()), q)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// total is everything that was booked.
func total(t testing.TB, l *ledger.Ledger) ledger.Amounts {
	t.Helper()
	rows := spend(t, l, ledger.Query{})
	if len(rows) == 0 {
		return ledger.Amounts{}
	}
	return rows[0].Amounts
}

func flush(t testing.TB, l *ledger.Ledger) {
	t.Helper()
	if err := l.Close(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
}

// standing is what is spent and reserved of the first budget.
func standing(l *ledger.Ledger) [2]int64 {
	s := l.Budgets(time.Now())[0]
	return [2]int64{s.Spent, s.Reserved}
}

func held(t testing.TB, s *ledgertest.Memory) []ledger.Hold {
	t.Helper()
	all, err := s.Copy().Holds(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return all
}
