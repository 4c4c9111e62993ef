package breaker_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/breaker"
)

// tenant is a source that calls so often, on average, and fails at a rate.
type tenant struct {
	every   time.Duration
	failing float64
}

// from makes one call of a source.
func (r *rig) from(source uint64, failed bool) bool {
	p, ok := r.AllowSource(r.now, source)
	if ok {
		o := outcome(failed)
		o.Source = source
		r.Record(r.now, p, o)
	}
	return ok
}

// traffic makes calls of all tenants (sources 1, 2, ...) at random times until the
// time is up or the breaker is not closed, and returns how many there were.
func (r *rig) traffic(random *rand.Rand, tenants []tenant, d time.Duration) int {
	due := make([]time.Duration, len(tenants))
	for i, t := range tenants {
		due[i] = time.Duration(random.ExpFloat64() * float64(t.every))
	}
	from, n := r.now, 0
	for {
		next := 0
		for i := range due {
			if due[i] < due[next] {
				next = i
			}
		}
		if due[next] > d {
			return n
		}
		r.now = from.Add(due[next])
		r.from(uint64(next+1), random.Float64() < tenants[next].failing)
		if n++; r.State() != breaker.Closed {
			return n
		}
		due[next] += time.Duration(random.ExpFloat64() * float64(tenants[next].every))
	}
}

// TestOneTenantDoesNotOpen: one tenant's failures, as many as they may be, never open
// the breaker while the target serves others.
func TestOneTenantDoesNotOpen(t *testing.T) {
	second, ms := time.Second, time.Millisecond
	for _, c := range []struct {
		name    string
		tenants []tenant
	}{
		{"a bad key beside one tenant", []tenant{{100 * ms, 1}, {100 * ms, 0.01}}},
		{"a bad key makes most calls", []tenant{{10 * ms, 1}, {500 * ms, 0.01}}},
		{"a bad key, the other one rarely there", []tenant{{100 * ms, 1}, {3 * second, 0.01}}},
		{"a bad key makes few calls", []tenant{{second, 1}, {20 * ms, 0.01}, {20 * ms, 0.01}}},
		{"prompts that choke it", []tenant{{50 * ms, 0.5}, {100 * ms, 0.01}}},
		{"some prompts choke it", []tenant{{20 * ms, 0.2}, {200 * ms, 0.01}, {300 * ms, 0.01}}},
		{"two bad keys", []tenant{{400 * ms, 1}, {500 * ms, 1}, {50 * ms, 0.01}, {50 * ms, 0.01}}},
		{"more tenants than places", append([]tenant{{50 * ms, 1}}, alike(40, tenant{2 * second, 0.01})...)},
	} {
		t.Run(c.name, func(t *testing.T) {
			seeds := uint64(2)
			if long() {
				seeds = 20
			}
			for s := range seeds {
				r := newRig(t, breaker.Config{})
				for i := range c.tenants { // or the first to come is the only one there is
					r.from(uint64(i+1), false)
				}
				r.traffic(rand.New(rand.NewPCG(s, 3)), c.tenants, 30*time.Minute)
				if r.State() != breaker.Closed {
					t.Errorf("seed %d: opened after %s: %s", s, r.now.Sub(start), r.Snapshot(r.now).Reason)
				}
			}
		})
	}
}

func alike(n int, t tenant) []tenant {
	all := make([]tenant, n)
	for i := range all {
		all[i] = t
	}
	return all
}

// TestOutageOfManyTenants: the target fails for all, 20 calls a second after 5 min of
// good ones. Who makes most calls does not matter much, nor whether one of the
// tenants had failed all the time.
func TestOutageOfManyTenants(t *testing.T) {
	mixed := []tenant{{100 * time.Millisecond, 0}, {200 * time.Millisecond, 0}, {400 * time.Millisecond, 0}, {400 * time.Millisecond, 0}}
	for _, c := range []struct {
		name        string
		tenants     []tenant
		failing     float64
		calls       int
		badFromHere int // tenants from this one on fail all the time
	}{
		{"all of two", alike(2, tenant{every: 100 * time.Millisecond}), 1, 20, 2},
		{"all of four", mixed, 1, 20, 4},
		{"all of ten", alike(10, tenant{every: 500 * time.Millisecond}), 1, 20, 10},
		{"all of a hundred", alike(100, tenant{every: 5 * time.Second}), 1, 20, 100},
		{"all of five, one was bad", alike(5, tenant{every: 250 * time.Millisecond}), 1, 20, 4},
		{"half of two", alike(2, tenant{every: 100 * time.Millisecond}), 0.5, 100, 2},
		{"half of four", mixed, 0.5, 100, 4},
		{"half of ten", alike(10, tenant{every: 500 * time.Millisecond}), 0.5, 100, 10},
		{"half of a hundred", alike(100, tenant{every: 5 * time.Second}), 0.5, 100, 100},
	} {
		t.Run(c.name, func(t *testing.T) {
			worst, seeds := 0, uint64(10)
			if long() {
				seeds = 100
			}
			for s := range seeds {
				random := rand.New(rand.NewPCG(s, 4))
				r := newRig(t, breaker.Config{})
				good, bad := make([]tenant, len(c.tenants)), make([]tenant, len(c.tenants))
				for i, x := range c.tenants {
					good[i], bad[i] = tenant{x.every, 0.001}, tenant{x.every, c.failing}
					if i >= c.badFromHere {
						good[i].failing, bad[i].failing = 1, 1
					}
				}
				r.traffic(random, good, 5*time.Minute)
				r.want(breaker.Closed)
				worst = max(worst, r.traffic(random, bad, time.Minute))
				r.want(breaker.Open)
			}
			if worst > c.calls {
				t.Errorf("opened after %d calls at worst, want %d", worst, c.calls)
			}
			t.Logf("worst of %d: %d calls", seeds, worst)
		})
	}
}

// TestOnlyTenant: where there is nobody else to ask, one tenant's failures open it.
func TestOnlyTenant(t *testing.T) {
	r := newRig(t, breaker.Config{})
	for range 5 {
		r.from(7, true)
	}
	r.want(breaker.Open)
	if got, want := r.Snapshot(r.now).Reason, "5 failures in a row, all of one tenant: provider_error"; got != want {
		t.Errorf("reason %q, want %q", got, want)
	}

	r = newRig(t, breaker.Config{})
	r.from(8, false) // the other one leaves
	for range 50 {
		r.from(7, true)
	}
	r.want(breaker.Closed)
	r.now = r.now.Add(time.Minute)
	r.from(7, true)
	r.want(breaker.Open)

	r = newRig(t, breaker.Config{Consecutive: -1})
	for i := range 64 {
		r.from(7, i%2 == 0)
	}
	r.want(breaker.Open)
	if got := r.Snapshot(r.now).Reason; !strings.Contains(got, "all of one tenant") {
		t.Errorf("reason %q", got)
	}
}

// TestInnocentTenant: a breaker that one tenant opened alone lets others probe at once.
func TestInnocentTenant(t *testing.T) {
	opened := func() *rig {
		r := newRig(t, breaker.Config{OpenFor: time.Hour, MaxOpenFor: time.Hour})
		for range 5 {
			r.from(7, true)
		}
		r.want(breaker.Open)
		return r
	}
	t.Run("served", func(t *testing.T) {
		r := opened()
		if r.Ready(r.now) || r.ReadySource(r.now, 7) || !r.ReadySource(r.now, 8) || r.from(7, true) || r.call(true) {
			t.Fatal("the innocent tenant alone should pass")
		}
		r.from(8, false)
		r.want(breaker.Closed)
		if got, want := r.Snapshot(r.now).Reason, "a call of another tenant succeeded"; got != want {
			t.Errorf("reason %q, want %q", got, want)
		}
		for range 100 {
			r.from(7, true)
		}
		r.want(breaker.Closed)
	})
	t.Run("not served", func(t *testing.T) {
		r := opened()
		r.from(8, true)
		r.want(breaker.Open)
		for source := range uint64(10) {
			if r.ReadySource(r.now, source) {
				t.Errorf("tenant %d passes", source)
			}
		}
	})
	t.Run("three at once", func(t *testing.T) {
		r := opened()
		for i := range 4 {
			p, ok := r.AllowSource(r.now, 8)
			if ok != (i < 3) {
				t.Fatalf("probe %d passed: %t", i+1, ok)
			}
			if i == 2 {
				r.Cancel(p)
				if r.ReadySource(r.now, 7) || r.Ready(r.now) || !r.ReadySource(r.now, 9) {
					t.Error("the tenant that failed has to wait for its time, the others do not")
				}
				_, _ = r.AllowSource(r.now, 8)
			}
		}
	})
}

// TestRareTenant: a bad key hammers the target, and another tenant calls once in ten
// minutes. It is never refused, although each time it finds the breaker open.
func TestRareTenant(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 5))
	r := newRig(t, breaker.Config{})
	found := 0
	for range 200 {
		for range 1200 {
			r.now = r.now.Add(500 * time.Millisecond)
			r.from(1, true)
		}
		if r.State() != breaker.Closed {
			found++
		}
		if !r.from(2, random.Float64() < 0.01) {
			t.Fatalf("refused: %+v", r.Snapshot(r.now))
		}
	}
	if found < 190 {
		t.Errorf("not closed %d times of 200: the test shows little", found)
	}
}

// TestBadTenantProbes: the target is well again, and one that always fails is there at
// each probe.
func TestBadTenantProbes(t *testing.T) {
	r := newRig(t, breaker.Config{})
	for i := range uint64(10) {
		r.from(i%2+1, true)
	}
	r.want(breaker.Open)
	began := r.now
	for r.State() != breaker.Closed {
		if r.now = r.now.Add(100 * time.Millisecond); r.now.Sub(began) > 5*time.Second {
			t.Fatal("still not closed")
		}
		r.from(1, true)
		r.from(2, false)
	}
	r.traffic(rand.New(rand.NewPCG(1, 1)), []tenant{{10 * time.Millisecond, 1}, {time.Second, 0}}, time.Hour)
	r.want(breaker.Closed)
}

// TestLongOutageOfTwoTenants: what an outage costs while two tenants go on calling.
func TestLongOutageOfTwoTenants(t *testing.T) {
	r := newRig(t, breaker.Config{})
	passed := 0
	for range 36_000 { // an hour
		r.now = r.now.Add(100 * time.Millisecond)
		for source := range uint64(2) {
			if r.from(source+1, true) {
				passed++
			}
		}
	}
	if passed > 3600/8*3 {
		t.Errorf("%d calls passed in an hour", passed)
	}
	t.Logf("%d calls passed in an hour", passed)
}

func TestSlowTenant(t *testing.T) {
	call := func(r *rig, source uint64, took time.Duration) {
		p, ok := r.AllowSource(r.now, source)
		if !ok {
			t.Fatal("refused")
		}
		r.Record(r.now, p, breaker.Outcome{Took: took, Source: source})
	}
	r := newRig(t, breaker.Config{SlowCall: time.Second, SlowRate: 0.2})
	for i := range 200 {
		call(r, 1, 2*time.Second)
		if i%4 == 0 {
			call(r, 2, 10*time.Millisecond)
		}
	}
	r.want(breaker.Closed)
	for range 40 {
		if r.State() == breaker.Closed {
			call(r, 2, 2*time.Second)
		}
	}
	if got := r.Snapshot(r.now).Reason; r.State() != breaker.Open || strings.Contains(got, "all of one tenant") {
		t.Errorf("%s: %s", r.State(), got)
	}
}

// TestTenantsDoNotMeet: hashes that would share a place do not, as long as there is room.
func TestTenantsDoNotMeet(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 6))
	for range 500 {
		bad, good := random.Uint64(), random.Uint64()
		r := newRig(t, breaker.Config{})
		r.from(good, false)
		for range 20 {
			r.from(bad, true)
		}
		if r.State() != breaker.Closed {
			t.Fatalf("tenant %x opened it for %x", bad, good)
		}
	}
}

// TestServedBeforeOutage: that a tenant was served before an outage says nothing about
// what follows it.
func TestServedBeforeOutage(t *testing.T) {
	r := newRig(t, breaker.Config{})
	r.from(1, false)
	r.from(2, false)
	for range 5 {
		r.from(1, true)
		r.from(2, true)
	}
	r.untilRetry()
	for range 3 {
		r.from(1, false)
	}
	r.want(breaker.Closed)
	for range 5 {
		r.from(1, true)
	}
	r.want(breaker.Open)
}

// TestManyTenantsComeAndGo: places are given to others once their tenants are forgotten.
func TestManyTenantsComeAndGo(t *testing.T) {
	r := newRig(t, breaker.Config{})
	for i := range uint64(1000) {
		r.from(i, i%100 == 0)
		r.now = r.now.Add(time.Minute)
	}
	r.want(breaker.Closed)
	for i := range 5 { // none of the places that are left over protects or blames anyone
		r.want(breaker.Closed)
		if !r.from(2000, true) {
			t.Fatalf("call %d was refused", i+1)
		}
	}
	r.want(breaker.Open)
}

func ExampleBreaker_AllowSource() {
	b := breaker.New("openai/gpt", breaker.Config{})
	now := time.Now()
	call := func(tenant uint64, failed bool) {
		if permit, ok := b.AllowSource(now, tenant); ok {
			b.Record(now, permit, breaker.Outcome{Failed: failed, Source: tenant})
		}
	}
	const bad, good = 1, 2
	call(good, false)
	for range 100 {
		call(bad, true)
	}
	fmt.Println(b.State())
	for range 5 {
		call(bad, true)
		call(good, true)
	}
	fmt.Println(b.State())
	// Output:
	// closed
	// open
}
