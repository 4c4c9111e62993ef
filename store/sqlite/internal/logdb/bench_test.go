package logdb_test

import (
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/requestlog"
	"github.com/forebay-ai/forebay/store/sqlite/internal/logdb"
)

// fill appends calls in batches of 512.
func fill(t testing.TB, l *logdb.Log, from, to int) {
	t.Helper()
	for ; from < to; from += 512 {
		must(t, l.AppendRequests(t.Context(), entries(from, min(from+512, to))))
	}
}

// pagesOf is how many entries TestPages has; 0 means 200,000 where FOREBAY_LONG is set and
// 20,000 else. A million take a minute to write.
var pagesOf = flag.Int("entries", 0, "how many entries TestPages reads pages of")

// TestPages has a page of a large log cost less than looking through all of it, whatever
// is asked for.
func TestPages(t *testing.T) {
	n := 20_000
	if long() {
		n = 200_000
	}
	if *pagesOf > 0 {
		n = *pagesOf
	}
	l := open(t, t.TempDir())
	fill(t, l, 0, n)
	page := func(f requestlog.Filter) (time.Duration, requestlog.Page) {
		began := time.Now()
		p, err := l.Requests(t.Context(), requestlog.Query{Filter: f})
		must(t, err)
		return time.Since(began), p
	}
	middle := entry(n / 2)
	filters := map[string]requestlog.Filter{
		"newest":        {},
		"operation":     {Operation: "operation-3"},
		"rare":          {Operation: "operation-11"},
		"failed":        {Failed: true},
		"failed of one": {Failed: true, Operation: "operation-11"},
		"user":          {User: middle.User},
		"id":            {ID: middle.ID},
		"tenant":        {Tenant: "school-7"},
		"hour long ago": {From: middle.Start, To: middle.Start.Add(time.Hour)},
		"that and more": {From: middle.Start, To: middle.Start.Add(time.Hour), Operation: "operation-3", Failed: true},
		"long":          {MinDuration: 20 * time.Second},
		"nothing":       {Model: "gpt-none"},
		"nobody":        {User: "nobody"},
		"cache":         {Cache: "hit"},
	}
	zones, candidates := logdb.ScannedZones, logdb.Candidates
	if n < 100_000 {
		zones, candidates = 1, candidates/10 // a log of a tenth, bounds of a tenth
	}
	all, best := time.Duration(math.MaxInt64), map[string]time.Duration{}
	for range 5 { // in turns, since the machine may be busy now and then
		l.Hasten(n, n)
		took, _ := page(filters["nothing"])
		all = min(all, took)
		l.Hasten(zones, candidates)
		for name, f := range filters {
			took, p := page(f)
			if b, ok := best[name]; !ok || took < b {
				best[name] = took
			}
			if len(p.Entries) == 0 && p.Next == 0 && name != "nobody" {
				t.Errorf("%s: no entries", name)
			}
		}
	}
	t.Logf("all entries: %v", all)
	for name, took := range best {
		t.Logf("%-15s %v", name, took)
		if took > all*6/10 {
			t.Errorf("%s: a page took %v, and all entries %v", name, took, all)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	dir := b.TempDir()
	l := open(b, dir)
	n := 0
	all := make([][]requestlog.Entry, 0, 64)
	for range 64 {
		all = append(all, entries(n, n+512))
		n += 512
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		must(b, l.AppendRequests(b.Context(), all[i%64]))
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(512*b.N), "us/entry")
	info, err := os.Stat(filepath.Join(dir, "log.db"))
	must(b, err)
	b.ReportMetric(float64(info.Size())/float64(512*b.N), "B/entry")
}

// TestPruneBesideAppends has entries removed while others are appended, and reports how
// long the appends wait: 100,000 entries where FOREBAY_LONG is set, else 20,000.
func TestPruneBesideAppends(t *testing.T) {
	n := 20_000
	if long() {
		n = 100_000
	}
	l := open(t, t.TempDir())
	fill(t, l, 0, n)
	quiet := appendTimes(t, l, n, nil)
	done := make(chan struct{})
	go func() {
		defer close(done)
		removed, err := l.PruneRequests(t.Context(), entry(n/2).Start, int64(n/4))
		if err != nil || removed < int64(n/2) {
			t.Errorf("%d entries were removed, %v", removed, err)
		}
	}()
	began := time.Now()
	busy := appendTimes(t, l, 2*n, done)
	<-done
	t.Logf("alone: %v; beside the removal of %d entries, which took %v: %v", quiet, 3*n/4, time.Since(began), busy)
}

// times are how long operations took.
type times []time.Duration

func (t times) String() string {
	slices.Sort(t)
	at := func(share float64) time.Duration { return t[int(share*float64(len(t)-1))].Round(10 * time.Microsecond) }
	return fmt.Sprintf("%d appends, median %v, p99 %v, longest %v", len(t), at(0.5), at(0.99), at(1))
}

// appendTimes appends batches of 20 until done is closed; 300 of them where it is nil.
func appendTimes(t *testing.T, l *logdb.Log, from int, done <-chan struct{}) times {
	t.Helper()
	var all times
	for done != nil || len(all) < 300 {
		select {
		case <-done:
			return all
		default:
		}
		batch := entries(from, from+20)
		from += 20
		began := time.Now()
		must(t, l.AppendRequests(t.Context(), batch))
		all = append(all, time.Since(began))
		time.Sleep(time.Millisecond)
	}
	return all
}
