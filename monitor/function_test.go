package monitor_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

func TestTrackResponseTime(t *testing.T) {
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		status  string
	}{
		"nothing written":      {func(http.ResponseWriter, *http.Request) {}, "2xx"},
		"body alone":           {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "x") }, "2xx"},
		"body, then a head":    {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "x"); w.WriteHeader(500) }, "2xx"},
		"early hints":          {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(103); w.WriteHeader(404) }, "4xx"},
		"moved":                {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(307) }, "3xx"},
		"failed":               {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }, "5xx"},
		"twice":                {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503); w.WriteHeader(200) }, "5xx"},
		"flush":                {func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush() }, "2xx"},
		"flush by its control": {func(w http.ResponseWriter, _ *http.Request) { _ = http.NewResponseController(w).Flush() }, "2xx"},
		"panic":                {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "5xx"},
		"no status":            {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(999) }, "other"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := make1(t, names)
				h := m.TrackResponseTime("response-generator", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					time.Sleep(1500 * time.Millisecond)
					test.handler(w, r)
				}))
				func() {
					defer func() {
						if got := recover(); (got != nil) != (name == "panic") {
							t.Errorf("panic %v", got)
						}
					}()
					h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
				}()
				expect(t, series(t, m), map[string]float64{
					"function_duration_seconds_sum{function=response-generator,status=" + test.status + "}": 1.5,
				})
			})
		})
	}
}

// plainWriter can do nothing but write.
type plainWriter struct{ http.ResponseWriter }

func TestTrackResponseTimeAddsNoAbilities(t *testing.T) {
	m := make1(t, names)
	h := m.TrackResponseTime("made up", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if _, can := w.(http.Flusher); can {
			t.Error("a writer that cannot flush is said to")
		}
	}))
	h.ServeHTTP(plainWriter{httptest.NewRecorder()}, httptest.NewRequest(http.MethodGet, "/", nil))
	expect(t, series(t, m), map[string]float64{"function_duration_seconds_count{function=other,status=2xx}": 1})
}
