package gateway

import (
	"net/http"
	"time"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/gateway/form"
	"github.com/forebay-ai/forebay/gateway/head"
	"github.com/forebay-ai/forebay/gateway/wire"
	"github.com/forebay-ai/forebay/llm"
)

// Submission is what stands beside the call of a job.
type Submission = submission

// Answer is what a scripted back end streams.
type Answer = answer

// Parts is a back end for tests, in place of a forebay.Client.
type Parts struct {
	Caller    caller
	Catalog   catalog
	Condition condition
	Operated  operated
	Metrics   http.Handler
	Cache     forebay.CacheControl
	Submitter submitter
	Jobs      durable
}

// NewWith makes a Gateway over parts. It detaches streams at once where its listener
// allows it.
func NewWith(cfg Config, parts Parts) (*Gateway, error) {
	g, err := build(cfg)
	if err != nil {
		return nil, err
	}
	g.caller, g.catalog, g.condition, g.metrics = parts.Caller, parts.Catalog, parts.Condition, parts.Metrics
	g.detachAfter = 0
	g.operated, g.cache, g.submitter, g.jobs = parts.Operated, parts.Cache, parts.Submitter, parts.Jobs
	return g, nil
}

// ReadControls is readControls, for fuzzing.
func ReadControls(h http.Header) error {
	_, err := form.ReadControls(h)
	return err
}

// ReadOperation is readOperation, for fuzzing. It returns the chat that the body
// asks for.
func ReadOperation(body []byte) ([]byte, error) {
	op, err := form.ReadOperation(body, &form.Controls{})
	if err != nil {
		return nil, err
	}
	return op.Chat(op.Model, "Be brief."), nil
}

// TraceParent is traceParent.
func TraceParent(inbound string) string { return head.TraceParent(inbound) }

// Dollars is dollars.
func Dollars(micro int64) string { return head.Dollars(micro) }

// ShouldRetry is shouldRetry.
func ShouldRetry(e *llm.Error) bool { return shouldRetry(e) }

// Advised says whether kind stands in the table of advice.
func Advised(kind llm.Kind) bool {
	_, ok := advice[kind]
	return ok
}

// IsRefusal is that of package wire.
func IsRefusal(b []byte) bool { return wire.IsRefusal(b) }

// Knows says whether h has the secret of a key.
func (g *Gateway) Knows(h http.Header) bool {
	_, err := g.ring.Find(h, time.Now())
	return err == nil
}
