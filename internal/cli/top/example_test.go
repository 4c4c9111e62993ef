package top_test

import (
	"fmt"
	"os"
	"time"

	"github.com/forebay-ai/forebay/console"
	"github.com/forebay-ai/forebay/health"
	"github.com/forebay-ai/forebay/internal/cli/top"
)

// A page for a terminal of 60 columns.
func ExampleRender() {
	overview := &console.Overview{
		At: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC), Version: "0.6.0", WindowSeconds: 900,
		Health: health.Health{Overall: health.Healthy},
		Totals: console.Totals{Requests: 1800, PerSecond: 2, P50: 1.2, P95: 4.5, P99: 7.1, HitRate: 0.25, MicroUSD: 1_250_000},
	}
	operations := []console.OperationRow{{Name: "chat", Totals: overview.Totals}}
	if err := top.Render(os.Stdout, overview, operations, top.Options{Width: 60}); err != nil {
		fmt.Println(err)
	}
	// Output:
	// forebay 0.6.0  HEALTHY  last 15m                12:00:00 UTC
	//
	// TOTALS
	// calls  1,800  2.00/s  0% failed  0 refused
	// time   p50 1.20s  p95 4.50s  p99 7.10s
	//        first token p50 -  p95 -  own overhead p99 -
	// now    0 in flight  0 waiting  0 users
	// cost   $1.25  saved $0  today $0
	// tokens 0 in  0 out  25.0% of calls answered by the cache
	//
	// OPERATIONS
	// operation    /s    p50    p95    p99  errors   hits   cost
	// chat       2.00  1.20s  4.50s  7.10s      0%  25.0%  $1.25
}
