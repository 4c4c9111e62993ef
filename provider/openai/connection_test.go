package openai_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/provider/openai"
)

// reset makes the end of a connection a reset, not a clean close.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}

// A connection that is reset at accept, within the head, before and behind the first token.
func TestResets(t *testing.T) {
	for _, c := range []struct {
		name, bytes string
		kind        llm.Kind
	}{
		{"at accept", "-", llm.ProviderConnectionFailed},
		{"before the head", "", llm.ProviderConnectionFailed},
		{"within the head", eventHead[:30], llm.ProviderConnectionFailed},
		{"behind the head", eventHead, llm.ProviderTruncated},
		{"before the first token", eventHead + eventList()[0], llm.ProviderTruncated},
		{"behind the first token", eventHead + eventList()[0] + eventList()[1], llm.ProviderTruncated},
		{"before the end mark", eventHead + strings.TrimSuffix(allEvents(), done), llm.ProviderTruncated},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			var serving sync.WaitGroup
			serving.Go(func() {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				if c.bytes != "-" {
					_, _ = conn.Read(make([]byte, 64<<10))
					_, _ = io.WriteString(conn, c.bytes)
					time.Sleep(10 * time.Millisecond) // the client has read it
				}
				reset(conn)
			})
			_, err = collect(t, open(t, openai.Config{BaseURL: "http://" + l.Addr().String(), APIKey: key}), chat(true))
			_ = l.Close()
			serving.Wait()
			if e := want(t, err, c.kind); e.NoRetry {
				t.Errorf("not to be tried again: %v", e)
			}
		})
	}
}

// A port that answers to nothing is given up at connect_timeout: its line is full, so
// that the kernel drops what comes.
func TestBlackHole(t *testing.T) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	address, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	host := fmt.Sprintf("127.0.0.1:%d", address.(*syscall.SockaddrInet4).Port)
	full := false
	for range 8 {
		c, err := net.DialTimeout("tcp", host, soon)
		if err != nil {
			full = true
			break
		}
		defer c.Close()
	}
	if !full {
		t.Skip("this kernel takes connections that nobody accepts")
	}
	begin := time.Now()
	_, err = collect(t, open(t, openai.Config{BaseURL: "http://" + host, ConnectTimeout: 2 * soon}), chat(false))
	if e := want(t, err, llm.ProviderConnectionFailed); e.Limit != "connect_timeout" || e.Value != "200ms" || e.NoRetry {
		t.Errorf("%+v", e)
	}
	if took := time.Since(begin); took > 50*soon {
		t.Errorf("took %v", took)
	}
}

// failing is a transport whose calls fail with an error.
type failing struct{ err error }

func (f failing) RoundTrip(*http.Request) (*http.Response, error) { return nil, f.err }

func TestNames(t *testing.T) {
	for _, c := range []struct {
		err     *net.DNSError
		says    string
		noRetry bool
	}{
		{&net.DNSError{Err: "no such host", Name: "x", IsNotFound: true}, "no such host", true},
		{&net.DNSError{Err: "server misbehaving", Name: "x", IsTemporary: true}, "at the moment", false},
		{&net.DNSError{Err: "i/o timeout", Name: "x", IsTimeout: true}, "at the moment", false},
	} {
		wrapped := &net.OpError{Op: "dial", Net: "tcp", Err: c.err}
		_, err := collect(t, open(t, openai.Config{BaseURL: "http://x", Transport: failing{wrapped}}), chat(false))
		if e := want(t, err, llm.ProviderConnectionFailed); !strings.Contains(e.Message, c.says) || e.NoRetry != c.noRetry {
			t.Errorf("%v: %+v", c.err, e)
		}
	}
}

// Heads that are wrong are told apart from connections that broke.
func TestBadHeadsAreNamed(t *testing.T) {
	for _, bytes := range []string{
		"hello\r\n\r\n", "HTTP/1.1 2x0 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
		"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 1<<20) + "\r\n\r\n",
		strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 100_000),
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
	} {
		_, err := collect(t, raw(t, bytes), chat(false))
		if e := want(t, err, llm.ProviderConnectionFailed); !strings.Contains(e.Message, "begin as HTTP") {
			t.Errorf("%.60q: %q, %v", bytes, e.Message, e.Err)
		}
	}
}

// A head that announces a large body does not get the memory before the bytes come.
func TestAnnouncedSizeIsNotBelieved(t *testing.T) {
	text := strings.Replace(wholeBody, "two", strings.Repeat("two ", 1<<20), 1)
	res, err := collect(t, start(t, answer("application/json", text), nil), chat(false))
	if err != nil || string(res.Body) != text {
		t.Errorf("%d bytes of %d, %v", len(res.Body), len(text), err)
	}
	head := "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 33000000\r\n\r\n{"
	p := raw(t, head)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err = collect(t, p, chat(false))
	runtime.ReadMemStats(&after)
	want(t, err, llm.ProviderTruncated)
	if n := after.TotalAlloc - before.TotalAlloc; n > 8<<20 {
		t.Errorf("%d MiB for one byte", n>>20)
	}
}
