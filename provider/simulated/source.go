package simulated

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/llm"
)

// source plays a script within the process, as the body of a connection would
// bring it. It is for one goroutine, but for close.
type source struct {
	session *session
	script  *script
	at      int // bytes of the body that were read

	ctxErr  func() error
	ctxDone <-chan struct{}
	unwatch func() bool // stops watching the context
	closed  chan struct{}
	once    sync.Once

	mu     sync.Mutex // guards what follows, for ends that come from another goroutine
	seen   int        // at
	headed bool       // the head was given
}

func newSource(ctx context.Context, s *session, sc *script) *source {
	src := &source{
		session: s, script: sc,
		ctxErr: ctx.Err, ctxDone: ctx.Done(), closed: make(chan struct{}),
	}
	// The place must be free again even if nobody reads when the context ends.
	src.unwatch = context.AfterFunc(ctx, src.leave)
	return src
}

// head passes the time before the head, and returns what it says if that is not
// success. An error ends the call.
func (s *source) head() *llm.Error {
	sc := s.script
	wait := sc.delay
	if sc.hang {
		wait = never
	}
	if err := s.wait(wait); err != nil {
		s.end(Cancelled)
		return llm.AsError(err)
	}
	s.advance(0, !sc.refuse)
	switch {
	case sc.refuse:
		s.finish()
		return llm.Errorf(llm.ProviderConnectionFailed, "%s connection refused, as planned", label)
	case sc.status != http.StatusOK:
		s.advance(sc.sent(), true)
		s.finish()
		header := http.Header{}
		sc.header(header)
		e := openai.DecodeError(sc.status, header, sc.body[:sc.sent()])
		e.Status = sc.status
		return e
	}
	return nil
}

// Read brings the next piece, or as much of it as fits; without a gap everything
// that is left.
func (s *source) Read(b []byte) (int, error) {
	sc := s.script
	i := sc.chunksIn(s.at)
	if s.at == sc.sent() {
		return 0, s.atEnd()
	}
	end := sc.sent()
	if sc.gap > 0 {
		end = sc.ends[i]
	}
	betweenPieces := s.at > 0 && s.at == sc.ends[max(0, i-1)]
	var gap time.Duration
	if betweenPieces {
		gap = sc.gap
	}
	if err := s.wait(gap); err != nil {
		s.end(Cancelled)
		return 0, err
	}
	n := copy(b, sc.body[s.at:end])
	s.advance(n, true)
	return n, nil
}

// advance notes what was brought.
func (s *source) advance(n int, headed bool) {
	s.at += n
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen, s.headed = s.at, headed
}

func (s *source) atEnd() error {
	switch s.script.end {
	case silent:
		err := s.wait(never)
		s.end(Cancelled)
		return err
	case broken:
		s.finish()
		return io.ErrUnexpectedEOF
	}
	if err := s.stopped(); err != nil {
		s.end(Cancelled)
		return err
	}
	s.finish()
	return io.EOF
}

// never is longer than anything.
const never = time.Duration(-1)

// wait passes d, or returns why the call ended before. An end that has come
// already wins.
func (s *source) wait(d time.Duration) error {
	if err := s.stopped(); err != nil || d == 0 {
		return err
	}
	var due <-chan time.Time // nil for never
	if d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-due:
	case <-s.ctxDone:
	case <-s.closed:
	}
	return s.stopped()
}

// stopped says why the call has ended from outside, if it has.
func (s *source) stopped() error {
	if err := s.ctxErr(); err != nil {
		return llm.AsError(err)
	}
	select {
	case <-s.closed:
		return llm.Errorf(llm.CallerCancelled, "the stream was closed")
	default:
		return nil
	}
}

// finish ends a call that got all that was planned for it.
func (s *source) finish() {
	s.unwatch()
	s.end(s.session.outcome())
}

// outcome is how a call ends that the caller does not cancel.
func (s *session) outcome() Outcome {
	switch {
	case s.full:
		return OverCapacity
	case s.invalid:
		return Invalid
	}
	return Answered
}

func (s *source) end(outcome Outcome) {
	s.mu.Lock()
	seen, status := s.seen, 0
	if s.headed {
		status = s.script.status
	}
	s.mu.Unlock()
	s.session.end(outcome, status, s.script.chunksIn(seen))
}

// leave ends the call from outside: before its end, or when nothing but the
// reader's notice of the end is missing.
func (s *source) leave() {
	s.mu.Lock()
	all := s.headed && s.script.end == complete && s.seen == s.script.sent()
	s.mu.Unlock()
	if all {
		s.end(s.session.outcome())
		return
	}
	s.end(Cancelled)
}

// close ends the call from outside.
func (s *source) close() {
	s.once.Do(func() {
		s.unwatch()
		close(s.closed)
		s.leave()
	})
}

// eventStream reads a script as events.
type eventStream struct {
	source *source
	model  string
	reader *openai.Reader
	err    error // what Next returns from now on
}

// Next reads the events that are due.
func (s *eventStream) Next() (llm.Chunk, error) {
	if s.err != nil {
		return llm.Chunk{}, s.err
	}
	if err := s.source.stopped(); err != nil {
		s.err = about(s.model, llm.AsError(err))
		return llm.Chunk{}, s.err
	}
	c, err := s.reader.Next()
	if err == nil {
		return c, nil
	}
	if errors.Is(err, io.EOF) {
		s.err = io.EOF
	} else {
		s.err = about(s.model, llm.AsError(err))
	}
	s.source.finish()
	return llm.Chunk{}, s.err
}

// Close ends the call.
func (s *eventStream) Close() error {
	s.source.close()
	return nil
}

// wholeStream reads a script as one chunk.
type wholeStream struct {
	source   *source
	model    string
	endpoint llm.Endpoint
	err      error // what Next returns from now on
}

// Next reads the answer.
func (s *wholeStream) Next() (llm.Chunk, error) {
	if s.err != nil {
		return llm.Chunk{}, s.err
	}
	body, err := io.ReadAll(s.source)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		e := llm.Errorf(llm.ProviderTruncated, "%s connection broken, as planned", label)
		e.Err = err
		err = e
	}
	var c llm.Chunk
	if err == nil {
		c, err = openai.ReadWhole(s.endpoint, body)
	}
	if err != nil {
		s.err = about(s.model, llm.AsError(err))
		return llm.Chunk{}, s.err
	}
	s.err = io.EOF
	return c, nil
}

// Close ends the call.
func (s *wholeStream) Close() error {
	s.source.close()
	return nil
}
