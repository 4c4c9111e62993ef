package jobtable_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/store/dynamo/internal/calls"
	"github.com/forebay-ai/forebay/store/dynamo/internal/jobtable"
)

// TestCensusIsMadeOnce has processes that started together ask for the first census at once: one of them counts, and the others
// say that nobody has counted yet until it has.
func TestCensusIsMadeOnce(t *testing.T) {
	c := client(t, nil)
	cfg := config(newTable(t, c))
	cfg.CensusFor = 0
	var ids backlog.IDs
	var all [6]backlog.Store
	var conns [6]*calls.Conn
	for i := range all {
		all[i], conns[i] = openAt(t, c, cfg)
	}
	fill(t, all[0], &ids, 64)
	var w sync.WaitGroup
	for _, b := range all {
		w.Go(func() {
			if counts, err := b.Census(t.Context(), nil); !errors.Is(err, backlog.ErrNotCounted) && (err != nil || counts[backlog.Cancelled] != 64) {
				t.Errorf("%v, %v", counts, err)
			}
		})
	}
	w.Wait()
	counted := 0
	for i, conn := range conns {
		if conn.Stats()["queue.census"].Calls > 0 {
			counted++
		}
		if counts, err := all[i].Census(t.Context(), nil); err != nil || counts[backlog.Cancelled] != 64 {
			t.Errorf("afterwards: %v, %v", counts, err)
		}
	}
	if counted != 1 {
		t.Errorf("%d of %d processes read all jobs; want one", counted, len(all))
	}
}

// TestCensusThatFails has the first census fail for want of capacity: for a while neither that process nor another one makes it.
func TestCensusThatFails(t *testing.T) {
	var refused atomic.Bool
	var tries atomic.Int64
	c := client(t, func(next http.RoundTripper) http.RoundTripper {
		return transport(func(r *http.Request) (*http.Response, error) {
			if !refused.Load() || !strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".Query") {
				return next.RoundTrip(r)
			}
			tries.Add(1)
			return &http.Response{
				StatusCode: http.StatusBadRequest, Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
				Body: io.NopCloser(strings.NewReader(refusal)), Request: r,
			}, nil
		})
	})
	cfg := config(newTable(t, c))
	cfg.CensusFor = 0
	var stores [2]backlog.Store
	for i := range stores {
		b, err := jobtable.Open(t.Context(), cfg, calls.New(c, 50*time.Millisecond))
		must(t, err)
		stores[i] = b
	}
	refused.Store(true)
	if _, err := stores[0].Census(t.Context(), nil); err == nil || errors.Is(err, backlog.ErrNotCounted) {
		t.Errorf("the census that failed: %v", err)
	}
	before := tries.Load()
	for _, b := range stores {
		if _, err := b.Census(t.Context(), nil); !errors.Is(err, backlog.ErrNotCounted) {
			t.Errorf("after a census that failed: %v; want ErrNotCounted", err)
		}
	}
	if n := tries.Load(); before == 0 || n != before {
		t.Errorf("%d calls for a census that failed, and %d after it", before, n-before)
	}
}

// TestCensusOfMany has a census that is too long to be shared, of tenants with long names: each process makes its own, once.
func TestCensusOfMany(t *testing.T) {
	c := client(t, nil)
	cfg := config(newTable(t, c))
	cfg.CensusFor = 0
	first, conn := openAt(t, c, cfg)
	second, other := openAt(t, c, cfg)
	var ids backlog.IDs
	const jobs = 16
	for n := range jobs {
		j := small(time.Now().UTC().Truncate(time.Microsecond), &ids, 1)
		j.Tenant = strings.Repeat(string(rune('a'+n)), 30<<10)
		_, err := first.Insert(t.Context(), &j, []byte("p"), time.Time{})
		must(t, err)
	}
	for range 3 {
		for _, b := range []backlog.Store{first, second} {
			if counts, err := b.Census(t.Context(), nil); err != nil || counts[backlog.Queued] != jobs {
				t.Errorf("%v, %v", counts, err)
			}
		}
	}
	if one, two := conn.Stats()["queue.census"].Calls, other.Stats()["queue.census"].Calls; one == 0 || one != two {
		t.Errorf("the processes made %d and %d calls for a census each; want as many", one, two)
	}
}
