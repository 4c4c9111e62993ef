package dashboard

import (
	"sync"
	"time"
)

// Bounds of tries to log in. A person mistypes a few times; a key has eight characters or
// more, so even the overall rate finds none.
const (
	// perAddress is how many failures an address has at once, and a new one every refill.
	perAddress   = 10
	refill       = 6 * time.Second
	overall      = 200 // the same of all addresses together
	refillAll    = 250 * time.Millisecond
	maxAddresses = 4096
)

// bucket holds what may still be taken. The zero bucket is full.
type bucket struct {
	spent float64 // of the capacity, at
	at    time.Time
}

// left gives back what time has refilled, and says what there is.
func (b *bucket) left(capacity float64, every time.Duration, now time.Time) float64 {
	if d := now.Sub(b.at); d > 0 {
		b.spent = max(0, b.spent-float64(d)/float64(every))
		b.at = now
	}
	return capacity - b.spent
}

// guard bounds tries to log in, for each address and in all. A try that succeeds costs
// nothing.
type guard struct {
	mu  sync.Mutex // guards what follows
	all bucket
	by  map[string]*bucket
}

func newGuard() *guard {
	return &guard{by: map[string]*bucket{}}
}

// take counts a try, or says how long to wait for the next one.
func (g *guard) take(address string, now time.Time) (wait time.Duration, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if left := g.all.left(overall, refillAll, now); left < 1 {
		return time.Duration((1 - left) * float64(refillAll)), false
	}
	b := g.by[address]
	if b == nil {
		if len(g.by) >= maxAddresses {
			g.forgetLocked(now)
		}
		b = &bucket{at: now}
		if len(g.by) < maxAddresses { // else the overall bound holds alone
			g.by[address] = b
		}
	}
	if left := b.left(perAddress, refill, now); left < 1 {
		return time.Duration((1 - left) * float64(refill)), false
	}
	b.spent++
	g.all.spent++
	return 0, true
}

// back gives a try back that succeeded.
func (g *guard) back(address string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.all.spent = max(0, g.all.spent-1)
	if b := g.by[address]; b != nil {
		b.spent = max(0, b.spent-1)
	}
}

// forgetLocked drops addresses that have their whole bound again.
func (g *guard) forgetLocked(now time.Time) {
	for address, b := range g.by {
		if b.left(perAddress, refill, now) >= perAddress {
			delete(g.by, address)
		}
	}
}
