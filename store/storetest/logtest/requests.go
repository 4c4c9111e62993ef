package logtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/requestlog"
)

// Requests checks an implementation of requestlog.Store. open returns an empty store that
// keeps some ten thousand entries at least, and has it closed by t.Cleanup where it needs
// to be.
func Requests(t *testing.T, open func(t *testing.T) requestlog.Store) {
	run(t, open, []rule[requestlog.Store]{
		{"what is appended comes back", requestsRoundTrip},
		{"each number is above all before", requestsNumbers},
		{"a batch is appended whole or not at all", requestsBatches},
		{"no reference is kept", requestsCopies},
		{"a page is newest first and without attempts", requestsNewestFirst},
		{"a page keeps to its limit", requestsLimits},
		{"pages follow one another to the last", requestsPages},
		{"filters choose what they say", requestsFilters},
		{"filters choose the same page by page", requestsFiltersPaged},
		{"pages of what is rare come to an end", requestsRare},
		{"old entries are removed and nothing else", requestsPruneTime},
		{"the oldest beyond a number are removed", requestsPruneKeep},
		{"no number is given again", requestsPruneAll},
		{"a user is erased and nobody else", requestsErase},
		{"an ended context", requestsContext},
		{"concurrent use", requestsConcurrent},
		{"model", requestsModel},
	})
}

func requestsRoundTrip(t *testing.T, s requestlog.Store) {
	all := appended(t, s, append(awkward(), entries(100, 150)...))
	appended(t, s, nil) // nothing is a batch too
	for _, want := range all {
		got, ok, err := s.Request(t.Context(), want.Seq)
		must(t, err)
		if !ok {
			t.Errorf("entry %d is not there", want.Seq)
		}
		same(t, fmt.Sprintf("entry %d", want.Seq), got, want)
	}
	same(t, "the page", pages(t, s, requestlog.Query{}), chosen(all, requestlog.Filter{}))
	for _, seq := range []int64{0, -1, all[len(all)-1].Seq + 1, 1 << 62} {
		if got, ok, err := s.Request(t.Context(), seq); ok || err != nil {
			t.Errorf("entry %d, which there is not: %+v, %v, %v", seq, got, ok, err)
		}
	}
}

func requestsNumbers(t *testing.T, s requestlog.Store) {
	last := int64(0)
	for n := range 20 {
		for _, e := range appended(t, s, entries(10*n, 10*n+n)) {
			if e.Seq <= last {
				t.Errorf("number %d comes after %d", e.Seq, last)
			}
			last = e.Seq
		}
	}
}

// requestsBatches ends the context somewhere in an append, so that it fails at many places.
func requestsBatches(t *testing.T, s requestlog.Store) {
	failed := 0
	var there []requestlog.Entry
	for n := range 40 {
		batch := entries(10*n, 10*n+10)
		if err := s.AppendRequests(newImpatient(t, n+1), batch); err != nil {
			failed++
		} else {
			there = append(there, batch...)
		}
		same(t, "all", pages(t, s, requestlog.Query{Limit: 500}), chosen(there, requestlog.Filter{}))
	}
	if failed == 0 {
		t.Error("no append failed although the context of each ended")
	}
}

func requestsCopies(t *testing.T, s requestlog.Store) {
	e := entry(8)
	e.Attempts = []requestlog.Attempt{{Target: "a"}, {Target: "b"}}
	batch := []requestlog.Entry{e}
	appended(t, s, batch)
	seq := batch[0].Seq
	batch[0].Attempts[0].Target, batch[0].User = "changed", "changed"
	got, _, err := s.Request(t.Context(), seq)
	must(t, err)
	if got.Attempts[0].Target != "a" || got.User != e.User {
		t.Errorf("what was changed after it was appended is changed in the store: %+v", got)
	}
	got.Attempts[1].Target = "changed"
	if again, _, err := s.Request(t.Context(), seq); err != nil || again.Attempts[1].Target != "b" {
		t.Errorf("what was changed after it was read is changed in the store: %+v, %v", again, err)
	}
}

func requestsNewestFirst(t *testing.T, s requestlog.Store) {
	all := appended(t, s, entries(0, 30))
	p, err := s.Requests(t.Context(), requestlog.Query{})
	must(t, err)
	same(t, "the page", p.Entries, chosen(all, requestlog.Filter{}))
	if p.Next != 0 {
		t.Errorf("there is another page, after %d", p.Next)
	}
}

func requestsLimits(t *testing.T, s requestlog.Store) {
	all := appended(t, s, entries(0, 600))
	for limit, want := range map[int]int{0: 50, -7: 50, 1: 1, 50: 50, 500: 500, 501: 500, 1 << 40: 500} {
		p, err := s.Requests(t.Context(), requestlog.Query{Limit: limit})
		must(t, err)
		if len(p.Entries) != want || p.Next != all[len(all)-want].Seq {
			t.Errorf("with a limit of %d a page has %d entries and the next begins after %d; want %d", limit, len(p.Entries), p.Next, want)
		}
	}
}

func requestsPages(t *testing.T, s requestlog.Store) {
	all := appended(t, s, entries(0, 60))
	for _, limit := range []int{1, 7, 20, 59, 60, 61} {
		same(t, fmt.Sprintf("pages of %d", limit), pages(t, s, requestlog.Query{Limit: limit}), chosen(all, requestlog.Filter{}))
	}
	// The page that is full with the very last entry is the last.
	if p, err := s.Requests(t.Context(), requestlog.Query{Limit: 60}); err != nil || p.Next != 0 {
		t.Errorf("a page of all is followed by one after %d, %v", p.Next, err)
	}
	for _, before := range []int{0, 1, 30} {
		p, err := s.Requests(t.Context(), requestlog.Query{Before: all[before].Seq, Limit: 500})
		must(t, err)
		same(t, "before an entry", p.Entries, chosen(all[:before], requestlog.Filter{}))
	}
	appended(t, s, entries(60, 70)) // what is new changes no page that is older
	p, err := s.Requests(t.Context(), requestlog.Query{Before: all[30].Seq, Limit: 500})
	must(t, err)
	same(t, "before an entry", p.Entries, chosen(all[:30], requestlog.Filter{}))
}

func requestsFilters(t *testing.T, s requestlog.Store) {
	all := appended(t, s, entries(0, 400))
	some := 0
	for name, f := range filters() {
		want := chosen(all, f)
		if len(want) > 0 && len(want) < len(all) {
			some++
		}
		same(t, name, pages(t, s, requestlog.Query{Filter: f, Limit: 500}), want)
	}
	if some < 25 {
		t.Errorf("only %d filters choose some entries and not all: the test shows little", some)
	}
}

func requestsFiltersPaged(t *testing.T, s requestlog.Store) {
	all := appended(t, s, entries(0, 200))
	for name, f := range filters() {
		same(t, name, pages(t, s, requestlog.Query{Filter: f, Limit: 3}), chosen(all, f))
	}
}

// requestsRare has more entries than a store may look through for one page, of which few
// are chosen: by each way in which a store may look for them.
func requestsRare(t *testing.T, s requestlog.Store) {
	var all []requestlog.Entry
	for n := range 20 {
		batch := entries(1000*n, 1000*n+500)
		for i := range batch {
			batch[i].Outcome, batch[i].Operation, batch[i].User, batch[i].Model = "error", "usual", "usual", "usual"
		}
		if n == 2 || n == 11 {
			batch[7].Model, batch[300].Model = "rare", "rare"
		}
		all = append(all, appended(t, s, batch)...)
	}
	for name, f := range map[string]requestlog.Filter{
		"rare": {Model: "rare"}, "rare of usual": {Model: "rare", Operation: "usual"}, "rare failed": {Model: "rare", Failed: true},
		"rare of one": {Model: "rare", User: "usual"}, "nothing": {Model: "never"}, "nothing failed": {Model: "never", Failed: true},
	} {
		same(t, name, pages(t, s, requestlog.Query{Filter: f, Limit: 3}), chosen(all, f))
	}
}

func requestsPruneTime(t *testing.T, s requestlog.Store) {
	all := appended(t, s, entries(0, 700))
	cut := all[300].Start
	for _, at := range []time.Time{{}, epoch.AddDate(-1, 0, 0), cut, cut, cut.Add(1)} {
		left := slices.DeleteFunc(slices.Clone(all), func(e requestlog.Entry) bool { return e.Start.Before(at) })
		n, err := s.PruneRequests(t.Context(), at, -1)
		must(t, err)
		if int(n) != len(all)-len(left) {
			t.Errorf("before %v: %d entries were removed; want %d", at, n, len(all)-len(left))
		}
		all = left
		same(t, "what is left", pages(t, s, requestlog.Query{Limit: 500}), chosen(all, requestlog.Filter{}))
	}
	gone := slices.ContainsFunc(all, func(e requestlog.Entry) bool { return e.Start.Equal(cut) })
	if gone {
		t.Error("what started a moment before is left")
	}
	same(t, "of a user", pages(t, s, requestlog.Query{Filter: requestlog.Filter{User: "user-1"}}), chosen(all, requestlog.Filter{User: "user-1"}))
}

func requestsPruneKeep(t *testing.T, s requestlog.Store) {
	all := appended(t, s, entries(0, 700))
	for _, keep := range []int64{1000, 700, 699, 300, 300, 1, 0, 0} {
		want := max(int64(len(all))-keep, 0)
		n, err := s.PruneRequests(t.Context(), time.Time{}, keep)
		must(t, err)
		if n != want {
			t.Errorf("to %d: %d entries were removed; want %d", keep, n, want)
		}
		all = all[want:]
		same(t, "what is left", pages(t, s, requestlog.Query{Limit: 500}), chosen(all, requestlog.Filter{}))
		same(t, "failed of it", pages(t, s, requestlog.Query{Filter: requestlog.Filter{Failed: true}}), chosen(all, requestlog.Filter{Failed: true}))
	}
	// Both at once: what is too old goes, and then the oldest of the rest.
	all = appended(t, s, entries(1000, 1100))
	cut := all[50].Start
	all = slices.DeleteFunc(all, func(e requestlog.Entry) bool { return e.Start.Before(cut) })
	want := int64(100 - len(all))
	if len(all) > 30 {
		want, all = 70, all[len(all)-30:]
	}
	n, err := s.PruneRequests(t.Context(), cut, 30)
	must(t, err)
	if n != want {
		t.Errorf("%d entries were removed; want %d", n, want)
	}
	same(t, "what is left", pages(t, s, requestlog.Query{Limit: 500}), chosen(all, requestlog.Filter{}))
}

func requestsPruneAll(t *testing.T, s requestlog.Store) {
	last := int64(0)
	for n := range 5 {
		batch := appended(t, s, entries(10*n, 10*n+10))
		if batch[0].Seq <= last {
			t.Errorf("number %d comes after %d, although it was given before", batch[0].Seq, last)
		}
		last = batch[9].Seq
		removed, err := s.PruneRequests(t.Context(), epoch.AddDate(1, 0, 0), -1)
		if err != nil || removed != 10 {
			t.Errorf("%d entries were removed, %v; want 10", removed, err)
		}
		same(t, "what is left", pages(t, s, requestlog.Query{}), []requestlog.Entry(nil))
		if _, ok, err := s.Request(t.Context(), last); ok || err != nil {
			t.Errorf("entry %d is there, %v", last, err)
		}
	}
}

func requestsErase(t *testing.T, s requestlog.Store) {
	all := entries(0, 900)
	for i := range all { // one of the two has more than a store may change at once
		all[i].Tenant = []string{"tenant-1", "tenant-1", "tenant-2"}[i%3]
		all[i].User = []string{"user-1", "user-1", "user-10", "user-2", ""}[i%5]
	}
	for batch := range slices.Chunk(all, 100) {
		appended(t, s, batch)
	}
	must(t, s.EraseRequests(t.Context(), "tenant-3", "user-1"))
	must(t, s.EraseRequests(t.Context(), "tenant-1", "USER-1"))
	same(t, "all", pages(t, s, requestlog.Query{Limit: 500}), chosen(all, requestlog.Filter{}))
	for range 2 {
		must(t, s.EraseRequests(t.Context(), "tenant-1", "user-1"))
		for i := range all {
			if e := &all[i]; e.Tenant == "tenant-1" && e.User == "user-1" {
				e.User = requestlog.ErasedUser
			}
		}
		same(t, "all", pages(t, s, requestlog.Query{Limit: 500}), chosen(all, requestlog.Filter{}))
		for _, f := range []requestlog.Filter{{User: "user-1"}, {User: requestlog.ErasedUser}, {User: "user-1", Tenant: "tenant-1"}, {User: "user-10"}} {
			same(t, fmt.Sprintf("%+v", f), pages(t, s, requestlog.Query{Filter: f, Limit: 500}), chosen(all, f))
		}
	}
}

func requestsContext(t *testing.T, s requestlog.Store) {
	all := appended(t, s, entries(0, 3))
	ctx := ended(t)
	add := s.AppendRequests(ctx, entries(5, 7))
	_, page := s.Requests(ctx, requestlog.Query{})
	_, _, get := s.Request(ctx, all[0].Seq)
	_, prune := s.PruneRequests(ctx, epoch.AddDate(1, 0, 0), 0)
	erase := s.EraseRequests(ctx, all[0].Tenant, "user-1")
	for op, err := range map[string]error{"AppendRequests": add, "Requests": page, "Request": get, "PruneRequests": prune, "EraseRequests": erase} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s with an ended context: %v; want context.Canceled", op, err)
		}
	}
	same(t, "all", pages(t, s, requestlog.Query{}), chosen(all, requestlog.Filter{}))
}

// requestsConcurrent has everybody see what he has appended, in one order for all, while
// others append, remove what is old and erase.
func requestsConcurrent(t *testing.T, s requestlog.Store) {
	var all sync.WaitGroup
	for g := range 6 {
		all.Go(func() {
			for n := range 15 {
				batch := entries(1000*g+10*n, 1000*g+10*n+5)
				for i := range batch {
					batch[i].Tenant, batch[i].User = fmt.Sprint("tenant-", g), "mine"
				}
				if err := s.AppendRequests(t.Context(), batch); err != nil {
					t.Error(err)
					return
				}
				p, err := s.Requests(t.Context(), requestlog.Query{Filter: requestlog.Filter{Tenant: batch[0].Tenant}, Limit: 5})
				if err != nil {
					t.Error(err)
					return
				}
				same(t, "the newest", p.Entries, chosen(batch, requestlog.Filter{}))
			}
		})
	}
	all.Go(func() {
		for range 20 {
			if _, err := s.PruneRequests(t.Context(), epoch.AddDate(-1, 0, 0), 100_000); err != nil {
				t.Error(err)
			}
			if err := s.EraseRequests(t.Context(), "nobody", "mine"); err != nil {
				t.Error(err)
			}
		}
	})
	all.Wait()
	if n := len(pages(t, s, requestlog.Query{Limit: 500})); n != 6*15*5 {
		t.Errorf("there are %d entries; want %d", n, 6*15*5)
	}
}
