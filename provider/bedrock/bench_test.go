package bedrock_test

import (
	"bytes"
	"io"
	"net/http"
	"testing"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/provider/bedrock"
)

// The provider's own cost of a call, signature included, beyond that of the transport.
func BenchmarkOwnCost(b *testing.B) {
	for _, c := range []struct {
		name, contentType, body string
		stream, bearer          bool
	}{
		{"whole", jsonType, wholeBody, false, false},
		{"whole, bearer", jsonType, wholeBody, false, true},
		{"stream", streamType, allEvents(), true, false},
	} {
		b.Run(c.name, func(b *testing.B) {
			cfg := bedrock.Config{Region: "eu-central-1", Credentials: who(), Transport: canned(func() (http.Header, io.Reader) {
				return http.Header{"Content-Type": {c.contentType}}, bytes.NewReader([]byte(c.body))
			})}
			if c.bearer {
				cfg.Credentials, cfg.APIKey = nil, apiKey
			}
			p, req := open(b, cfg), chat(c.stream)
			b.ReportAllocs()
			for b.Loop() {
				s, err := p.Call(b.Context(), model, req)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := llm.Collect(s); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
