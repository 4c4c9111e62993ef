package limit

import (
	"math"
	"time"
)

const (
	// probeCalls and probeWait are how many calls, and how much time, without a sign of
	// overload lie between two tries of one call more than the target took before. One
	// try costs one refusal: 4 % of 25 calls at most.
	probeCalls = 25
	probeWait  = 2 * time.Second
	// probeLong is after how long a bound that was too much is forgotten: a target
	// that answers one call in 10 s would otherwise be probed every four minutes.
	probeLong = 20 * time.Second

	// refuseRate is the weight of one call in the share of calls that are refused:
	// it looks back on about 8 calls.
	refuseRate = 1.0 / 8
	// refuseAlone is the share up to which refusals are chance, where the target took as
	// many calls at once before: it takes three in a row, or nearly so.
	refuseAlone = 0.3
	// shareRate, trimShare and trimCalls are for refusals that are few and do not end: the
	// share of the last 64 calls, from what share on, and how seldom, a call less is tried.
	shareRate = 1.0 / 64
	trimShare = 0.04
	trimCalls = 1000
	// refuseSoon is after how long at least a call that was not refused was accepted.
	refuseSoon = 100 * time.Millisecond

	growth    = 3    // what the step up grows by with each success
	usedShare = 0.9  // of the bound; with that in progress it counts as used
	idleShare = 0.7  // of the bound; with less in progress a call met no line
	aimShare  = 0.95 // of the room that was found: a line that stands has to go first
	fewest    = 3    // calls that have to go well before a step up
	careful   = 10   // the same for a step towards what was too much before

	rampStep    = time.Second
	serveWeight = 64 // calls over which the mean time of a call is taken
)

// law decides the bound. It is a state machine of samples and time: times count
// from the controller's beginning.
type law struct {
	ceiling, bound int
	now            time.Duration
	why            Reason        // why the bound last moved
	moved          time.Duration // when

	inFlight int    // calls in progress, as of the last sample
	ended    int    // calls that ended
	first    signal // time to the first token; of whole answers, time in all
	token    signal // time between tokens
	begun    bool
	born     time.Duration // when the first sample's call was sent
	pulse    pulse         // answers that begin
	served   int           // calls in serve, up to serveWeight
	serve    float64       // mean time that the target works on a call, nanoseconds
	typical  float64       // usual time to the first token, as signal.nanos has it

	refused    float64       // share of the last calls that were refused
	share      float64       // the same over more calls
	trimmed    int           // ended, when a call less was tried last
	refuseTook time.Duration // how long refusals take at most
	hits       int           // refusals since the last cut
	clean      int           // answers since the last sign of overload
	sign       time.Duration // when that was
	wall       int           // calls in progress that were too many; 0: not known
	byRefusal  bool          // the last sign was a refusal
	step       int           // how far the bound goes up next

	cut     time.Duration // the last cut: calls sent before say nothing of the bound now
	epoch   epoch
	episode episode

	ramping bool
	rampAt  time.Duration
	rampOf  int
}

// epoch is what was seen since the bound last changed, of calls sent since then.
type epoch struct {
	at      time.Duration
	raised  int           // the bound before, if it was lower; else 0
	answers int           // since the bound changed
	n       int           // answers since the last look at whether to go up
	z       float64       // their readings
	most    int           // the most that were in progress with them
	proof   int           // the most that were in progress with any answer
	flow    time.Duration // when the first of the calls was sent; -1: none yet
	before  int           // calls in progress when it began, less those that had ended
	full    time.Duration // since when all that is allowed is in use; -1: it is not
}

func newLaw(most int) law {
	l := law{
		ceiling: most, bound: most, step: 1, cut: math.MinInt64,
		first: newSignal(pad, 0), token: newSignal(padToken, math.Ln2),
	}
	l.epoch = epoch{at: math.MinInt64, flow: -1, full: -1}
	return l
}

// observe takes a sample of a call that was sent at start. InFlight is how many calls
// are in progress now.
func (l *law) observe(s *Sample, start time.Duration, inFlight int) {
	if !l.begun {
		l.begun, l.born = true, start
	}
	l.inFlight = inFlight
	if s.Overloaded {
		l.refuse(start, s.InFlight)
	} else {
		l.answer(s, start)
	}
	if s.Stage != First {
		l.ended++ // its slot comes back after this
	}
}

// answer acts on a sample of a call that was not refused for load.
func (l *law) answer(s *Sample, start time.Duration) {
	fresh := start >= l.cut
	answered := s.Stage != Rest && (!s.Failed || s.FirstToken > 0)
	if answered {
		l.pulse.beat(l.now)
		l.clean++
		if fresh {
			l.refused -= l.refused * refuseRate
			l.share -= l.share * shareRate
		}
	}
	var r reading
	if s.Stage != Rest {
		r = l.readFirst(s, start)
	}
	if s.Stage != First && !s.Failed {
		l.readRest(s, start)
	}
	l.judge()
	switch {
	case l.episode.open:
	case fresh && l.first.alarm(l.now):
		l.slow(&l.first, s.InFlight)
	case fresh && l.token.alarm(l.now):
		l.slow(&l.token, s.InFlight)
	case answered && start >= l.epoch.at:
		l.epoch.add(start, s.InFlight, r.z)
		l.grow()
	case !s.Failed:
		l.grow()
	}
}

func (e *epoch) add(start time.Duration, inFlight int, z float64) {
	if e.flow < 0 {
		e.flow = start
	}
	e.answers++
	e.n++
	e.z += z
	e.most = max(e.most, inFlight)
	e.proof = max(e.proof, inFlight)
}

// look begins to count anew for the next look at whether to go up.
func (e *epoch) look() { e.n, e.z, e.most = 0, 0, 0 }

// readFirst compares how long the answer took to begin with what is usual, and learns.
func (l *law) readFirst(s *Sample, start time.Duration) (r reading) {
	d, cell, atLeast := s.FirstToken, firstCell(s.InputBytes), false
	switch {
	case s.Streamed && d > 0:
	case s.Streamed && s.Took > 0: // it did not begin at all
		d, atLeast = s.Took, true
	case !s.Streamed && !s.Failed && s.OutputTokens > 0 && s.Took > 0:
		d, cell = s.Took, wholeCell(s.InputBytes, s.OutputTokens)
	default:
		return r
	}
	r = l.first.read(cell, d)
	usual := time.Duration(l.first.nanos[cell])
	// What comes back first is what was fast. It takes a few round trips until
	// answers are a fair sample of calls: at the beginning, and after each change.
	learning := l.now-l.born < 4*usual
	fair := learning || l.first.known[cell] < cellLearn || l.epoch.flow >= 0 && l.now-l.epoch.flow > 3*usual
	if learning {
		r.z = 0
	}
	if atLeast && r.z <= 0 {
		return reading{}
	}
	l.tell(&l.first, r, start)
	if atLeast || !fair {
		return r
	}
	quiet := float64(s.InFlight) < idleShare*float64(l.bound)
	l.first.learn(cell, d, r, learning || quiet && l.first.slow < alarmAt/2)
	if s.Streamed {
		l.typical = l.first.nanos[cell]
	}
	return r
}

// readRest compares the time between tokens with what is usual, and learns how long the
// target works on a call.
func (l *law) readRest(s *Sample, start time.Duration) {
	if s.Took <= 0 {
		return
	}
	works := float64(s.Took)
	cell := firstCell(s.InputBytes)
	if s.Streamed && l.first.known[cell] > 0 {
		works -= max(float64(s.FirstToken)+pad-l.first.nanos[cell], 0)
	}
	l.served = min(l.served+1, serveWeight)
	l.serve += (works - l.serve) / float64(l.served)
	if !s.Streamed || s.FirstToken <= 0 || s.OutputTokens < minTokens || s.Took <= s.FirstToken {
		return
	}
	d := (s.Took - s.FirstToken) / time.Duration(s.OutputTokens-1)
	r := l.token.read(0, d)
	l.tell(&l.token, r, start)
	l.token.learn(0, d, r, float64(s.InFlight) < idleShare*float64(l.bound) && l.token.slow < alarmAt/2)
}

// tell takes a reading into its signal's sums, of a call that was sent at start.
func (l *law) tell(g *signal, r reading, start time.Duration) {
	if start >= l.cut {
		g.add(r)
	}
	l.episode.add(g, r, start)
}

// refuse acts on a call that was refused with n calls in progress. It believes a refusal
// at once where the bound was just raised, and otherwise when there are several: the
// share of refusals is what the bound is lowered by (as in DCTCP, RFC 8257).
func (l *law) refuse(start time.Duration, n int) {
	l.refuseTook = max(min(l.now-start, time.Second), l.refuseTook*7/8)
	l.refused += (1 - l.refused) * refuseRate
	l.share += (1 - l.share) * shareRate
	l.clean, l.sign = 0, l.now
	l.epoch.full = -1
	if start < l.cut {
		return
	}
	l.hits++
	e, to := &l.epoch, n-1
	switch {
	case n > e.proof && e.raised > 0 && n > e.raised: // the step up was one too many
	case l.hits < 2 || n <= e.proof && l.refused < refuseAlone && !l.trim(n):
		return
	case n <= e.proof && l.refused < refuseAlone:
	case n > e.proof && e.answers >= careful: // it takes fewer, and never so many
	case n > e.proof && float64(l.hits) < refuseAlone*float64(l.inFlight+l.ended-e.before):
		return // most of those that were sent since the bound changed are in progress
	default:
		to = int(float64(l.bound) * (1 - l.refused/2))
	}
	l.lower(to, max(n, to+1), ReasonRefused)
}

// trim says that refusals which look like chance are too many to be left alone, so that one call
// fewer is worth a try. It is not tried often: chance would lower the bound for ever.
func (l *law) trim(n int) bool {
	if l.share < trimShare || n < l.bound || l.ended-l.trimmed < trimCalls {
		return false
	}
	l.trimmed = l.ended
	return true
}

// lower cuts the bound, after a sign of overload with so many in progress.
func (l *law) lower(to, wall int, why Reason) {
	l.wall, l.byRefusal = wall, why == ReasonRefused
	l.clean, l.sign, l.hits = 0, l.now, 0
	l.ramping, l.step = false, 1
	l.cut, l.episode = l.now, episode{}
	l.move(max(min(to, l.bound-1), 1), why)
}

// move sets the bound and begins a new epoch.
func (l *law) move(to int, why Reason) {
	raised := 0
	if to > l.bound {
		raised = l.bound
	}
	l.epoch = epoch{at: l.now, raised: raised, before: l.inFlight + l.ended, flow: -1, full: -1}
	if to != l.bound {
		l.bound, l.why, l.moved = to, why, l.now
	}
}
