package bedrock_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/forebay-ai/forebay/dialect/bedrock"
	"github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/llm"
)

// A call for a count is CountTokens of the same body, and its answer is whole and free.
func TestCallCounts(t *testing.T) {
	var target, body string
	p := start(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		target, body = r.RequestURI, string(b)
		answer(jsonType, `{"inputTokens":42,"more":1}`)(w, r)
	}, nil)
	for _, c := range []struct {
		req  *llm.Request
		sent string
	}{
		{chat(false), `{"input":{"converse":{"messages":`},
		{invoke(false, llm.Chat, model, claudeBody), `{"input":{"invokeModel":{"body":"`},
	} {
		c.req.Endpoint = llm.CountTokens
		s, err := p.Call(t.Context(), "", c.req)
		if err != nil {
			t.Fatal(err)
		}
		res, err := llm.Collect(s)
		if err != nil || string(res.Body) != `{"inputTokens":42}` || !res.Usage.IsZero() {
			t.Errorf("%s %+v, %v", res.Body, res.Usage, err)
		}
		if !strings.HasSuffix(target, "/count-tokens") || !strings.HasPrefix(body, c.sent) {
			t.Errorf("%s %s", target, body)
		}
	}
	for name, c := range map[string]struct {
		req  *llm.Request
		kind llm.Kind
	}{
		"another dialect": {&llm.Request{Endpoint: llm.CountTokens, Model: model, Dialect: openai.Dialect{}, Body: []byte(`{}`)}, llm.ForebayInternal},
		"another family":  {&llm.Request{Endpoint: llm.CountTokens, Model: "amazon.nova-lite-v1:0", Dialect: bedrock.Invoke{}, Body: []byte(claudeBody)}, llm.CallerInvalidRequest},
	} {
		_, err := p.Call(t.Context(), model, c.req)
		if llm.KindOf(err) != c.kind {
			t.Errorf("%s: %v", name, err)
		}
	}
}
