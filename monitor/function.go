package monitor

import (
	"net/http"
	"time"
)

// TrackResponseTime wraps next, so that how long it takes and the class of its status
// are measured as forebay_function_duration_seconds under the name of function, and told to
// sinks that are a FunctionSink. A name
// outside Config.Functions is counted as "other". A handler that panics counts as 5xx,
// and the panic goes on; one whose caller went away counts by the status that it gave.
// Flushing works as before, by http.ResponseController, and by http.Flusher where the
// server's writer has it.
func (m *Monitor) TrackResponseTime(function string, next http.Handler) http.Handler {
	function = m.words.function.label(function)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun := time.Now()
		seen := &statusWriter{ResponseWriter: w}
		completed := false
		defer func() {
			class := statusClass(seen.status)
			if !completed {
				class = statusClass(http.StatusInternalServerError)
			}
			took := time.Since(begun)
			m.metrics.function.WithLabelValues(function, class).Observe(took.Seconds())
			m.tellFunction(function, class, took)
		}()
		if f, ok := w.(http.Flusher); ok {
			next.ServeHTTP(&flushWriter{seen, f}, r)
		} else {
			next.ServeHTTP(seen, r)
		}
		completed = true
	})
}

// statusClass is a closed set: 1xx to 5xx, and other.
func statusClass(status int) string {
	switch status / 100 {
	case 0:
		return "2xx" // nothing was written: the server sends 200
	case 1:
		return "1xx"
	case 2:
		return "2xx"
	case 3:
		return "3xx"
	case 4:
		return "4xx"
	case 5:
		return "5xx"
	}
	return labelOther
}

// statusWriter remembers the status that was sent.
type statusWriter struct {
	http.ResponseWriter
	status int // 0 until the head is sent
}

// WriteHeader implements http.ResponseWriter. Heads before the last (1xx, except 101)
// do not count.
func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *statusWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// flushWriter is a statusWriter over a writer that flushes.
type flushWriter struct {
	*statusWriter
	flusher http.Flusher
}

// Flush implements http.Flusher.
func (w *flushWriter) Flush() {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	w.flusher.Flush()
}
