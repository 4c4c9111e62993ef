package wire_test

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/gateway/wire"
	"github.com/forebay-ai/forebay/internal/memnet"
)

const refusal = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n400 Bad Request"

// talk has the server's side of a connection read what the client sends and then write
// what, and returns what the client reads.
func talk(t *testing.T, sends, what string, head []byte) string {
	t.Helper()
	l := memnet.Listen()
	wrapped := wire.Listen(l, wire.Config{WriteTimeout: time.Minute, Refusal: func(status int, reason string) []byte {
		if status != 400 || reason != "400 Bad Request" {
			t.Errorf("%d %q", status, reason)
		}
		return []byte("OURS")
	}})
	defer l.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := wrapped.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		for n := 0; n < len(sends); { // in pieces of what comes
			m, err := c.Read(make([]byte, 7))
			if err != nil {
				t.Error(err)
				return
			}
			n += m
		}
		if head != nil {
			c.(*wire.Conn).Say(head)
		}
		if n, err := c.Write([]byte(what)); err != nil || n != len(what) {
			t.Error(n, err)
		}
		_ = c.Close()
	}()
	client, err := l.Dial(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	go func(c net.Conn) { _, _ = io.WriteString(c, sends) }(client)
	got, err := io.ReadAll(client)
	if err != nil {
		t.Fatal(err)
	}
	<-done
	return string(got)
}

func TestConn(t *testing.T) {
	const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	head := []byte("X-A: b\r\n")
	for _, c := range []struct{ name, sends, writes, want string }{
		{"a refusal", "GET / HTTP/1.1\r\n\r\n", refusal, "OURS"},
		{"nearly the preface", preface[:20] + "GET ", refusal, "OURS"},
		{"the preface later", "X" + preface, refusal, "OURS"},
		{"HTTP/2", preface, refusal, refusal},
		{"HTTP/2 and more", preface + strings.Repeat("x", 100), refusal, refusal},
	} {
		if got := talk(t, c.sends, c.writes, nil); got != c.want {
			t.Errorf("%s: %q", c.name, got)
		}
	}
	const answer = "HTTP/1.1 200 OK\r\nB: c\r\n\r\n"
	if got := talk(t, "GET / HTTP/1.1\r\n\r\n", answer, head); got != "HTTP/1.1 200 OK\r\nX-A: b\r\nB: c\r\n\r\n" {
		t.Errorf("the head's lines: %q", got)
	}
	if got := talk(t, preface, answer, head); got != answer {
		t.Errorf("the head's lines among frames: %q", got)
	}
}
