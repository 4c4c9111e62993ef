package gateway

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/gateway/form"
	"github.com/forebay-ai/forebay/gateway/head"
	"github.com/forebay-ai/forebay/llm"
)

// request makes the llm.Request of a visit, without what stands in its body.
func (x *visit) request(c *form.Controls) (*llm.Request, error) {
	priority := x.grant.Band
	if c.HasPriority {
		if err := x.grant.MayAsk(c.Priority); err != nil {
			return nil, err
		}
		priority = c.Priority
	}
	return &llm.Request{
		ID: x.id, Tenant: x.grant.Tenant, User: c.User, Key: x.grant.Name,
		Operation: c.Operation, Persona: c.Persona, Priority: priority, Residency: c.Residency, Locale: c.Locale,
		Arrived: x.start, Timeout: c.Timeout, Cache: c.Cache, NoFallback: c.NoFallback,
		Dialect: openai.Dialect{}, TraceParent: x.trace, CallerTrace: x.callerTrace,
	}, nil
}

// chat serves POST /v1/chat/completions.
func (g *Gateway) chat(x *visit) error {
	return g.complete(x, func(req *llm.Request, body []byte) error { return fillCompletion(req, llm.Chat, body) })
}

// embeddings serves POST /v1/embeddings.
func (g *Gateway) embeddings(x *visit) error {
	return g.complete(x, func(req *llm.Request, body []byte) error { return fillCompletion(req, llm.Embeddings, body) })
}

// complete serves a call. fill puts its body into the request. The body is JSON, whether
// it is said to be that or of a type in also.
func (g *Gateway) complete(x *visit, fill func(req *llm.Request, body []byte) error, also ...string) error {
	c, err := form.ReadControls(x.r.Header)
	if err != nil {
		return err
	}
	if x.style != aws {
		if err := form.NoSettings(x.r.Header, x.route.Pattern); err != nil {
			return err
		}
	}
	job, err := x.asJob(&c)
	if err != nil {
		return err
	}
	req, err := x.request(&c)
	if err != nil {
		return err
	}
	body, err := x.readJSON(also...)
	if err != nil {
		return err
	}
	if err := fill(req, body); err != nil {
		return err
	}
	switch {
	case job != nil:
		return g.enqueue(x, req, job)
	case req.Stream:
		return g.stream(x, req)
	}
	return g.whole(x, req)
}

// fillCompletion puts a body in the OpenAI format into req.
func fillCompletion(req *llm.Request, endpoint llm.Endpoint, body []byte) error {
	parse := openai.ParseChat
	if endpoint == llm.Embeddings {
		parse = openai.ParseEmbeddings
	}
	head, err := parse(body)
	if err != nil {
		return err
	}
	if err := checkModel(head.Model); err != nil {
		return err
	}
	if head.Cache != (llm.CacheDirectives{}) { // LiteLLM's member is for us; providers refuse what they do not know
		if body, err = openai.WithoutMember(body, "cache"); err != nil {
			return err
		}
	}
	req.Endpoint, req.Body, req.Model, req.Stream = endpoint, body, head.Model, head.Stream
	req.Cache = merge(req.Cache, head.Cache)
	if req.User == "" {
		req.User = bounded(head.User)
	}
	return nil
}

func checkModel(name string) error {
	if len(name) <= form.MaxName {
		return nil
	}
	return &llm.Error{
		Kind: llm.CallerUnknownModel, Param: "model", Message: fmt.Sprintf("the model's name has %d bytes", len(name)),
		Limit: "model", Value: fmt.Sprintf("%d bytes", form.MaxName), Fix: "GET /v1/models lists what may be asked for.",
	}
}

// merge joins what header and body say about the cache: each may restrict it,
// and for a time or a namespace the header counts.
func merge(header, body llm.CacheDirectives) llm.CacheDirectives {
	return llm.CacheDirectives{
		NoRead:       header.NoRead || body.NoRead,
		NoWrite:      header.NoWrite || body.NoWrite,
		OnlyIfCached: header.OnlyIfCached || body.OnlyIfCached,
		MaxAge:       cmp.Or(header.MaxAge, body.MaxAge),
		TTL:          cmp.Or(header.TTL, body.TTL),
		Namespace:    cmp.Or(header.Namespace, body.Namespace),
	}
}

// bounded is a user of the body as our own name for him. One that is longer than
// a name may be, or that does not print, is valid for the provider, so it is not
// refused: its hash stands for it.
func bounded(user string) string {
	if user == "" || form.NameFault(user) == "" {
		return user
	}
	sum := sha256.Sum256([]byte(user))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// whole answers with a whole body.
func (g *Gateway) whole(x *visit, req *llm.Request) error {
	req.Waiting, req.Notes = &x.waiting, &x.notes
	res, err := g.caller.Do(x.r.Context(), req)
	if err != nil {
		return err
	}
	x.meta, x.called, x.costKnown = res.Meta, true, true
	return x.answer(http.StatusOK, jsonType, res.Body)
}

// costHeader says what the call cost: in the head of an answer whose price is known
// then, in the trailer of a stream.
const costHeader = "X-Forebay-Cost-Usd"

// stream answers in pieces, each written as it came and flushed at once. Until the
// first piece is there, or the caller was told that he waits, a failure still is an
// answer with a status; after that it is an error event and a broken connection,
// because after a clean end every SDK takes half an answer for a whole one.
func (g *Gateway) stream(x *visit, req *llm.Request) error {
	req.Waiting, req.Notes = &x.waiting, &x.notes
	announcer := g.announce(x)
	defer announcer.stop()
	var meta forebay.Meta
	var chunk llm.Chunk
	s, err := g.caller.Stream(x.outliving(), req)
	called := err == nil
	if called {
		x.rest = s // ServeHTTP closes it
		meta = s.Meta()
		chunk, err = s.Next()
	}
	begun := announcer.stop()
	if called {
		x.meta, x.called = meta, true
	}
	switch {
	case err != nil && err != io.EOF && begun:
		return x.breakOff(err)
	case err != nil && err != io.EOF:
		return err
	case !begun:
		if meta.Attempts > 0 { // the price is known at the end
			x.set("Trailer", costHeader)
		}
		x.headOfStream()
	}
	x.more, err = x.pass(chunk, err)
	return err
}

// headOfStream writes the head of a stream of events.
func (x *visit) headOfStream() {
	x.set("Cache-Control", "no-cache")
	x.set("X-Accel-Buffering", "no") // nginx in front must not gather events
	x.head(http.StatusOK, x.style.events())
}

// flush sends what was written.
func (x *visit) flush() {
	if f, ok := x.w.(http.Flusher); ok {
		f.Flush()
	}
}

// relay writes what is left of a stream. It runs on top of ServeHTTP and not of what led to
// the stream, and waits apart from reading: ten thousand streams wait at once, each
// with the stack that led to where it waits.
func (x *visit) relay() error {
	more, err := true, error(nil)
	for more && !x.detach() {
		llm.Await(x.rest)
		more, err = x.next()
	}
	return err
}

// next passes the next piece on.
func (x *visit) next() (more bool, err error) {
	chunk, err := x.rest.Next()
	return x.pass(chunk, err)
}

// pass writes a piece of the stream, or what is known at its end.
func (x *visit) pass(chunk llm.Chunk, err error) (more bool, _ error) {
	switch {
	case err == nil:
		if !x.write(chunk.Raw) {
			return false, nil
		}
		if !chunk.Last { // the end of the answer flushes what is last
			x.flush()
		}
		return true, nil
	case err != io.EOF:
		return false, x.breakOff(err)
	case x.early:
		x.meta = x.rest.Meta()
		x.trailLate()
	case x.meta.Attempts > 0: // priced
		x.w.Header()[costHeader] = []string{head.Dollars(x.rest.Meta().CostMicroUSD)}
	}
	return false, nil
}

// breakOff tells the reader of a stream that it failed, as far as he is there.
func (x *visit) breakOff(err error) error {
	// A request's context of net/http has no deadline; where it has one (Lambda), the reader is there at its end.
	if x.context().Err() != context.Canceled { //nolint:errorlint // the very value
		e := *llm.AsError(err)
		if e.SupportID == "" {
			e.SupportID = x.id
		}
		if x.write(x.style.broken(x, &e)) {
			x.flush()
		}
	}
	return err // fail sees that the answer has begun, and breaks the connection
}
