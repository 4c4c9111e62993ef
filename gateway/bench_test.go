package gateway_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/gateway"
	"github.com/forebay-ai/forebay/llm"
)

// instant is a client that has the answer already.
type instant struct {
	*backend
	res forebay.Response
}

func (i *instant) Do(context.Context, *llm.Request) (*forebay.Response, error) { return &i.res, nil }

// sink is the cheapest http.ResponseWriter, so that a benchmark measures the
// gateway and not net/http.
type sink struct{ header http.Header }

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) WriteHeader(int)             {}
func (s *sink) Write(p []byte) (int, error) { return len(p), nil }

// body is a request's body that can be read again.
type body struct{ strings.Reader }

func (*body) Close() error { return nil }

// BenchmarkChatHit is the gateway's own work for a request of 2 KB that the client
// answers at once.
func BenchmarkChatHit(b *testing.B) {
	res := forebay.Response{Response: llm.Response{Body: make([]byte, 2048)}}
	res.Meta.Cache = forebay.CacheResult{Status: forebay.CacheHit, TTL: 86_211e9, Age: 12e9}
	res.Meta.Provider, res.Meta.Model = "bedrock-eu", "eu.anthropic.claude-haiku-4-5-20251001-v1:0"
	parts := newBackend()
	g, err := gateway.NewWith(gateway.Config{Keys: keys()}, gateway.Parts{Caller: &instant{parts, res}, Catalog: parts, Condition: parts})
	if err != nil {
		b.Fatal(err)
	}
	text := strings.Replace(chatBody, "hello", strings.Repeat("word ", 390), 1)
	r, err := http.NewRequestWithContext(b.Context(), "POST", "http://gateway"+chatPath, nil)
	if err != nil {
		b.Fatal(err)
	}
	r.Header = http.Header{
		"Authorization": {"Bearer " + webKey}, "Content-Type": {"application/json"}, "Accept": {"application/json"},
		"User-Agent": {"OpenAI/Go 3.96.0"}, "X-Stainless-Lang": {"go"}, "X-Stainless-Os": {"Linux"}, "X-Stainless-Arch": {"x64"},
		"X-Stainless-Runtime": {"go"}, "X-Stainless-Retry-Count": {"0"}, "X-Stainless-Timeout": {"600"}, "Accept-Encoding": {"gzip"},
	}
	r.ContentLength = int64(len(text))
	in := &body{}
	r.Body = in
	w := &sink{header: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		in.Reset(text)
		clear(w.header)
		g.ServeHTTP(w, r)
	}
}

// BenchmarkKey is the look-up of a key.
func BenchmarkKey(b *testing.B) {
	g := newGateway(b, newBackend(), nil)
	h := http.Header{"Authorization": {"Bearer " + webKey}}
	b.ReportAllocs()
	for b.Loop() {
		if !g.Knows(h) {
			b.Fatal("unknown")
		}
	}
}

// BenchmarkStream is the gateway's work for each chunk of a stream over loopback.
func BenchmarkStream(b *testing.B) {
	const size = 20
	back := newBackend()
	g, err := gateway.NewWith(gateway.Config{Keys: keys()}, gateway.Parts{Caller: &trickle{back, size}, Catalog: back, Condition: back})
	if err != nil {
		b.Fatal(err)
	}
	addr := serve(b, g)
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	b.ReportAllocs()
	for b.Loop() {
		req, _ := http.NewRequestWithContext(b.Context(), "POST", "http://"+addr+chatPath, strings.NewReader(streamBody))
		req.Header.Set("Authorization", "Bearer "+webKey)
		res, err := client.Do(req)
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
	}
}

// trickle streams so many chunks.
type trickle struct {
	*backend
	n int
}

func (t *trickle) Stream(context.Context, *llm.Request) (gateway.Answer, error) {
	return &ready{left: t.n}, nil
}

// ready is a stream whose chunks are there.
type ready struct{ left int }

func (r *ready) Next() (llm.Chunk, error) {
	if r.left == 0 {
		return llm.Chunk{}, io.EOF
	}
	r.left--
	return llm.Chunk{Raw: []byte("data: {\"choices\":[{\"delta\":{\"content\":\"word\"}}]}\n\n")}, nil
}
func (*ready) Close() error       { return nil }
func (*ready) Meta() forebay.Meta { return forebay.Meta{Attempts: 1} }
