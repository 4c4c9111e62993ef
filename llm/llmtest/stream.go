package llmtest

import (
	"bytes"
	"context"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/forebay-ai/forebay/llm"
)

// stream plays a step's answer.
type stream struct {
	run    *running
	gap    time.Duration
	chunks []llm.Chunk
	tail   tail
	err    error // what Next returns from now on; nil while chunks are left

	ctxErr  func() error
	ctxDone <-chan struct{}
	unwatch func() bool // stops watching the context
	closed  chan struct{}
	once    sync.Once
}

func newStream(ctx context.Context, step Step, req *llm.Request, run *running) *stream {
	s := &stream{
		run: run, gap: step.gap, tail: step.tail, chunks: chunksOf(step, req),
		ctxErr: ctx.Err, ctxDone: ctx.Done(), closed: make(chan struct{}),
	}
	if step.tail != tailNone {
		keep := max(0, min(step.n, len(s.chunks)-1))
		s.chunks = s.chunks[:keep]
	}
	// The record must say so even if nobody is in Next when the context ends.
	s.unwatch = context.AfterFunc(ctx, func() { run.end(true) })
	return s
}

// Next plays the next chunk, or the tail.
func (s *stream) Next() (llm.Chunk, error) {
	if s.err != nil {
		return llm.Chunk{}, s.err
	}
	if s.err = s.wait(); s.err != nil {
		s.run.end(true)
		return llm.Chunk{}, s.err
	}
	if len(s.chunks) == 0 {
		s.err = s.ending()
		s.unwatch()
		s.run.end(false)
		return llm.Chunk{}, s.err
	}
	c := s.chunks[0]
	s.chunks = s.chunks[1:]
	s.run.delivered()
	return c, nil
}

// wait passes the time before the next chunk, for ever where the script stalls.
// An end from outside wins over a chunk that is due.
func (s *stream) wait() error {
	if err := s.ended(); err != nil {
		return err
	}
	var due <-chan time.Time // nil: never
	if stalled := len(s.chunks) == 0 && s.tail == tailStall; !stalled {
		if s.gap <= 0 || len(s.chunks) == 0 {
			return nil
		}
		timer := time.NewTimer(s.gap)
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-due:
	case <-s.ctxDone:
	case <-s.closed:
	}
	return s.ended()
}

func (s *stream) ended() error {
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

func (s *stream) ending() error {
	switch s.tail {
	case tailCut:
		return llm.Errorf(llm.ProviderTruncated, "scripted cut")
	case tailGarbage:
		return llm.Errorf(llm.ProviderMalformed, "scripted garbage")
	}
	return io.EOF
}

// Close ends the call.
func (s *stream) Close() error {
	s.once.Do(func() {
		s.unwatch()
		close(s.closed)
		s.run.end(true)
	})
	return nil
}

// chunksOf cuts the step's answer into chunks, the end mark with the last one.
func chunksOf(step Step, req *llm.Request) []llm.Chunk {
	text := step.text
	if step.echo {
		text = string(req.Body)
	}
	if _, own := req.Dialect.(Dialect); own || req.Dialect == nil {
		return ownChunks(text, req)
	}
	answer := req.Dialect.Compose(req, text)
	if !req.Stream {
		return []llm.Chunk{{Raw: answer, Events: 1, Useful: true, Finish: llm.FinishStop, Text: func() string { return text }}}
	}
	return foreignChunks(answer, text)
}

func ownChunks(text string, req *llm.Request) []llm.Chunk {
	usage := llm.Usage{Input: int64(len(bytes.Fields(req.Body))), Output: int64(len(strings.Fields(text)))}
	if !req.Stream {
		raw := Whole(text, usage)
		a, _ := parse(raw) // what Whole writes can be read
		return []llm.Chunk{a.chunk(raw)}
	}
	var chunks []llm.Chunk
	raw := Events(text, usage)
	for len(raw) > 0 {
		end := bytes.IndexByte(raw, '\n') + 1
		if !bytes.HasPrefix(raw, []byte(textPrefix)) {
			end = len(raw) // usage and end mark together, as real back ends flush them
		}
		a, _ := parse(raw[:end])
		chunks = append(chunks, a.chunk(raw[:end:end]))
		raw = raw[end:]
	}
	return chunks
}

// foreignChunks cuts server-sent events of a dialect that this package cannot
// read. The event that holds the text, or its first word, counts as useful.
func foreignChunks(events []byte, text string) []llm.Chunk {
	word, _, _ := strings.Cut(strings.TrimSpace(text), " ")
	var chunks []llm.Chunk
	told := false
	for raw := range bytes.SplitAfterSeq(events, []byte("\n\n")) {
		if len(raw) == 0 {
			continue
		}
		c := llm.Chunk{Raw: raw[:len(raw):len(raw)], Events: 1}
		if !told && bytes.Contains(raw, []byte(word)) {
			told = true
			c.Useful, c.Text = true, func() string { return text }
		}
		chunks = append(chunks, c)
	}
	if len(chunks) > 0 {
		chunks[len(chunks)-1].Finish = llm.FinishStop
	}
	return chunks
}
