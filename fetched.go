package forebay

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/forebay-ai/forebay/breaker"
	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/cost"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/monitor"
)

// holdLimit bounds what is held of an answer that brings nothing useful yet.
const holdLimit = 64 << 10

// bytesPerToken is the rule of thumb that cost.Estimate goes by.
const bytesPerToken = 4

// attempt is one call of one target while it runs.
type attempt struct {
	target *target
	permit breaker.Permit
	start  time.Time
	stop   context.CancelFunc // ends the attempt's own time; nil where it has none
	done   bool
}

// fetched is the stream of a call that was made: it passes the provider's chunks
// on, and at the end closes the books of breaker, slot, cache, ledger and metrics.
// One goroutine reads it; Close may come from another.
type fetched struct {
	call     *call
	target   *target // the target that answers
	model    string
	attempts int
	waited   time.Duration // for slots, over all attempts
	first    time.Duration // from the last attempt's start to its first useful chunk
	storable bool          // a complete answer may go into the cache

	// What follows changes while the stream runs; what stands above is fixed once
	// fetch has returned.

	stream llm.Stream
	held   []llm.Chunk // read before the first useful chunk, and it
	fault  error       // what ended the stream behind held; nil while it goes on

	mu      sync.Mutex // guards what follows; not held while books are closed
	attempt attempt
	answer  llm.Response // the body only while it may be stored
	keep    bool         // the answer may still be stored
	stored  bool
	bytes   int // of the answer, stored or not
	events  int
	settled bool
	bill    bill
}

// bill is what a call used, once it is known.
type bill struct {
	usage     llm.Usage
	estimated bool
	microUSD  int64
}

// hold reads up to the first useful chunk. Until then nobody has seen anything, so
// that a failure can still be repeated elsewhere.
func (f *fetched) hold() error {
	f.held, f.fault = f.held[:0], nil
	for size := 0; size < holdLimit; {
		c, err := f.stream.Next()
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
		if c.Useful {
			break
		}
	}
	f.first = time.Since(f.attempt.start)
	f.storable = f.call.mayStore() && f.model == f.call.model.targets[0].modelFor(f.call.req) &&
		f.target.family == f.call.model.targets[0].family
	f.keep = f.storable
	return nil
}

// Next passes the next chunk on. Before io.EOF the answer is in the cache.
func (f *fetched) Next() (llm.Chunk, error) {
	if len(f.held) > 0 {
		c := f.held[0]
		f.held = f.held[1:]
		f.collect(c)
		return c, nil
	}
	if f.fault == nil {
		c, err := f.stream.Next()
		if err == nil {
			f.collect(c)
			return c, nil
		}
		f.fault = err
	}
	f.finish(f.fault)
	return llm.Chunk{}, f.fault
}

// collect keeps what the end wants to know. Bytes are kept only while the answer
// may be stored.
func (f *fetched) collect(c llm.Chunk) {
	f.mu.Lock()
	defer f.mu.Unlock()
	first := f.bytes == 0
	f.bytes += len(c.Raw)
	f.events += c.Events
	if f.keep && f.call.client.cache.TooLarge(f.bytes) {
		f.keep, f.answer.Body = false, nil
	}
	if !f.keep {
		c.Raw = nil
	}
	f.answer.Add(c, first)
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

// endAttempt tells breaker, line and metrics how the attempt went. Only the first
// call for an attempt counts.
func (f *fetched) endAttempt(err error) {
	f.mu.Lock()
	a := f.attempt
	f.attempt.done = true
	f.mu.Unlock()
	if a.done {
		return
	}
	if a.stop != nil {
		defer a.stop()
	}
	took := time.Since(a.start)
	kind := f.verdict(err, took)
	switch {
	case kind == "" || kind.CountsForBreaker():
		a.target.breaker.Record(time.Now(), a.permit, breaker.Outcome{Failed: kind != "", Took: took, Reason: string(kind)})
	default:
		a.target.breaker.Cancel(a.permit)
	}
	a.target.line.Leave(took)
	f.call.client.monitor.RecordAttempt(&monitor.Attempt{
		Provider: f.target.providerName, Model: f.model, ErrorType: kind, Duration: took, FirstToken: f.first,
	})
}

// verdict is the kind that an attempt ended with. An attempt that was still
// silent when the operation's deadline ended it, and had at least half of that time to
// itself, timed out: nobody else is to blame.
func (f *fetched) verdict(err error, took time.Duration) llm.Kind {
	kind := llm.KindOf(err)
	ended := kind == llm.CallerCancelled || kind == llm.CallerDeadline
	if d := f.call.op.Deadline; ended && took >= d/2 && time.Since(f.call.start) >= d {
		return llm.ProviderTimeout
	}
	return kind
}

// settle books what the call used, once, whatever became of those who asked.
func (f *fetched) settle(err error) {
	f.mu.Lock()
	if f.settled {
		f.mu.Unlock()
		return
	}
	f.settled = true
	if f.target != nil {
		f.bill.usage, f.bill.estimated = f.usageLocked()
		f.bill.microUSD = f.target.price.MicroUSD(f.bill.usage)
	}
	bill := f.bill
	f.mu.Unlock()

	k := f.call
	rec := k.record(outcomeOf(llm.KindOf(err), false))
	if f.target != nil {
		rec.Provider, rec.Model = f.target.providerName, f.model
	}
	rec.Usage, rec.Estimated, rec.MicroUSD = bill.usage, bill.estimated, bill.microUSD
	k.client.ledger.Settle(rec)
	k.client.monitor.RecordUsage(&monitor.Usage{
		Operation: k.op.label, Model: k.label(), Tokens: bill.usage, CostMicroUSD: bill.microUSD,
	})
}

// usageLocked is what the provider reported, or an estimate where an answer came
// without a report: a stream that was not asked for usage, or was cut.
func (f *fetched) usageLocked() (u llm.Usage, estimated bool) {
	if !f.answer.Usage.IsZero() || f.bytes == 0 || f.call.req.Endpoint == llm.Function {
		return f.answer.Usage, false
	}
	output := f.bytes
	if f.call.req.Stream {
		output = f.events * bytesPerToken // models stream about one token an event
	}
	return cost.Estimate(len(f.call.req.Body), output), true
}

// result is what the caller's Meta takes over at the end.
func (f *fetched) result() (usage llm.Usage, microUSD int64, stored bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.bill.usage, f.bill.microUSD, f.stored
}

// store puts a complete answer into the cache.
func (f *fetched) store() {
	f.mu.Lock()
	defer f.mu.Unlock()
	k := f.call
	if !f.keep || !k.op.Cache.stores(f.answer.Finish, k.req.Endpoint) {
		return
	}
	usage, _ := f.usageLocked()
	f.stored = k.keep(&cache.Entry{
		Body: f.answer.Body, Provider: f.target.providerName, Model: f.model,
		Usage: usage, CostMicroUSD: f.target.price.MicroUSD(usage), Finish: f.answer.Finish,
	})
}
