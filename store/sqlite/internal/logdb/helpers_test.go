package logdb_test

import (
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/requestlog"
	"github.com/forebay-ai/forebay/store/sqlite/internal/logdb"
)

// long runs what takes a minute, too. It is a function since
// go test caches by what the tests read of the environment, and not by what is read before.
func long() bool { return os.Getenv("FOREBAY_LONG") == "1" }

func TestMain(m *testing.M) {
	if !long() {
		// Before the flags are read, so that the command line has the last word.
		_ = flag.Set("rapid.checks", "8")
	}
	goleak.VerifyTestMain(m)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// open opens the log in a folder until the test ends.
func open(t testing.TB, dir string) *logdb.Log {
	t.Helper()
	l, err := logdb.OpenLog(filepath.Join(dir, "log.db"))
	must(t, err)
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// openLedger opens the books in a folder until the test ends.
func openLedger(t testing.TB, dir string) *logdb.Ledger {
	t.Helper()
	l, err := logdb.OpenLedger(filepath.Join(dir, "ledger.db"), slog.New(slog.DiscardHandler))
	must(t, err)
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// epoch is when the traffic of entry begins.
var epoch = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// entry is call number n of traffic as a gateway has it: twelve operations, ten thousand
// users, one call of a hundred failed, one of twenty answered by a hit.
func entry(n int) requestlog.Entry {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	e := requestlog.Entry{
		ID: fmt.Sprintf("req_%011d%011d", r.Uint64()%1e11, r.Uint64()%1e11), Start: epoch.Add(time.Duration(n) * 600 * time.Millisecond),
		Tenant: fmt.Sprintf("school-%d", r.IntN(20)), User: fmt.Sprintf("student-%05d", r.IntN(10_000)), Key: fmt.Sprintf("app-%d", r.IntN(8)),
		Operation: fmt.Sprintf("operation-%d", min(r.IntN(12), r.IntN(12))), Endpoint: "chat", Model: "haiku", Priority: "interactive",
		Stream: r.IntN(2) == 0, Provider: "bedrock", Answered: "anthropic.claude-3-haiku-20240307-v1:0", Region: "ap-south-1",
		Outcome: "ok", Cache: "miss", CacheReason: "not_found", Stored: true,
		Duration: time.Duration(r.ExpFloat64() * float64(3*time.Second)), Lookup: 20 * time.Microsecond,
		Queue: time.Duration(r.IntN(1e6)), Upstream: time.Duration(r.IntN(1e9)), FirstToken: time.Duration(r.IntN(1e9)), Overhead: 300 * time.Microsecond,
		Usage: llm.Usage{Input: int64(r.IntN(4000)), Output: int64(r.IntN(1000))}, MicroUSD: int64(r.IntN(10_000)),
	}
	e.CacheKey = fmt.Sprintf("%016x%016x%016x%016x", r.Uint64(), r.Uint64(), r.Uint64(), r.Uint64())
	e.Attempts = []requestlog.Attempt{{Target: "bedrock/haiku", Region: "ap-south-1", Start: time.Millisecond, Duration: e.Duration, FirstToken: e.FirstToken}}
	switch r.IntN(100) {
	case 0:
		e.Outcome, e.ErrorType = "error", llm.ProviderTimeout
		e.Attempts = append(e.Attempts, requestlog.Attempt{Target: "bedrock/sonnet", Region: "ap-south-1", Start: time.Second, Duration: time.Second, ErrorType: llm.ProviderTimeout})
	case 1, 2, 3, 4, 5:
		e.Cache, e.CacheReason, e.Attempts, e.Provider, e.Answered, e.Region = "hit", "", nil, "", "", ""
		e.SavedMicroUSD, e.MicroUSD = e.MicroUSD, 0
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
