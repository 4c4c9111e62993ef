package backlog_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/llm"
)

// incarnation is a process from a start to its crash.
type incarnation struct{ n, gen int }

// proc is a simulated process: a desk, and workers that run what it claims.
type proc struct {
	w         *world
	n, gen    int
	alive     bool
	doomed    bool  // it crashes with its next change under way
	stopped   int64 // until when
	broken    int64 // until when its store fails; it fails until recovered
	failed    bool
	recovered bool // at least once
	desk      *backlog.Desk
	worker    string
	wakeAt    int64
	idle      int // ticks in a row at the same time that did nothing
	idleAt    int64
	flying    map[backlog.ID]int // changes of which the desk has not heard
	era       int                // how often it has recovered
	storing   int                // jobs that are being stored
	known     map[backlog.ID]bool
	until     map[backlog.ID]int64 // of own leases: when they run out at the latest, if no renewal is under way
	renews    map[backlog.ID]int   // renewals of which it has not heard and that it remembers
	results   []func()             // attempts that ended while the store had failed
	sent      []*op                // not yet at the store
	inserts   []*op                // jobs that may have been stored while it failed
}

// op is one operation of the store.
type op struct {
	p       *proc
	gen     int
	era     int // which one of the process it was said in
	worker  string
	said    int64
	change  *backlog.Change
	insert  *backlog.Job
	ran     int // the attempt whose end it is, as the worker knows it
	requeue bool
	insists int  // how often it is sent again where the store is busy
	over    bool // it has happened, or will not
	done    func(error)
}

var errFailed = backlog.ErrFailed

func (p *proc) start() {
	p.gen++
	p.doomed, p.recovered = false, false
	p.alive, p.failed, p.broken, p.stopped, p.wakeAt = true, false, 0, 0, -1
	p.worker = fmt.Sprintf("w%d-%d", p.n, p.gen)
	p.flying, p.known = make(map[backlog.ID]int), make(map[backlog.ID]bool)
	p.until, p.renews = make(map[backlog.ID]int64), make(map[backlog.ID]int)
	p.results, p.inserts, p.storing = nil, nil, 0
	cfg := p.w.cfg
	cfg.Worker, cfg.Rand = p.worker, rand.New(rand.NewPCG(p.w.seed, uint64(p.n<<32|p.gen)))
	p.desk = backlog.NewDesk(cfg)
	for name, paused := range p.w.store.paused {
		if paused {
			p.desk.Pause(name)
		}
	}
	p.load(0)
	if !cfg.Exclusive {
		p.listen()
	}
	p.w.after(0, p, func() {})
}

// load tells the desk all that the store has.
func (p *proc) load(age int64) {
	jobs := p.w.store.list(age)
	if age == 0 {
		jobs = append(jobs, p.w.store.hooks()...)
	}
	for i := range jobs {
		j := &jobs[i]
		p.w.note(p, j.ID, "loads %s, attempt %d, webhook %+v", j.State, j.Attempt, j.Hook)
		if c, ok := p.desk.Load(p.w.clock(), j); ok {
			p.apply(c, nil)
		}
		p.known[j.ID] = true
	}
}

// listen reads listings of a store that others use as well, which are old sometimes.
func (p *proc) listen() {
	p.w.after(p.w.between(time.Second, 4*time.Second), p, func() {
		if p.w.open || len(p.w.store.open) > 0 || p.desk.Stats(p.w.clock()).Queued > 0 {
			p.listen() // else only webhooks are left
		}
		var age int64
		if p.w.faults && p.w.chance(0.5) {
			age = p.w.between(0, 10*time.Second)
		}
		if !p.failed {
			p.load(age)
		}
	})
}

func (p *proc) crash() {
	if !p.alive {
		return
	}
	p.w.seen["crashed"]++
	s := p.desk.Stats(p.w.clock())
	p.w.tally(&s)
	p.alive = false
	p.gen++
	if p.w.cfg.Exclusive { // nobody opens the store while something of this process is under way
		for _, o := range p.sent {
			if o.over = true; p.w.chance(0.5) {
				p.w.seen["made at a crash"]++
				_ = p.w.exec(o)
			}
		}
		p.sent = nil
	}
	p.w.after(p.w.between(50*time.Millisecond, 20*time.Second), nil, p.start)
}

// drain ends the process in good order, or crashes in the middle of it.
func (p *proc) drain() {
	if !p.alive || p.stopped > p.w.now {
		return
	}
	p.w.seen["drained"]++
	p.desk.Drain()
	gen := p.gen
	p.w.after(p.w.between(0, 5*time.Second), nil, func() {
		if p.gen == gen {
			p.crash()
		}
	})
	for _, id := range append([]backlog.ID(nil), p.w.store.open...) {
		r := p.w.store.records[id]
		if r.State == backlog.Processing && r.Worker == p.worker && p.w.chance(0.7) {
			p.release(id, r.Attempt)
		}
	}
}

func (p *proc) release(id backlog.ID, attempt int) {
	if c, ok := p.desk.Release(p.w.clock(), id, attempt); ok {
		p.apply(c, func(o *op) { o.ran = attempt })
	}
}

// tick does whatever the desk has to be done, and comes again when it says so.
func (p *proc) tick() {
	w := p.w
	if !p.alive || w.wrong != "" {
		return
	}
	now, did := w.clock(), 0
	due := func() {
		for _, c := range p.desk.Due(now) {
			p.apply(c, nil)
			did++
		}
	}
	late := w.chance(0.5)
	if !late {
		due()
	}
	for c, ok := p.desk.Claim(now); ok; c, ok = p.desk.Claim(now) {
		p.checkClaim(&c)
		p.apply(c, nil)
		did++
	}
	if late {
		due()
	}
	for _, id := range p.desk.Hooks(now) {
		p.deliver(id)
		did++
	}
	p.checkCounts()
	next, ok := p.desk.Wake(now)
	if !ok {
		return
	}
	if p.idle++; did > 0 || w.now != p.idleAt {
		p.idle, p.idleAt = 0, w.now
	}
	if p.idle > 1000 {
		w.failf("process %d is woken again and again and has nothing to do: %+v", p.n, p.desk.Stats(now))
	}
	if at := w.now + int64(next.Sub(now)); p.wakeAt <= w.now || at < p.wakeAt {
		p.wakeAt = at
		w.after(at-w.now, p, func() {})
	}
}

// apply sends a change to the store, and tells the desk what became of it.
func (p *proc) apply(c backlog.Change, with func(*op)) {
	o := &op{p: p, gen: p.gen, era: p.era, worker: p.worker, said: p.w.now, change: &c}
	if with != nil {
		with(o)
	}
	p.w.note(p, c.ID, "says %s %d to %s %d", c.From, c.Attempt, c.To.State, c.To.Attempt)
	p.flying[c.ID]++
	if renewal(&c) {
		p.renews[c.ID]++
	}
	o.done = func(err error) {
		p.w.note(p, c.ID, "hears of %s %d to %s %d: %v", c.From, c.Attempt, c.To.State, c.To.Attempt, err)
		switch {
		case err == nil:
			p.landed(o)
			p.applied(o, p.desk.Applied(p.w.clock(), &c))
		case errors.Is(err, errFailed):
			p.flying[c.ID]--
			p.fail()
		case errors.Is(err, backlog.ErrBusy) && o.insists > 0:
			o.insists--
			p.w.after(p.w.between(0, 5*time.Second), p, func() { p.send(o) })
		case errors.Is(err, backlog.ErrBusy):
			p.w.after(p.w.between(0, 2*time.Second), p, func() {
				p.landed(o)
				p.desk.Undone(p.w.clock(), &c)
			})
		default: // read it, which takes its time: what is read may be old when it arrives
			current := p.w.store.get(c.ID)
			p.w.seen["missed"]++
			p.w.after(p.w.latency(), p, func() {
				p.landed(o)
				p.w.note(p, c.ID, "missed %s %d to %s %d", c.From, c.Attempt, c.To.State, c.To.Attempt)
				p.applied(o, p.desk.Missed(p.w.clock(), &c, current))
			})
		}
	}
	p.send(o)
}

func renewal(c *backlog.Change) bool {
	return c.From == backlog.Processing && c.To.State == backlog.Processing
}

// landed notes that the desk is told what became of a change.
func (p *proc) landed(o *op) {
	p.flying[o.change.ID]--
	if renewal(o.change) && o.era == p.era {
		p.renews[o.change.ID]--
	}
}

// applied begins what a change that may have been made allows.
func (p *proc) applied(o *op, ok bool) {
	c := o.change
	if !ok || c.To.State != backlog.Processing {
		return
	}
	p.until[c.ID] = p.w.now + int64(15*time.Second)
	if c.From == backlog.Queued && p.desk.Holds(c.ID, c.To.Attempt) {
		p.begin(c.ID, c.To.Attempt)
	}
}

// send lets an operation happen some time later, and its answer arrive later still.
func (p *proc) send(o *op) {
	w := p.w
	owner := p
	if w.chance(0.5) { // it reaches the store whatever happens to the process
		owner = nil
	}
	p.sent = append(p.sent, o)
	if p.doomed {
		p.doomed = false
		w.after(1, p, p.crash)
	}
	w.after(w.latency(), owner, func() {
		if o.over { // by the end of the process
			return
		}
		p.sent = slices.DeleteFunc(p.sent, func(s *op) bool { return s == o })
		if p.gen != o.gen {
			w.seen["made after a crash"]++
		}
		err := w.exec(o)
		w.after(w.latency(), p.of(o), func() {
			if p.gen == o.gen {
				o.done(err)
			}
		})
	})
}

// of is the process as long as it is the one that sent the operation.
func (p *proc) of(o *op) *proc {
	if p.gen == o.gen {
		return p
	}
	return nil
}

// exec makes an operation, with the faults of a store.
func (w *world) exec(o *op) error {
	made := func() error {
		if o.insert != nil {
			existing, err := w.store.insert(o)
			if errors.Is(err, backlog.ErrExists) {
				*o.insert = existing
			}
			return err
		}
		return w.store.apply(o)
	}
	current := o.p.gen == o.gen
	switch r := w.rand.Float64(); {
	case current && (o.p.broken > w.now || o.p.failed):
		o.p.broken = max(o.p.broken, w.now+1)
		if w.chance(0.2) {
			_ = made()
		}
		return errFailed
	case w.faults && o.change != nil && (r > 0.98 || w.busy > w.now && r > 0.2):
		w.seen["busy"]++
		return backlog.ErrBusy
	case w.faults && r < 0.01:
		w.seen["not made"]++
		return errUnknown
	case w.faults && r < 0.02:
		if made() == nil {
			w.seen["acknowledgement lost"]++
		}
		return errUnknown
	}
	return made()
}

// fail and recover are what a process does about a store that has failed.
func (p *proc) fail() {
	if p.failed {
		return
	}
	p.failed = true
	p.desk.Fail()
	p.w.after(p.w.between(10*time.Millisecond, time.Second), p, p.recover)
}

func (p *proc) recover() {
	if p.broken > p.w.now {
		p.w.after(p.w.between(10*time.Millisecond, time.Second), p, p.recover)
		return
	}
	p.failed, p.recovered = false, true
	p.era++
	p.desk.Restore()
	for _, id := range p.w.ids {
		p.w.note(p, id, "forgets")
	}
	p.w.seen["recovered"]++
	clear(p.renews)
	p.load(0)
	if p.w.cfg.Exclusive { // nobody else could have taken a job meanwhile
		for id := range p.until {
			p.until[id] = p.w.now + int64(15*time.Second)
		}
	}
	for _, o := range p.inserts {
		p.storing--
		p.settleInsert(o)
	}
	for _, again := range p.results {
		again()
	}
	p.inserts, p.results = nil, nil
}

// begin runs a job: it ends after a while in one of many ways.
func (p *proc) begin(id backlog.ID, attempt int) {
	w, r := p.w, p.w.store.records[id]
	w.trace(id, int64(attempt), -1)
	if r.starts++; r.State == backlog.Completed {
		w.failf("%s was started as attempt %d and is completed already", id, attempt)
	}
	o := backlog.Outcome{Result: []byte(id.String())}
	errs := []llm.Kind{
		llm.ProviderError, llm.ProviderOverloaded, llm.ProviderTimeout, llm.ProviderRejected,
		llm.ForebayUnavailable, llm.PolicyBreakerOpen, llm.PolicyOverloaded, llm.CallerInvalidRequest,
	}
	switch d := w.rand.IntN(100); {
	case w.calm: // all is well
	case d < 30:
		o = backlog.Outcome{Err: llm.Errorf(errs[w.rand.IntN(len(errs))], "no luck")}
		if w.chance(0.2) {
			o.RetryAfter = time.Duration(w.between(0, 3*time.Minute))
		}
	case d < 32:
		o = backlog.Outcome{Err: errors.New("boom"), Poison: true}
		w.seen["panicked"]++
	case d < 34:
		o = backlog.Outcome{TimedOut: true}
	}
	takes := w.between(time.Millisecond, 4*time.Second)
	if w.chance(0.05) {
		takes = w.between(time.Second, 90*time.Second)
	}
	w.after(takes, p, func() { p.finish(id, attempt, o) })
}

func (p *proc) finish(id backlog.ID, attempt int, o backlog.Outcome) {
	before := p.desk.Inspect(id)
	c, ok := p.desk.Finish(p.w.clock(), id, attempt, o)
	if !ok {
		return
	}
	if p.w.now > p.until[id] && p.renews[id] == 0 {
		p.w.failf("%s: the end of attempt %d was taken %s after its lease: %s", id, attempt, time.Duration(p.w.now-p.until[id]), before)
	}
	p.apply(c, func(op *op) { op.ran, op.insists = attempt, p.w.rand.IntN(10) })
	if p.failed && p.w.chance(0.5) {
		p.results = append(p.results, func() { p.finish(id, attempt, o) })
	}
}

// deliver calls a webhook.
func (p *proc) deliver(id backlog.ID) {
	w := p.w
	w.after(w.between(time.Millisecond, 10*time.Second), p, func() {
		j := w.store.get(id)
		w.seen["webhook"]++
		w.note(p, id, "calls the webhook")
		if c := p.desk.HookDone(w.clock(), j, w.chance(0.6), w.chance(0.9)); c.ID != 0 {
			p.apply(c, nil)
		}
	})
}
