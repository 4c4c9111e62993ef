package openai_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/provider/openai"
)

// raw answers every connection with the same bytes and closes it.
func raw(t *testing.T, bytes string) *openai.Provider {
	t.Helper()
	return start(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(conn, bytes)
		_ = conn.Close()
	}, nil)
}

// Heads and framing that are wrong.
func TestBrokenHTTP(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
	for _, c := range []struct {
		name, bytes string
		stream      bool
		kind        llm.Kind
	}{
		{"nothing", "", false, llm.ProviderConnectionFailed},
		{"half a head", "HTTP/1.1 200 OK\r\nContent", false, llm.ProviderConnectionFailed},
		{"no HTTP", "hello\r\n\r\n", false, llm.ProviderConnectionFailed},
		{"huge head", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 1<<20) + "\r\n\r\n", false, llm.ProviderConnectionFailed},
		{"flood of 100s", strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 1000), false, llm.ProviderConnectionFailed},
		{"length too long", head + "Content-Length: 10000\r\n\r\n" + wholeBody, false, llm.ProviderTruncated},
		{"length too short", head + "Content-Length: 10\r\n\r\n" + wholeBody, false, llm.ProviderMalformed},
		{"length over the bound", head + "Content-Length: 99999999999\r\n\r\n" + wholeBody, false, llm.ProviderMalformed},
		{"bad chunking", head + "Transfer-Encoding: chunked\r\n\r\nxyz\r\n", false, llm.ProviderTruncated},
		{"no last chunk", head + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", false, llm.ProviderTruncated},
		{"end of connection", head + "\r\n" + wholeBody, false, ""},
		{"end within an event", "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: {\"choi", true, llm.ProviderTruncated},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := collect(t, raw(t, c.bytes), chat(c.stream))
			if c.kind == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			want(t, err, c.kind)
		})
	}
}

func TestConnectFailures(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close() // nobody listens there now
	_, err = collect(t, open(t, openai.Config{BaseURL: "http://" + l.Addr().String(), APIKey: key}), chat(false))
	if e := want(t, err, llm.ProviderConnectionFailed); !strings.Contains(e.Message, "refused") {
		t.Errorf("message %q", e.Message)
	}

	secure := httptest.NewUnstartedServer(answer("application/json", wholeBody))
	secure.Config.ErrorLog = nil
	secure.TLS = &tls.Config{}
	secure.Config.ErrorLog = silent()
	secure.StartTLS()
	defer secure.Close()
	_, err = collect(t, open(t, openai.Config{BaseURL: secure.URL}), chat(false))
	if e := want(t, err, llm.ProviderConnectionFailed); !strings.Contains(e.Message, "certificate") {
		t.Errorf("message %q", e.Message)
	}
	plain := httptest.NewServer(answer("application/json", wholeBody))
	defer plain.Close()
	_, err = collect(t, open(t, openai.Config{BaseURL: strings.Replace(plain.URL, "http", "https", 1)}), chat(false))
	if e := want(t, err, llm.ProviderConnectionFailed); !strings.Contains(e.Fix, "scheme") {
		t.Errorf("message %q, fix %q", e.Message, e.Fix)
	}

	failing := open(t, openai.Config{BaseURL: "http://127.0.0.1:1", Transport: dialFails{}, ConnectTimeout: time.Second})
	_, err = collect(t, failing, chat(false))
	if e := want(t, err, llm.ProviderConnectionFailed); e.Limit != "connect_timeout" || e.Value != "1s" {
		t.Errorf("limit %q, value %q", e.Limit, e.Value)
	}
}

// dialFails fails as a dialer does whose time is up.
type dialFails struct{}

func (dialFails) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, &net.OpError{Op: "dial", Net: "tcp", Err: context.DeadlineExceeded}
}
