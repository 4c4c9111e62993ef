package limit

import (
	"math"
	"math/bits"
	"time"
)

const (
	// Samples are sorted by size into cells, in steps of 2 and 4.
	cellsFirst = 12                            // prompts up to 1 KB, 2 KB, ... 1 MB, and above
	cellsIn    = 6                             // prompts up to 1 KB, 4 KB, ... 256 KB, and above
	cellsOut   = 14                            // whole answers of 1, 2 to 3, ... 8,192 tokens, and more
	cells      = cellsFirst + cellsIn*cellsOut // all
	// cellKnown is from how many samples on a cell knows what is usual, and cellLearn up to
	// how many it learns from all of them, and not from those in quiet times alone.
	cellKnown = 16
	cellLearn = 50
	cellRate  = 0.02 // how much a later sample moves what is usual

	// Delays below pad are noise: a machine with two busy cores makes as much.
	pad      = float64(50 * time.Millisecond)
	padToken = float64(2 * time.Millisecond) // the same for the time between tokens, a mean over an answer
	// minTokens is how many tokens an answer must have to say something of the time
	// between them.
	minTokens = 16

	spreadStart = 0.5
	spreadMin   = 0.25
	spreadMax   = 1.2 // heavy tails
	spreadRate  = 0.01
)

// The alarm is a cumulative sum (Page 1954) of how much slower than usual samples
// are, in units of their usual spread. For a given rate of false alarms it is the test
// that finds a shift soonest: a large one in 3 samples, a small one in many.
const (
	slack   = 0.5 // what a sample may be slower by
	alarmAt = 12  // a false alarm in about e^12 samples, if they spread normally
	zMax    = 4   // what one sample counts at most: no single one, and no two, raise the alarm
	zMin    = -2
	fastAt  = 25 // the same as alarmAt where samples are faster: that is never urgent

	doubtMost = 4 // times alarmAt; 12 samples of zMax are enough even so
	doubtHalf = 2 * time.Minute
)

// signal watches one kind of duration and tells when it is longer than usual. It works
// with logarithms: delays spread like ratios, not like differences.
type signal struct {
	pad     float64        // nanoseconds added to every duration
	allowed float64        // how much longer than usual does not matter, a logarithm
	usual   [cells]float64 // logarithms of nanoseconds, pad included
	nanos   [cells]float64 // usual without the logarithm
	known   [cells]uint16  // samples learned from; 0: usual is not known
	spread  float64        // mean distance of a sample from what is usual, x 1.25: a standard deviation

	slow    float64       // the sum
	slowOf  tally         // the samples since it was last 0
	doubted float64       // see doubts
	doubtAt time.Duration // when that was

	fast   float64 // the sum of the other side: faster than usual
	fastOf tally
}

// tally sums up readings.
type tally struct {
	n     int
	ratio float64 // sum of the ratios to what is usual, as logarithms
	base  float64 // sum of what was usual for them
}

func (t *tally) add(r reading, most float64) {
	t.n++
	t.ratio += min(r.x, most)
	t.base += r.usual
}

// mean is the mean ratio, as a logarithm.
func (t *tally) mean() float64 { return t.ratio / float64(max(t.n, 1)) }

// usual is what was usual for the samples, nanoseconds.
func (t *tally) usual() float64 {
	if t.n == 0 {
		return 0
	}
	return math.Exp(t.base / float64(t.n))
}

// delay is how much later than usual samples came, nanoseconds. It is taken of
// logarithms, so that no single sample decides it.
func (t *tally) delay() float64 { return t.usual() * math.Expm1(t.mean()) }

func newSignal(pad, allowed float64) signal {
	return signal{pad: pad, allowed: allowed, spread: spreadStart}
}

// reading is what a sample says.
type reading struct {
	known bool
	x     float64 // logarithm of its ratio to what is usual
	z     float64 // the same, in spreads, bounded
	usual float64 // logarithm
}

// read compares a duration with what is usual for its cell.
func (g *signal) read(cell int, d time.Duration) reading {
	if g.known[cell] == 0 {
		return reading{}
	}
	v := float64(d) + g.pad
	x := math.Log(v) - g.usual[cell]
	z := (x - g.allowed) / g.spread
	r := reading{known: true, x: x, z: min(max(z, zMin), zMax)}
	if n := g.known[cell]; n < cellKnown {
		r.z *= float64(n) / cellKnown
	}
	r.usual = g.usual[cell]
	return r
}

// add takes a reading into the sums.
func (g *signal) add(r reading) {
	if !r.known {
		return
	}
	g.slow += r.z - slack
	if g.slow <= 0 {
		g.reset()
		return
	}
	g.slowOf.add(r, g.most())
}

// learn moves what is usual towards a sample. Steady says that the sample is
// one of a target that is not overloaded.
func (g *signal) learn(cell int, d time.Duration, r reading, steady bool) {
	n := g.known[cell]
	if n == 0 {
		v := float64(d) + g.pad
		g.known[cell], g.usual[cell], g.nanos[cell] = 1, math.Log(v), v
		return
	}
	if !steady && n >= cellLearn {
		g.drop(r)
		return
	}
	if n < math.MaxUint16 {
		g.known[cell]++
	}
	bounded := min(max(r.x, -2*g.spread), 2*g.spread)
	g.usual[cell] += bounded * max(1/float64(n+1), cellRate)
	g.nanos[cell] = math.Exp(g.usual[cell])
	g.spread += (1.25*min(math.Abs(r.x), 3*g.spread) - g.spread) * spreadRate
	g.spread = min(max(g.spread, spreadMin), spreadMax)
	g.drop(r)
}

// drop lowers what is usual when samples are faster for long.
func (g *signal) drop(r reading) {
	z := min(max(-r.x/g.spread, zMin), zMax)
	g.fast += z - slack
	if g.fast <= 0 {
		g.fast, g.fastOf = 0, tally{}
		return
	}
	g.fastOf.add(r, g.most())
	if g.fast > fastAt {
		g.shift(g.fastOf.mean())
	}
}

// shift moves what is usual, everywhere.
func (g *signal) shift(x float64) {
	for i, n := range g.known {
		if n > 0 {
			g.usual[i] += x
			g.nanos[i] = math.Exp(g.usual[i])
		}
	}
	g.fast, g.fastOf = 0, tally{}
	g.reset()
}

// relearn has what is usual learned from the next calls, whatever they are like.
func (g *signal) relearn() {
	for i, n := range g.known {
		g.known[i] = min(n, cellKnown)
	}
}

// reset forgets how slow samples were.
func (g *signal) reset() { g.slow, g.slowOf = 0, tally{} }

// alarm says that samples are slower than usual, beyond chance.
func (g *signal) alarm(now time.Duration) bool {
	return g.slow > alarmAt && g.slow > alarmAt*g.doubts(now)
}

// doubt makes alarms rarer after one that was mistaken: each doubles what the next one takes.
func (g *signal) doubt(now time.Duration) {
	g.doubted, g.doubtAt = min(2*g.doubts(now), doubtMost), now
}

// doubts is by how much more than at first it takes for an alarm: at least 1. It halves
// with time.
func (g *signal) doubts(now time.Duration) float64 {
	return 1 + max(g.doubted-1, 0)*math.Exp2(-float64(now-g.doubtAt)/float64(doubtHalf))
}

// most is what the ratio of one sample counts at most, as a logarithm.
func (g *signal) most() float64 { return zMax*g.spread + g.allowed }

// firstCell is where the time to the first token of a prompt is kept.
func firstCell(inputBytes int) int {
	return min(bits.Len(uint(max(inputBytes, 0)>>10)), cellsFirst-1)
}

// wholeCell is where the time of a whole answer is kept.
func wholeCell(inputBytes, outputTokens int) int {
	in := min((bits.Len(uint(max(inputBytes, 0)>>10))+1)/2, cellsIn-1)
	out := min(bits.Len(uint(max(outputTokens, 1)))-1, cellsOut-1)
	return cellsFirst + in*cellsOut + out
}
