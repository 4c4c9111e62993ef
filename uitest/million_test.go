package uitest_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/requestlog"
	"github.com/forebay-ai/forebay/store/sqlite"
)

// How many calls the log has, and how they are written.
const (
	manyRequests  = 1_000_000
	someRequests  = 50_000 // where FOREBAY_LONG does not ask for all
	requestsBatch = 2_000
	logDays       = 6 // below requests.retention, so that none goes while it is looked at
)

// rareOperation has one call of so many: a filter for it has to look far.
const (
	rareOperation = "exam"
	rareOne       = 5_000
)

// TestAMillionRequests has the pages look at a log of a million calls, and says what they take.
func TestAMillionRequests(t *testing.T) {
	s := newSuite(t)
	dir := t.TempDir()
	n := someRequests
	if os.Getenv("FOREBAY_LONG") == "1" {
		n = manyRequests
	}
	start := time.Now()
	fill(t, filepath.Join(dir, "store"), n)
	t.Logf("%d entries written in %s", n, time.Since(start).Round(time.Millisecond))
	start = time.Now()
	s.serve(t, dir, binaryConfig)
	t.Logf("built and started in %s", time.Since(start).Round(time.Millisecond))
	p := s.tab(t, desk)
	for _, page := range []string{
		"overview", "requests", "requests?operation=chat", "requests?operation=" + rareOperation, "requests?failed=true",
		"requests?operation=" + rareOperation + "&failed=true", "requests?user=user-77", "requests?min_duration=5s", "requests?window=7d",
		fmt.Sprintf("requests?before=%d", n/2), fmt.Sprintf("request/%d", n/3),
	} {
		t.Run(strings.NewReplacer("/", "-", "?", "-", "=", "-", "&", "-").Replace(page), func(t *testing.T) {
			s.measure(t, p, page)
			if !strings.HasPrefix(page, "requests") {
				return
			}
			if rows := value[int](t, p, `document.querySelectorAll("tbody [data-row]").length`); rows == 0 {
				t.Errorf("it shows no request: %s", value[string](t, p, `document.querySelector("main").innerText.slice(0, 400)`))
			}
		})
	}
	s.look(t, p)
}

// fill writes n calls of the last days into the log of a store, oldest first.
func fill(t *testing.T, dir string, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	store, err := sqlite.Open(ctx, sqlite.Config{Dir: dir, Log: true})
	must(t, err)
	defer func() { must(t, store.Close()) }()
	draw := rand.New(rand.NewPCG(1, 2))
	step := logDays * 24 * time.Hour / time.Duration(n)
	first := time.Now().Add(-logDays * 24 * time.Hour)
	batch := make([]requestlog.Entry, 0, requestsBatch)
	for i := range n {
		batch = append(batch, entry(draw, i, first.Add(time.Duration(i)*step)))
		if len(batch) == cap(batch) || i == n-1 {
			must(t, store.Log().AppendRequests(ctx, batch))
			batch = batch[:0]
		}
	}
}

// entry is a call as a gateway would have written it down: most are answered, one of 50 has failed.
func entry(draw *rand.Rand, i int, at time.Time) requestlog.Entry {
	operations := []string{"chat", "note-summary", "report", "default"}
	took := time.Duration(200+draw.ExpFloat64()*900) * time.Millisecond
	e := requestlog.Entry{
		ID: fmt.Sprintf("req-%012x", draw.Uint64N(1<<48)), Start: at, Tenant: "school", User: fmt.Sprintf("user-%d", draw.IntN(400)), Key: "school",
		Operation: operations[draw.IntN(len(operations))], Endpoint: "chat", Model: "large", Priority: "normal", Stream: i%2 == 0,
		Provider: "quick", Answered: "large-2", Region: "north", Outcome: "ok", Cache: "miss", CacheReason: "uri-miss", Stored: true,
		CacheKey: fmt.Sprintf("%064x", draw.Uint64()), Duration: took, Lookup: 90 * time.Microsecond, Upstream: took / 3, FirstToken: took / 3,
		Usage: llm.Usage{Input: 400 + draw.Int64N(3000), Output: 20 + draw.Int64N(400)}, MicroUSD: 1000 + draw.Int64N(9000),
		Attempts: []requestlog.Attempt{{Target: "quick/large-2", Region: "north", Start: time.Millisecond, Duration: took - 2*time.Millisecond, FirstToken: took / 3}},
	}
	if i%rareOne == 7 {
		e.Operation = rareOperation
	}
	switch {
	case draw.IntN(50) == 0 || i%(rareOne*5) == 7:
		e.Outcome, e.ErrorType, e.Provider, e.Stored = "error", llm.ProviderOverloaded, "", false
		e.Attempts[0].ErrorType = e.ErrorType
	case draw.IntN(4) == 0:
		e.Cache, e.CacheReason, e.Attempts, e.SavedMicroUSD, e.MicroUSD, e.Duration = "hit", "", nil, e.MicroUSD, 0, time.Millisecond
	}
	return e
}
