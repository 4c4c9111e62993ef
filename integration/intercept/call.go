package intercept

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/dialect/bedrock"
	"github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/llm"
)

// Send sends the original call once, with this model and body in it, and returns the head
// of the answer; the body is the receiver's to close. ctx bounds it, body included. An
// error that is an *llm.Error counts by its kind, any other one is a connection that failed.
type Send func(ctx context.Context, model string, body []byte) (*http.Response, error)

// Call is a call that was intercepted.
type Call struct {
	Request *llm.Request
	Send    Send
}

// originKey finds the original of a call in its context, which also goes with calls that
// several callers share: then it is the first one's.
type originKey struct{}

// Do runs a call and returns its answer as HTTP, errors included: in the form of the
// request's dialect, so that the library that made the call reads them as its server's.
// ctx has to last until the answer's body is closed.
func Do(ctx context.Context, client *forebay.Client, c Call) *http.Response {
	ctx = context.WithValue(ctx, originKey{}, c.Send)
	if c.Request.Stream {
		return stream(ctx, client, c.Request)
	}
	res, err := client.Do(ctx, c.Request)
	if err != nil {
		return Failure(c.Request, err)
	}
	return answer(c.Request, &res.Meta, io.NopCloser(bytes.NewReader(res.Body)), int64(len(res.Body)))
}

func stream(ctx context.Context, client *forebay.Client, req *llm.Request) *http.Response {
	s, err := client.Stream(ctx, req)
	if err != nil {
		return Failure(req, err)
	}
	first, err := s.Next()
	if err != nil && err != io.EOF {
		_ = s.Close()
		return Failure(req, err)
	}
	meta := s.Meta()
	return answer(req, &meta, &streamBody{req: req, stream: s, left: first.Raw, err: err}, -1)
}

// aws says that the request's dialect is one of Bedrock's.
func aws(req *llm.Request) bool {
	name := req.Dialect.Name()
	return name == bedrock.NameConverse || name == bedrock.NameInvoke
}

// answer makes the HTTP answer to a call that succeeded.
func answer(req *llm.Request, m *forebay.Meta, body io.ReadCloser, length int64) *http.Response {
	h := http.Header{"Content-Type": {"application/json"}, "X-Request-Id": {req.ID}}
	switch {
	case req.Stream && aws(req):
		h.Set("Content-Type", "application/vnd.amazon.eventstream")
	case req.Stream:
		h.Set("Content-Type", "text/event-stream")
	}
	if aws(req) {
		h.Set("X-Amzn-Requestid", req.ID)
	}
	h.Set("X-Forebay-Cache", string(m.Cache.Status))
	h.Set("X-Forebay-Attempts", strconv.Itoa(m.Attempts))
	if m.Degraded {
		h.Set("X-Forebay-Degradation", string(m.Level))
	}
	if length >= 0 {
		h.Set("Content-Length", strconv.FormatInt(length, 10))
	}
	return response(http.StatusOK, h, body, length)
}

// Failure makes the HTTP answer to a call that failed.
func Failure(req *llm.Request, err error) *http.Response {
	e := *llm.AsError(err)
	if e.SupportID == "" {
		e.SupportID = req.ID
	}
	h := http.Header{"Content-Type": {"application/json"}, "X-Request-Id": {req.ID}}
	// One layer retries, and it has.
	h.Set("X-Should-Retry", "false")
	if e.RetryAfter > 0 {
		h.Set("Retry-After", strconv.FormatInt(int64((e.RetryAfter+time.Second-1)/time.Second), 10))
	}
	status, body := e.HTTPStatus(), []byte(nil)
	if aws(req) {
		var name string
		name, body = bedrock.EncodeError(&e)
		h.Set("X-Amzn-Errortype", name)
		h.Set("X-Amzn-Requestid", req.ID)
		status = bedrock.Status(&e)
	} else {
		body = openai.EncodeError(&e)
	}
	return response(status, h, io.NopCloser(bytes.NewReader(body)), int64(len(body)))
}

func response(status int, h http.Header, body io.ReadCloser, length int64) *http.Response {
	return &http.Response{
		StatusCode: status, Status: strconv.Itoa(status) + " " + http.StatusText(status),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: h, Body: body, ContentLength: length,
	}
}

// streamBody is a stream as the body of an HTTP answer. One that fails ends with the
// dialect's event for it and then with an error, never as if it were whole.
type streamBody struct {
	req    *llm.Request
	stream *forebay.Stream
	left   []byte // not read yet
	err    error  // what follows it; nil while the stream goes on
}

// Read implements io.Reader.
func (b *streamBody) Read(p []byte) (int, error) {
	for len(b.left) == 0 {
		if b.err != nil {
			return 0, b.err
		}
		c, err := b.stream.Next()
		switch b.left = c.Raw; {
		case err == io.EOF:
			b.err = io.EOF
		case err != nil:
			e := *llm.AsError(err)
			b.left, b.err = errorEvent(b.req, &e), errors.Join(io.ErrUnexpectedEOF, err)
		}
	}
	n := copy(p, b.left)
	b.left = b.left[n:]
	return n, nil
}

// Close implements io.Closer. It ends the call if that still runs.
func (b *streamBody) Close() error { return b.stream.Close() }

func errorEvent(req *llm.Request, e *llm.Error) []byte {
	if aws(req) {
		return bedrock.ErrorEvent(e)
	}
	return openai.ErrorEvent(e)
}
