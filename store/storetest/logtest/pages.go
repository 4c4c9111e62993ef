package logtest

import (
	"slices"
	"time"

	"github.com/forebay-ai/forebay/requestlog"
)

// appended appends entries, which have their Seq then.
func appended(t checker, s requestlog.Store, all []requestlog.Entry) []requestlog.Entry {
	t.Helper()
	must(t, s.AppendRequests(t.Context(), all))
	return all
}

// listed is an entry as a page has it.
func listed(e requestlog.Entry) requestlog.Entry {
	e.Attempts = nil
	return e
}

// pages reads all pages of a query.
func pages(t checker, s requestlog.Store, q requestlog.Query) []requestlog.Entry {
	t.Helper()
	var all []requestlog.Entry
	for range 10_000 {
		p, err := s.Requests(t.Context(), q)
		must(t, err)
		if len(p.Entries) > q.Size() {
			t.Fatalf("a page of %d entries; its limit is %d", len(p.Entries), q.Size())
		}
		all = append(all, p.Entries...)
		if p.Next == 0 {
			return all
		}
		if q.Before > 0 && p.Next >= q.Before {
			t.Fatalf("the page after %d is that after %d", q.Before, p.Next)
		}
		q.Before = p.Next
	}
	t.Fatalf("pages do not come to an end")
	return nil
}

// chosen is what a filter chooses of entries, as pages have it.
func chosen(all []requestlog.Entry, f requestlog.Filter) []requestlog.Entry {
	var some []requestlog.Entry
	for _, e := range slices.Backward(all) {
		if f.Match(&e) {
			some = append(some, listed(e))
		}
	}
	return some
}

// filters are one of each member, at the edges of its values, and some of several.
func filters() map[string]requestlog.Filter {
	e := entry(42)
	return map[string]requestlog.Filter{
		"all": {}, "from": {From: e.Start}, "from a moment later": {From: e.Start.Add(1)},
		"to": {To: e.Start}, "to a moment later": {To: e.Start.Add(1)}, "from to": {From: e.Start, To: e.Start.Add(5 * time.Second)},
		"nothing between": {From: e.Start, To: e.Start}, "before all": {To: epoch.AddDate(-1, 0, 0)}, "after all": {From: epoch.AddDate(1, 0, 0)},
		"tenant": {Tenant: "tenant-1"}, "user": {User: "user-2"}, "key": {Key: "key-2"}, "operation": {Operation: "operation-3"}, "model": {Model: "model-1"},
		"provider": {Provider: "provider-2"}, "outcome ok": {Outcome: "ok"}, "outcome degraded": {Outcome: "degraded"}, "outcome cancelled": {Outcome: "cancelled"},
		"error type": {ErrorType: "provider_timeout"}, "cache": {Cache: "stale"}, "fallback": {Fallback: "fallback-1"}, "id": {ID: "req_7"},
		"long": {MinDuration: time.Second}, "a moment longer": {MinDuration: time.Second + 1}, "dear": {MinMicroUSD: 3}, "failed": {Failed: true},
		"failed and ok": {Failed: true, Outcome: "ok"}, "failed and refused": {Failed: true, Outcome: "refused"},
		"failed of one": {Failed: true, Operation: "operation-1"}, "user and tenant": {User: "user-1", Tenant: "tenant-2"},
		"id and user": {ID: "req_7", User: "user-1"}, "failed lately": {Failed: true, From: e.Start}, "user and time": {User: "user-3", To: e.Start},
		"operation, long and dear": {Operation: "operation-2", MinDuration: time.Second, MinMicroUSD: 2},
		"error and fallback":       {ErrorType: "policy_overloaded", Fallback: "fallback-1"},
		"everything": {
			From: e.Start, To: e.Start.Add(time.Hour), Tenant: "tenant-1", User: "user-1", Key: "key-1", Operation: "operation-1", Model: "model-1",
			Outcome: "ok", Cache: "miss", MinDuration: 1, MinMicroUSD: 1,
		},
		"another case": {Operation: "OPERATION-1"}, "a part": {Operation: "operation"}, "a number": {Operation: "1"}, "nobody": {User: "nobody"}, "no such model": {Model: "model-9"},
		"negative": {MinDuration: -1, MinMicroUSD: -1},
	}
}
