package translate_test

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/forebay-ai/forebay/dialect/bedrock"
	"github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/dialect/translate"
	"github.com/forebay-ai/forebay/llm"
)

// BenchmarkChatToConverse translates a conversation of 40 messages, 8 KiB.
func BenchmarkChatToConverse(b *testing.B) {
	body := `{"model":"m","messages":[{"role":"system","content":"Be brief."}` +
		strings.Repeat(`,{"role":"user","content":"`+strings.Repeat("The quick brown fox. ", 9)+`"},{"role":"assistant","content":"`+strings.Repeat("Jumps over it. ", 9)+`"}`, 20) +
		`,{"role":"user","content":"And then?"}],"max_tokens":100}`
	req := &llm.Request{Body: []byte(body), Dialect: openai.Dialect{}, Endpoint: llm.Chat}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := translate.ChatToConverse(req); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkEvent translates one piece of text of a stream: what each token costs.
func BenchmarkEvent(b *testing.B) {
	for name, side := range map[string]struct {
		speaks llm.Dialect
		req    *llm.Request
		event  []byte
	}{
		"to chat": {
			bedrock.Converse{},
			chatRequest(chatHi),
			bedrock.AppendEvent(nil, "contentBlockDelta", []byte(`{"contentBlockIndex":0,"delta":{"text":" test"},"p":"abcdefghijklmnopqrstuvw"}`)),
		},
		"to Converse": {openai.Dialect{}, converseRequest(converseHi, true), bytes.Clone(chatEvents()[2])},
	} {
		b.Run(name, func(b *testing.B) {
			inner := &endless{llm.Chunk{Raw: side.event}}
			s, err := translate.Provider(&keeping{s: inner}, side.speaks).Call(b.Context(), "m", side.req)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Next(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// endless is a stream of the same chunk.
type endless struct{ chunk llm.Chunk }

func (e *endless) Next() (llm.Chunk, error) { return e.chunk, nil }
func (*endless) Close() error               { return io.EOF }
