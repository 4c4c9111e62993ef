package limit_test

import (
	"math"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/limit"
	"pgregory.net/rapid"
)

func TestShare(t *testing.T) {
	q := limit.NewQuota(limit.QuotaConfig{RequestsPerMinute: 60, TokensPerMinute: 6000})
	now := epoch
	left := func() [2]int { s := q.Snapshot(now); return [2]int{s.RequestsLeft, s.TokensLeft} }
	q.SetShare(now, 0.5)
	if left() != [2]int{30, 3000} {
		t.Errorf("half of it: %v", left())
	}
	q.SetShare(now, 1)
	if left() != [2]int{30, 3000} {
		t.Errorf("a larger share is not there at once: %v", left())
	}
	now = now.Add(30 * time.Second)
	if left() != [2]int{60, 6000} {
		t.Errorf("half a minute later: %v", left())
	}
	for _, wrong := range []float64{-1, math.NaN(), 0} {
		q.SetShare(now, wrong)
		if left() != [2]int{1, 1} {
			t.Errorf("a share of %v: %v", wrong, left())
		}
	}
	q.SetShare(now, 7)
	if s := q.Snapshot(now); s.RequestsPerMinute != 60 || s.Share != 0 {
		t.Errorf("all of it: %+v", s)
	}
	(*limit.Quota)(nil).SetShare(now, 0.5)
}

func TestDemand(t *testing.T) {
	q := limit.NewQuota(limit.QuotaConfig{RequestsPerMinute: 60, TokensPerMinute: 6000})
	now := epoch
	q.Demand(now)
	for range 3 {
		r, ok := q.Reserve(now, 1000)
		if !ok {
			t.Fatal("no room")
		}
		q.Settle(now, r, 200)
	}
	now = now.Add(6 * time.Second)
	if d := q.Demand(now); d.Used != 1 || d.Short { // 600 tokens in a tenth of a minute
		t.Errorf("%+v", d)
	}
	q.SetShare(now, 0)
	if _, ok := q.Reserve(now, 1); !ok {
		t.Fatal("no room for the one that there always is")
	}
	q.Wait(now, 1)
	now = now.Add(6 * time.Second)
	if d := q.Demand(now); !d.Short {
		t.Errorf("%+v: somebody was told to wait", d)
	}
	if d := q.Demand(now); d != (limit.Demand{}) {
		t.Errorf("nothing since: %+v", d)
	}
}

// TestShares has gateways with parts of one quota reserve whatever they get, while the parts change as those of a fleet do: what they
// all get within any minutes is no more than what one gateway alone would have got.
func TestShares(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const perMinute, gateways = 6000, 3
		parts := [gateways]float64{1, 0, 0}
		var all [gateways]*limit.Quota
		now := epoch
		for i := range all {
			all[i] = limit.NewQuota(limit.QuotaConfig{TokensPerMinute: perMinute})
			all[i].SetShare(now, parts[i])
		}
		got := 0
		steps := rapid.IntRange(1, 60).Draw(t, "steps")
		for range steps {
			now = now.Add(time.Second)
			from, to := rapid.IntRange(0, gateways-1).Draw(t, "from"), rapid.IntRange(0, gateways-1).Draw(t, "to")
			moved := parts[from] * rapid.Float64Range(0, 1).Draw(t, "moved")
			parts[from] -= moved
			all[from].SetShare(now, parts[from])
			parts[to] += moved
			all[to].SetShare(now, parts[to])
			for _, q := range all {
				for {
					n := rapid.IntRange(1, 50).Draw(t, "tokens")
					if q.Snapshot(now).TokensLeft < n {
						break
					}
					if _, ok := q.Reserve(now, n); ok {
						got += n
					}
				}
			}
		}
		if most := perMinute + perMinute*steps/60 + gateways*(1+steps/60); got > most {
			t.Fatalf("%d tokens within %d s; the quota is %d", got, steps, most)
		}
	})
}
