package limit_test

import (
	"container/heap"
	"math"
	"math/rand/v2"
	"time"

	"github.com/forebay-ai/forebay/limit"
)

// world is a simulation in virtual time: arrivals, a waiting line, a limiter with its
// controller, and a back end. Everything random comes from its seed.
type world struct {
	now    time.Duration
	events events
	serial int
	rng    *rand.Rand // of arrivals and jobs
	chance *rand.Rand // of refusals and stalls

	cfg     simConfig
	limiter *limit.Limiter
	control *limit.Controller
	back    *backEnd
	line    []*job        // waits for a slot, oldest first
	stall   time.Duration // until when nothing is noticed: the machine is busy

	bins []bin
}

// bin is what happened in a tenth of a second.
type bin struct {
	sent, refused, done int
	busy                float64 // slots of the back end that did useful work, x seconds
	bound               int     // at its end
	first               []time.Duration
}

const binSize = 100 * time.Millisecond

// simConfig describes a world.
type simConfig struct {
	seed       uint64
	ceiling    int
	fixed      bool                            // no controller
	late       bool                            // calls are reported at their end only
	whole      bool                            // answers are not streamed
	offered    func(now time.Duration) float64 // calls a second
	patience   time.Duration                   // how long a call waits for a slot
	capacity   func(now time.Duration) int
	kind       backKind
	job        func(w *world) *job
	refuse     func(w *world) bool             // random refusals
	slower     func(now time.Duration) float64 // factor on prefill
	stalls     float64                         // a second
	retryAfter time.Duration
}

type backKind int

const (
	refuses backKind = iota // answers 429 when it has capacity calls in progress
	queues                  // lets calls wait in order
	shares                  // divides its speed among all
)

type job struct {
	arrived, start  time.Duration
	prefill, decode time.Duration
	tokens, input   int
	inFlight        int
	first           time.Duration
	work            float64 // virtual time at which the phase ends, for shares
	decoding        bool
}

type event struct {
	at     time.Duration
	serial int
	run    func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].serial < e[j].serial
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	old := *e
	x := old[len(old)-1]
	*e = old[:len(old)-1]
	return x
}

func (w *world) at(t time.Duration, run func()) {
	w.serial++
	heap.Push(&w.events, event{max(t, w.now), w.serial, run})
}

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func (w *world) clock() time.Time { return epoch.Add(w.now) }

func newWorld(cfg simConfig) *world {
	w := &world{cfg: cfg, rng: rand.New(rand.NewPCG(cfg.seed, 7)), chance: rand.New(rand.NewPCG(cfg.seed, 8))}
	w.limiter = limit.New(limit.Config{MaxConcurrent: cfg.ceiling})
	w.control = limit.NewController(w.limiter, limit.ControllerConfig{Off: cfg.fixed})
	w.back = &backEnd{w: w}
	return w
}

func (w *world) run(d time.Duration) {
	w.at(0, w.arrive)
	if w.cfg.stalls > 0 {
		w.at(0, w.stallSometimes)
	}
	w.at(0, w.watchCapacity)
	for len(w.events) > 0 {
		e := heap.Pop(&w.events).(event)
		if e.at > d {
			break
		}
		w.advance(e.at)
		e.run()
	}
	w.advance(d)
}

// advance moves the time on, and books the work done meanwhile.
func (w *world) advance(to time.Duration) {
	for w.now < to {
		step := min(to, (w.now/binSize+1)*binSize)
		i := int(w.now / binSize)
		for len(w.bins) <= i {
			w.bins = append(w.bins, bin{})
		}
		useful := min(w.back.serving(), w.cfg.capacity(w.now))
		w.bins[i].busy += float64(useful) * (step - w.now).Seconds()
		w.bins[i].bound = w.limiter.Max()
		w.now = step
	}
}

func (w *world) bin() *bin {
	i := int(w.now / binSize)
	for len(w.bins) <= i {
		w.bins = append(w.bins, bin{})
	}
	return &w.bins[i]
}

func (w *world) watchCapacity() {
	w.back.fill()
	w.at(w.now+10*time.Millisecond, w.watchCapacity)
}

func (w *world) stallSometimes() {
	w.stall = w.now + time.Duration(w.chance.ExpFloat64()*float64(100*time.Millisecond))
	w.at(w.now+time.Duration(w.chance.ExpFloat64()/w.cfg.stalls*float64(time.Second)), w.stallSometimes)
}

func (w *world) arrive() {
	rate := w.cfg.offered(w.now)
	w.at(w.now+time.Duration(w.rng.ExpFloat64()/rate*float64(time.Second)), w.arrive)
	j := w.cfg.job(w)
	j.arrived = w.now
	w.line = append(w.line, j)
	w.dispatch()
}

func (w *world) dispatch() {
	for len(w.line) > 0 {
		if w.now-w.line[0].arrived > w.cfg.patience {
			w.line = w.line[1:]
			continue
		}
		if !w.limiter.TryAcquire() {
			return
		}
		j := w.line[0]
		w.line = w.line[1:]
		j.start, j.inFlight = w.now, w.limiter.InFlight()
		w.bin().sent++
		w.back.take(j)
	}
}

// notice runs f now, or when the machine is no longer busy.
func (w *world) notice(f func()) {
	if w.now >= w.stall {
		f()
		return
	}
	w.at(w.stall, f)
}

func (w *world) sample(j *job, stage limit.Stage) limit.Sample {
	return limit.Sample{
		Stage: stage, Start: epoch.Add(j.start), InFlight: j.inFlight, FirstToken: j.first,
		Took: w.now - j.start, OutputTokens: j.tokens, Streamed: !w.cfg.whole, InputBytes: j.input,
	}
}

func (w *world) observe(s limit.Sample) {
	if w.control.Observe(w.clock(), s) {
		w.dispatch()
	}
}

func (w *world) firstToken(j *job) {
	w.notice(func() {
		j.first = w.now - j.start
		w.bin().first = append(w.bin().first, j.first)
		if w.cfg.whole {
			j.first = 0
		} else if !w.cfg.late {
			s := w.sample(j, limit.First)
			s.OutputTokens = 0
			w.observe(s)
		}
	})
}

func (w *world) done(j *job) {
	w.notice(func() {
		stage := limit.Rest
		if w.cfg.whole || w.cfg.late {
			stage = limit.Whole
		}
		w.bin().done++
		w.observe(w.sample(j, stage))
		w.limiter.Release()
		w.dispatch()
	})
}

func (w *world) refusedJob(j *job) {
	w.notice(func() {
		w.bin().refused++
		w.observe(limit.Sample{
			Start: epoch.Add(j.start), InFlight: j.inFlight, Took: w.now - j.start, Overloaded: true,
			Streamed: !w.cfg.whole, InputBytes: j.input, RetryAfter: w.cfg.retryAfter,
		})
		w.limiter.Release()
		w.dispatch()
	})
}

// backEnd is the target.
type backEnd struct {
	w       *world
	active  int
	waiting []*job
	shared  []*job  // of shares
	virtual float64 // seconds of work that each of shared got
	last    time.Duration
	serial  int
}

func (b *backEnd) serving() int {
	if b.w.cfg.kind == shares {
		return len(b.shared)
	}
	return b.active
}

func (b *backEnd) take(j *job) {
	w := b.w
	if f := w.cfg.slower; f != nil {
		j.prefill = time.Duration(float64(j.prefill) * f(w.now))
	}
	if w.cfg.refuse != nil && w.cfg.refuse(w) || w.cfg.kind == refuses && b.active >= w.cfg.capacity(w.now) {
		w.at(w.now+30*time.Millisecond, func() { w.refusedJob(j) })
		return
	}
	if w.cfg.kind == shares {
		b.progress()
		j.work = b.virtual + j.prefill.Seconds()
		b.shared = append(b.shared, j)
		b.next()
		return
	}
	b.waiting = append(b.waiting, j)
	b.fill()
}

// fill begins calls that wait in the back end.
func (b *backEnd) fill() {
	w := b.w
	if w.cfg.kind == shares {
		b.progress()
		b.next()
		return
	}
	for len(b.waiting) > 0 && b.active < w.cfg.capacity(w.now) {
		j := b.waiting[0]
		b.waiting = b.waiting[1:]
		b.active++
		w.at(w.now+j.prefill, func() { w.firstToken(j) })
		w.at(w.now+j.prefill+j.decode, func() {
			b.active--
			w.done(j)
			b.fill()
		})
	}
}

func (b *backEnd) speed() float64 {
	return min(1, float64(b.w.cfg.capacity(b.last))/float64(max(len(b.shared), 1)))
}

func (b *backEnd) progress() {
	b.virtual += (b.w.now - b.last).Seconds() * b.speed()
	b.last = b.w.now
}

// next plans the next end of a phase.
func (b *backEnd) next() {
	b.serial++
	mine, least := b.serial, math.Inf(1)
	for _, j := range b.shared {
		least = min(least, j.work)
	}
	if len(b.shared) == 0 {
		return
	}
	wait := max((least-b.virtual)/b.speed(), 0)
	b.w.at(b.w.now+time.Duration(wait*1e9)+1, func() {
		if mine == b.serial {
			b.progress()
			b.finish()
			b.next()
		}
	})
}

func (b *backEnd) finish() {
	var ended, begun []*job
	kept := b.shared[:0]
	for _, j := range b.shared {
		switch {
		case j.work > b.virtual:
			kept = append(kept, j)
		case !j.decoding:
			j.decoding, j.work = true, b.virtual+j.decode.Seconds()
			kept, begun = append(kept, j), append(begun, j)
		default:
			ended = append(ended, j)
		}
	}
	b.shared = kept
	for _, j := range begun {
		b.w.firstToken(j)
	}
	for _, j := range ended {
		b.w.done(j)
	}
}
