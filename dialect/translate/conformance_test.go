package translate_test

import (
	"context"
	"fmt"
	"io"
	"sync"
	"testing"

	"github.com/forebay-ai/forebay/dialect/bedrock"
	"github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/dialect/translate"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/llm/llmtest"
)

// TestConformance runs the suite of providers over translated ones, of either side.
func TestConformance(t *testing.T) {
	t.Run("chat on Converse", func(t *testing.T) { conformance(t, bedrock.Converse{}, openai.Dialect{}) })
	t.Run("Converse on chat", func(t *testing.T) { conformance(t, openai.Dialect{}, bedrock.Converse{}) })
}

func conformance(t *testing.T, speaks, caller llm.Dialect) {
	llmtest.TestProvider(t, llmtest.Harness{
		Model: "m",
		Request: func(stream bool) *llm.Request {
			if caller.Name() == openai.Name {
				return chatRequest(fmt.Sprintf(`{"model":"m","messages":[{"role":"user","content":"Hi"}],"stream":%v}`, stream))
			}
			return converseRequest(converseHi, stream)
		},
		New: func(t *testing.T, b llmtest.Behaviour) llmtest.Backend {
			f := &fake{behaviour: b, cancelled: make(chan struct{}, 16)}
			return llmtest.Backend{Provider: translate.Provider(f, speaks), Cancelled: f.cancelled}
		},
	})
}

// fake is a back end of either dialect that behaves as told, within the process.
type fake struct {
	behaviour llmtest.Behaviour
	cancelled chan struct{}
}

func (f *fake) Call(ctx context.Context, _ string, req *llm.Request) (llm.Stream, error) {
	switch f.behaviour.Does {
	case llmtest.Refuses:
		if req.Dialect.Name() == openai.Name {
			return nil, openai.DecodeError(f.behaviour.Status, nil, nil)
		}
		return nil, bedrock.DecodeError(f.behaviour.Status, nil, nil)
	case llmtest.Hangs:
		<-ctx.Done()
		f.cancelled <- struct{}{}
		return nil, llm.AsError(ctx.Err())
	}
	if err := ctx.Err(); err != nil {
		return nil, llm.AsError(err)
	}
	return &fakeStream{fake: f, ctx: ctx, closed: make(chan struct{}), chunks: f.chunks(req)}, nil
}

// chunks are what the back end would say.
func (f *fake) chunks(req *llm.Request) []llm.Chunk {
	usage := llm.Usage{Input: 3, Output: 5}
	var body []byte
	a := openai.Answer{ID: "c", Model: "m", Text: "one two three four five", Usage: usage}
	isChat := req.Dialect.Name() == openai.Name
	switch {
	case isChat && !req.Stream:
		return []llm.Chunk{{Raw: openai.AppendChatBody(nil, &a), Usage: usage, Finish: llm.FinishStop, Useful: true, Events: 1, Last: true}}
	case !req.Stream:
		body = []byte(`{"output":{"message":{"role":"assistant","content":[{"text":"one two three four five"}]}},"stopReason":"end_turn","usage":{"inputTokens":3,"outputTokens":5,"totalTokens":8}}`)
		return []llm.Chunk{{Raw: body, Usage: usage, Finish: llm.FinishStop, Useful: true, Events: 1, Last: true}}
	}
	var chunks []llm.Chunk
	add := func(raw []byte) { chunks = append(chunks, llm.Chunk{Raw: raw, Events: 1}) }
	words := []string{"one ", "two ", "three ", "four ", "five"}
	if isChat {
		add(openai.AppendRoleChunk(nil, &a))
		for _, w := range words {
			add(openai.AppendTextChunk(nil, &a, w))
		}
		add(openai.AppendFinishChunk(nil, &a))
		add(openai.AppendUsageChunk(nil, &a))
		add(openai.AppendDone(nil))
		return chunks
	}
	add(bedrock.AppendEvent(nil, "messageStart", []byte(`{"role":"assistant"}`)))
	for _, w := range words {
		add(bedrock.AppendEvent(nil, "contentBlockDelta", fmt.Appendf(nil, `{"contentBlockIndex":0,"delta":{"text":%q}}`, w)))
	}
	add(bedrock.AppendEvent(nil, "messageStop", []byte(`{"stopReason":"end_turn"}`)))
	add(bedrock.AppendEvent(nil, "metadata", []byte(`{"usage":{"inputTokens":3,"outputTokens":5,"totalTokens":8},"metrics":{"latencyMs":1}}`)))
	return chunks
}

// fakeStream is an answer of the fake. A provider's stream ends with its context.
type fakeStream struct {
	fake   *fake
	ctx    context.Context
	once   sync.Once
	closed chan struct{}
	chunks []llm.Chunk
	given  int

	mu   sync.Mutex // guards err
	err  error
	shut sync.Once
}

func (s *fakeStream) Next() (llm.Chunk, error) {
	if s.err != nil {
		return llm.Chunk{}, s.err
	}
	c, err := s.next()
	if err != nil {
		s.mu.Lock()
		s.err = err
		s.mu.Unlock()
		if k := llm.KindOf(err); k == llm.CallerCancelled || k == llm.CallerDeadline {
			s.cancel()
		}
	}
	return c, err
}

func (s *fakeStream) next() (llm.Chunk, error) {
	select {
	case <-s.closed:
		return llm.Chunk{}, llm.Errorf(llm.CallerCancelled, "the stream was closed")
	case <-s.ctx.Done():
		return llm.Chunk{}, llm.AsError(s.ctx.Err())
	default:
	}
	b := s.fake.behaviour
	over := (b.Does == llmtest.Stalls || b.Does == llmtest.Cuts) && (s.given >= b.After || len(s.chunks) == 1)
	switch {
	case over && b.Does == llmtest.Stalls:
		select {
		case <-s.ctx.Done():
			return llm.Chunk{}, llm.AsError(s.ctx.Err())
		case <-s.closed:
			return llm.Chunk{}, llm.Errorf(llm.CallerCancelled, "the stream was closed")
		}
	case over, b.Does == llmtest.NoEnd && len(s.chunks) <= 1:
		return llm.Chunk{}, llm.Errorf(llm.ProviderTruncated, "cut")
	case len(s.chunks) == 0:
		return llm.Chunk{}, io.EOF
	}
	c := s.chunks[0]
	s.chunks = s.chunks[1:]
	s.given++
	return c, nil
}

func (s *fakeStream) cancel() {
	s.once.Do(func() { s.fake.cancelled <- struct{}{} })
}

func (s *fakeStream) Close() error {
	s.shut.Do(func() { close(s.closed) })
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != io.EOF {
		s.cancel()
	}
	return nil
}
