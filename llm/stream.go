package llm

import (
	"context"
	"io"
)

// Provider is a model back end. It is a contract with several implementations;
// llmtest.TestProvider is its conformance suite.
//
// Call sends req to model and returns once the back end has accepted it: the
// answer's head is there and says success. A refusal or a failure before that is
// an *Error. Call makes one attempt and never retries. ctx bounds the call and
// the stream that it returns: when it ends, the upstream call is cancelled and
// Next reports an *Error of kind CallerCancelled or CallerDeadline, whatever was
// going on. Call may run concurrently; it keeps no reference to req after the
// stream is closed.
//
// The answer is in the dialect of req. A provider of another dialect translates.
type Provider interface {
	Call(ctx context.Context, model string, req *Request) (Stream, error)
}

// ModelLister is implemented by providers that can say which models they have.
type ModelLister interface {
	Models(ctx context.Context) ([]ModelInfo, error)
}

// Chooser is implemented by providers whose API has no counterpart of some of the requests
// that the gateway takes. Targets of a model that do not take a request are called for it
// only where none of the others does either: then the error of Call says why.
type Chooser interface {
	// Takes says whether a call with req makes sense: not whether it would go well. It may
	// run concurrently, keeps and changes nothing, and is asked for every call.
	Takes(req *Request) bool
}

// ModelInfo describes one model of a provider.
type ModelInfo struct {
	ID      string
	OwnedBy string
	Created int64 // Unix seconds; 0 where the provider does not say
}

// Stream is an answer in pieces. A whole answer is a stream of one chunk.
//
// Next returns the next chunk, or io.EOF itself once the dialect's own end mark was
// seen (compare with ==: other errors may have io.EOF for their cause); every other end, a clean close of the connection included, is an *Error.
// After an error Next keeps returning it. Close frees what the stream holds and
// cancels the upstream call if it still runs; it may be called at any time, from
// another goroutine too, and more than once. Next itself is for one goroutine.
type Stream interface {
	Next() (Chunk, error)
	Close() error
}

// Chunk is one or more whole events of the dialect that arrived together: what
// one read of the connection gave, cut at the last event boundary.
type Chunk struct {
	// Raw is the events as they came, framing included; for a whole answer the
	// body. It is never changed after Next returned it: it may be kept and shared.
	Raw []byte
	// Events counts the dialect's events in Raw, end mark included.
	Events int
	// Last says that Raw ends with the dialect's end mark, or is a whole answer: Next
	// returns io.EOF behind it, within a moment. It may be false on
	// the last chunk too; it only saves those who write the chunk on a separate flush.
	Last bool
	// Useful says that Raw brings content that a reader waits for: text, a tool
	// call, a refusal, a vector. Roles, pings and usage alone are not useful.
	Useful bool
	// Usage is what the provider reports so far, and is zero where Raw has no report.
	Usage Usage
	// Finish is the reason for the end of the answer, on the chunk that ends it: until
	// then another choice may begin, or the connection break. It is FinishNone where
	// the answer ended and one of its choices gave no reason.
	Finish FinishReason
	// Model is the model that the provider says it used; may be empty.
	Model string
	// Text returns the text that Raw adds to the answer (first choice only). Those
	// who share the chunk may call it concurrently. Nil means that there is none to be had.
	Text func() string
}

// Awaiter is a Stream whose reader may wait apart from Next.
type Awaiter interface {
	// Await waits until Next has something to say, as far as the stream can tell without
	// looking. It is for the goroutine of Next, which may be called without it.
	Await()
}

// Await waits for the next chunk of s, where s is an Awaiter; else Next waits. Who relays
// many slow streams calls it before Next: the way down to where bytes are waited for
// carries no chunks, and takes a fifth of the stack that Next takes.
func Await(s Stream) {
	if a, ok := s.(Awaiter); ok {
		a.Await()
	}
}

// Response is a whole answer.
type Response struct {
	// Body is the answer in the dialect of the request: a body for a whole answer,
	// the events for a streamed one.
	Body   []byte
	Usage  Usage
	Finish FinishReason
	Model  string // the model that answered, as the provider names it; may be empty
}

// Collect reads s to its end and closes it. On an error the Response holds what
// had arrived until then.
func Collect(s Stream) (Response, error) {
	defer s.Close()
	var res Response
	for chunks := 0; ; chunks++ {
		c, err := s.Next()
		if err == io.EOF { // not errors.Is: a broken stream may have io.EOF for its cause
			return res, nil
		}
		if err != nil {
			return res, err
		}
		res.Add(c, chunks == 0)
	}
}

// Add appends a chunk to the response. The first chunk's bytes are taken as they
// are; later ones are copied behind them.
func (r *Response) Add(c Chunk, first bool) {
	if first {
		r.Body = c.Raw[:len(c.Raw):len(c.Raw)]
	} else {
		r.Body = append(r.Body, c.Raw...)
	}
	if !c.Usage.IsZero() {
		r.Usage = c.Usage
	}
	if c.Finish != FinishNone {
		r.Finish = c.Finish
	}
	if c.Model != "" {
		r.Model = c.Model
	}
}

// FinishReason says why a model stopped, as far as it matters to those who keep the
// answer: what the answer is counts for more than the word that the provider gave. Of
// an answer of several choices it is the reason that restricts its use the most.
type FinishReason string

// The reasons, from the least restrictive. A dialect's others are passed on under
// their own name, and count between FinishLength and FinishToolCalls.
const (
	// FinishNone says that the answer, or a choice of it, did not come to an end.
	FinishNone FinishReason = ""
	// FinishStop says that the model had said everything.
	FinishStop FinishReason = "stop"
	// FinishLength says that the answer is as long as it was allowed to be.
	FinishLength FinishReason = "length"
	// FinishToolCalls says that the model wants tools to be called, whatever the provider
	// calls it: OpenAI says stop where the request named the tool.
	FinishToolCalls FinishReason = "tool_calls"
	// FinishRefusal says that the model declined in a refusal of its own, which OpenAI
	// ends with stop.
	FinishRefusal FinishReason = "refusal"
	// FinishFilter says that a content filter cut the answer.
	FinishFilter FinishReason = "content_filter"
)

// Usage counts tokens. The four counts do not overlap: Input leaves out what was
// read from or written to the provider's prompt cache, so that each count can be
// priced by itself.
type Usage struct {
	Input      int64 `json:"input"`
	Output     int64 `json:"output"`
	CacheRead  int64 `json:"cache_read"`
	CacheWrite int64 `json:"cache_write"`
}

// Plus is what both used together.
func (u Usage) Plus(o Usage) Usage {
	return Usage{Input: u.Input + o.Input, Output: u.Output + o.Output, CacheRead: u.CacheRead + o.CacheRead, CacheWrite: u.CacheWrite + o.CacheWrite}
}

// IsZero reports whether nothing was counted.
func (u Usage) IsZero() bool { return u == Usage{} }

// Total is the sum of all counts.
func (u Usage) Total() int64 { return u.Input + u.Output + u.CacheRead + u.CacheWrite }

// Dialect is a wire format. Implementations are pure and stateless: the same
// input gives the same output, nothing is retained, and all of it may be used
// concurrently. None of its methods changes its arguments.
type Dialect interface {
	// Name is the dialect's name in configuration, metrics and stored entries.
	Name() string
	// Canonical appends to dst the form of a request that says what is asked, of which
	// it reads Endpoint and Body: members sorted, numbers normalised, white space gone,
	// and without the members that do not change the answer (request ids, user tags,
	// the stream flag, metadata). What people write is compared in Unicode NFC and
	// without outer white space, unless verbatim says that every character counts. Two
	// bodies with the same form ask for the same answer. The form of a form is the same.
	Canonical(dst []byte, req *Request, verbatim bool) ([]byte, error)
	// Covers says that a complete answer holds all that the form which req asks for
	// has to say. A stream whose caller did not ask for usage has none for a whole
	// answer to report.
	Covers(req *Request, answer []byte, stream bool) bool
	// Reshape turns a complete answer, which is the events of a stream if stream is
	// set and a whole body otherwise, into the form that req asks for: whole or streamed, with or without
	// the events that a caller has to ask for. An answer that already has that form
	// is returned as it is.
	Reshape(req *Request, answer []byte, stream bool) ([]byte, error)
	// Compose makes a complete answer that says text and nothing else, in the form
	// that req asks for. It is how templates speak the caller's wire format.
	Compose(req *Request, text string) []byte
}

// OneChunk is a stream of one chunk: a whole answer. It is for one goroutine.
type OneChunk struct {
	Chunk Chunk
	given bool
}

// Next gives the chunk, and then io.EOF.
func (o *OneChunk) Next() (Chunk, error) {
	if o.given {
		return Chunk{}, io.EOF
	}
	o.given = true
	return o.Chunk, nil
}

// Close does nothing.
func (*OneChunk) Close() error { return nil }

// Relay reads s to its end, passes each chunk's bytes to emit unless that is nil, closes
// s and returns all bytes.
func Relay(s Stream, emit func([]byte)) ([]byte, error) {
	defer s.Close()
	var body []byte
	for {
		c, err := s.Next()
		if err == io.EOF {
			return body, nil
		}
		if err != nil {
			return nil, err
		}
		body = append(body, c.Raw...)
		if emit != nil {
			emit(c.Raw)
		}
	}
}
