//go:build !race

package forebay_test

import (
	"testing"

	"github.com/forebay-ai/forebay/llm/llmtest"
)

// The race detector empties pools at random, so the count holds without it only.
func TestHitAllocations(t *testing.T) {
	c := newClient(t, nil, llmtest.Script(llmtest.OK("word")))
	req := chat2KB()
	do(t, c, req)
	if n := testing.AllocsPerRun(200, func() { do(t, c, req) }); n > 10 {
		t.Errorf("a hit allocates %v times, at most 10 are wanted", n)
	}
}
