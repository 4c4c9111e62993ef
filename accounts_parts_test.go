package forebay_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/dialect/bedrock"
	"github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/dialect/translate"
	"github.com/forebay-ai/forebay/llm"
)

// titan takes one text a call, and refuses some.
type titan struct{ calls atomic.Int64 }

func (m *titan) Call(_ context.Context, _ string, req *llm.Request) (llm.Stream, error) {
	m.calls.Add(1)
	if strings.Contains(string(req.Body), "bad") {
		return nil, llm.Errorf(llm.ProviderRejected, "no")
	}
	return &llm.OneChunk{Chunk: llm.Chunk{Raw: []byte(`{"embedding":[1],"inputTextTokenCount":1000}`), Last: true, Useful: true, Usage: llm.Usage{Input: 1000}}}, nil
}

// A request for vectors becomes several calls. What those used that succeeded is booked,
// though the request failed.
func TestPartsAreBooked(t *testing.T) {
	l, m := &accounts{}, &titan{}
	c := newClient(t, func(cfg *forebay.Config) {
		cfg.Cache.Off, cfg.Ledger = true, l
		cfg.Models["m"].Targets[0].Model = "amazon.titan-embed-text-v2:0"
	}, translate.Provider(m, bedrock.Converse{}))
	body := `{"model":"m","input":["a","b","c","d","e","f","g","bad"]}`
	_, err := c.Do(t.Context(), &llm.Request{
		Tenant: "t", Endpoint: llm.Embeddings, Dialect: openai.Dialect{}, Model: "m", Body: []byte(body),
	})
	if llm.KindOf(err) != llm.ProviderRejected {
		t.Fatal(err)
	}
	if n, sum := l.total(); n != 1 || sum.Usage.Input < 4000 || sum.Usage.Input%1000 != 0 || sum.MicroUSD == 0 {
		t.Errorf("%d calls of the provider, booked %+v", m.calls.Load(), l.recs)
	}
}
