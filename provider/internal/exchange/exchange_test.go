package exchange_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/provider/internal/exchange"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const key = "sk-canary-0123456789"

// The suites of the providers test what an exchange promises, over every fault of a
// connection; here is what no provider needs by itself.

// line leads to h, with a decoder that says what it was given.
func line(t *testing.T, h http.HandlerFunc) (*exchange.Line, exchange.Call) {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	l := exchange.New(exchange.Config{
		Name: "test", Where: "place", Plain: true, IDHeader: "X-Id",
		Secrets: exchange.Hide([]llm.Secret{"Bearer " + key}, []llm.Secret{"my-organisation", "short"}),
		Decode: func(status int, _ http.Header, body []byte) *llm.Error {
			return llm.Errorf(llm.ProviderError, "%d %s", status, body)
		},
	})
	t.Cleanup(func() { _ = l.Close() })
	u, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	return l, exchange.Call{Model: "m", Request: &http.Request{Method: http.MethodPost, URL: u}, Header: http.Header{"X-Fixed": {"1"}}, Body: []byte("{}")}
}

// An error has the back end's id in its cause, and nothing of ours.
func TestErrorsAreIdentifiedAndClean(t *testing.T) {
	for id, logged := range map[string]bool{"id-1": true, "": false, strings.Repeat("x", 200): false, "a\tb": false} {
		l, call := line(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Id", id)
			w.WriteHeader(500)
			_, _ = io.WriteString(w, key+" my-organisation short")
		})
		x := l.Begin(t.Context(), call)
		if err := x.Send(); err != nil {
			t.Fatal(err)
		}
		e := x.Accepted()
		x.Release()
		if e == nil || e.Message != "500 "+strings.Repeat("*", len(key))+" *** short" || e.Status != 500 || e.Provider != "test" || e.Model != "m" {
			t.Fatalf("%+v", e)
		}
		if (e.Err != nil) != logged || logged && e.Err.Error() != "x-id id-1" {
			t.Errorf("id %q: cause %v", id, e.Err)
		}
	}
}

// The id stands before another cause, which is still found.
func TestIdentifiedCause(t *testing.T) {
	l, call := line(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Id", "id-1") })
	x := l.Begin(t.Context(), call)
	if err := x.Send(); err != nil {
		t.Fatal(err)
	}
	defer x.Release()
	cause := errors.New("cause")
	if e := x.Failed(&llm.Error{Kind: llm.ProviderMalformed, Err: cause}); e.Err.Error() != "x-id id-1: cause" || !errors.Is(e, cause) {
		t.Errorf("%v", e)
	}
}

// An end of the call is told by the identity of its cause: an error of the caller's that
// looks like one of ours is the caller's.
func TestEndedByIdentity(t *testing.T) {
	l, call := line(t, func(http.ResponseWriter, *http.Request) {})
	closed := l.Begin(t.Context(), call)
	closed.Release()
	ours := closed.Ended()
	if ours == nil || ours.Kind != llm.CallerCancelled || ours.Message != "the stream was closed" {
		t.Fatalf("%v", ours)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(&llm.Error{Kind: llm.ProviderTimeout, Message: "the stream was closed"})
	x := l.Begin(ctx, call)
	defer x.Release()
	if e := x.Ended(); e == nil || e.Kind != llm.CallerCancelled || e.Message == ours.Message {
		t.Errorf("%v", e)
	}
	if err := x.Send(); llm.KindOf(err) != llm.CallerCancelled {
		t.Errorf("%v", err)
	}
}

func TestScrub(t *testing.T) {
	s := exchange.Hide([]llm.Secret{"Basic " + key, ""}, []llm.Secret{"setting-of-ours"})
	for text, want := range map[string]string{
		"":                         "",
		"nothing":                  "nothing",
		"a " + key + key + " b":    "a ****** b",
		"setting-of-ours, Basic x": "***, Basic x",
	} {
		if got := string(s.Scrub([]byte(text))); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := string((&exchange.Secrets{}).Scrub([]byte("x"))); got != "x" {
		t.Errorf("%q", got)
	}
}

// FuzzMask: whatever the cuts between reads, an answer with our key in it comes without,
// and nothing else of it changes.
func FuzzMask(f *testing.F) {
	f.Add("before "+key+" behind", uint8(3))
	f.Add(key[:10]+key+key[10:], uint8(1))
	f.Add("sk-canary-sk-canary-0123456789", uint8(7))
	l := exchange.New(exchange.Config{Name: "test", Transport: echo{}, Secrets: exchange.Hide([]llm.Secret{key}, nil)})
	f.Fuzz(func(t *testing.T, body string, size uint8) {
		x := l.Begin(context.WithValue(t.Context(), bodyOf{}, cut{strings.NewReader(body), int(size)%40 + 1}), exchange.Call{Request: &http.Request{URL: &url.URL{}}})
		defer x.Release()
		if err := x.Send(); err != nil {
			t.Fatal(err)
		}
		got, err := x.ReadAll(1 << 20)
		if want := strings.ReplaceAll(body, key, strings.Repeat("*", len(key))); err != nil || string(got) != want {
			t.Fatalf("%q, %v; want %q", got, err, want)
		}
	})
}

// echo answers with the body that the context has.
type (
	echo   struct{}
	bodyOf struct{}
	cut    struct {
		r    io.Reader
		size int
	}
)

func (echo) RoundTrip(r *http.Request) (*http.Response, error) {
	body, _ := r.Context().Value(bodyOf{}).(cut)
	return &http.Response{StatusCode: 200, ContentLength: -1, Body: io.NopCloser(body)}, nil
}

func (c cut) Read(b []byte) (int, error) { return c.r.Read(b[:min(len(b), c.size)]) }

// net/http is given the means to send a body again where it speaks HTTP/1 for certain, or
// can still be stopped: not over TLS with a transport that is not ours.
func TestMeansToRepeat(t *testing.T) {
	for name, c := range map[string]struct {
		cfg   exchange.Config
		means bool
	}{
		"plain":                  {exchange.Config{Plain: true, Transport: echo{}}, true},
		"own transport over TLS": {exchange.Config{}, true},
		"another over TLS":       {exchange.Config{Transport: echo{}}, false},
	} {
		l := exchange.New(c.cfg)
		x := l.Begin(t.Context(), exchange.Call{Request: &http.Request{URL: &url.URL{}}, Body: []byte("{}")})
		if means := x.Request().GetBody != nil; means != c.means {
			t.Errorf("%s: %v, want %v", name, means, c.means)
		}
		x.Release()
		_ = l.Close()
	}
}
