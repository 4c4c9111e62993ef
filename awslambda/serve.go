package awslambda

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"strconv"
	"sync"

	"github.com/forebay-ai/forebay/llm"
)

// errBroken ends the body of a stream that failed. Its text says so to Lambda; the reader of
// the stream sees that it was cut, and in most forms an error event before that.
var errBroken = errors.New("the answer broke off: an error ended it")

// run has the handler answer. The error says that the answer broke off.
func (f *Function) run(w http.ResponseWriter, r *http.Request) (err error) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if err = errBroken; p != http.ErrAbortHandler { //nolint:errorlint // the very value is what net/http compares
			f.cfg.Logger.Error("panic in the handler", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		}
	}()
	f.cfg.Handler.ServeHTTP(w, r)
	return nil
}

// stream answers while the handler writes: from its first byte on.
func (f *Function) stream(ctx context.Context, r *request) *reply {
	ctx, cancel := within(ctx, r.keep(f.cfg.Margin))
	from, to := io.Pipe()
	w := &streamWriter{to: to, begun: make(chan struct{}), header: http.Header{}}
	ended := make(chan struct{})
	go func() { // the reply's Close waits for it
		defer close(ended)
		err := f.run(w, r.to(ctx))
		if err != nil && w.fail() {
			err = nil // there is an answer in its place
		}
		w.WriteHeader(http.StatusOK) // unless there is one
		_ = to.CloseWithError(err)   // never fails; nil is a clean end
	}()
	<-w.begun
	answer := w.head.streamed(r.shape, body{from})
	if w.failed {
		h, text := refusal(broken(r))
		answer = h.streamed(r.shape, bytes.NewReader(text))
	}
	answer.onClose(func() {
		cancel()
		_ = from.Close() // never fails; a handler that still writes is told
		<-ended
	})
	return answer
}

// body reads a pipe. The runtime's loop throws away what comes together with an error.
type body struct{ *io.PipeReader }

// broken is what a caller is told in place of an answer that broke off.
func broken(r *request) error {
	return &llm.Error{
		Kind: llm.ProviderTruncated, Message: "the answer broke off before its end", SupportID: r.id,
		Fix: "Send the request again.",
	}
}

// streamWriter hands an answer over as it is written. The handler's goroutine uses it.
type streamWriter struct {
	to     *io.PipeWriter
	header http.Header
	once   sync.Once
	begun  chan struct{} // closed when head, or failed, is set
	head   head
	failed bool // the handler broke off before the head
}

// Header implements http.ResponseWriter.
func (w *streamWriter) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter.
func (w *streamWriter) WriteHeader(status int) {
	if status < http.StatusOK { // there is no way to send it
		return
	}
	w.once.Do(func() {
		w.head = head{status, w.header.Clone()}
		close(w.begun)
	})
}

// fail notes that the handler broke off; false where the head is out.
func (w *streamWriter) fail() bool {
	w.once.Do(func() {
		w.failed = true
		close(w.begun)
	})
	return w.failed
}

// Write implements http.ResponseWriter. It returns when b has been read.
func (w *streamWriter) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if len(b) == 0 {
		return 0, nil
	}
	return w.to.Write(b)
}

// Flush implements http.Flusher: the head goes out; what was written is out already.
func (w *streamWriter) Flush() { w.WriteHeader(http.StatusOK) }

// whole answers when the handler has.
func (f *Function) whole(ctx context.Context, r *request) (*reply, error) {
	ctx, cancel := within(ctx, r.keep(f.cfg.Margin))
	defer cancel()
	w := &wholeWriter{header: http.Header{}, left: r.most()}
	h, text := head{}, []byte(nil)
	switch err := f.run(w, r.to(ctx)); {
	case w.over:
		h, text = refusal(tooLarge(r))
	case err != nil:
		h, text = refusal(broken(r))
	default:
		w.WriteHeader(http.StatusOK)
		h, text = w.head, w.body.Bytes()
	}
	out, err := r.encode(h, text)
	if err == nil && len(out) > r.most() {
		h, text = refusal(tooLarge(r))
		out, err = r.encode(h, text)
	}
	if err != nil {
		return nil, &llm.Error{Kind: llm.ForebayInternal, Message: "the answer has no form for Lambda", Err: err}
	}
	return whole(out), nil
}

// tooLarge says that an answer does not fit into one piece.
func tooLarge(r *request) error {
	return &llm.Error{
		Kind: llm.CallerTooLarge, Message: "the answer is larger than the door of this function takes in one piece", SupportID: r.id,
		Limit: string(r.shape), Value: strconv.Itoa(r.most()) + " bytes",
		Fix: "Ask for a shorter answer, or use a Function URL in the mode RESPONSE_STREAM.",
	}
}

// errOver stops a handler whose answer is too large.
var errOver = errors.New("awslambda: the answer is too large")

// wholeWriter gathers an answer, up to a bound.
type wholeWriter struct {
	header http.Header
	head   head
	body   bytes.Buffer
	left   int
	over   bool
}

// Header implements http.ResponseWriter.
func (w *wholeWriter) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter.
func (w *wholeWriter) WriteHeader(status int) {
	if status >= http.StatusOK && w.head.status == 0 {
		w.head = head{status, w.header.Clone()}
	}
}

// Write implements http.ResponseWriter.
func (w *wholeWriter) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if w.left -= len(b); w.left < 0 {
		w.over = true
		return 0, errOver
	}
	return w.body.Write(b)
}

// Flush implements http.Flusher.
func (w *wholeWriter) Flush() { w.WriteHeader(http.StatusOK) }
