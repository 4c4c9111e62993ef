package replay

import (
	"fmt"

	"github.com/forebay-ai/forebay/llm"
)

// SchemaVersion is the version of Report's JSON form. It grows when a member
// changes its meaning or goes away, not when one is added.
const SchemaVersion = 1

// Report is what became of a replay. Members that end in _ms are milliseconds.
type Report struct {
	SchemaVersion int      `json:"schema_version"`
	Settings      Settings `json:"settings"`
	Counts        Counts   `json:"counts"`
	// OfferedPerSecond is the rate at which the trace, at its speed, asks for calls;
	// 0 for a trace without duration.
	OfferedPerSecond float64 `json:"offered_per_second"`
	// GoodputPerSecond counts calls answered in full (no fallback) within the
	// timeout, for each second of the run.
	GoodputPerSecond float64 `json:"goodput_per_second"`
	// WallSeconds runs from the first intended start to the end of the last call.
	WallSeconds float64 `json:"wall_seconds"`
	// StartLagMaxMS is the longest that a call was started after its time. It is
	// part of the latencies; a large one says that this machine could not keep up.
	StartLagMaxMS float64 `json:"start_lag_max_ms"`

	// Latency is that of answered and degraded calls, TTFT the time to their first
	// useful chunk where they were streamed, Refusal the latency of refused calls.
	// All count from the intended start.
	Latency Summary `json:"latency_ms"`
	TTFT    Summary `json:"ttft_ms"`
	Refusal Summary `json:"refusal_ms"`
	// Stages is what the gateway says of answered and degraded calls in
	// Server-Timing: cache, queue, upstream, total.
	Stages map[string]Summary `json:"stages_ms"`
	// Wait sums up the waits for a slot that took time, of all calls.
	Wait Summary `json:"wait_ms"`

	// Cache counts answers by what their Cache-Status says: hit, collapsed, stale,
	// bypass, miss.
	Cache map[string]int `json:"cache"`
	// Refusals and Failures count by error_type (failures without one by what was
	// seen: timeout, connection, truncated, malformed, too_large, error_event,
	// http_<status>), Degradations by the kind of fallback.
	Refusals     map[string]int `json:"refusals"`
	Degradations map[string]int `json:"degradations"`
	Failures     map[string]int `json:"failures"`
	Attempts     Attempts       `json:"attempts"`
	Tokens       Tokens         `json:"tokens"`
	// CostUSD is the sum of what the gateway says that calls cost.
	CostUSD float64 `json:"cost_usd"`
}

// Settings is what the run was asked to do, so that it can be done again.
type Settings struct {
	Requests       int                `json:"requests"`
	Offset         int                `json:"offset"`
	Speed          float64            `json:"speed"`
	Model          string             `json:"model"`
	Operation      string             `json:"operation"`
	Repeat         float64            `json:"repeat"`
	Stream         float64            `json:"stream"`
	Users          int                `json:"users"`
	Seed           uint64             `json:"seed"`
	Priorities     map[string]float64 `json:"priorities"`
	TimeoutSeconds float64            `json:"timeout_seconds"`
	MaxInFlight    int                `json:"max_in_flight"`
}

// Counts says how the planned calls ended: each is counted exactly once.
type Counts struct {
	Planned   int `json:"planned"`
	Answered  int `json:"answered"`
	Degraded  int `json:"degraded"`  // answered by a fallback
	Refused   int `json:"refused"`   // 429 or 503 by a policy of the gateway
	Failed    int `json:"failed"`    // any other error, and answers that broke off
	Unsent    int `json:"unsent"`    // over the bound on calls in progress
	Cancelled int `json:"cancelled"` // the run was ended early
}

// Summary describes a set of durations in milliseconds. All are 0 where Count is.
type Summary struct {
	Count int     `json:"count"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P95   float64 `json:"p95"`
	P99   float64 `json:"p99"`
	Max   float64 `json:"max"`
}

// Attempts counts the gateway's calls to providers; Repeated are those after the
// first of a call.
type Attempts struct {
	Total    int64 `json:"total"`
	Repeated int64 `json:"repeated"`
}

// Tokens sums up what the answers report.
type Tokens struct {
	Input  int64 `json:"input"`
	Output int64 `json:"output"`
}

// Check proves that no call was lost or counted twice: the classes add up to the
// planned calls, and the counts by label to their class. An error is a fault of
// this program, not of the gateway.
func (r *Report) Check() error {
	c := r.Counts
	for _, sum := range []struct {
		what      string
		got, want int
	}{
		{"all classes", c.Answered + c.Degraded + c.Refused + c.Failed + c.Unsent + c.Cancelled, c.Planned},
		{"refusals", total(r.Refusals), c.Refused},
		{"degradations", total(r.Degradations), c.Degraded},
		{"failures", total(r.Failures), c.Failed},
		{"latencies", r.Latency.Count, c.Answered + c.Degraded},
	} {
		if sum.got != sum.want {
			return &llm.Error{
				Kind:    llm.ForebayInternal,
				Message: fmt.Sprintf("the report does not add up: %s are %d of %d", sum.what, sum.got, sum.want),
			}
		}
	}
	return nil
}

func total(m map[string]int) int {
	n := 0
	for _, v := range m {
		n += v
	}
	return n
}
