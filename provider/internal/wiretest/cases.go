package wiretest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/llm/llmtest"
)

// Conformance runs llmtest's suite in memory, over sockets and over HTTP/2.
func (f *Format) Conformance(t *testing.T) {
	t.Run("memory", func(t *testing.T) {
		f.suite(t, false, func(t *testing.T, b *Backend) llm.Provider {
			return f.Open(t, "http://memory", Memory(t, b))
		})
	})
	t.Run("sockets", func(t *testing.T) {
		f.suite(t, true, func(t *testing.T, b *Backend) llm.Provider {
			srv := httptest.NewServer(b)
			t.Cleanup(srv.Close)
			return f.Open(t, srv.URL, nil)
		})
	})
	t.Run("HTTP2", func(t *testing.T) {
		f.suite(t, true, func(t *testing.T, b *Backend) llm.Provider {
			address, transport := HTTP2(t, b)
			return f.Open(t, address, transport)
		})
	})
}

func (f *Format) suite(t *testing.T, sockets bool, open func(*testing.T, *Backend) llm.Provider) {
	llmtest.TestProvider(t, llmtest.Harness{
		Model: f.Model, Request: f.Request, Sockets: sockets,
		New: func(t *testing.T, b llmtest.Behaviour) llmtest.Backend {
			h := f.Backend(b)
			return llmtest.Backend{Provider: open(t, h), Called: h.Called, Cancelled: h.Cancelled, Bodies: h.Bodies}
		},
	})
}

// Bounds checks a provider's default bounds in time, which are exact in a bubble: 120 s
// for a head, 30 s of silence, 2 s for what explains an error. Time that the caller takes
// between reads is nobody's silence, and a body that stays open behind the answer's end
// costs 50 ms. One list of cases on purpose: they read best together.
func (f *Format) Bounds(t *testing.T) {
	flush := func(w http.ResponseWriter) { _ = http.NewResponseController(w).Flush() }
	begin := func(w http.ResponseWriter, r *http.Request, contentType, text string) {
		_, _ = io.Copy(io.Discard, r.Body) // the server sees the end of a connection only from then on
		w.Header().Set("Content-Type", contentType)
		_, _ = io.WriteString(w, text)
		flush(w)
	}
	for _, c := range []struct {
		name, limit string
		stream      bool
		kind        llm.Kind
		took        time.Duration
		pause       time.Duration // of the caller, before each read
		handler     http.HandlerFunc
	}{
		{"no head", "first_byte_timeout", false, llm.ProviderTimeout, 120 * time.Second, 0, func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		}},
		{"head, then silence", "idle_timeout", true, llm.ProviderTimeout, 30 * time.Second, 0, func(w http.ResponseWriter, r *http.Request) {
			begin(w, r, f.StreamType, "")
			<-r.Context().Done()
		}},
		{"silence after slow events", "idle_timeout", true, llm.ProviderTimeout, 3*29*time.Second + 30*time.Second, 0, func(w http.ResponseWriter, r *http.Request) {
			begin(w, r, f.StreamType, "")
			for _, event := range f.Events[:3] {
				time.Sleep(29 * time.Second)
				_, _ = io.WriteString(w, event)
				flush(w)
			}
			<-r.Context().Done()
		}},
		{"half a whole answer", "idle_timeout", false, llm.ProviderTimeout, 30 * time.Second, 0, func(w http.ResponseWriter, r *http.Request) {
			begin(w, r, f.WholeType, f.Whole[:20])
			<-r.Context().Done()
		}},
		// The status was there, and says what it is.
		{"half an error", "", false, llm.ProviderError, 2 * time.Second, 0, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(500)
			flush(w)
			<-r.Context().Done()
		}},
		{"an error that trickles", "", false, llm.ProviderError, 2 * time.Second, 0, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(500)
			for r.Context().Err() == nil {
				_, _ = io.WriteString(w, " ")
				flush(w)
				select {
				case <-r.Context().Done():
				case <-time.After(300 * time.Millisecond):
				}
			}
		}},
		{"a caller who reads slowly", "", true, "", 0, time.Hour, func(w http.ResponseWriter, r *http.Request) {
			begin(w, r, f.StreamType, f.events())
		}},
		{"a body that stays open", "", true, "", 50 * time.Millisecond, 0, func(w http.ResponseWriter, r *http.Request) {
			begin(w, r, f.StreamType, f.events())
			<-r.Context().Done()
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, begin := f.Open(t, "http://memory", Memory(t, c.handler)), time.Now()
				err := f.read(t, p, c.stream, c.pause)
				if llm.KindOf(err) != c.kind {
					t.Fatalf("%v, want kind %q", err, c.kind)
				}
				if e := llm.AsError(err); err != nil && e.Limit != c.limit {
					t.Errorf("limit %q, want %q", e.Limit, c.limit)
				}
				if took := time.Since(begin); c.pause == 0 && took != c.took {
					t.Errorf("took %v, want %v", took, c.took)
				}
			})
		})
	}
}

func (f *Format) events() string {
	all := ""
	for _, event := range f.Events {
		all += event
	}
	return all
}

// read reads an answer to its end, nil for a good one.
func (f *Format) read(t *testing.T, p llm.Provider, stream bool, pause time.Duration) error {
	t.Helper()
	s, err := p.Call(t.Context(), f.Model, f.Request(stream))
	if err != nil {
		return err
	}
	defer s.Close()
	for err == nil {
		time.Sleep(pause)
		llm.Await(s) // changes nothing
		_, err = s.Next()
	}
	if err == io.EOF {
		return nil
	}
	return err
}
