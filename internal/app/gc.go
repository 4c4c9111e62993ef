package app

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

// heapFloor is the heap size below which garbage is not worth collecting often. A
// gateway keeps little alive and makes a lot of garbage, so that Go's default (collect
// when the heap has doubled) has it collect 20 times a second and more; with 64 MiB
// to grow into, that costs 6 to 11 % less CPU a request (measured, 2 cores).
const heapFloor = 64 << 20

// gcPace is how often the pace is looked at. A quarter of a second of allocation
// at full load is about 20 MB: that much the heap may overshoot while it grows.
const gcPace = 250 * time.Millisecond

// quietFor is how long there has to be no collection before the default returns.
const quietFor = 10 * time.Second

// rareGC is the GOGC of a heap beyond heapFloor that was not collected for rareFor. Ten
// thousand streams that wait make little garbage: until their heap has doubled takes
// minutes, and until then the garbage and the stacks that have become too deep are kept.
// A collection every four seconds costs three parts in a hundred of a CPU there.
const (
	rareGC  = 10
	rareFor = 4 * time.Second
)

// PaceGC lets the heap grow up to heapFloor between collections while they are
// frequent, until stop is called, and goes back to Go's default when they are not, so
// that an idle process gives its memory back; a large heap is then collected every four
// seconds if a tenth of it is garbage. It leaves the pace alone where
// GOGC sets one. GOMEMLIMIT bounds the heap as ever. It is for a process that
// serves and does nothing else.
func PaceGC() (stop func()) {
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { keepPace(ctx) })
	return func() {
		cancel()
		wg.Wait()
	}
}

func keepPace(ctx context.Context) {
	defer debug.SetGCPercent(debug.SetGCPercent(defaultGC))
	samples := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/cycles/total:gc-cycles"}}
	tick := time.NewTicker(gcPace)
	defer tick.Stop()
	p := pace{percent: defaultGC}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		metrics.Read(samples)
		if p.step(samples[0].Value.Uint64(), samples[1].Value.Uint64()) {
			debug.SetGCPercent(p.percent) // stops the world for a moment
		}
	}
}

// defaultGC is Go's own GOGC: collect when the heap has doubled.
const defaultGC = 100

// pace is the state of PaceGC.
type pace struct {
	percent int    // the GOGC in force
	quiet   int    // steps since the last collection
	cycles  uint64 // collections seen
}

// step takes what is alive and the collections so far, and reports whether percent
// has changed.
func (p *pace) step(live, cycles uint64) bool {
	p.quiet++
	wanted := p.percent
	switch {
	case cycles > p.cycles:
		wanted, p.quiet = gcPercent(live), 0
	case live >= heapFloor && time.Duration(p.quiet)*gcPace >= rareFor:
		wanted = rareGC
	case time.Duration(p.quiet)*gcPace >= quietFor:
		wanted = defaultGC
	}
	p.cycles = cycles
	changed := wanted != p.percent
	p.percent = wanted
	return changed
}

// gcPercent is the GOGC with which a heap with live bytes alive is collected at
// heapFloor, or when it has doubled if that is later. It moves in steps of 50 to
// be set rarely.
func gcPercent(live uint64) int {
	const most = 800 // a heap whose live part grows eightfold within a pace is not this process
	if live == 0 || live >= heapFloor/2 {
		return defaultGC
	}
	percent := int((heapFloor - live) * 100 / live)
	return min(max(percent/50*50, defaultGC), most)
}
