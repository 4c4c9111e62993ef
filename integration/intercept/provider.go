package intercept

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"net/http"

	"github.com/forebay-ai/forebay/dialect/bedrock"
	"github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/llm"
)

const (
	// maxError and maxWhole bound what is read of an error and of a whole answer, in
	// bytes: as package provider/openai does.
	maxError = 64 << 10
	maxWhole = 64 << 20
	// maxStream bounds a streamed answer, in bytes.
	maxStream = 256 << 20
)

// Provider sends the original of each call. Calls that no integration has intercepted
// (jobs, warm-ups) have none and fail with ForebayUnavailable. The zero value is ready, and safe for
// concurrent use.
type Provider struct{}

var _ llm.Provider = Provider{}

// Call implements llm.Provider.
func (Provider) Call(ctx context.Context, model string, req *llm.Request) (llm.Stream, error) {
	send, _ := ctx.Value(originKey{}).(Send)
	if send == nil {
		return nil, &llm.Error{
			Kind: llm.ForebayUnavailable, Message: "this call was not intercepted, so that there is no original to be sent",
			Fix: "Give the model a target with a provider of its own.",
		}
	}
	model = cmp.Or(model, req.Model)
	answer, err := send(ctx, model, req.Body)
	if err != nil {
		return nil, failed(ctx, err)
	}
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		defer answer.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(answer.Body, maxError)) // what came of it will do
		if aws(req) {
			return nil, bedrock.DecodeError(answer.StatusCode, answer.Header, text)
		}
		return nil, openai.DecodeError(answer.StatusCode, answer.Header, text)
	}
	if encoding := answer.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		_ = answer.Body.Close()
		return nil, llm.Errorf(llm.ProviderMalformed, "the answer came in an encoding that was not undone")
	}
	return &original{ctx: ctx, req: req, answer: answer, reader: reader(req, model, answer)}, nil
}

// failed is an error of the transport.
func failed(ctx context.Context, err error) *llm.Error {
	if ctx.Err() != nil {
		return llm.AsError(context.Cause(ctx))
	}
	var known *llm.Error
	if errors.As(err, &known) {
		return known
	}
	if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() { // the transport's own
		return &llm.Error{Kind: llm.ProviderTimeout, Message: "the original call got no answer in its transport's time", Err: err}
	}
	return &llm.Error{Kind: llm.ProviderConnectionFailed, Message: "the original call got no answer", Err: err}
}

// pieces are an answer's chunks.
type pieces interface{ Next() (llm.Chunk, error) }

func reader(req *llm.Request, model string, answer *http.Response) pieces {
	switch {
	case !req.Stream:
		return &whole{req: req, answer: answer}
	case aws(req):
		return bedrock.NewReader(answer.Body, bedrock.ReaderOptions{Invoke: req.Dialect.Name() == bedrock.NameInvoke, Model: model, MaxBytes: maxStream})
	}
	return openai.NewReader(answer.Body, openai.ReaderOptions{MaxTotal: maxStream})
}

// whole reads an answer in one piece.
type whole struct {
	req    *llm.Request
	answer *http.Response
	read   bool
}

// Next returns the answer once.
func (w *whole) Next() (llm.Chunk, error) {
	if w.read {
		return llm.Chunk{}, io.EOF
	}
	w.read = true
	body, err := io.ReadAll(io.LimitReader(w.answer.Body, maxWhole+1))
	switch {
	case err != nil:
		return llm.Chunk{}, &llm.Error{Kind: llm.ProviderTruncated, Message: "the answer broke off", Err: err}
	case len(body) > maxWhole:
		return llm.Chunk{}, llm.Errorf(llm.ProviderMalformed, "the answer has more than %d bytes", maxWhole)
	case aws(w.req):
		return bedrock.ReadWhole(w.req, body)
	}
	return openai.ReadWhole(w.req.Endpoint, body)
}

// original is the answer to an original.
type original struct {
	ctx    context.Context //nolint:containedctx // on purpose: a stream's context is its call's
	req    *llm.Request
	answer *http.Response
	reader pieces
	err    error
}

// Next implements llm.Stream.
func (s *original) Next() (llm.Chunk, error) {
	if s.err != nil {
		return llm.Chunk{}, s.err
	}
	var c llm.Chunk
	if c, s.err = s.reader.Next(); s.err != nil {
		if s.err != io.EOF && s.ctx.Err() != nil {
			s.err = llm.AsError(context.Cause(s.ctx))
		}
		_ = s.answer.Body.Close()
		return llm.Chunk{}, s.err
	}
	return c, nil
}

// Await implements llm.Awaiter.
func (s *original) Await() {
	if a, ok := s.reader.(llm.Awaiter); ok && s.err == nil {
		a.Await()
	}
}

// Close implements llm.Stream.
func (s *original) Close() error { return s.answer.Body.Close() }
