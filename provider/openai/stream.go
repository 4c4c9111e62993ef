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
	"github.com/forebay-ai/forebay/provider/internal/exchange"
)

// answer makes the stream that fits what the provider sent. An error releases the
// exchange.
func answer(x *exchange.Exchange, req *llm.Request) (llm.Stream, error) {
	form, err := formOf(x)
	if err != nil {
		x.Release()
		return nil, err
	}
	switch {
	case form == formEvents && req.Stream:
		return x.Stream(events(x, x.Bounds().MaxStream)), nil
	case form == formEvents && req.Endpoint == llm.Chat:
		return x.Whole(req, wholeFromEvents), nil
	case req.Stream:
		return x.Whole(req, eventsFromWhole), nil
	}
	return x.Whole(req, whole), nil
}

// form is how an answer is framed.
type form int

const (
	formWhole  form = iota // JSON
	formEvents             // server-sent events
)

// formOf checks the head and reads the framing from it. Answers without a content
// type, or with one that servers send for anything, count as JSON and are checked
// as such.
func formOf(x *exchange.Exchange) (form, error) {
	if err := x.Accepted(); err != nil {
		return 0, err
	}
	contentType := x.Header().Get("Content-Type")
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
	e := x.Wrong(failure.Malformed, fmt.Sprintf("the provider answered with %.60q, not with JSON or events", contentType))
	e.Fix, e.Err = "Check the provider's base_url.", err
	return 0, e
}

func events(x *exchange.Exchange, most int64) *dialect.Reader {
	return dialect.NewReader(x, dialect.ReaderOptions{MaxEvent: x.Bounds().MaxEvent, MaxTotal: most})
}

// whole reads the body as it was asked for.
func whole(x *exchange.Exchange, req *llm.Request) (llm.Chunk, error) {
	body, err := x.ReadAll(x.Bounds().MaxBody)
	if err != nil {
		return llm.Chunk{}, err
	}
	c, err := dialect.ReadWhole(req.Endpoint, body)
	if e := llm.AsError(err); err != nil && e.Kind != llm.ProviderMalformed {
		// The body reports an error. The head may say when to try again, and whether.
		return c, dialect.DecodeError(0, x.Header(), body)
	}
	return c, err
}

// eventsFromWhole makes events of the body of a server that ignores "stream".
func eventsFromWhole(x *exchange.Exchange, req *llm.Request) (llm.Chunk, error) {
	c, err := whole(x, req)
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
func wholeFromEvents(x *exchange.Exchange, req *llm.Request) (llm.Chunk, error) {
	var res llm.Response
	reader := events(x, x.Bounds().MaxBody)
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
	x.Drain()
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
		e := exchange.Fault(failure.Malformed, "the provider's answer has not the form that was asked for, and cannot be brought into it")
		e.Err = err
		return nil, e
	}
	return reshaped, nil
}
