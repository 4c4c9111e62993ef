package ledgertest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/ledger"
	"github.com/forebay-ai/forebay/llm"
	"github.com/google/go-cmp/cmp"
)

// Open returns an empty store, and has it closed by t.Cleanup where it needs to be. reopen closes it and opens it anew, with what
// is in it; it is nil where the store does not last.
type Open = func(t *testing.T) (s ledger.Store, reopen func() ledger.Store)

// Run checks an implementation of ledger.Store that writes in transactions.
func Run(t *testing.T, open Open) {
	run(t, open, append(batchRules(5000), rule{"no reader sees half a batch", torn}))
}

// RunSlow checks one that does not, and that takes milliseconds for each row: readers may see a part of a batch that is just being
// written, and the suite writes fewer rows.
func RunSlow(t *testing.T, open Open) { run(t, open, batchRules(500)) }

func run(t *testing.T, open Open, batches []rule) {
	for _, r := range slices.Concat(spendRules(), holdRules(), batches) {
		t.Run(r.name, func(t *testing.T) {
			s, _ := open(t)
			r.check(t, s)
		})
	}
	t.Run("all is found again when the store is opened anew", func(t *testing.T) { durable(t, open) })
	t.Run("model", func(t *testing.T) { model(t, open) })
}

// rule is one sentence of the contract with its check.
type rule struct {
	name  string
	check func(t *testing.T, s ledger.Store)
}

// everything is a limit for which all rows are asked.
const everything = 1_000_000

// day is a day, counted from one near the end of a month.
func day(n int) time.Time { return time.Date(2026, time.November, 28+n, 0, 0, 0, 0, time.UTC) }

// account is one whose parts all differ.
func account(n int) ledger.Account {
	text := func(what string) string { return fmt.Sprintf("%s %d", what, n) }
	return ledger.Account{
		Day: day(n), Tenant: text("tenant"), User: text("user"), Key: text("key"), Operation: text("operation"),
		Provider: text("provider"), Model: text("model"),
	}
}

// amounts are ones in which every member is set to a value of its own.
func amounts(n int64) ledger.Amounts {
	return ledger.Amounts{
		Calls: n, Usage: llm.Usage{Input: n + 1, Output: n + 2, CacheRead: n + 3, CacheWrite: n + 4}, MicroUSD: n + 5,
		ComputeMicroUSD: n + 6, StorageMicroUSD: n + 7, Hits: n + 8, SavedMicroUSD: n + 9, EstimatedMicroUSD: n + 10,
	}
}

// usd are amounts of a price alone.
func usd(micro int64) ledger.Amounts { return ledger.Amounts{MicroUSD: micro} }

func sum(all ...ledger.Amounts) (total ledger.Amounts) {
	for _, a := range all {
		total.Add(a)
	}
	return total
}

func post(t testing.TB, s ledger.Store, postings ...ledger.Posting) {
	t.Helper()
	write(t, s, ledger.Batch{Postings: postings})
}

func write(t testing.TB, s ledger.Store, b ledger.Batch) {
	t.Helper()
	if err := s.Post(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}

// has checks the answer to a query, in any order.
func has(t testing.TB, s ledger.Store, q ledger.Query, want ...ledger.Row) {
	t.Helper()
	if q.Limit == 0 {
		q.Limit = everything
	}
	got, err := s.Spend(context.WithoutCancel(t.Context()), q)
	if err != nil {
		t.Fatal(err)
	}
	byName := func(a, b ledger.Row) int {
		if d := a.Day.Compare(b.Day); d != 0 {
			return d
		}
		return strings.Compare(names(a.Account), names(b.Account))
	}
	want = slices.Clone(want) // the caller's
	slices.SortFunc(got, byName)
	slices.SortFunc(want, byName)
	if len(want)+len(got) == 0 {
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%+v:\n%s", q, diff)
	}
	for _, r := range got {
		if r.Day.Location() != time.UTC && !r.Day.IsZero() {
			t.Errorf("a day in %v; want UTC", r.Day.Location())
		}
	}
}
