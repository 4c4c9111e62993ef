package forebay

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/degrade"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/monitor"
)

// Response is a whole answer and how it came about.
type Response struct {
	llm.Response
	Meta Meta
	// Streamed says that the body holds the events of a stream.
	Streamed bool
}

// Stream is an answer in pieces. Next is for one goroutine; Close and Meta may be
// called from others. A Stream must be closed, or read to its end.
type Stream struct {
	call *call
	src  llm.Stream
	err  error // what Next ended with; nil while it goes on

	mu    sync.Mutex // guards ended and meta; not held while the books are closed
	ended bool
	meta  Meta
}

// Next returns the next chunk, or io.EOF once the answer is complete. Every other
// error is an *llm.Error; chunks that came before it are not a complete answer.
func (s *Stream) Next() (llm.Chunk, error) {
	if s.err != nil {
		return llm.Chunk{}, s.err
	}
	var c llm.Chunk
	if c, s.err = s.src.Next(); s.err == nil {
		return c, nil
	}
	if s.err != io.EOF {
		s.err = s.call.signed(s.call.blame(s.err))
	}
	s.finish(s.err)
	return llm.Chunk{}, s.err
}

// Await waits until Next has something to say, as far as that can be known without a
// look. It is for the goroutine of Next, and need not be called: see llm.Await.
func (s *Stream) Await() {
	if s.err == nil {
		llm.Await(s.src)
	}
}

// Close ends the answer where it stands. It may be called more than once.
func (s *Stream) Close() error {
	err := s.src.Close()
	s.finish(errClosed)
	return err
}

// errClosed is how a stream ends that its reader did not read to the end.
var errClosed = llm.Errorf(llm.CallerCancelled, "the caller closed the answer before its end")

// Meta says how the answer came about; usage and cost are there once it has ended.
func (s *Stream) Meta() Meta {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.meta
}

// finish closes the books of the call, once.
func (s *Stream) finish(err error) {
	s.mu.Lock()
	again := s.ended
	s.ended = true
	s.mu.Unlock()
	if again {
		return
	}
	if err == io.EOF {
		err = nil
	}
	meta := s.call.close(err)
	s.mu.Lock()
	s.meta = meta
	s.mu.Unlock()
}

// do is run for a whole answer.
func (c *Client) do(ctx context.Context, req *llm.Request, function invoker) (*Response, error) {
	s, err := c.run(ctx, req, function, nil)
	if err != nil {
		return nil, err
	}
	res, err := llm.Collect(s)
	if err != nil {
		return nil, &CallError{Meta: s.Meta(), err: llm.AsError(err)}
	}
	return &Response{Response: res, Meta: s.Meta(), Streamed: req.Stream}, nil
}

// recalled is a cached answer as a stream.
type recalled struct {
	llm.OneChunk
	entry *cache.Entry
}

// recall gives e in the form that the call asks for.
func (k *call) recall(e *cache.Entry) (*recalled, error) {
	body, err := k.req.Dialect.Reshape(k.req, e.Body, e.Stream)
	if err != nil {
		return nil, err
	}
	c := llm.Chunk{Raw: body, Events: 1, Last: true, Useful: true, Finish: e.Finish, Model: e.Model}
	return &recalled{llm.OneChunk{Chunk: c}, e}, nil
}

// deliver hands an answer to the caller.
func (k *call) deliver(src llm.Stream) *Stream {
	k.describe(src)
	return &Stream{call: k, src: src, meta: k.meta}
}

// deliverHit hands a cached answer to the caller, in the form that it asks for.
func (k *call) deliverHit(e *cache.Entry, err error) (*Stream, error) {
	var src *recalled
	if err == nil {
		src, err = k.recall(e)
	}
	if err != nil {
		return nil, k.fail(err)
	}
	k.meta.Cache = CacheResult{
		Status: CacheHit, Detail: k.meta.Cache.Detail, Age: k.start.Sub(e.Stored), TTL: e.Expires.Sub(k.start),
	}
	switch {
	case k.meta.Cache.Detail == DetailSimilar:
		k.meta.Fallback, k.meta.Degraded = degrade.Similar, true
	case k.meta.Cache.TTL <= 0:
		k.meta.Cache.Status = CacheStaleHit
	}
	return k.deliver(src), nil
}

// degrade answers a call that no target answered: the operation's strategies in
// order, or the error.
func (k *call) degrade(ctx context.Context, cause *llm.Error) (*Stream, error) {
	k.remember(cause)
	if k.req.NoFallback || !degradable(cause) || k.req.Durable && k.attempts.Load() == 0 {
		return nil, k.fail(cause) // a job that reached no target is tried again
	}
	for _, strategy := range k.op.Fallback {
		if strategy == degrade.Error {
			break // whatever stands behind it
		}
		s := k.fallBack(ctx, strategy, cause)
		if s == nil {
			continue
		}
		k.client.log.Warn("answered by a fallback", "request_id", k.req.ID, "operation", k.op.label,
			"fallback", string(strategy), "error_type", string(cause.Kind), "error", cause)
		return s, nil
	}
	return nil, k.fail(cause)
}

// degradable says that a fallback is better than this error: the target's fault,
// and not a verdict on the request itself.
func degradable(e *llm.Error) bool {
	switch e.Kind {
	case llm.PolicyBreakerOpen:
		return true
	case llm.ProviderRejected, llm.ProviderFiltered, llm.ProviderContextExceeded:
		return false
	}
	return e.Kind.Domain() == llm.ProviderFault
}

// fallBack makes the answer of one strategy, or nil where it has none.
func (k *call) fallBack(ctx context.Context, strategy degrade.Strategy, cause *llm.Error) *Stream {
	var src llm.Stream
	switch strategy {
	case degrade.Cached:
		src, strategy = k.standIn(ctx)
	case degrade.Template:
		src = k.template(cause)
	case degrade.Simplified:
		src = k.simplified(ctx)
	}
	if src == nil {
		return nil
	}
	k.meta.Fallback, k.meta.Degraded = strategy, true
	k.client.levels.Observe(k.op.label, true, time.Now())
	return k.deliver(src)
}

// standIn is an answer of the cache for a call that no target answered: the expired
// one to this very request, or, where the operation allows it, that to a similar one.
func (k *call) standIn(ctx context.Context) (llm.Stream, degrade.Strategy) {
	bound := k.op.Cache.StaleIfError
	if e := k.stale; e != nil && (bound == 0 || k.start.Sub(e.Expires) < bound) {
		if src, err := k.recall(e); err == nil {
			k.meta.Cache.Age = k.start.Sub(e.Stored)
			k.meta.Cache.Detail = DetailStaleIfError
			return src, degrade.Cached
		}
	}
	if e := k.findSimilar(ctx); e != nil {
		if src, err := k.recall(e); err == nil {
			k.meta.Cache.Age = k.start.Sub(e.Stored)
			k.meta.Cache.Detail = DetailSimilar
			return src, degrade.Similar
		}
	}
	return nil, ""
}

// template is the prepared text of the call's persona.
func (k *call) template(cause *llm.Error) llm.Stream {
	answer, ok := k.client.degrader.Load().Text(degrade.Case{
		Operation: k.req.Operation, Persona: k.req.Persona, Locale: k.req.Locale, SupportID: k.req.ID, RetryAfter: cause.RetryAfter,
	})
	if !ok {
		return nil
	}
	src := k.said(answer.Text)
	if src != nil {
		k.meta.Template = answer.Mark()
	}
	return src
}

// said is an answer that says text, in the form that the call asks for; nil where the
// dialect has no way to say a text, as for embeddings.
func (k *call) said(text string) llm.Stream {
	body := k.req.Dialect.Compose(k.req, text)
	if body == nil {
		return nil
	}
	return &llm.OneChunk{Chunk: llm.Chunk{
		Raw: body, Events: 1, Last: true, Useful: true, Finish: llm.FinishStop, Text: func() string { return text },
	}}
}

// close ends the call's books and returns what they say.
func (k *call) close(err error) Meta {
	kind := llm.KindOf(err)
	if k.cancel != nil {
		k.cancel()
	}
	if f := k.fetched; f != nil {
		k.meta.Usage, k.meta.CostMicroUSD, k.meta.Cache.Stored = f.result()
	} else if k.lesser != nil {
		lesser := k.lesser.Meta()
		k.meta.Usage, k.meta.CostMicroUSD = lesser.Usage, lesser.CostMicroUSD
	}
	if k.fetched == nil && !k.fetching.Load() && !k.settled {
		rec := k.record(outcomeOf(kind, k.meta.Degraded))
		rec.Provider, rec.Model, rec.Unreserved = k.meta.Provider, k.meta.Model, !k.reserved
		k.client.ledger.Settle(rec)
	}
	k.measure(kind)
	k.client.end()
	return k.meta
}

// label is the call's model as a metric label: the configured name, never what a
// caller made up.
func (k *call) label() string {
	if k.model == nil {
		return ""
	}
	return k.model.name
}

func outcomeOf(kind llm.Kind, degraded bool) monitor.Outcome {
	switch {
	case degraded:
		return monitor.Degraded
	case kind == "":
		return monitor.OK
	case kind == llm.CallerCancelled:
		return monitor.Cancelled
	case kind.Domain() == llm.PolicyFault:
		return monitor.Refused
	}
	return monitor.Error
}
