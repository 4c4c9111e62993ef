package backlog_test

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/backlog"
)

// full is a desk with n queued jobs of 100 tenants.
func full(tb testing.TB, n int, now time.Time) *backlog.Desk {
	d := backlog.NewDesk(backlog.Config{Worker: "w", Max: 10 * n, MaxBytes: -1, Exclusive: true, Timeout: time.Hour})
	for i := range n {
		admit(tb, d, now, backlog.ID(i+1))
	}
	return d
}

func admit(tb testing.TB, d *backlog.Desk, now time.Time, id backlog.ID) {
	j := backlog.Job{ID: id, Spec: backlog.Spec{Tenant: tenants[id%100], Operation: "op", Bytes: 4096}}
	if e := d.Admit(now, &j); e != nil {
		tb.Fatal(e)
	}
	d.Accept(now, &j)
}

var tenants = func() (names [100]string) {
	for i := range names {
		names[i] = fmt.Sprintf("tenant-%02d", i)
	}
	return names
}()

// BenchmarkClaim is one job's way, admitted, claimed and completed, with so many others queued. The garbage
// collector is off: its share depends on everything that a process allocates.
func BenchmarkClaim(b *testing.B) {
	for _, n := range []int{1_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			now := time.Now()
			d := full(b, n, now)
			runtime.GC()
			defer debug.SetGCPercent(debug.SetGCPercent(-1))
			defer debug.SetMemoryLimit(debug.SetMemoryLimit(2 << 30))
			id := backlog.ID(n + 1)
			b.ReportAllocs()
			var claiming time.Duration
			for b.Loop() {
				admit(b, d, now, id)
				id++
				t := time.Now()
				c, ok := d.Claim(now)
				d.Applied(now, &c)
				claiming += time.Since(t)
				f, done := d.Finish(now, c.ID, c.To.Attempt, backlog.Outcome{})
				if !ok || !done {
					b.Fatal(ok, done)
				}
				d.Applied(now, &f)
			}
			b.ReportMetric(float64(claiming.Nanoseconds())/float64(b.N), "claim-ns/op")
		})
	}
}

// TestMemory: a million queued jobs fit.
func TestMemory(t *testing.T) {
	const n, most = 200_000, 300
	now := time.Now()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	d := full(t, n, now)
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := float64(after.HeapAlloc-before.HeapAlloc) / n
	t.Logf("%.0f bytes a queued job", each)
	if each > most {
		t.Errorf("%.0f bytes a queued job, want at most %d", each, most)
	}
	runtime.KeepAlive(d)
}

// TestClaimIsFlat: claims do not get slower with what is queued. The fastest of many batches is compared,
// so that whatever else the machine does is left out.
func TestClaimIsFlat(t *testing.T) {
	many, batches := 100_000, 40
	if os.Getenv("FOREBAY_LONG") == "1" {
		many = 1_000_000
	}
	fastest := func(n int) time.Duration {
		now := time.Now()
		d := full(t, n, now)
		runtime.GC()
		defer debug.SetGCPercent(debug.SetGCPercent(-1))
		best := time.Hour
		id := backlog.ID(n + 1)
		for range batches {
			var took time.Duration
			for range 250 {
				begin := time.Now()
				c, _ := d.Claim(now)
				d.Applied(now, &c)
				took += time.Since(begin)
				f, _ := d.Finish(now, c.ID, c.To.Attempt, backlog.Outcome{})
				d.Applied(now, &f)
				admit(t, d, now, id)
				id++
			}
			best = min(best, took/250)
		}
		return best
	}
	few, lots := fastest(1_000), fastest(many)
	t.Logf("a claim takes %s with 1,000 queued and %s with %d", few, lots, many)
	if lots > 2*few { // a claim that looks at every job, or at every tenth, takes a thousand times as long
		t.Errorf("a claim takes %s with 1,000 queued and %s with %d", few, lots, many)
	}
}
