package translate

import (
	"io"
	"time"

	"github.com/forebay-ai/forebay/llm"
)

// whole is a whole answer that is translated when it is there. Next is for one goroutine.
type whole struct {
	inner     llm.Stream
	model     string
	translate func(body []byte) (llm.Chunk, error)
	err       error // what Next says from now on
}

// Next gives the translated answer, and then io.EOF.
func (w *whole) Next() (llm.Chunk, error) {
	if w.err != nil {
		return llm.Chunk{}, w.err
	}
	var body []byte
	for {
		c, err := w.inner.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			w.err = err
			return llm.Chunk{}, err
		}
		if body == nil {
			body = c.Raw[:len(c.Raw):len(c.Raw)]
		} else {
			body = append(body, c.Raw...)
		}
	}
	chunk, err := w.translate(body)
	if w.err = io.EOF; err != nil {
		w.err = about(err, w.model)
		return llm.Chunk{}, w.err
	}
	return chunk, nil
}

// about says which model an error is of.
func about(err error, model string) error {
	e := llm.AsError(err)
	if e.Model == "" {
		e.Model = model
	}
	return e
}

// Close ends the call.
func (w *whole) Close() error { return w.inner.Close() }

// translation turns the events of one format into those of another.
type translation interface {
	// add translates whole events.
	add(p *pieces, raw []byte) error
	// end adds what ends the answer. It fails where the answer has not ended.
	end(p *pieces) error
	// said is the model that answered and why the answer ended, once it has.
	said() (model string, finish llm.FinishReason)
}

// stream is a streamed answer that is translated chunk by chunk. Next is for one goroutine.
type stream struct {
	inner  llm.Stream
	model  string
	events translation
	last   bool  // the end was delivered; inner has yet to say so
	err    error // what Next says from now on
}

// Next translates the next chunk. Chunks that become nothing are passed over.
func (s *stream) Next() (llm.Chunk, error) {
	for s.err == nil {
		c, err := s.inner.Next()
		if err != nil && err != io.EOF || s.last {
			if s.err = err; err == nil { // inner said that nothing would follow
				s.err = io.EOF
			}
			break
		}
		var p pieces
		end := err == io.EOF || c.Last
		fault := s.events.add(&p, c.Raw)
		if fault == nil && end {
			fault = s.events.end(&p)
		}
		switch {
		case fault != nil:
			s.err = about(fault, s.model)
		case err == io.EOF:
			s.err, s.last = io.EOF, true
		default:
			s.last = end
		}
		if len(p.raw) > 0 {
			return s.chunk(&p, c.Model), nil
		}
	}
	return llm.Chunk{}, s.err
}

// Await implements llm.Awaiter.
func (s *stream) Await() {
	if s.err == nil {
		llm.Await(s.inner)
	}
}

// chunk describes what was made.
func (s *stream) chunk(p *pieces, model string) llm.Chunk {
	text := p.text
	c := llm.Chunk{
		Raw: p.raw, Events: p.events, Last: s.last, Useful: p.useful, Usage: p.usage, Model: model,
		Text: func() string { return decode(text) },
	}
	if s.last {
		c.Model, c.Finish = s.events.said()
	}
	return c
}

// Close ends the call. It may be called from another goroutine.
func (s *stream) Close() error { return s.inner.Close() }

// chatSide is the translation of a Converse stream into chat's.
type chatSide struct{ *toChat }

func (c chatSide) end(p *pieces) error { return c.finish(p) }

func (c chatSide) said() (string, llm.FinishReason) { return c.head.model, judged(c.stop, c.calls > 0) }

// converseSide is the translation of a chat stream into Converse's.
type converseSide struct {
	toConverse
	began time.Time
}

func (c *converseSide) end(p *pieces) error {
	return c.finish(p, time.Since(c.began).Milliseconds())
}

func (c *converseSide) said() (string, llm.FinishReason) {
	return c.name, judged(c.reasonOfEnd(), c.calls > 0)
}
