package bedrock_test

import (
	"strings"
	"testing"

	dialect "github.com/forebay-ai/forebay/dialect/bedrock"
	"github.com/forebay-ai/forebay/internal/awstest"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/provider/bedrock"
)

// Somebody else's idea of Bedrock Runtime, over the wire: text, tools, streams, errors.
func TestAgainstAimock(t *testing.T) {
	p := open(t, bedrock.Config{Name: "test", Region: awstest.Region, Endpoint: awstest.Aimock(t, "testdata/aimock"), Credentials: who()})
	ask := func(text string, stream bool) *llm.Request {
		req := chat(stream)
		req.Body = []byte(`{"messages":[{"role":"user","content":[{"text":"` + text + `"}]}],"inferenceConfig":{"maxTokens":100}}`)
		return req
	}
	for _, stream := range []bool{false, true} {
		s, err := p.Call(t.Context(), model, ask("count", stream))
		if err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		var res llm.Response
		for first := true; err == nil; first = false {
			var c llm.Chunk
			if c, err = s.Next(); err == nil {
				res.Add(c, first)
				text.WriteString(c.Text())
			}
		}
		_ = s.Close()
		if text.String() != "one two three" || res.Finish != llm.FinishStop || res.Usage.Output != 5 {
			t.Errorf("stream %v: %q, %+v, %v", stream, text.String(), res, err)
		}
		res, err = collect(t, p, ask("weather", stream))
		if err != nil || res.Finish != llm.FinishToolCalls || !strings.Contains(string(res.Body), "get_weather") {
			t.Errorf("stream %v: %+v, %v", stream, res, err)
		}
		_, err = collect(t, p, ask("busy", stream))
		want(t, err, llm.ProviderRateLimited)
	}
	req := chat(false)
	req.Dialect, req.Body = dialect.Invoke{}, []byte(claudeBody)
	if res, err := collect(t, p, req); err != nil || !strings.Contains(string(res.Body), "one two three") {
		t.Errorf("%s, %v", res.Body, err)
	}
}
