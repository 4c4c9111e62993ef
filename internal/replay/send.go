package replay

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/forebay-ai/forebay/llm"
)

// class is how a call ended; every call ends in exactly one.
type class int

const (
	answered  class = iota
	degraded        // answered by a fallback
	refused         // 429 or 503 by a policy of the gateway
	failed          // any other error, and answers that break off
	unsent          // over Config.MaxInFlight
	cancelled       // the run's context ended
	classes
)

// outcome is what the report keeps of one call: numbers and labels of closed sets.
type outcome struct {
	class class
	// label is the error_type of a refusal or failure, or the kind of degradation.
	label string
	// latency and ttft count from the intended start. ttft holds where useful says
	// that a streamed answer brought something to read.
	latency, ttft time.Duration
	useful        bool
	usage         usage
	head          head
}

// Labels of failures that have no error_type: what the caller's end saw.
const (
	failTimeout    = "timeout"    // not complete within Config.Timeout
	failConnection = "connection" // no head of an answer came
	failTruncated  = "truncated"  // the answer broke off, or its end mark is missing
	failMalformed  = "malformed"  // complete, but not what was asked for
	failTooLarge   = "too_large"  // over the bounds of this package
	failErrorEvent = "error_event"
)

// errBody is what reading an answer found wrong with it, by label.
type errBody struct{ label string }

func (e errBody) Error() string { return e.label }

// faultOf gives the label of an error met while reading: what the reader says is
// wrong, or that the connection broke off.
func faultOf(err error) string {
	if body := (errBody{}); errors.As(err, &body) {
		return body.label
	}
	return failTruncated
}

// sender makes calls. It is used concurrently and changes nothing of its own.
type sender struct {
	client *http.Client
	cfg    *Config
	plan   *plan
	url    string
}

// do makes call i and waits for its end.
func (s *sender) do(ctx context.Context, i int, intended time.Time) outcome {
	callCtx, cancel := context.WithDeadline(ctx, intended.Add(s.cfg.Timeout))
	defer cancel()
	c := s.plan.call(i)
	out := outcome{}
	res, err := s.client.Do(s.request(callCtx, c))
	if err != nil {
		out.latency = time.Since(intended)
		out.class, out.label = classify(ctx, callCtx, failConnection)
		return out
	}
	defer res.Body.Close()
	out.head.read(res.Header)
	if res.StatusCode != http.StatusOK {
		label, err := errorLabel(res)
		out.latency = time.Since(intended)
		switch {
		case err != nil:
			out.class, out.label = classify(ctx, callCtx, faultOf(err))
		case isRefusal(res.StatusCode, label):
			out.class, out.label = refused, label
		default:
			out.class, out.label = failed, label
		}
		return out
	}
	err = s.readAnswer(res, c, intended, &out)
	out.latency = time.Since(intended)
	out.head.read(res.Trailer) // of a stream, the price is known at its end
	switch {
	case err != nil:
		out.class, out.label = classify(ctx, callCtx, faultOf(err))
	case out.head.fallback != "":
		out.class, out.label = degraded, out.head.fallback
	default:
		out.class = answered
	}
	return out
}

// classify says how a call that was not answered ended: by the end of the run, by
// its own timeout, or as label says.
func classify(run, call context.Context, label string) (class, string) {
	switch {
	case run.Err() != nil:
		return cancelled, ""
	case call.Err() != nil:
		return failed, failTimeout
	}
	return failed, label
}

func isRefusal(status int, label string) bool {
	return (status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable) &&
		strings.HasPrefix(label, string(llm.PolicyFault)+"_")
}

func (s *sender) request(ctx context.Context, c call) *http.Request {
	body := s.plan.appendBody(make([]byte, 0, 160+bytesPerToken*max(1, c.arrival.PromptTokens)), c)
	// The URL was parsed by validate and the method is a constant: no error is left.
	req, _ := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(body))
	h := req.Header
	h.Set("Content-Type", "application/json")
	h.Set("X-Forebay-Priority", c.priority.String())
	if s.cfg.Key != "" {
		h.Set("Authorization", "Bearer "+s.cfg.Key.Reveal())
	}
	if s.cfg.Operation != "" {
		h.Set("X-Forebay-Operation", s.cfg.Operation)
	}
	if c.user != "" {
		h.Set("X-Forebay-User", c.user)
	}
	return req
}
