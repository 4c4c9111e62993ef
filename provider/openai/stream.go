package openai

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"strings"

	dialect "github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/failure"
	"github.com/forebay-ai/forebay/llm"
)

// answer makes the stream that fits what the provider sent. An error releases the
// exchange.
func (x *exchange) answer(req *llm.Request) (llm.Stream, error) {
	form, err := x.form()
	if err != nil {
		x.release()
		return nil, err
	}
	switch {
	case form == formEvents && req.Stream:
		return &eventStream{x: x, reader: x.events(x.provider.cfg.MaxStream)}, nil
	case form == formEvents && req.Endpoint == llm.Chat:
		return &wholeStream{x: x, req: req, read: (*exchange).wholeFromEvents}, nil
	case req.Stream:
		return &wholeStream{x: x, req: req, read: (*exchange).eventsFromWhole}, nil
	}
	return &wholeStream{x: x, req: req, read: (*exchange).whole}, nil
}

// form is how an answer is framed.
type form int

const (
	formWhole  form = iota // JSON
	formEvents             // server-sent events
)

// form checks the head and reads the framing from it. Answers without a content
// type, or with one that servers send for anything, count as JSON and are checked
// as such.
func (x *exchange) form() (form, error) {
	if err := x.accepted(); err != nil {
		return 0, err
	}
	contentType := x.response.Header.Get("Content-Type")
	switch contentType { // nearly all answers, without the cost of parsing
	case "application/json":
		return formWhole, nil
	case "text/event-stream", "text/event-stream; charset=utf-8":
		return formEvents, nil
	}
	media, _, err := mime.ParseMediaType(contentType)
	switch {
	case media == "text/event-stream":
		return formEvents, nil
	case contentType == "", media == "application/json", media == "text/plain", media == "application/octet-stream",
		strings.HasSuffix(media, "+json"):
		return formWhole, nil
	}
	e := x.wrong(failure.Malformed, fmt.Sprintf("the provider answered with %.60q, not with JSON or events", contentType))
	e.Fix, e.Err = "Check the provider's base_url.", err
	return 0, e
}

func (x *exchange) events(most int64) *dialect.Reader {
	return dialect.NewReader(x, dialect.ReaderOptions{MaxEvent: x.provider.cfg.MaxEvent, MaxTotal: most})
}

// eventStream passes events on as they come.
type eventStream struct {
	x      *exchange
	reader *dialect.Reader
	err    error // what Next returns from now on
}

// Next reads the events that have arrived.
func (s *eventStream) Next() (llm.Chunk, error) {
	if s.err != nil {
		return llm.Chunk{}, s.err
	}
	if e := s.x.ended(); e != nil { // events may be waiting, but nobody for them
		return s.finish(e)
	}
	c, err := s.reader.Next()
	if err == nil {
		return c, nil
	}
	if err == io.EOF {
		s.x.drain()
		return s.finish(io.EOF)
	}
	return s.finish(s.x.failed(err))
}

func (s *eventStream) finish(err error) (llm.Chunk, error) {
	s.err = err
	s.x.release()
	return llm.Chunk{}, err
}

// Close ends the call.
func (s *eventStream) Close() error {
	s.x.release()
	return nil
}

// wholeStream is an answer of one chunk.
type wholeStream struct {
	x    *exchange
	req  *llm.Request
	read func(*exchange, *llm.Request) (llm.Chunk, error)
	err  error // what Next returns from now on
}

// Next reads the answer.
func (s *wholeStream) Next() (llm.Chunk, error) {
	if s.err != nil {
		return llm.Chunk{}, s.err
	}
	if e := s.x.ended(); e != nil { // the answer may be there, but nobody for it
		s.err = e
		return llm.Chunk{}, e
	}
	c, err := s.read(s.x, s.req)
	if err != nil {
		s.err = s.x.failed(err)
		s.x.release()
		return llm.Chunk{}, s.err
	}
	s.err = io.EOF
	s.x.release()
	return c, nil
}

// Close ends the call.
func (s *wholeStream) Close() error {
	s.x.release()
	return nil
}

// whole reads the body as it was asked for.
func (x *exchange) whole(req *llm.Request) (llm.Chunk, error) {
	body, err := x.readAll(x.provider.cfg.MaxBody)
	if err != nil {
		return llm.Chunk{}, err
	}
	c, err := dialect.ReadWhole(req.Endpoint, body)
	if e := llm.AsError(err); err != nil && e.Kind != llm.ProviderMalformed {
		// The body reports an error. The head may say when to try again, and whether.
		return c, dialect.DecodeError(0, x.response.Header, body)
	}
	return c, err
}

// eventsFromWhole makes events of the body of a server that ignores "stream".
func (x *exchange) eventsFromWhole(req *llm.Request) (llm.Chunk, error) {
	c, err := x.whole(req)
	if err != nil {
		return llm.Chunk{}, err
	}
	if c.Raw, err = reshape(req, c.Raw, false); err != nil {
		return llm.Chunk{}, err
	}
	c.Events = bytes.Count(c.Raw, []byte("\n\n"))
	return c, nil
}

// wholeFromEvents makes a body of the events of a server that always streams.
func (x *exchange) wholeFromEvents(req *llm.Request) (llm.Chunk, error) {
	var res llm.Response
	reader := x.events(x.provider.cfg.MaxBody)
	for first := true; ; first = false {
		c, err := reader.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return llm.Chunk{}, err
		}
		res.Add(c, first)
	}
	x.drain()
	body, err := reshape(req, res.Body, true)
	if err != nil {
		return llm.Chunk{}, err
	}
	return dialect.ReadWhole(req.Endpoint, body)
}

// reshape turns an answer into the form that was asked for. Where that fails it is
// the provider's doing, not that of a store.
func reshape(req *llm.Request, answer []byte, stream bool) ([]byte, error) {
	reshaped, err := req.Dialect.Reshape(req, answer, stream)
	if err != nil {
		e := fault(failure.Malformed, "the provider's answer has not the form that was asked for, and cannot be brought into it")
		e.Err = err
		return nil, e
	}
	return reshaped, nil
}
