package exchange

import (
	"io"

	"github.com/forebay-ai/forebay/llm"
)

// Reader reads the events of an answer. Next returns io.EOF behind the end mark and not
// before; its errors are *llm.Error, or those of Exchange.Read.
type Reader interface {
	Next() (llm.Chunk, error)
}

// Stream is the answer of an exchange that r reads from it, passed on as it comes. The
// stream releases the exchange.
func (x *Exchange) Stream(r Reader) llm.Stream {
	a, _ := r.(llm.Awaiter)
	return &eventStream{x: x, reader: r, awaiter: a}
}

// Whole is the answer of an exchange to req in one chunk, which read reads. The stream
// releases the exchange.
func (x *Exchange) Whole(req *llm.Request, read func(*Exchange, *llm.Request) (llm.Chunk, error)) llm.Stream {
	return &wholeStream{x: x, req: req, read: read}
}

// eventStream passes events on as they come.
type eventStream struct {
	x       *Exchange
	reader  Reader
	awaiter llm.Awaiter // the reader, where it is one
	err     error       // what Next returns from now on
}

// Next reads the events that have arrived.
func (s *eventStream) Next() (llm.Chunk, error) {
	if s.err != nil {
		return llm.Chunk{}, s.err
	}
	if e := s.x.Ended(); e != nil { // events may be waiting, but nobody for them
		return s.finish(e)
	}
	c, err := s.reader.Next()
	if err == nil {
		return c, nil
	}
	if err == io.EOF {
		s.x.Drain()
		return s.finish(io.EOF)
	}
	return s.finish(s.x.Failed(err))
}

// Await implements llm.Awaiter.
func (s *eventStream) Await() {
	if s.err == nil && s.awaiter != nil {
		s.awaiter.Await()
	}
}

func (s *eventStream) finish(err error) (llm.Chunk, error) {
	s.err = err
	s.x.Release()
	return llm.Chunk{}, err
}

// Close ends the call.
func (s *eventStream) Close() error {
	s.x.Release()
	return nil
}

// wholeStream is an answer of one chunk.
type wholeStream struct {
	x    *Exchange
	req  *llm.Request
	read func(*Exchange, *llm.Request) (llm.Chunk, error)
	err  error // what Next returns from now on
}

// Next reads the answer.
func (s *wholeStream) Next() (llm.Chunk, error) {
	if s.err != nil {
		return llm.Chunk{}, s.err
	}
	if e := s.x.Ended(); e != nil { // the answer may be there, but nobody for it
		s.err = e
		return llm.Chunk{}, e
	}
	c, err := s.read(s.x, s.req)
	if err != nil {
		s.err = s.x.Failed(err)
		s.x.Release()
		return llm.Chunk{}, s.err
	}
	s.err = io.EOF
	s.x.Release()
	return c, nil
}

// Close ends the call.
func (s *wholeStream) Close() error {
	s.x.Release()
	return nil
}
