package route_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/route"
)

// place is a simulated target: how fast it answers, and what is measured of it.
type place struct {
	first time.Duration // to its first token, when it is idle
	slots int

	ends   []time.Duration // of the calls in progress
	recent time.Duration   // mean of its first tokens
	last   time.Duration   // when it was last called
	calls  int
}

// world runs requests through a router, in virtual time.
type world struct {
	t      *testing.T
	router *route.Router
	places []*place
	rng    *rand.Rand
	now    time.Duration
	dst    []int
}

func newWorld(t *testing.T, slots int, first ...time.Duration) *world {
	w := &world{t: t, router: router(t, route.Fastest, plain(len(first))...), rng: rand.New(rand.NewPCG(*seed, 2))}
	for _, f := range first {
		w.places = append(w.places, &place{first: f, slots: slots})
	}
	return w
}

func (w *world) state(i int) route.State {
	p := w.places[i]
	return route.State{FirstToken: p.recent, Busy: float64(len(p.ends)) / float64(p.slots)}
}

// request makes one call, which takes its first token's time and two seconds more.
func (w *world) request() {
	for _, p := range w.places {
		kept := p.ends[:0]
		for _, end := range p.ends {
			if end > w.now {
				kept = append(kept, end)
			}
		}
		p.ends = kept
	}
	w.dst = w.router.Plan(w.dst[:0], route.Need{Draw: w.rng.Uint64()}, w.state)
	p := w.places[w.dst[0]]
	first := time.Duration(float64(p.first) * (0.7 + 0.6*w.rng.Float64())) // what models scatter, roughly
	p.calls++
	p.ends = append(p.ends, w.now+first+2*time.Second)
	if p.recent == 0 {
		p.recent = first
	}
	// The newest counts for a tenth, and for the more the older the others are.
	weight := max(0.1, 1-math.Exp(-(w.now-p.last).Seconds()/10))
	p.recent += time.Duration(weight * float64(first-p.recent))
	p.last = w.now
}

// run makes requests at a rate for a while and gives each target's part of them.
func (w *world) run(perSecond int, d time.Duration) []float64 {
	n := int(d.Seconds() * float64(perSecond))
	for _, p := range w.places {
		p.calls = 0
	}
	for range n {
		w.now += time.Duration(w.rng.ExpFloat64() * float64(time.Second) / float64(perSecond))
		w.request()
	}
	shares := make([]float64, len(w.places))
	for i, p := range w.places {
		shares[i] = float64(p.calls) / float64(n)
	}
	return shares
}

// The fastest gets almost everything; when it becomes slow the next one does, and when it
// is fast again that is found out by the looks.
func TestFastestFollowsChange(t *testing.T) {
	w := newWorld(t, 1000, 200*msec, 400*msec, 900*msec)
	w.run(10, 10*time.Second) // nobody is known at first
	if s := w.run(10, time.Minute); s[0] < 0.97 {
		t.Errorf("the fastest got %.3f of the requests: %.3f", s[0], s)
	}
	w.places[0].first = 3 * time.Second
	w.run(10, 5*time.Second)
	if s := w.run(10, time.Minute); s[1] < 0.95 {
		t.Errorf("after it became slow, the second fastest got %.3f of the requests: %.3f", s[1], s)
	}
	w.places[0].first = 100 * msec
	// A look each 38 s on average: 10 requests a second, one in 128, three targets.
	w.run(10, 4*time.Minute)
	if s := w.run(10, time.Minute); s[0] < 0.95 {
		t.Errorf("after it became fast again, the fastest got %.3f of the requests: %.3f", s[0], s)
	}
}

// A load that the fastest cannot take alone spreads before it is full: it keeps slots
// free, and the others take what it leaves.
func TestFastestSpreadsLoad(t *testing.T) {
	w := newWorld(t, 20, 200*msec, 260*msec, 400*msec)
	w.run(5, 20*time.Second)
	const rate = 15 // about 34 calls in progress, sometimes 54, for 60 slots
	most := make([]float64, 3)
	for range 300 {
		w.run(rate, time.Second)
		for i := range w.places {
			most[i] = max(most[i], w.state(i).Busy)
		}
	}
	shares := w.run(rate, 2*time.Minute)
	t.Logf("shares %.3f, most busy %.2f", shares, most)
	if shares[0] < shares[1] || shares[1] < shares[2] || shares[2] < 0.1 {
		t.Errorf("shares %.3f: want the fastest first, and something for each", shares)
	}
	for i, b := range most {
		if b > 1 {
			t.Errorf("target %d was filled to %.2f of its slots while others had free ones", i, b)
		}
	}
}
