package monitor_test

import (
	"testing"
	"time"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/monitor"
)

func jobSample() monitor.JobSample {
	return monitor.JobSample{
		Queued: [4]int{3, 2, 1, 0}, Processing: [4]int{0, 4, 0, 0}, Oldest: [4]time.Duration{time.Minute},
		Bytes: 4096, Dead: 5, Damaged: 6, Up: true,
	}
}

func TestJobs(t *testing.T) {
	m := make1(t, names)
	if _, there := series(t, m)["job_events_total{event=accepted,priority=low}"]; there {
		t.Error("metrics of jobs where there is no durable queue")
	}
	m.Watch(monitor.Source{Jobs: jobSample})
	expect(t, series(t, m), map[string]float64{"job_events_total{event=dead,priority=critical}": 0})
	m.RecordJob(&monitor.Job{Event: monitor.JobAccepted, Priority: llm.High})
	m.RecordJob(&monitor.Job{Event: monitor.JobClaimed, Priority: llm.High, Wait: 2 * time.Second})
	m.RecordJob(&monitor.Job{Event: monitor.JobCompleted, Priority: llm.High, Run: 3 * time.Second})
	m.RecordJob(&monitor.Job{Event: "made up", Priority: llm.High, Run: time.Second})
	got := series(t, m)
	expect(t, got, map[string]float64{
		"job_events_total{event=accepted,priority=high}":  1,
		"job_events_total{event=claimed,priority=high}":   1,
		"job_events_total{event=completed,priority=high}": 1,
		"job_wait_seconds_sum{priority=high}":             2,
		"job_run_seconds_sum{priority=high}":              3,
		"jobs{priority=low,state=queued}":                 3,
		"jobs{priority=normal,state=processing}":          4,
		"jobs_oldest_seconds{priority=low}":               60,
		"jobs_bytes{}":                                    4096,
		"jobs_dead{}":                                     5,
		"jobs_damaged{}":                                  6,
		"jobs_store_up{}":                                 1,
	})
	for name := range got {
		if name == "job_events_total{event=made up,priority=high}" {
			t.Error("an event outside the set made a series")
		}
	}
}
