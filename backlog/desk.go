package backlog

import (
	"math/rand/v2"
	"time"

	"github.com/forebay-ai/forebay/llm"
)

// Desk is the state machine of the durable jobs of one process: it says which changes
// to make, and is told what became of them and what else happened. It does no I/O, has
// no clock and starts nothing. It is not safe for concurrent use.
//
// Every Change goes the same way: the desk says it, the caller applies it to the store
// and reports with Applied or Missed. Until then the job is not offered again. The store
// decides between two changes that start from the same status; the desk can be wrong
// about a job, it finds out by what it misses, and is right again.
//
// Times are compared by Go's monotonic reading, which all values of now have to have or
// none: leases, deadlines and pauses of this process do not follow a wall clock that
// jumps. In memory a queued job takes less than 300 bytes. A method costs O(log n) or
// less for n jobs, and a claim of a first attempt does not depend on n; exceptions say so.
type Desk struct {
	cfg  Config
	rand *rand.Rand
	base time.Time // the first now; times are counted from it
	last int64     // the latest now, in nanoseconds since base

	items      map[ID]*item
	busy       map[ID]*item // those being claimed or leased: few, so that a lookup does not miss the processor's cache
	bands      [len(llm.Priorities)]band
	operations map[string]*operation // paused ones, and those that jobs have
	expiry     heap[*item]           // by deadline: all items but reserved and watched ones
	leases     heap[*item]           // by due: leased and watched ones without a change under way, and those whose lease is kept
	bytes      int64                 // payloads of queued items
	enqueued   int64                 // the latest item.enqueued

	deliveries map[ID]*delivery
	hooks      heap[*delivery] // those that nobody works on, by due

	// former holds what Restore forgot, until formerEnd, so that jobs that are loaded again keep
	// their deadlines and leases.
	former    map[ID]*item
	formerEnd int64

	mark  uint64           // of this worker
	peers map[string]*peer // other workers, by name

	draining, failed bool
	n                counts
	drained          rate
}

// NewDesk makes an empty desk. Values of cfg that Validate refuses count as zero.
func NewDesk(cfg Config) *Desk {
	cfg = cfg.withDefaults()
	d := &Desk{cfg: cfg, rand: cfg.Rand, operations: make(map[string]*operation), mark: markOf(cfg.Worker), peers: make(map[string]*peer)}
	if d.rand == nil {
		d.rand = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	d.forget()
	return d
}

// Config returns the configuration with its defaults filled in.
func (d *Desk) Config() Config { return d.cfg }

// forget empties the desk. What is paused stays so.
func (d *Desk) forget() {
	d.items, d.busy, d.deliveries = make(map[ID]*item), make(map[ID]*item), make(map[ID]*delivery)
	d.bytes, d.enqueued = 0, 0
	for i := range d.bands {
		d.bands[i] = band{
			priority: llm.Priorities[i], turns: make(map[string]*turn),
			delayed: heap[*item]{before: earlier, index: posOf}, holds: d.bands[i].holds,
		}
	}
	for name, op := range d.operations {
		if op.lines = nil; !op.paused {
			delete(d.operations, name)
		}
	}
	d.expiry = heap[*item]{before: func(a, b *item) bool { return a.deadline < b.deadline }, index: expiryOf}
	d.leases = heap[*item]{before: earlier, index: posOf}
	d.hooks = heap[*delivery]{before: func(a, b *delivery) bool { return a.due < b.due }, index: func(h *delivery) *int32 { return &h.pos }}
}

func earlier(a, b *item) bool { return a.due < b.due }

// at is now on the desk's own clock, in nanoseconds. It never goes back: where now has
// no monotonic reading and the clock was set back, time stands still meanwhile.
func (d *Desk) at(now time.Time) int64 {
	if d.base.IsZero() {
		d.base = now
	}
	d.last = max(d.last, int64(now.Sub(d.base)))
	return d.last
}

// Drain ends admissions and claims for good. Whatever is under way goes on.
func (d *Desk) Drain() { d.draining = true }

// Fail says that the store has failed: no job is admitted, nothing claimed, and nothing
// is due until Restore. What was said and not reported stays open.
func (d *Desk) Fail() { d.failed = true }

// Restore says that the store works again. The desk forgets all jobs: the caller loads
// all that are queued or processing, and final ones whose webhook is due. Jobs on which this
// desk had a lease are its own again when they are loaded and still are; a lease whose end
// was said already is not renewed: its holder says the end once more, or loses it.
// Reports on changes from before are welcome for a minute, and may be left out.
func (d *Desk) Restore() {
	for id, it := range d.former { // whoever stores it has not said yet whether it is stored
		if it.where == reserved && d.items[id] == nil {
			d.items[id] = it
		}
	}
	d.former, d.formerEnd = d.items, d.last+int64(max(d.cfg.Lease, time.Minute))
	d.failed = false
	d.forget()
}

// item makes an item of a job, which is reserved and in no order yet.
func (d *Desk) item(j *Job) *item {
	it := &item{
		id: j.ID, enqueued: micros(j.Enqueued), timeout: j.Timeout, retention: j.Retention, bytes: int64(max(j.Bytes, 0)),
		expiry: -1, pos: -1, wallDeadline: micros(j.Deadline), where: reserved,
	}
	if j.Webhook {
		it.flags |= hasHook
	}
	if j.Idempotency != [32]byte{} {
		it.flags |= idempotent
	}
	d.lineOf(&d.bands[j.Band.Index()], j.Tenant, j.Operation).settleIn(it)
	d.items[j.ID] = it
	d.count(it, 1)
	return it
}

// count notes an item where it is, or with -1 that it is there no more.
func (d *Desk) count(it *item, n int) {
	it.band().in[it.where] += n
	if it.where.queued() {
		d.bytes += int64(n) * it.bytes
	}
}

// move takes an item from one place to another. Leases are not put into order here.
func (d *Desk) move(it *item, to place) {
	switch it.where {
	case ready:
		it.line.remove(it)
	case delayed:
		it.band().delayed.remove(it)
	case leased, watched:
		d.leases.remove(it)
	}
	d.count(it, -1)
	switch busy := to == claiming || to == leased; {
	case busy:
		d.busy[it.id] = it
	case it.where == claiming || it.where == leased:
		delete(d.busy, it.id)
	}
	it.where = to
	d.count(it, 1)
	switch to {
	case ready:
		it.passed = 0
		it.line.add(it)
	case delayed:
		it.band().delayed.push(it)
	}
}

// arm lets the item's deadline come. It comes again after a change that did not end the job.
func (d *Desk) arm(it *item) {
	if it.expiry < 0 {
		d.expiry.push(it)
	}
}

// settle puts a queued item where it belongs: it is held while a change of it is under way.
func (d *Desk) settle(t int64, it *item) {
	d.arm(it)
	switch {
	case it.flight != 0:
		d.move(it, held)
	case it.due > t:
		d.move(it, delayed)
	case it.where != ready: // else it is in its place
		d.move(it, ready)
	}
}

// promote puts the delayed items whose time has come into the lines.
func (d *Desk) promote(b *band, t int64) {
	for it, ok := b.delayed.first(); ok && it.due <= t; it, ok = b.delayed.first() {
		d.move(it, ready)
	}
}

// remove forgets an item.
func (d *Desk) remove(it *item) {
	d.move(it, held)
	d.count(it, -1)
	d.expiry.remove(it)
	d.leaveLine(it)
	delete(d.items, it.id)
	if len(d.items) == 0 {
		d.enqueued = 0 // an order of one needs no clock: after a jump the times are right again
	}
}

// toBand moves an item that is in no order to another band.
func (d *Desk) toBand(it *item, p llm.Priority) {
	if it.band().priority == p {
		return
	}
	tenant, operation := it.line.turn.tenant, it.line.op.name
	d.count(it, -1)
	d.leaveLine(it)
	d.lineOf(&d.bands[p.Index()], tenant, operation).settleIn(it)
	d.count(it, 1)
}

// draw is a random time from 0 to below most.
func (d *Desk) draw(most time.Duration) time.Duration {
	if most <= 0 {
		return 0
	}
	return time.Duration(d.rand.Int64N(int64(most)))
}

// backoff is how long a pause is at most after n failures (from 1).
func (d *Desk) backoff(n int) time.Duration {
	pause := d.cfg.BackoffBase
	for ; n > 1 && pause < d.cfg.BackoffCap; n-- {
		pause *= 2
	}
	return min(pause, d.cfg.BackoffCap)
}
