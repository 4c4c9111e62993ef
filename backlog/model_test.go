package backlog_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/llm"
	"pgregory.net/rapid"
)

// model is a plain map of jobs beside a desk, and the changes that are under way between them.
type model struct {
	cfg    backlog.Config
	desk   *backlog.Desk
	mono   time.Duration
	skew   time.Duration
	jobs   map[backlog.ID]*backlog.Job // as stored
	ends   map[backlog.ID]time.Duration
	free   map[backlog.ID]time.Duration // from when a job that was queued again may be claimed
	fresh  map[backlog.ID]bool          // never claimed, never requeued
	open   map[backlog.ID]*backlog.Job  // admitted, and neither accepted nor rejected
	flying []backlog.Change
	leases map[backlog.ID]int // attempts that a worker runs
	// orphans are jobs that are processing in the store since before a restart: nobody
	// runs them, so they take no room.
	orphans map[backlog.ID]bool
	paused  map[string]bool
	next    backlog.ID
	said    int // changes, for the check that the model is not idle
}

func (m *model) now() time.Time { return at(simEpoch.Add(m.mono+m.skew), m.mono) }

func newModel(t *rapid.T) *model {
	return &model{
		cfg: backlog.Config{
			Worker: "w", Max: rapid.IntRange(1, 8).Draw(t, "max"), MaxBytes: 1000, Concurrency: rapid.IntRange(1, 3).Draw(t, "concurrency"),
			Exclusive: true, Timeout: 5 * time.Minute, Rand: rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "pauses"), 1)),
		},
		jobs: make(map[backlog.ID]*backlog.Job), ends: make(map[backlog.ID]time.Duration), free: make(map[backlog.ID]time.Duration),
		fresh: make(map[backlog.ID]bool), open: make(map[backlog.ID]*backlog.Job), leases: make(map[backlog.ID]int), paused: make(map[string]bool), orphans: make(map[backlog.ID]bool),
	}
}

// TestModel does random things to a desk and a map: the same in every run, but with -sim.seed=0.
func TestModel(t *testing.T) {
	if seed := flag.Lookup("rapid.seed"); seed.Value.String() == "0" {
		if err := seed.Value.Set(strconv.FormatUint(*simSeed, 10)); err != nil {
			t.Fatal(err)
		}
	}
	total := 0
	rapid.Check(t, func(t *rapid.T) {
		m := newModel(t)
		m.desk = backlog.NewDesk(m.cfg)
		t.Repeat(map[string]func(*rapid.T){
			"":        m.check,
			"admit":   m.admit,
			"store":   m.store,
			"claim":   m.claim,
			"answer":  m.answer,
			"answer2": m.answer,
			"end":     m.end,
			"time":    m.pass,
			"due":     m.due,
			"hand":    m.hand,
			"pause":   m.pause,
			"restart": m.restart,
		})
		total += m.said
	})
	if total == 0 {
		t.Error("nothing ever happened")
	}
}

func (m *model) say(cs ...backlog.Change) {
	m.flying = append(m.flying, cs...)
	m.said += len(cs)
}

func (m *model) admit(t *rapid.T) {
	m.next++
	j := &backlog.Job{
		ID: m.next, Status: backlog.Status{Band: rapid.SampledFrom(llm.Priorities[:]).Draw(t, "band")},
		Spec: backlog.Spec{
			Tenant: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "tenant"), Operation: rapid.SampledFrom([]string{"x", "y"}).Draw(t, "op"),
			Bytes: rapid.IntRange(0, 300).Draw(t, "bytes"), Timeout: time.Duration(rapid.IntRange(1, 300).Draw(t, "timeout")) * time.Second,
		},
	}
	queued, bytes := m.room()
	e := m.desk.Admit(m.now(), j)
	switch full := queued >= m.cfg.Max || bytes+int64(j.Bytes) > m.cfg.MaxBytes; {
	case e == nil && full:
		t.Fatalf("%s was admitted to %d jobs of %d bytes", j.ID, queued, bytes)
	case e != nil && e.Limit != "deadline" && !full:
		t.Fatalf("refused with %+v while %d jobs of %d bytes are queued", e, queued, bytes)
	case e == nil:
		m.open[j.ID] = j
		m.ends[j.ID] = m.mono + j.Timeout
	}
}

// room counts what Max and MaxBytes bound: what is queued but for what is being claimed, and places kept.
func (m *model) room() (queued int, bytes int64) {
	for id, j := range m.jobs {
		if j.State == backlog.Queued && !m.flies(id, backlog.Processing) {
			queued++
			bytes += int64(j.Bytes)
		}
		if j.State.Final() && m.flies(id, backlog.Queued) {
			queued++
			bytes += int64(j.Bytes)
		}
	}
	for _, j := range m.open {
		queued++
		bytes += int64(j.Bytes)
	}
	return queued, bytes
}

// flies says that a change from what the job is now to a state is under way.
func (m *model) flies(id backlog.ID, to backlog.State) bool {
	return slices.ContainsFunc(m.flying, func(c backlog.Change) bool {
		return c.ID == id && c.From == m.jobs[id].State && c.Attempt == m.jobs[id].Attempt && (to == 0 || c.To.State == to)
	})
}

func (m *model) store(t *rapid.T) {
	for _, id := range sorted(m.open) {
		j := m.open[id]
		delete(m.open, id)
		if rapid.Bool().Draw(t, "stored") {
			stored := *j
			m.jobs[id], m.fresh[id] = &stored, true
			m.desk.Accept(m.now(), j)
		} else {
			m.desk.Reject(j)
		}
	}
}

// eligible says that a job may be claimed.
func (m *model) eligible(id backlog.ID) bool {
	j := m.jobs[id]
	return j.State == backlog.Queued && !m.moving(id) && !m.paused[j.Operation] && m.free[id] <= m.mono && m.ends[id] > m.mono
}

// moving says that a change is under way that can still be made. Cancellations are left
// out: of several the desk awaits one, and the store makes none of them once the job is
// claimed.
func (m *model) moving(id backlog.ID) bool {
	j := m.jobs[id]
	return slices.ContainsFunc(m.flying, func(c backlog.Change) bool {
		return c.ID == id && c.From == j.State && c.Attempt == j.Attempt && c.To.State != backlog.Cancelled
	})
}

func (m *model) busy(band llm.Priority) int {
	n := 0
	for id, j := range m.jobs {
		if j.State != backlog.Processing {
			delete(m.orphans, id)
		}
		if j.Band == band && (j.State == backlog.Processing && !m.orphans[id] || j.State == backlog.Queued && m.flies(id, backlog.Processing)) {
			n++
		}
	}
	return n
}

// cancelling says that a cancellation is under way, also one that cannot be made any
// more: the desk waits for its answer.
func (m *model) cancelling(id backlog.ID) bool {
	return slices.ContainsFunc(m.flying, func(c backlog.Change) bool { return c.ID == id && c.To.State == backlog.Cancelled })
}

func (m *model) claim(t *rapid.T) {
	c, ok := m.desk.Claim(m.now())
	if !ok {
		for _, id := range sorted(m.jobs) {
			if m.eligible(id) && !m.cancelling(id) && m.busy(m.jobs[id].Band) < m.cfg.Concurrency {
				t.Fatalf("%s is not claimed: %s", id, m.desk.Inspect(id))
			}
		}
		return
	}
	j := m.jobs[c.ID]
	if j == nil || !m.eligible(c.ID) || m.busy(j.Band) >= m.cfg.Concurrency || c.From != backlog.Queued || c.Attempt != j.Attempt {
		t.Fatalf("claimed %s, paused %t, from %s, to end in %s, under way %t, busy %d: %s", c.ID, m.paused[j.Operation], m.free[c.ID]-m.mono, m.ends[c.ID]-m.mono, m.flies(c.ID, 0), m.busy(j.Band), m.tell())
	}
	for id, o := range m.jobs {
		if m.fresh[id] && m.fresh[c.ID] && id < c.ID && o.Band == j.Band && o.Tenant == j.Tenant && m.eligible(id) && !m.cancelling(id) {
			t.Fatalf("claimed %s before %s: %s", c.ID, id, m.desk.Inspect(id))
		}
	}
	m.say(c)
}

// answer tells the desk what became of one of the changes, in any order, sometimes in the wrong way.
func (m *model) answer(t *rapid.T) {
	if len(m.flying) == 0 {
		t.Skip("nothing is under way")
	}
	i := rapid.IntRange(0, len(m.flying)-1).Draw(t, "which")
	c := m.flying[i]
	m.flying = slices.Delete(m.flying, i, i+1)
	j, fate := m.jobs[c.ID], rapid.IntRange(0, 9).Draw(t, "fate")
	if j.State.Final() && c.From.Final() && c.To.State != backlog.Queued {
		t.Fatalf("a webhook: %+v", c)
	}
	made := fate > 0 && j.State == c.From && j.Attempt == c.Attempt && (c.LeaseUntil.IsZero() || c.LeaseUntil.Equal(j.LeaseUntil))
	if made {
		m.apply(t, &c)
	}
	current := *j
	ours := false
	if made && fate > 1 {
		ours = m.desk.Applied(m.now(), &c)
	} else {
		ours = m.desk.Missed(m.now(), &c, &current)
	}
	if made != ours && c.From == backlog.Queued && c.To.State == backlog.Processing {
		t.Fatalf("the store made it: %t, the desk says %t: %+v", made, ours, c)
	}
	if made && c.From == backlog.Queued && c.To.State == backlog.Processing {
		m.leases[c.ID] = c.To.Attempt
	}
}

func (m *model) apply(t *rapid.T, c *backlog.Change) {
	j := m.jobs[c.ID]
	if j.State.Final() && c.To.State == backlog.Queued {
		m.ends[c.ID] = m.ends[-c.ID] // of when it was said
		delete(m.free, c.ID)         // a pause from before counts no more
	}
	if c.From == backlog.Processing && c.To.State == backlog.Queued {
		m.free[c.ID] = m.free[-c.ID]
	}
	m.fresh[c.ID] = m.fresh[c.ID] && c.From == backlog.Queued && c.To.State == backlog.Queued
	j.Status = c.To
	if j.Retries > 3 || j.Deaths > 4 {
		t.Fatalf("%+v", j)
	}
}

func (m *model) end(t *rapid.T) {
	ids := sorted(m.leases)
	if len(ids) == 0 {
		t.Skip("nothing runs")
	}
	id := rapid.SampledFrom(ids).Draw(t, "job")
	attempt := m.leases[id]
	delete(m.leases, id)
	holds := m.desk.Holds(id, attempt)
	var c backlog.Change
	var ok bool
	if rapid.IntRange(0, 5).Draw(t, "release") == 0 {
		c, ok = m.desk.Release(m.now(), id, attempt)
	} else {
		o := backlog.Outcome{Result: []byte("r")}
		if rapid.Bool().Draw(t, "fails") {
			o = backlog.Outcome{Err: llm.Errorf(rapid.SampledFrom([]llm.Kind{
				llm.ProviderError, llm.ProviderRejected, llm.PolicyBreakerOpen,
			}).Draw(t, "kind"), "no")}
		}
		c, ok = m.desk.Finish(m.now(), id, attempt, o)
	}
	j := m.jobs[id]
	switch {
	case ok && (j.Attempt != attempt || j.State != backlog.Processing && !m.flies(id, 0)):
		t.Fatalf("the end of attempt %d was taken of %+v", attempt, j)
	case ok && !holds:
		t.Fatalf("the end of attempt %d was taken without the lease", attempt)
	}
	if ok {
		m.freeAfter(&c)
		m.say(c)
	}
}

// freeAfter notes from when a job may be claimed if the change is made.
func (m *model) freeAfter(c *backlog.Change) {
	if m.free[-c.ID] = m.mono; !c.To.NotBefore.IsZero() {
		m.free[-c.ID] = m.ends[c.ID] - c.To.Deadline.Sub(c.To.NotBefore)
	}
}

// pass lets time pass, to when the desk wants to be woken or anywhere, and sets the clock.
func (m *model) pass(t *rapid.T) {
	before := m.now()
	next, ok := m.desk.Wake(before)
	if pause := next.Sub(before); ok && pause > 0 && rapid.Bool().Draw(t, "wake") {
		m.mono += pause - 1
		if due := m.desk.Due(m.now()); len(due) > 0 {
			t.Fatalf("due before the time: %+v", due)
		}
		m.mono++
	} else {
		m.mono += time.Duration(rapid.IntRange(0, 20_000).Draw(t, "ms")) * time.Millisecond
	}
	m.skew = rapid.SampledFrom([]time.Duration{0, time.Hour, -time.Hour, 365 * 24 * time.Hour, -365 * 24 * time.Hour, -56 * 365 * 24 * time.Hour}).Draw(t, "clock")
	m.due(t)
}

func (m *model) due(t *rapid.T) {
	for _, c := range m.desk.Due(m.now()) {
		m.freeAfter(&c)
		m.say(c)
		if c.To.State == backlog.Timeout && m.ends[c.ID] > m.mono {
			t.Fatalf("%s timed out %s too early", c.ID, m.ends[c.ID]-m.mono)
		}
	}
}

func (m *model) hand(t *rapid.T) {
	if len(m.jobs) == 0 {
		t.Skip("no jobs")
	}
	id := rapid.SampledFrom(sorted(m.jobs)).Draw(t, "job")
	j := *m.jobs[id]
	var c backlog.Change
	var e *llm.Error
	switch rapid.IntRange(0, 2).Draw(t, "what") {
	case 0:
		c, e = m.desk.Cancel(m.now(), &j)
		if (e == nil) == j.State.Final() {
			t.Fatalf("cancel of %+v: %v", j, e)
		}
	case 1:
		c, e = m.desk.SetBand(m.now(), &j, llm.High)
	default:
		if c, e = m.desk.Requeue(m.now(), &j); e == nil {
			m.ends[-id] = m.mono + j.Timeout
		}
	}
	switch {
	case e == nil:
		m.say(c)
	case e.Fix == "" || e.Kind != llm.CallerConflict && e.Kind != llm.PolicyOverloaded:
		t.Fatalf("%+v", e)
	}
}

func (m *model) pause(t *rapid.T) {
	op := rapid.SampledFrom([]string{"x", "y"}).Draw(t, "op")
	if m.paused[op] = !m.paused[op]; m.paused[op] {
		m.desk.Pause(op)
	} else {
		m.desk.Resume(op)
	}
}

// restart makes a new desk from what is stored; what was under way is lost. The clock is right then.
func (m *model) restart(t *rapid.T) {
	if rapid.IntRange(0, 9).Draw(t, "rarely") > 0 {
		t.Skip("not now")
	}
	clear(m.orphans)
	m.flying, m.open, m.leases, m.skew = nil, make(map[backlog.ID]*backlog.Job), make(map[backlog.ID]int), 0
	m.desk = backlog.NewDesk(m.cfg)
	for op, paused := range m.paused {
		if paused {
			m.desk.Pause(op)
		}
	}
	for _, id := range sorted(m.jobs) {
		j := *m.jobs[id]
		c, ok := m.desk.Load(m.now(), &j)
		if ok != (j.State == backlog.Processing) {
			t.Fatalf("loading %+v says %t", j, ok)
		}
		if left := j.Deadline.Sub(m.now().Round(0)); !j.State.Final() {
			m.ends[id] = m.mono + min(max(left, 0), j.Timeout)
			if m.free[id] = 0; !j.NotBefore.IsZero() {
				m.free[id] = m.ends[id] - j.Deadline.Sub(j.NotBefore)
			}
		}
		if ok {
			m.orphans[id] = true
			m.freeAfter(&c)
			m.say(c)
		}
	}
}

// check compares all counts.
func (m *model) check(t *rapid.T) {
	s := m.desk.Stats(m.now())
	var want [4]backlog.BandStats
	var bytes int64
	for id, j := range m.jobs {
		switch b := &want[j.Band.Index()]; {
		case j.State == backlog.Processing, j.State == backlog.Queued && m.flies(id, backlog.Processing):
			b.Processing++
		case j.State == backlog.Queued:
			b.Queued++
			bytes += int64(j.Bytes)
		case m.flies(id, backlog.Queued):
			bytes += int64(j.Bytes)
		}
	}
	for _, j := range m.open {
		bytes += int64(j.Bytes)
	}
	for i, b := range s.Bands {
		if b.Queued != want[i].Queued || b.Processing+b.Watched != want[i].Processing || b.Processing > m.cfg.Concurrency {
			t.Fatalf("band %d: %d queued, %d processing, %d watched, want %d and %d%s", i, b.Queued, b.Processing, b.Watched, want[i].Queued, want[i].Processing, m.tell())
		}
	}
	if s.Bytes != bytes {
		t.Fatalf("%d bytes, want %d", s.Bytes, bytes)
	}
}

func (m *model) tell() (text string) {
	for _, id := range sorted(m.jobs) {
		text += fmt.Sprintf("\n%s %s %s attempt %d: %s", id, m.jobs[id].State, m.jobs[id].Band, m.jobs[id].Attempt, m.desk.Inspect(id))
	}
	for _, c := range m.flying {
		text += fmt.Sprintf("\n  %s from %s %d to %s", c.ID, c.From, c.Attempt, c.To.State)
	}
	return text
}

func sorted[V any](m map[backlog.ID]V) []backlog.ID {
	ids := make([]backlog.ID, 0, len(m))
	for id := range m {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}
