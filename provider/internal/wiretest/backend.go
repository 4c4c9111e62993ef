package wiretest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/forebay-ai/forebay/internal/memnet"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/llm/llmtest"
)

// Format is what a back end says in a wire format, and how a provider of it is opened.
type Format struct {
	// Whole and WholeType are a whole answer and its content type, Events and StreamType
	// a streamed one, event by event, the one that ends it being the last.
	Whole, WholeType string
	Events           []string
	StreamType       string
	// Refusal is the body of an error answer.
	Refusal string
	// Streams says whether a call is to be answered by a stream.
	Streams func(r *http.Request, body []byte) bool
	// Open makes a provider for the back end below an address. A nil transport means the
	// provider's own.
	Open func(t *testing.T, address string, transport http.RoundTripper) llm.Provider
	// Model and Request are those of the calls.
	Model   string
	Request func(stream bool) *llm.Request
}

// Backend is a handler that behaves as llmtest's suite wants it.
type Backend struct {
	format    *Format
	behaviour llmtest.Behaviour
	// Called and Cancelled get a value for each call that was read, and for each that was
	// seen to end before its answer did.
	Called, Cancelled chan struct{}

	mu     sync.Mutex // guards bodies
	bodies [][]byte
}

// Backend makes a handler that behaves as b says.
func (f *Format) Backend(b llmtest.Behaviour) *Backend {
	return &Backend{format: f, behaviour: b, Called: make(chan struct{}, 100), Cancelled: make(chan struct{}, 100)}
}

// Bodies returns the bodies that were read so far.
func (b *Backend) Bodies() [][]byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([][]byte(nil), b.bodies...)
}

// ServeHTTP implements http.Handler.
func (b *Backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	b.mu.Lock()
	b.bodies = append(b.bodies, body)
	b.mu.Unlock()
	b.Called <- struct{}{}
	f, does := b.format, b.behaviour
	switch does.Does {
	case llmtest.Hangs:
		b.untilGone(r)
		return
	case llmtest.Refuses:
		w.Header().Set("Content-Type", f.WholeType)
		w.WriteHeader(does.Status)
		_, _ = io.WriteString(w, f.Refusal)
		return
	case llmtest.Answers:
		if !f.Streams(r, body) {
			w.Header().Set("Content-Type", f.WholeType)
			_, _ = io.WriteString(w, f.Whole)
			return
		}
	}
	b.stream(w, r)
}

func (b *Backend) stream(w http.ResponseWriter, r *http.Request) {
	events := b.format.Events
	switch b.behaviour.Does {
	case llmtest.NoEnd:
		events = events[:len(events)-1]
	case llmtest.Stalls, llmtest.Cuts:
		events = events[:b.behaviour.After]
	}
	w.Header().Set("Content-Type", b.format.StreamType)
	for _, event := range events {
		_, _ = io.WriteString(w, event)
		_ = http.NewResponseController(w).Flush()
	}
	switch b.behaviour.Does {
	case llmtest.Stalls:
		b.untilGone(r)
	case llmtest.Cuts:
		panic(http.ErrAbortHandler)
	}
}

func (b *Backend) untilGone(r *http.Request) {
	<-r.Context().Done()
	b.Cancelled <- struct{}{}
}

// Memory serves h in memory until the end of the test and returns the transport that
// reaches it, for tests in a bubble of the fake clock. The address is http://memory.
func Memory(t *testing.T, h http.Handler) *http.Transport {
	t.Helper()
	l := memnet.Listen()
	srv := &http.Server{Handler: h}
	var served sync.WaitGroup
	served.Go(func() { _ = srv.Serve(l) })
	t.Cleanup(func() {
		_ = srv.Close()
		served.Wait()
	})
	return &http.Transport{DialContext: l.Dial, DisableCompression: true}
}

// HTTP2 serves h over HTTP/2 until the end of the test and returns its address and a
// transport whose connection is made already: deadlines of calls are not for handshakes
// on a busy machine.
func HTTP2(t *testing.T, h http.Handler) (address string, transport http.RoundTripper) {
	t.Helper()
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			t.Errorf("protocol %s, want HTTP/2", r.Proto)
		}
		if r.URL.Path != "/handshake" {
			h.ServeHTTP(w, r)
		}
	}))
	srv.EnableHTTP2 = true
	srv.StartTLS()
	t.Cleanup(srv.Close)
	res, err := srv.Client().Get(srv.URL + "/handshake")
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	return srv.URL, srv.Client().Transport
}
