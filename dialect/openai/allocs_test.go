//go:build !race

package openai_test

import (
	"testing"

	"github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/llm"
)

// Common texts cost no memory. The race detector empties pools at random, so the
// count holds without it only.
func TestCanonicalAllocatesNothing(t *testing.T) {
	req := &llm.Request{Endpoint: llm.Chat, Body: []byte(`{"stream":true,"messages":[
		{"role":"user","content":"Grüße an \"Ann\"\nund Bob"},{"role":"user","content":[{"type":"text","text":"日本"}]}]}`)}
	dst := make([]byte, 0, 4096)
	allocs := testing.AllocsPerRun(100, func() {
		if _, err := (openai.Dialect{}).Canonical(dst, req, false); err != nil {
			t.Fatal(err)
		}
	})
	if allocs > 0 {
		t.Errorf("%v allocations", allocs)
	}
}
