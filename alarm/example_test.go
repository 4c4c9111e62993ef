package alarm_test

import (
	"fmt"
	"time"

	"github.com/forebay-ai/forebay/alarm"
)

// level is a Source of one gauge.
type level float64

func (l level) Measure(alarm.Measure, time.Time) []alarm.Sample {
	return []alarm.Sample{{Value: float64(l), Count: 1, OK: true}}
}

// An Engine is given the time and the measurements, and says what to send.
func ExampleEngine() {
	engine, err := alarm.New(alarm.Config{
		Definitions: []alarm.Definition{{
			Name: "tank-full", Severity: alarm.Critical,
			Measure: alarm.Measure{Metric: "tank", Stat: "last", Window: time.Minute},
			Op:      ">", Threshold: 90, Clear: 70, Unit: "litres", M: 2, N: 3,
			Message: "The tank is full.", Do: "Open the valve.",
		}},
		Group: time.Second,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	for _, litres := range []level{80, 95, 96, 97, 80, 65, 64, 63, 62} {
		events, notices := engine.Evaluate(now, litres)
		for _, e := range events {
			fmt.Printf("%s %s: %s\n", e.Name, e.To, e.Reason)
		}
		for _, n := range notices {
			fmt.Printf("send: %s\n", n.Title)
		}
		now = now.Add(10 * time.Second)
	}
	// Output:
	// tank-full firing: tank is 96 litres (limit > 90 litres)
	// send: critical: The tank is full
	// tank-full ok: tank is 63 litres (limit > 90 litres)
	// send: resolved: The tank is full
}

// Merge changes what a profile ships and adds alarms of one's own.
func ExampleMerge() {
	definitions, err := alarm.Merge(alarm.Profile(alarm.Standard), []alarm.Override{
		{Name: "response-time-warning", Threshold: new(10.0)},
		{
			Name: "too-few-queries", Metric: new("custom_queries"), Stat: new("sum"), Window: new(time.Hour),
			Op: new("<"), Threshold: new(100.0), Message: new("Users ask less than usual."),
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(definitions[0].Name, definitions[0].Threshold)
	fmt.Println(definitions[len(definitions)-1].Name)
	// Output:
	// response-time-warning 10
	// too-few-queries
}
