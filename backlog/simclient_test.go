package backlog_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/llm"
)

// clients do something several times a second.
func (w *world) clients() {
	if !w.open {
		return
	}
	w.after(w.between(time.Millisecond, 300*time.Millisecond), nil, w.clients)
	p := w.procs[w.rand.IntN(len(w.procs))]
	if !p.alive || p.stopped > w.now {
		return
	}
	defer p.tick()
	if d := w.rand.IntN(100); d < 70 || len(w.ids) == 0 {
		p.submit()
		return
	}
	id := w.ids[len(w.ids)-1-w.rand.IntN(min(len(w.ids), 200))]
	j := w.store.get(id)
	if j == nil {
		return
	}
	// What a client's request works on was read a moment ago.
	w.after(w.latency(), p, func() { p.byHand(j) })
}

func (p *proc) byHand(j *backlog.Job) {
	w := p.w
	switch d := w.rand.IntN(10); {
	case d < 3:
		if c, e := p.desk.Cancel(w.clock(), j); e == nil {
			w.seen["cancel"]++
			p.apply(c, nil)
		}
	case d < 6:
		if c, e := p.desk.SetBand(w.clock(), j, llm.Priorities[w.rand.IntN(4)]); e == nil {
			w.seen["band"]++
			p.apply(c, nil)
		}
	case d < 9:
		if c, e := p.desk.Requeue(w.clock(), j); e == nil {
			w.seen["requeue"]++
			p.apply(c, func(o *op) { o.requeue = true })
		}
	default:
		w.pause(j.Operation, true)
		w.after(w.between(time.Second, 30*time.Second), nil, func() { w.pause(j.Operation, false) })
	}
}

// pause is a switch in the store that all processes follow.
func (w *world) pause(operation string, paused bool) {
	w.seen["pause"]++
	w.store.paused[operation] = paused
	for _, p := range w.procs {
		p.pause(operation, paused)
	}
}

func (p *proc) pause(operation string, paused bool) {
	switch {
	case !p.alive:
	case paused:
		p.desk.Pause(operation)
	default:
		p.desk.Resume(operation)
	}
}

func (p *proc) resumeAll() {
	if p.alive {
		for _, name := range p.desk.Paused() {
			p.desk.Resume(name)
		}
		p.tick()
	}
}

func (p *proc) submit() {
	w := p.w
	j := &backlog.Job{
		ID: backlog.ID(len(w.ids) + 1),
		Spec: backlog.Spec{
			Tenant: "t" + strconv.Itoa(w.rand.IntN(4)), Operation: "op" + strconv.Itoa(w.rand.IntN(3)),
			Bytes: w.rand.IntN(1000), Webhook: w.chance(0.2),
		},
		Status: backlog.Status{Band: llm.Priorities[w.rand.IntN(4)]},
	}
	if w.chance(0.3) {
		j.Timeout = time.Duration(w.between(2*time.Second, w.cfg.Timeout+2*time.Second+1))
	}
	w.ids = append(w.ids, j.ID)
	switch {
	case len(w.keys) > 0 && w.chance(0.05):
		j.Idempotency = w.keys[len(w.keys)-1-w.rand.IntN(min(len(w.keys), 20))]
	case w.chance(0.2):
		binary.BigEndian.PutUint64(j.Idempotency[:], uint64(j.ID))
		w.keys = append(w.keys, j.Idempotency)
	}
	before := p.desk.Stats(w.clock())
	if e := p.desk.Admit(w.clock(), j); e != nil {
		p.checkRefusal(e)
		return
	}
	if before.Queued+before.Reserved >= w.cfg.Max {
		w.failf("%s was admitted while %d were queued and %d reserved of %d", j.ID, before.Queued, before.Reserved, w.cfg.Max)
	}
	w.trace(j.ID, 0)
	asked := *j
	o := &op{p: p, gen: p.gen, worker: p.worker, said: w.now, insert: &asked}
	p.storing++
	o.done = func(err error) {
		if !errors.Is(err, errFailed) {
			p.storing--
		}
		switch {
		case err == nil:
			p.accepted(j)
		case errors.Is(err, backlog.ErrExists):
			p.desk.Reject(j)
		case errors.Is(err, errFailed):
			o.insert = j
			p.inserts = append(p.inserts, o)
			p.fail()
		default:
			o.insert = j
			p.settleInsert(o)
		}
	}
	p.send(o)
}

// settleInsert finds out whether a job was stored.
func (p *proc) settleInsert(o *op) {
	if r := p.w.store.records[o.insert.ID]; r != nil {
		p.accepted(o.insert)
		return
	}
	p.desk.Reject(o.insert)
}

func (p *proc) accepted(j *backlog.Job) {
	p.w.store.records[j.ID].acked = true
	p.w.note(p, j.ID, "accepts")
	p.desk.Accept(p.w.clock(), j)
	p.known[j.ID] = true
	p.tick()
}

func (p *proc) checkRefusal(e *llm.Error) {
	switch {
	case e.Kind == llm.ForebayDraining, e.Kind == llm.ForebayUnavailable:
	case e.Kind == llm.PolicyOverloaded && e.Limit != "" && e.Value != "" && e.RetryAfter >= time.Second && e.Fix != "":
		p.w.seen["refused: "+e.Limit]++
	default:
		p.w.failf("refused with %+v", e)
	}
}

// checkClaim holds the order of first attempts: of those that this desk may claim, none of the same
// tenant and band is older. With several processes nobody knows what a desk knows.
func (p *proc) checkClaim(c *backlog.Change) {
	w := p.w
	if c.From != backlog.Queued || !w.cfg.Exclusive {
		return
	}
	r := w.store.records[c.ID]
	if r == nil || r.Attempt != 0 || r.requeued > 0 || p.flying[c.ID] > 0 {
		return
	}
	if r.lastGen == (incarnation{p.n, p.gen}) && w.now >= r.since+int64(r.Timeout) {
		w.failf("%s was claimed after its deadline", c.ID)
	}
	if w.store.paused[r.Operation] {
		w.failf("%s was claimed, and %s is paused", c.ID, r.Operation)
	}
	for _, id := range w.store.open {
		o := w.store.records[id]
		if o.State == backlog.Queued && o.Attempt == 0 && o.requeued == 0 && o.Tenant == r.Tenant && o.Band == r.Band &&
			p.known[id] && p.flying[id] == 0 && !w.store.paused[o.Operation] &&
			(o.Enqueued.Before(r.Enqueued) || o.Enqueued.Equal(r.Enqueued) && id < c.ID) &&
			o.lastGen == (incarnation{p.n, p.gen}) && w.now < o.since+int64(o.Timeout) {
			w.failf("%s (%s) was claimed before %s (%s): %s; %s", c.ID, r.Enqueued, id, o.Enqueued, p.desk.Inspect(c.ID), p.desk.Inspect(id))
		}
	}
	w.seen["first attempts in order"]++
}

// checkCounts compares a desk with the store when nothing is between them.
func (p *proc) checkCounts() {
	w := p.w
	if !w.cfg.Exclusive || p.failed || w.ops%16 != 0 {
		return
	}
	for _, n := range p.flying {
		if n != 0 {
			return
		}
	}
	s := p.desk.Stats(w.clock())
	if s.Reserved != 0 || p.storing != 0 {
		return
	}
	queued, processing := 0, 0
	for _, id := range w.store.open {
		if w.store.records[id].State == backlog.Queued {
			queued++
		} else {
			processing++
		}
	}
	// After a recovery the desk may believe in jobs that ended meanwhile, until it claims them.
	lost := s.Queued+s.Processing+s.Watched < queued+processing
	if lost || !p.recovered && (s.Queued != queued || s.Processing+s.Watched != processing) {
		for _, id := range w.ids {
			_, _, known := p.desk.Place(id)
			r := w.store.records[id]
			if stored := r != nil && r.State == backlog.Queued; stored != known {
				w.last = append(w.last, fmt.Sprintf("%s is known as queued: %t, and stored so: %t; %s", id, known, stored, p.desk.Inspect(id)))
			}
		}
		w.failf("the store has %d queued and %d processing, the desk %d and %d+%d", queued, processing, s.Queued, s.Processing, s.Watched)
	}
	for i, b := range s.Bands {
		if b.Processing > w.cfg.Concurrency {
			w.failf("band %d has %d jobs claimed of %d", i, b.Processing, w.cfg.Concurrency)
		}
	}
	w.seen["counts agreed"]++
}
