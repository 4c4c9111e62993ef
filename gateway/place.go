package gateway

import (
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/forebay-ai/forebay/gateway/head"
)

// placeHeader says how many calls were ahead of this one when it joined a line for a
// slot. It is absent where the call did not wait.
const placeHeader = "X-Forebay-Queue-Position"

// announceEvery is how often the reader of a stream is told where its call stands.
const announceEvery = time.Second

// lateHeaders are those whose values are not known in a head that was written while
// the call still waited: they come as trailers too.
var lateHeaders = [...]string{
	"Cache-Status", "X-Forebay-Provider", "X-Forebay-Model", "X-Forebay-Attempts",
	"X-Forebay-Fallback", "X-Forebay-Degradation", "X-Forebay-Region", "X-Forebay-Template", droppedHeader, "X-Forebay-Queue-Ms", costHeader,
}

// announcer tells the reader of a stream, by comments, where its call stands in the
// line. Before it has to it costs a timer, and no goroutine waits in it: its timer runs
// tell, which sets the timer again.
type announcer struct {
	visit *visit
	// mu guards what follows, and the visit and the answer: until stop has returned,
	// who writes has it.
	mu    sync.Mutex
	timer *time.Timer
	ended bool
	begun bool // the head is out
}

// announce makes the announcer of a streamed call; nil where there is to be none. Its
// stop has to be called.
func (g *Gateway) announce(x *visit) *announcer {
	if g.cfg.Announce < 0 || !x.style.comments() {
		return nil
	}
	a := &announcer{visit: x}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.timer = time.AfterFunc(g.cfg.Announce-time.Since(x.start), a.tell)
	return a
}

// tell writes the call's place, if it waits now, and comes back in a second.
func (a *announcer) tell() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended {
		return
	}
	x := a.visit
	if place, waits := x.waiting.Now(); waits {
		if !a.begun {
			a.begun, x.early = true, true
			x.set("Trailer", strings.Join(lateHeaders[:], ", "))
			x.headOfStream()
		}
		line := strconv.AppendInt([]byte(": queue position="), int64(place.Ahead), 10)
		if place.Wait > 0 {
			line = strconv.AppendInt(append(line, " wait_ms="...), place.Wait.Milliseconds(), 10)
		}
		if !x.write(append(line, "\n\n"...)) {
			return // the reader is gone, and net/http has ended the request's context
		}
		x.flush()
	}
	a.timer.Reset(announceEvery)
}

// stop ends the announcements: from its return on the caller may write. begun says
// that the head is out.
func (a *announcer) stop() (begun bool) {
	if a == nil {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ended = true
	a.timer.Stop()
	return a.begun
}

// trailLate sets as trailers what was not known in an early head.
func (x *visit) trailLate() {
	m := &x.meta
	values := [len(lateHeaders)]string{
		head.CacheStatus(m, x.called), headerText(m.Provider), headerText(m.Model), strconv.Itoa(m.Attempts),
		headerText(string(m.Fallback)), headerText(string(m.Level)), headerText(m.Region), headerText(m.Template), headerText(x.dropped()),
		strconv.FormatInt(m.Timing.Queue.Milliseconds(), 10),
		head.Dollars(m.CostMicroUSD),
	}
	for i, name := range lateHeaders {
		x.w.Header()[name] = []string{values[i]}
	}
}
