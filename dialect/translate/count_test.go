package translate_test

import (
	"context"
	"testing"

	"github.com/forebay-ai/forebay/dialect/bedrock"
	"github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/dialect/translate"
	"github.com/forebay-ai/forebay/llm"
)

// counter is a provider that is asked for counts.
type counter struct{ seen []*llm.Request }

func (c *counter) Call(_ context.Context, _ string, req *llm.Request) (llm.Stream, error) {
	c.seen = append(c.seen, req)
	return &llm.OneChunk{Chunk: llm.Chunk{Raw: []byte(`{"inputTokens":42}`), Last: true}}, nil
}

// Only Bedrock counts tokens: others are not asked, and above all not for an answer.
func TestCountTokens(t *testing.T) {
	for _, body := range []llm.Request{
		{Dialect: bedrock.Converse{}, Body: []byte(`{"messages":[{"role":"user","content":[{"text":"hi"}]}]}`)},
		{Dialect: bedrock.Invoke{}, Body: []byte(`{"max_tokens":1}`)},
	} {
		body.Endpoint, body.Model = llm.CountTokens, "m"
		other := &counter{}
		_, err := translate.Provider(other, openai.Dialect{}).Call(t.Context(), "gpt", &body)
		if e := llm.AsError(err); err == nil || e.Kind != llm.CallerInvalidRequest || e.Fix == "" || len(other.seen) != 0 {
			t.Errorf("%s: %v, %d calls", body.Dialect.Name(), err, len(other.seen))
		}
		takes := func(p llm.Provider) bool { c, ok := p.(llm.Chooser); return ok && c.Takes(&body) }
		if takes(translate.Provider(other, openai.Dialect{})) || !takes(translate.Provider(other, bedrock.Converse{})) {
			t.Errorf("%s: a provider says that it counts, or Bedrock that it does not", body.Dialect.Name())
		}
		own := &counter{}
		if _, err := translate.Provider(own, bedrock.Converse{}).Call(t.Context(), "m", &body); err != nil || len(own.seen) != 1 || own.seen[0] != &body {
			t.Errorf("%s: %v, %v", body.Dialect.Name(), err, own.seen)
		}
	}
}
