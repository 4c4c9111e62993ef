package breaker_test

import (
	"testing"
	"time"

	"github.com/forebay-ai/forebay/breaker"
)

// What another gateway says makes two failures enough, for a while, and does nothing else.
func TestDoubt(t *testing.T) {
	r := newRig(t, breaker.Config{})
	r.Doubt(r.now, 10*time.Second)
	r.want(breaker.Closed)
	r.calls(1, true)
	r.calls(1, false)
	r.calls(1, true)
	r.want(breaker.Closed) // not in a row
	r.calls(1, true)
	r.want(breaker.Open)

	r = newRig(t, breaker.Config{})
	r.Doubt(r.now, 10*time.Second)
	r.Doubt(r.now, time.Second) // does not shorten it
	r.Doubt(r.now, -time.Hour)
	r.now = r.now.Add(10 * time.Second)
	r.calls(4, true)
	r.want(breaker.Closed)
	r.calls(1, true)
	r.want(breaker.Open)

	for _, cfg := range []breaker.Config{{Consecutive: -1}, {Off: true}, {Consecutive: 1}} {
		r = newRig(t, cfg)
		r.Doubt(r.now, time.Hour)
		want := breaker.Closed
		if cfg.Consecutive == 1 {
			want = breaker.Open
		}
		for range 3 {
			r.call(true)
		}
		r.want(want)
	}
}

// A doubt keeps no open breaker from closing.
func TestDoubtWhileOpen(t *testing.T) {
	r := newRig(t, breaker.Config{Probes: 1})
	r.calls(5, true)
	r.want(breaker.Open)
	r.untilRetry()
	r.Doubt(r.now, time.Hour)
	r.calls(1, false)
	r.want(breaker.Closed)
}
