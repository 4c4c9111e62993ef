package upstream_test

import (
	"testing"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/upstream"
)

// What is said of use is estimated where an answer says nothing, but for calls that use
// no tokens: functions, and counts.
func TestWhatIsEstimated(t *testing.T) {
	for endpoint, want := range map[llm.Endpoint]bool{llm.Chat: true, llm.Embeddings: true, llm.Function: false, llm.CountTokens: false} {
		req := &llm.Request{Endpoint: endpoint, Body: make([]byte, 400)}
		if u, estimated := upstream.Answered(req, llm.Usage{}, 18, 1); estimated != want || u.IsZero() == want {
			t.Errorf("%s answered: %+v", endpoint, u)
		}
		if u := upstream.Unseen(req, nil, llm.ProviderTimeout); u.IsZero() == want {
			t.Errorf("%s unseen: %+v", endpoint, u)
		}
	}
}
