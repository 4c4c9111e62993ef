package openai_test

import (
	"bytes"
	"io"
	"net/http"
	"testing"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/provider/openai"
)

// canned answers without a network, so that what is measured is the provider's own.
type canned struct {
	header http.Header
	body   []byte
}

func (c canned) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: 200, Header: c.header, ContentLength: int64(len(c.body)), Body: io.NopCloser(bytes.NewReader(c.body)),
	}, nil
}

// The provider's own cost of a call, beyond that of the transport. The target is
// 5 µs for a whole answer.
func BenchmarkOwnCost(b *testing.B) {
	for _, c := range []struct {
		name, contentType, body string
		stream                  bool
	}{
		{"whole", "application/json", wholeBody, false},
		{"stream", "text/event-stream", allEvents(), true},
	} {
		b.Run(c.name, func(b *testing.B) {
			p, err := openai.New(openai.Config{
				BaseURL: "http://127.0.0.1:1/v1", APIKey: key,
				Transport: canned{http.Header{"Content-Type": {c.contentType}}, []byte(c.body)},
			})
			if err != nil {
				b.Fatal(err)
			}
			req := chat(c.stream)
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
