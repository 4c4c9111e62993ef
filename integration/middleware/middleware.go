// Package middleware is net/http middleware for handlers of the embedder's own that live
// beside calls to models: it measures their response times, sheds their load, and tells their
// callers what the calls that a handler made have cost.
//
// The three are independent, and are ordinary functions around an http.Handler:
//
//	h = middleware.Costs(h)
//	h = middleware.Shed(middleware.Limit{MaxConcurrent: 100}, h)
//	h = middleware.Track(client.Monitor(), "checkout", h)
package middleware

import (
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/monitor"
)

// Track measures how long next takes, and the class of its status, under the name of a
// function that monitor.Config.Functions has. It is the specification's trackResponseTime.
func Track(m *monitor.Monitor, function string, next http.Handler) http.Handler {
	return m.TrackResponseTime(function, next)
}

// Limit bounds the load of a handler.
type Limit struct {
	// MaxConcurrent is how many requests run at once. Zero means 100; negative means none.
	MaxConcurrent int
	// RetryAfter is when a caller who is refused may come back, in whole seconds rounded
	// up. Zero means 1 s.
	RetryAfter time.Duration
	// Refuse writes the refusal. The header Retry-After is set by then. Nil means 503 with
	// a JSON body of RFC 9457.
	Refuse http.Handler
}

// defaultConcurrent is far above what two cores do at once, and far below what breaks a process.
const defaultConcurrent = 100

// Shed refuses at once what is over l: a handler that everybody waits for helps nobody,
// and a refusal costs microseconds.
func Shed(l Limit, next http.Handler) http.Handler {
	if l.MaxConcurrent == 0 {
		l.MaxConcurrent = defaultConcurrent
	}
	if l.RetryAfter <= 0 {
		l.RetryAfter = time.Second
	}
	if l.Refuse == nil {
		l.Refuse = http.HandlerFunc(refuse)
	}
	after := strconv.FormatInt(int64((l.RetryAfter+time.Second-1)/time.Second), 10)
	var running atomic.Int64
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer running.Add(-1)
		if running.Add(1) > int64(l.MaxConcurrent) {
			w.Header().Set("Retry-After", after)
			l.Refuse.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func refuse(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(llm.PolicyOverloaded.Status())
	_, _ = w.Write([]byte(`{"success":false,"type":"urn:forebay:error:policy_overloaded","status":503,"title":"Service Unavailable",` +
		`"detail":"too many requests run at once","error_type":"policy_overloaded","fix":"Come back after Retry-After."}`))
}
