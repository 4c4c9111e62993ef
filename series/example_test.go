package series_test

import (
	"fmt"
	"time"

	"github.com/forebay-ai/forebay/series"
)

// A set is fed as things happen, asked for any window, and outlasts a restart as blocks.
func Example() {
	start := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	metrics := []series.Metric{
		{Name: "requests", Kind: series.Counter},
		{Name: "failures", Kind: series.Counter},
		{Name: "duration", Kind: series.Distribution, Unit: "s"},
	}
	set, err := series.New(series.Config{Metrics: metrics, Start: start})
	if err != nil {
		fmt.Println(err)
		return
	}
	requests, failures := series.Key{Metric: "requests"}, series.Key{Metric: "failures"}
	duration := series.Key{Metric: "duration", Label: "operation", Value: "vc-analysis"}
	now := start
	for i := range 600 { // one call a second
		now = start.Add(time.Duration(i+1) * time.Second)
		set.Add(requests, 1, now)
		set.Observe(duration, float64(i%100)/10, now)
		if i%50 == 0 {
			set.Add(failures, 1, now)
		}
	}

	last5 := series.Window{From: now.Add(-5 * time.Minute), To: now}
	fmt.Printf("p95 %.2f s\n", set.Value(duration, series.P95, last5).Value)
	fmt.Printf("%.1f %% failed\n", 100*set.Ratio(failures, requests, last5).Value)
	for _, p := range set.Steps(requests, series.Sum, last5, time.Minute) {
		fmt.Print(p.Value, " ")
	}
	fmt.Println("requests a minute")

	next, err := series.New(series.Config{Metrics: metrics, Start: now.Add(time.Hour)})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, block := range set.Dirty(now) { // as a Store would have kept them
		if err := next.Restore(block); err != nil {
			fmt.Println(err)
		}
	}
	day := series.Window{From: now.Add(-23 * time.Hour), To: now.Add(time.Hour)}
	fmt.Println(next.Value(requests, series.Sum, day).Value, "requests in a day")
	// Output:
	// p95 9.34 s
	// 2.0 % failed
	// 60 60 60 60 60 requests a minute
	// 600 requests in a day
}
