package logtest

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/requestlog"
)

// rule is one sentence of a contract with its check.
type rule[S any] struct {
	name  string
	check func(t *testing.T, s S)
}

// run checks each rule on a store of its own.
func run[S any](t *testing.T, open func(t *testing.T) S, rules []rule[S]) {
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) { r.check(t, open(t)) })
	}
}

// checker is a test, or one run of a model.
type checker interface {
	Helper()
	Context() context.Context
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

func must(t checker, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%v", err)
	}
}

// same compares what came back with what was written. Of lists it tells of the first place
// where they differ: all of the differences of long ones would take minutes to find.
func same(t checker, what string, got, want any) {
	t.Helper()
	if reflect.DeepEqual(got, want) { // a hundred times as quick as what follows
		return
	}
	g, w := reflect.ValueOf(got), reflect.ValueOf(want)
	if g.Kind() != reflect.Slice || w.Kind() != reflect.Slice {
		differ(t, what, got, want)
		return
	}
	for i := range min(g.Len(), w.Len()) {
		if differ(t, fmt.Sprintf("%s, number %d", what, i), g.Index(i).Interface(), w.Index(i).Interface()) {
			break
		}
	}
	if g.Len() != w.Len() {
		t.Errorf("%s: there are %d; want %d", what, g.Len(), w.Len())
	}
}

// differ reports whether two values are different.
func differ(t checker, what string, got, want any) bool {
	t.Helper()
	if reflect.DeepEqual(got, want) {
		return false
	}
	diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.EquateNaNs())
	if diff != "" {
		t.Errorf("%s (-want +got):\n%.3000s", what, diff)
	}
	return diff != ""
}

// impatient is a context that ends when its error has been asked for some times.
type impatient struct {
	context.Context
	left atomic.Int32
	done chan struct{}
}

func newImpatient(t testing.TB, n int) context.Context {
	c := &impatient{Context: t.Context(), done: make(chan struct{})}
	c.left.Store(int32(n))
	return c
}

func (c *impatient) Done() <-chan struct{} { return c.done }

func (c *impatient) Err() error {
	switch n := c.left.Add(-1); {
	case n > 0:
		return nil
	case n == 0:
		close(c.done)
	}
	return context.Canceled
}

// ended is a context that has ended.
func ended(t testing.TB) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// epoch is when everything here happens, more or less.
var epoch = time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)

// choose is a text of a few, or the empty one.
func choose(r *rand.Rand, name string, n int) string {
	if i := r.IntN(n + 1); i > 0 {
		return fmt.Sprintf("%s-%d", name, i)
	}
	return ""
}

// entry is entry number n, whose parts follow from its number. Entries that differ in one
// part alone are among a few thousand of them.
func entry(n int) requestlog.Entry {
	r := rand.New(rand.NewPCG(7, uint64(n)))
	span := func() time.Duration { return time.Duration(r.IntN(5)) * time.Second / 2 }
	e := requestlog.Entry{
		ID: fmt.Sprintf("req_%d", r.IntN(50)), Start: epoch.Add(time.Duration(n)*time.Second - time.Duration(r.IntN(20_000))*time.Millisecond),
		Tenant: choose(r, "tenant", 2), User: choose(r, "user", 3), Key: choose(r, "key", 2), Operation: choose(r, "operation", 3),
		Persona: choose(r, "persona", 1), Endpoint: "chat", Model: choose(r, "model", 2), Priority: choose(r, "band", 2),
		Stream: r.IntN(2) == 0, Job: r.IntN(2) == 0, Provider: choose(r, "provider", 2), Answered: choose(r, "answered", 2), Region: choose(r, "region", 2),
		Outcome: []string{"ok", "ok", "ok", "degraded", "refused", "error", "cancelled"}[r.IntN(7)],
		Cache:   []string{"hit", "miss", "stale"}[r.IntN(3)], CacheReason: choose(r, "reason", 2), CacheDetail: choose(r, "detail", 1),
		Stored: r.IntN(2) == 0, Fallback: choose(r, "fallback", 1), Template: choose(r, "template", 1),
		Duration: span(), Lookup: span(), Queue: span(), Upstream: span(), FirstToken: span(), Overhead: span(),
		Usage:     llm.Usage{Input: r.Int64N(1000), Output: r.Int64N(1000), CacheRead: r.Int64N(10), CacheWrite: r.Int64N(10)},
		Estimated: r.IntN(2) == 0, MicroUSD: r.Int64N(5), SavedMicroUSD: r.Int64N(5),
	}
	if r.IntN(3) == 0 {
		e.ErrorType = []llm.Kind{llm.ProviderTimeout, llm.PolicyOverloaded}[r.IntN(2)]
	}
	if r.IntN(2) == 0 {
		e.CacheKey = fmt.Sprintf("%064x", r.Uint64())
	}
	for i := range r.IntN(4) {
		e.Attempts = append(e.Attempts, requestlog.Attempt{
			Target: choose(r, "target", 3), Region: choose(r, "region", 2), Start: span(), Waited: span(), Duration: span(), FirstToken: span(),
			ErrorType: llm.Kind(choose(r, "kind", i+1)),
		})
	}
	return e
}

func entries(from, to int) []requestlog.Entry {
	all := make([]requestlog.Entry, 0, to-from)
	for ; from < to; from++ {
		all = append(all, entry(from))
	}
	return all
}

// awkward are entries with what a store may stumble over.
func awkward() []requestlog.Entry {
	long := make([]byte, 70_000)
	for i := range long {
		long[i] = byte('a' + i%26)
	}
	extreme := entry(1)
	extreme.Duration, extreme.Lookup, extreme.Usage.Input = math.MaxInt64, math.MinInt64, math.MinInt64
	extreme.MicroUSD, extreme.SavedMicroUSD = math.MaxInt64, math.MinInt64
	extreme.Start = time.Date(2200, 1, 1, 0, 0, 0, 1, time.UTC)
	texts := entry(2)
	texts.Tenant, texts.User, texts.Operation = "शिक्षक", "'; DROP TABLE requests; --", "a\nb\tc\"%_"
	texts.CacheKey, texts.Model, texts.Template = "NOT HEXADECIMAL", string(long), string(long[:300])
	early := entry(3)
	early.Start = time.Date(1700, 1, 1, 0, 0, 0, 0, time.UTC)
	upper := entry(4)
	upper.CacheKey = "ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789"
	numbers := entry(5)
	numbers.Tenant, numbers.Operation, numbers.Model, numbers.User = "1", "0", "-1", "1e3"
	many := entry(6)
	for i := range 200 {
		many.Attempts = append(many.Attempts, requestlog.Attempt{Target: fmt.Sprint("target-", i), Duration: -1})
	}
	return []requestlog.Entry{{}, extreme, texts, early, upper, numbers, many}
}
