package forebay

import (
	"bytes"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/degrade"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/monitor"
	"github.com/forebay-ai/forebay/pace"
	"github.com/forebay-ai/forebay/requestlog"
	"github.com/forebay-ai/forebay/upstream"
)

// What is held of an answer at most before it is passed on, in bytes: of one that brings
// nothing useful yet, and of one that is to be held whole.
const (
	holdLimit    = 64 << 10
	holdAllLimit = 1 << 20
)

// fetched is the stream of a call that was made: it passes the provider's chunks
// on, and at the end closes the books of breaker, slot, cache, ledger and metrics.
// One goroutine reads it; Close may come from another.
type fetched struct {
	call     *call
	target   *upstream.Target // the target that answers
	model    string
	attempts int
	waited   time.Duration // for slots, over all attempts
	failed   failures
	first    time.Duration // from the last attempt's start to its first useful chunk
	begun    bool          // a useful chunk has come, of the last attempt
	storable bool          // a complete answer may go into the cache

	// What follows changes while the stream runs; what stands above is fixed once
	// fetch has returned.

	stream llm.Stream
	pace   *pace.Watch  // nil where nothing has to keep pace
	fault  error        // what ended the stream behind held; nil while it goes on
	left   degrade.Kept // of the call's time, for fallbacks

	mu      sync.Mutex  // guards what follows; not held while books are closed
	held    []llm.Chunk // read before the first one was passed on
	attempt attempt
	passed  bool         // something of the answer was passed on
	answer  llm.Response // without a body
	parts   [][]byte     // the body, while it may be stored: those who share the answer hold the same bytes
	keep    bool         // the answer may still be stored
	stored  bool
	bytes   int // of the answer, stored or not
	events  int
	settled bool
	bill    upstream.Bill        // without lost
	lost    upstream.Bill        // of attempts that were given up before anything of them was passed on
	tried   []requestlog.Attempt // those that have ended
}

// hold reads the chunks that are held back. Until one is passed on nobody has seen
// anything, so that a failure can still be repeated elsewhere.
func (f *fetched) hold() error {
	f.held, f.fault = f.held[:0], nil
	most, useful := holdLimit, 0
	if f.call.op.Hold == HoldAll {
		most = holdAllLimit
	}
	for size := 0; size < most; {
		c, err := f.read()
		if err == io.EOF && len(f.held) > 0 {
			f.fault = err // a complete answer without content is an answer
			break
		}
		if err == io.EOF {
			err = llm.Errorf(llm.ProviderTruncated, "the answer is empty")
		}
		if err != nil {
			_ = f.stream.Close()
			return err
		}
		f.held = append(f.held, c)
		size += len(c.Raw)
		if !c.Useful {
			continue
		}
		if useful++; useful == 1 {
			f.shown()
		}
		if useful == f.call.op.Hold {
			break
		}
	}
	if useful == 0 {
		f.first = time.Since(f.attempt.Start)
	}
	f.storable = f.call.mayStore() && f.model == f.call.model.targets[0].ModelFor(f.call.req) &&
		f.target.Place.Family == f.call.model.targets[0].Place.Family
	f.keep = f.storable
	return nil
}

// shown notes that the answer has begun to show itself.
func (f *fetched) shown() {
	now := time.Now()
	f.first, f.begun = now.Sub(f.attempt.Start), true
	if f.call.req.Stream {
		f.attempt.Shown(now, f.call.req, f.first)
	}
}

// Next passes the next chunk on. Before io.EOF the answer is in the cache.
func (f *fetched) Next() (llm.Chunk, error) {
	if c, ok := f.release(); ok {
		f.collect(c)
		return c, nil
	}
	if f.fault == nil {
		c, err := f.read()
		if err == nil {
			f.collect(c)
			return c, nil
		}
		f.fault = err
	}
	f.finish(f.fault)
	return llm.Chunk{}, f.fault
}

// Await implements llm.Awaiter: the provider's, whose panic ends the answer.
func (f *fetched) Await() {
	if f.fault != nil || f.holds() {
		return
	}
	defer f.call.recovered(f.target, &f.fault)
	f.pace.Begin(time.Now())
	llm.Await(f.stream)
	f.pace.Pause(time.Now())
}

// holds says that there are chunks that were held back.
func (f *fetched) holds() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.held) > 0
}

// release takes the next chunk of those that were held back.
func (f *fetched) release() (c llm.Chunk, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.held) == 0 {
		return c, false
	}
	c, f.held = f.held[0], f.held[1:]
	return c, true
}

// read takes the next chunk of the provider's stream, which has to keep its pace.
func (f *fetched) read() (llm.Chunk, error) {
	if f.pace == nil {
		return f.next()
	}
	f.pace.Begin(time.Now())
	c, err := f.next()
	if err = f.pace.End(time.Now(), c, err); err != nil && err != io.EOF {
		err = f.call.named(f.target, err)
	}
	return c, err
}

// next is the provider's Next, whose panic is an error like any other.
func (f *fetched) next() (c llm.Chunk, err error) {
	defer f.call.recovered(f.target, &err)
	return f.stream.Next()
}

// collect keeps what the end wants to know. Bytes are kept only while the answer
// may be stored.
func (f *fetched) collect(c llm.Chunk) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.passed, f.bytes, f.events = true, f.bytes+len(c.Raw), f.events+c.Events
	if f.keep && f.call.client.cache.TooLarge(f.bytes) {
		f.keep, f.parts = false, nil
	}
	if f.keep {
		f.parts = append(f.parts, c.Raw)
	}
	c.Raw = nil
	f.answer.Add(c, true)
}

// finish closes the books after the last chunk.
func (f *fetched) finish(err error) {
	if err == io.EOF {
		f.store()
		err = nil
	}
	f.endAttempt(err)
	f.settle(err)
}

// Close ends the call where it stands.
func (f *fetched) Close() error {
	err := f.stream.Close()
	f.finish(errClosed)
	return err
}

// verdict is the kind that an attempt ended with. An attempt that was still silent when
// the time of the targets, or its own, was over, and that had at least half of the
// operation's deadline to itself, timed out: nobody else is to blame. A caller who leaves,
// or reads slowly what is there, is not the target's fault, however late it is.
func (f *fetched) verdict(err error, took time.Duration) llm.Kind {
	kind := llm.KindOf(err)
	if kind != llm.CallerCancelled && kind != llm.CallerDeadline || err == error(errClosed) || f.begun {
		return kind
	}
	k := f.call
	over := !time.Now().Before(k.targetsUntil()) || k.req.Durable && took >= k.op.Deadline
	if over && took >= k.op.Deadline/2 {
		return llm.ProviderTimeout
	}
	return kind
}

// abandon ends an answer that began when the time for it was over.
func (f *fetched) abandon(err error) {
	if f.stream != nil && f.target != nil {
		_ = f.stream.Close()
		f.endAttempt(err)
	}
}

// settle books what the call used, once, whatever became of those who asked.
func (f *fetched) settle(err error) {
	f.mu.Lock()
	if f.settled {
		f.mu.Unlock()
		return
	}
	f.bill, f.settled = f.billLocked(), true
	defer f.left.Release()
	bill, lost := f.bill, f.lost
	f.mu.Unlock()

	k, all := f.call, bill.Plus(lost)
	f.book(outcomeOf(llm.KindOf(err), false), bill, false)
	u := monitor.Usage{Operation: k.op.label, Model: k.label(), Endpoint: k.req.Endpoint, Tokens: all.Usage, CostMicroUSD: all.MicroUSD}
	if f.target != nil {
		u.Provider = f.target.Place.Provider
	}
	k.client.monitor.RecordUsage(&u)
}

// usageLocked is what the answer used, as far as it was passed on.
func (f *fetched) usageLocked() (u llm.Usage, estimated bool) {
	return upstream.Answered(f.call.req, f.answer.Usage, f.bytes, f.events)
}

// billLocked is what the answer costs; until it is settled, as far as it has come.
func (f *fetched) billLocked() upstream.Bill {
	if f.settled || f.target == nil {
		return f.bill
	}
	usage, estimated := f.usageLocked()
	return f.target.Place.Bill(f.model, usage, estimated, f.attempt.Start)
}

// lose books an attempt of which nothing was passed on.
func (f *fetched) lose(kind llm.Kind) llm.Usage {
	f.mu.Lock()
	u := upstream.Unseen(f.call.req, f.held, kind)
	bill := f.target.Place.Bill(f.model, u, !u.IsZero(), f.attempt.Start)
	f.lost = f.lost.Plus(bill)
	f.mu.Unlock()
	if bill != (upstream.Bill{}) {
		f.book(outcomeOf(kind, false), bill, true)
	}
	return u
}

// book tells the ledger what the target of the present attempt was paid: all of a call, or
// a part that was lost.
func (f *fetched) book(outcome monitor.Outcome, bill upstream.Bill, part bool) {
	rec := f.call.record(outcome)
	if f.target != nil {
		rec.Provider, rec.Model = f.target.Place.Provider, f.model
	}
	rec.Usage, rec.Estimated, rec.MicroUSD, rec.Part = bill.Usage, bill.Estimated, bill.MicroUSD, part
	f.call.client.ledger.Settle(rec)
}

func (f *fetched) note(a requestlog.Attempt) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tried = append(f.tried, a)
}

// tries lists the attempts that have ended, and says whether the bill is an estimate.
func (f *fetched) tries() (tried []requestlog.Attempt, estimated bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.tried), f.billLocked().Estimated || f.lost.Estimated
}

// price is what the answer costs, as far as it has come.
func (f *fetched) price() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.billLocked().MicroUSD
}

// result is what the caller's Meta takes over at the end.
func (f *fetched) result() (usage llm.Usage, microUSD int64, stored bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	bill := f.billLocked()
	return bill.Usage, bill.MicroUSD + f.lost.MicroUSD, f.stored
}

// bodyLocked is the answer's body.
func (f *fetched) bodyLocked() []byte {
	if len(f.parts) == 1 {
		return f.parts[0]
	}
	return bytes.Join(f.parts, nil)
}

// store puts a complete answer into the cache.
func (f *fetched) store() {
	f.mu.Lock()
	defer f.mu.Unlock()
	k := f.call
	if !f.keep || !k.op.Cache.stores(f.answer.Finish, k.req.Endpoint) {
		return
	}
	bill := f.billLocked()
	f.stored = k.keep(&cache.Entry{
		Body: f.bodyLocked(), Provider: f.target.Place.Provider, Model: f.model,
		Usage: bill.Usage, CostMicroUSD: bill.MicroUSD, Finish: f.answer.Finish,
	})
}
