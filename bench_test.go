package forebay_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/llm/llmtest"
)

// chat2KB is a chat request of about 2 KB, as applications send them.
func chat2KB() *llm.Request {
	body := fmt.Sprintf(`{"model":"m","temperature":0.2,"seed":9007199254740993,"messages":[{"role":"system","content":"You are a helpful assistant."},{"role":"user","content":%q}]}`,
		strings.Repeat("Tell me a story about a queue and what it stores. ", 37))
	return &llm.Request{
		ID: "req-1", Tenant: "t", User: "u", Model: "m", Endpoint: llm.Chat, Dialect: openai.Dialect{}, Body: []byte(body),
	}
}

// BenchmarkDoHit is a hit in the library, canonicalisation included. Required: at
// most 25 µs and 10 allocations.
func BenchmarkDoHit(b *testing.B) {
	c := newClient(b, nil, llmtest.Script(llmtest.OK(strings.Repeat("word ", 400))))
	req := chat2KB()
	if _, err := c.Do(b.Context(), req); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(req.Body)))
	for b.Loop() {
		res, err := c.Do(b.Context(), req)
		if err != nil || res.Meta.Cache.Status != "hit" {
			b.Fatal(err, res)
		}
	}
}

// BenchmarkDoMiss is the whole request path around a provider that answers at once.
func BenchmarkDoMiss(b *testing.B) {
	c := newClient(b, nil, llmtest.Script(llmtest.OK("word")))
	req := chat2KB()
	req.Cache.NoWrite = true
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Do(b.Context(), req); err != nil {
			b.Fatal(err)
		}
	}
}
