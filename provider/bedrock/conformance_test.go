package bedrock_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/provider/bedrock"
	"github.com/forebay-ai/forebay/provider/internal/wiretest"
)

// wire is the format as the suites that all providers share want it.
func wire() *wiretest.Format {
	return &wiretest.Format{
		Whole: wholeBody, WholeType: jsonType, Events: eventList(), StreamType: streamType,
		Refusal: `{"message":"no"}`, Model: model, Request: chat,
		Streams: func(r *http.Request, _ []byte) bool { return strings.HasSuffix(r.URL.Path, "-stream") },
		Open: func(t *testing.T, address string, transport http.RoundTripper) llm.Provider {
			return open(t, bedrock.Config{Name: "test", Region: "eu-central-1", Endpoint: address, Credentials: who(), Transport: transport})
		},
	}
}

func TestConformance(t *testing.T) { wire().Conformance(t) }

func TestBounds(t *testing.T) { wire().Bounds(t) }
