//go:build !race

package bedrock_test

import (
	"bytes"
	"testing"

	"github.com/forebay-ai/forebay/dialect/bedrock"
	"github.com/forebay-ai/forebay/llm"
)

// long is a stream of n pieces of text, 48 bytes a piece.
func long(n int) []byte {
	b := stream("messageStart", `{"role":"assistant"}`)
	for range n {
		b = append(b, stream("contentBlockDelta", `{"contentBlockIndex":0,"delta":{"text":"six bytes, and then some more of what is said"},"p":"abcdefgh"}`)...)
	}
	return append(b, stream("messageStop", `{"stopReason":"end_turn"}`, "metadata", `{"usage":{"inputTokens":3,"outputTokens":4}}`)...)
}

// A stream costs memory for its chunks, not for each event. The codec by itself makes
// about forty allocations an event.
func TestReaderAllocations(t *testing.T) {
	count := func(pieces int) float64 {
		body := long(pieces)
		return testing.AllocsPerRun(20, func() {
			r := bedrock.NewReader(bytes.NewReader(body), bedrock.ReaderOptions{})
			for {
				if _, err := r.Next(); err != nil {
					return
				}
			}
		})
	}
	few, many := count(40), count(400) // 8 KB and 80 KB
	t.Logf("%v allocations for 40 pieces, %v for 400", few, many)
	if few > 40 || many-few > 40 {
		t.Errorf("%v allocations for 40 pieces, %v for 400", few, many)
	}
}

// The events of all streams cost no memory to write where there is room.
func TestAppendEventAllocatesNothing(t *testing.T) {
	dst, payload := make([]byte, 0, 1<<10), []byte(`{"contentBlockIndex":0,"delta":{"text":"hi"}}`)
	if n := testing.AllocsPerRun(100, func() { bedrock.AppendEvent(dst, "contentBlockDelta", payload) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// Common texts cost no memory.
func TestCanonicalAllocatesNothing(t *testing.T) {
	req := conversing(`{"requestMetadata":{},"messages":[{"role":"user","content":[{"text":"Grüße an \"Ann\"\nund Bob"},{"text":"日本"}]}]}`)
	dst := make([]byte, 0, 4096)
	allocs := testing.AllocsPerRun(100, func() {
		if _, err := (bedrock.Converse{}).Canonical(dst, req, false); err != nil {
			t.Fatal(err)
		}
	})
	if allocs > 0 {
		t.Errorf("%v allocations", allocs)
	}
	if n := testing.AllocsPerRun(100, func() { (bedrock.Converse{}).MaxOutput(&llm.Request{Endpoint: llm.Chat, Body: req.Body}) }); n > 1 {
		t.Errorf("MaxOutput: %v allocations", n)
	}
}
