package backlog_test

import (
	"container/heap"
	"fmt"
	"hash"
	"hash/fnv"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/forebay-ai/forebay/backlog"
)

// world is one simulated history: processes with desks and workers over one store, in virtual
// time, one event after the other. All that happens follows from its seed.
type world struct {
	seed   uint64
	rand   *rand.Rand
	now    int64         // true time, which all monotonic clocks show
	skew   time.Duration // how wrong the wall clock is
	events events
	seq    int
	store  simStore
	procs  []*proc
	cfg    backlog.Config // of every desk, but for the worker's name
	faults bool           // things go wrong
	calm   bool           // nothing ever goes wrong
	open   bool           // clients come
	slow   int64          // until when the disk is slow
	busy   int64          // until when the store has hardly any capacity
	ops    int
	ids    []backlog.ID // all that were ever submitted, ascending
	keys   [][32]byte   // idempotency keys that were used
	seen   map[string]int
	hash   hash.Hash64
	wrong  string
	last   []string // the last events, for the report
}

var simEpoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

type event struct {
	at  int64
	seq int
	p   *proc // nil: of the world; else it waits while the process is stopped, and ends with it
	gen int
	fn  func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	if e[i].at != e[j].at {
		return e[i].at < e[j].at
	}
	return e[i].seq < e[j].seq
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	old := *e
	x := old[len(old)-1]
	old[len(old)-1] = event{}
	*e = old[:len(old)-1]
	return x
}

// newWorld draws a machine with its configuration.
func newWorld(seed uint64) *world {
	r := rand.New(rand.NewPCG(seed, 4))
	w := &world{seed: seed, rand: r, seen: make(map[string]int), hash: fnv.New64a(), faults: true, open: true}
	w.store = simStore{w: w, records: make(map[backlog.ID]*record), keys: make(map[[32]byte]backlog.ID), paused: make(map[string]bool)}
	n := 1 + max(0, int(seed%5)-2) // 1 to 3 processes, mostly 1
	w.cfg = backlog.Config{
		Max: 10 + r.IntN(150), Concurrency: 1 + r.IntN(5), Retries: 1 + r.IntN(3), Deaths: 1 + r.IntN(3),
		Timeout: time.Duration(10+r.IntN(300)) * time.Second, Exclusive: n == 1, RelaxedClaims: r.IntN(2) == 0,
	}
	for i := range n {
		p := &proc{w: w, n: i}
		w.procs = append(w.procs, p)
		p.start()
	}
	return w
}

func (w *world) failf(format string, args ...any) {
	if w.wrong == "" {
		w.wrong = fmt.Sprintf("after %s: ", time.Duration(w.now)) + fmt.Sprintf(format, args...) + "\n  " + strings.Join(w.last, "\n  ")
	}
}

func (w *world) chance(p float64) bool { return w.rand.Float64() < p }

// between draws a duration.
func (w *world) between(a, b time.Duration) int64 { return int64(a) + w.rand.Int64N(int64(b-a)) }

// clock is what time.Now would return.
func (w *world) clock() time.Time {
	return at(simEpoch.Add(time.Duration(w.now)+w.skew), time.Duration(w.now))
}

func (w *world) after(d int64, p *proc, fn func()) {
	e := event{at: w.now + d, seq: w.seq, fn: fn, p: p}
	if p != nil {
		e.gen = p.gen
	}
	w.seq++
	heap.Push(&w.events, e)
}

// step lets the next event happen; false where there is none.
func (w *world) step() bool {
	if len(w.events) == 0 {
		return false
	}
	e := heap.Pop(&w.events).(event)
	w.now = max(w.now, e.at)
	switch {
	case e.p == nil:
		e.fn()
	case e.p.gen != e.gen: // the process has crashed
	case e.p.stopped > w.now:
		e.at = e.p.stopped
		heap.Push(&w.events, e)
	default:
		e.fn()
		if e.p.gen == e.gen {
			e.p.tick()
		}
	}
	return true
}

// trace adds what happened to the hash of the history.
func (w *world) trace(id backlog.ID, what ...int64) {
	var b [8]byte
	for _, v := range append(what, int64(id), w.now) {
		for i := range b {
			b[i] = byte(v >> (8 * i))
		}
		w.hash.Write(b[:])
	}
	w.ops++
	if *simJob != "" && id.String() != *simJob {
		return
	}
	if len(w.last) == 40 {
		w.last = w.last[1:]
	}
	w.last = append(w.last, fmt.Sprintf("%s %s %d", time.Duration(w.now), id, what))
}

// note adds what a process was told or says of the job of -sim.job to the report.
func (w *world) note(p *proc, id backlog.ID, format string, args ...any) {
	if id.String() != *simJob {
		return
	}
	w.last = append(w.last, fmt.Sprintf("%s %s process %d.%d ", time.Duration(w.now), id, p.n, p.gen)+fmt.Sprintf(format, args...))
}

// nemesis lets something go wrong every few seconds.
func (w *world) nemesis() {
	if !w.faults {
		return
	}
	w.after(w.between(time.Second, 20*time.Second), nil, w.nemesis)
	p := w.procs[w.rand.IntN(len(w.procs))]
	switch w.rand.IntN(7) {
	case 0:
		if p.doomed = w.chance(0.7); !p.doomed {
			p.crash()
		}
	case 1:
		p.drain()
	case 2:
		if p.alive && p.stopped <= w.now {
			p.stopped = w.now + w.between(2*time.Second, time.Minute)
			w.seen["stopped"]++
		}
	case 3:
		jumps := []time.Duration{time.Hour, -time.Hour, 365 * 24 * time.Hour, -365 * 24 * time.Hour, 0}
		w.skew = jumps[w.rand.IntN(len(jumps))]
		if w.chance(0.1) {
			w.skew = time.Unix(0, 0).Sub(simEpoch) - time.Duration(w.now)
		}
		w.seen["clock jumped"]++
	case 4:
		w.slow = w.now + w.between(time.Second, 20*time.Second)
		w.seen["slow disk"]++
	case 5:
		if p.alive {
			p.broken = w.now + w.between(100*time.Millisecond, 20*time.Second)
			w.seen["store failed"]++
		}
	case 6:
		w.busy = w.now + w.between(time.Second, time.Minute)
		w.seen["no capacity"]++
	}
}

// latency is how long half of an operation of the store takes.
func (w *world) latency() int64 {
	if w.slow > w.now {
		return w.between(100*time.Millisecond, 5*time.Second)
	}
	return w.between(100*time.Microsecond, 10*time.Millisecond)
}

// run makes n operations under faults, ends the faults and waits until all is done.
func (w *world) run(n int) {
	w.nemesis()
	w.clients()
	for w.ops < n && w.wrong == "" && w.step() {
	}
	w.faults, w.open, w.skew, w.slow, w.busy = false, false, 0, 0, 0
	clear(w.store.paused)
	for _, p := range w.procs {
		p.broken, p.stopped = min(p.broken, w.now), min(p.stopped, w.now)
		p.resumeAll()
	}
	// Everything ends: a job within its timeout and a few leases, a webhook within two days.
	end := w.now + int64(3*24*time.Hour)
	jobs := w.now + int64(2*w.cfg.Timeout+10*time.Minute)
	for w.wrong == "" && w.now < end && w.step() {
		if len(w.store.open) > 0 && w.now > jobs {
			break
		}
	}
	if w.wrong == "" {
		w.checkEnd()
	}
}

// checkEnd holds what is true when all has come to rest.
func (w *world) checkEnd() {
	for _, id := range w.store.open {
		r := w.store.records[id]
		w.failf("%s never ended: %+v, acknowledged: %t", id, r.Status, r.acked)
	}
	for _, id := range w.ids {
		r := w.store.records[id]
		if r == nil {
			continue // never stored, and nobody was told that it was
		}
		switch {
		case !r.State.Final():
			w.failf("%s is %s", id, r.State)
		case (r.State == backlog.Completed) != (r.results == 1):
			w.failf("%s is %s with %d results", id, r.State, r.results)
		case r.starts > 1+r.requeued+r.back:
			w.failf("%s was started %d times: back in the queue %d times, requeued %d times", id, r.starts, r.back, r.requeued)
		case r.Webhook && !r.Hook.Delivered && r.Hook.Attempts == 0:
			w.failf("the webhook of %s was never called: %+v", id, r.Hook)
		case !r.Hook.Due.IsZero():
			w.failf("the webhook of %s is due still: %+v", id, r.Hook)
		case r.payload == (r.State == backlog.Completed):
			w.failf("%s is %s and has its payload: %t", id, r.State, r.payload)
		}
	}
	for _, p := range w.procs {
		s := p.desk.Stats(w.clock())
		if s.Reserved != 0 || s.Bytes != 0 || s.Queued != 0 || s.Processing != 0 || s.Watched != 0 {
			w.failf("the desk of process %d still has %+v", p.n, s)
		}
		w.tally(&s)
	}
}

func (w *world) tally(s *backlog.Stats) {
	w.seen["fenced"] += int(s.Fenced)
	w.seen["retries"] += int(s.Retries)
	w.seen["deaths"] += int(s.Deaths)
	w.seen["released"] += int(s.Released)
	w.seen["refused"] += int(s.Refused)
	w.seen["timeouts"] += int(s.Timeouts)
	w.seen["dead"] += int(s.Dead)
	w.seen["completed"] += int(s.Completed)
	w.seen["failed"] += int(s.Failed)
	w.seen["cancelled"] += int(s.Cancelled)
	w.seen["requeued"] += int(s.Requeued)
}
