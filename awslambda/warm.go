package awslambda

import (
	"context"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
)

const (
	// usualHold is how long a ping that is one of several is held where it does not say:
	// pings that overlap reach environments of their own, and the first is still
	// held when the last of a burst is sent (serverless-plugin-warmup's figure).
	usualHold = 75 * time.Millisecond
	// mostHold bounds what a ping may ask for: held pings are paid for.
	mostHold = time.Second
)

// isWarmup recognises pings: {"warmup": true} (also warmUp, and lambda-warmer's warmer),
// {"source": "serverless-plugin-warmup"}, and schedules of EventBridge whose detail is one.
func isWarmup(m members) bool {
	marked := func(m members) bool { return m.is("warmup") || m.is("warmUp") || m.is("warmer") }
	return marked(m) || m.text("source") == "serverless-plugin-warmup" || isSchedule(m) && marked(m.object("detail"))
}

// pong answers a ping.
type pong struct {
	Warmup      bool  `json:"warmup"`
	Cold        bool  `json:"cold"`                 // the ping started this environment
	Concurrency int   `json:"concurrency,omitzero"` // as the ping said
	HeldMs      int64 `json:"held_ms"`
	Invocations int64 `json:"invocations"` // of this environment, pings included
}

// warm answers a ping: {"concurrency": n, "hold_ms": 75} may stand beside the mark.
// Concurrency is how many pings were sent at once, each of which keeps one environment. What
// cannot be read counts as nothing: a ping never fails.
func (f *Function) warm(ctx context.Context, m members, n int64) *reply {
	number := func(name string) int {
		for _, at := range []members{m, m.object("detail")} {
			if v, err := strconv.Atoi(string(at[name])); err == nil && v > 0 {
				return v
			}
		}
		return 0
	}
	concurrency, hold := number("concurrency"), min(time.Duration(min(number("hold_ms"), 1e6))*time.Millisecond, mostHold)
	if hold == 0 && concurrency > 1 {
		hold = usualHold
	}
	begun := time.Now()
	if hold > 0 {
		timer := time.NewTimer(hold)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	body, _ := json.Marshal(pong{ // of plain members: it does not fail
		Warmup: true, Cold: n == 1, Concurrency: concurrency, HeldMs: time.Since(begun).Milliseconds(), Invocations: n,
	})
	return whole(body)
}
