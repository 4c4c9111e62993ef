package webhook_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/webhook"
)

// event is a message to address.
func event(address string) webhook.Message {
	return webhook.Message{Address: address, Tenant: "acme", ID: "job_01mqzk3v5x8y2", Body: []byte(`{"type":"job.completed"}`)}
}

// serve answers requests on loopback until the test ends.
func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s.URL
}

func TestDeliver(t *testing.T) {
	var got http.Header
	var host, body string
	address := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		if err == nil {
			err = webhook.Verify(secretOf("acme"), r.Header, text, time.Now(), time.Minute)
		}
		if err != nil || r.Method != "POST" || r.RequestURI != "/a%20b?c=d" || r.ContentLength != int64(len(text)) {
			t.Errorf("%s %s of %d bytes: %v", r.Method, r.RequestURI, r.ContentLength, err)
		}
		got, host, body = r.Header, r.Host, string(text)
	})
	again, err := sender(t, "127.0.0.1").Deliver(t.Context(), event(address+"/a%20b?c=d"))
	if again || err != nil {
		t.Fatal(again, err)
	}
	for name, want := range map[string]string{
		"Content-Type": "application/json", "User-Agent": "forebay-webhook", "Webhook-Id": "job_01mqzk3v5x8y2",
		"Authorization": "", "Cookie": "", "Accept-Encoding": "",
	} {
		if got.Get(name) != want {
			t.Errorf("%s: %q, want %q", name, got.Get(name), want)
		}
	}
	if "http://"+host != address || body != `{"type":"job.completed"}` {
		t.Errorf("host %s, body %s", host, body)
	}
	if err := webhook.Verify(secretOf("other"), got, []byte(body), time.Now(), time.Minute); !errors.Is(err, webhook.ErrSignature) {
		t.Errorf("another tenant's secret: %v", err)
	}
}

func TestAnswers(t *testing.T) {
	s := sender(t, "127.0.0.1")
	for status, again := range map[int]bool{
		200: false, 201: false, 202: false, 204: false, 299: false, 410: false,
		300: true, 301: true, 304: true, 307: true, 400: true, 401: true, 404: true, 409: true, 429: true, 500: true, 502: true, 503: true, 599: true, 999: true,
	} {
		address := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		got, err := s.Deliver(t.Context(), event(address+"/CANARY?CANARY"))
		if got != again || (err == nil) != (status < 300) {
			t.Errorf("%d: again %v, %v", status, got, err)
		}
		if err != nil && (!strings.Contains(err.Error(), fmt.Sprint(status)) || strings.Contains(err.Error(), "CANARY")) {
			t.Errorf("%d: %v", status, err)
		}
	}
}

// TestRedirectIsNotFollowed has a public door that leads to a private one.
func TestRedirectIsNotFollowed(t *testing.T) {
	var reached atomic.Bool
	inside := serve(t, func(http.ResponseWriter, *http.Request) { reached.Store(true) })
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, to := range []string{inside, inside + "/x", "http://%zz", ""} {
			address := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", to)
				w.WriteHeader(status)
			})
			again, err := sender(t, "127.0.0.1").Deliver(t.Context(), event(address))
			if !again || err == nil || !strings.Contains(err.Error(), "redirects are not followed") {
				t.Errorf("%d to %q: %v, %v", status, to, again, err)
			}
		}
	}
	if reached.Load() {
		t.Error("a redirect was followed")
	}
}

// TestResolvedAddressIsChecked: a name of the public that stands for a private address
// is not reached, whichever of its addresses that is.
func TestResolvedAddressIsChecked(t *testing.T) {
	for _, ip := range private {
		for _, all := range [][]string{{ip}, {ip, "10.0.0.1"}} {
			s := senderOf(t, webhook.Config{Resolve: names{"hooks.example.com": all}.resolve})
			if err := s.Check("https://hooks.example.com/"); err != nil {
				t.Fatal(err)
			}
			again, err := s.Deliver(t.Context(), event("https://hooks.example.com/CANARY"))
			if !again || strings.Contains(fmt.Sprint(err), "CANARY") || !strings.Contains(fmt.Sprint(err), "hooks.example.com stands for") {
				t.Errorf("%v: again %v, %v", all, again, err)
			}
			wantRefused(t, ip, err)
		}
	}
}

// TestRebinding: a name server that answers with another address each time is asked
// once, and only what was checked is reached.
func TestRebinding(t *testing.T) {
	var reached, asked atomic.Int32
	receiver := serve(t, func(http.ResponseWriter, *http.Request) { reached.Add(1) })
	port := receiver[strings.LastIndex(receiver, ":"):]
	s := senderOf(t, webhook.Config{Timeout: 200 * time.Millisecond, Resolve: func(context.Context, string) ([]netip.Addr, error) {
		if asked.Add(1)%2 == 1 {
			return []netip.Addr{netip.MustParseAddr("240.0.0.1")}, nil // refused, and where not, it leads nowhere
		}
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}})
	for n := range int32(6) {
		if _, err := s.Deliver(t.Context(), event("https://hooks.example.com"+port)); err == nil {
			t.Error("delivered")
		}
		if asked.Load() != n+1 {
			t.Errorf("asked %d times in %d deliveries", asked.Load(), n+1)
		}
	}
	if reached.Load() != 0 {
		t.Error("a private address was reached")
	}
}

// TestConnectsToTheGoodAddress: of several addresses those that may be reached are,
// and one that is dead costs its share of the time only.
func TestConnectsToTheGoodAddress(t *testing.T) {
	var reached atomic.Int32
	receiver := serve(t, func(http.ResponseWriter, *http.Request) { reached.Add(1) })
	u, _ := url.Parse(receiver)
	// 127.0.0.2 is loopback on Linux, and nothing listens there.
	addresses := []string{"10.0.0.1", "127.0.0.2", "::ffff:127.0.0.1", "192.168.0.1"}
	s := senderOf(t, webhook.Config{
		Allow: []string{"127.0.0.0/8", "never.example.com"}, Resolve: names{"hooks.internal": addresses}.resolve,
	})
	if _, err := s.Deliver(t.Context(), event("http://hooks.internal:"+u.Port())); err == nil {
		t.Error("plain http to a name that is not allowed")
	}
	s = senderOf(t, webhook.Config{
		Allow: []string{"hooks.internal"}, Resolve: names{"hooks.internal": addresses[1:3]}.resolve,
	})
	if again, err := s.Deliver(t.Context(), event("http://HOOKS.internal:"+u.Port())); again || err != nil {
		t.Error(again, err)
	}
	if reached.Load() != 1 {
		t.Errorf("reached %d times", reached.Load())
	}
	s = senderOf(t, webhook.Config{Allow: []string{"nowhere.internal"}, Resolve: names{}.resolve})
	if again, err := s.Deliver(t.Context(), event("http://nowhere.internal")); !again || !strings.Contains(fmt.Sprint(err), "has no address") {
		t.Error(again, err)
	}
}

// TestTLS: certificates are verified, for the name of the address.
func TestTLS(t *testing.T) {
	receiver := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	receiver.Config.ErrorLog = log.New(io.Discard, "", 0)
	receiver.StartTLS()
	t.Cleanup(receiver.Close)
	roots := x509.NewCertPool()
	roots.AddCert(receiver.Certificate())
	port := receiver.URL[strings.LastIndex(receiver.URL, ":"):]
	resolve := names{"example.com": {"127.0.0.1"}, "example.net": {"127.0.0.1"}}.resolve // the certificate is for example.com
	for name, tt := range map[string]struct {
		address string
		roots   *x509.CertPool
		fault   string
	}{
		"name":              {"https://example.com" + port, roots, ""},
		"IP":                {"https://127.0.0.1" + port, roots, ""},
		"another name":      {"https://example.net" + port, roots, "certificate"},
		"unknown authority": {"https://example.com" + port, nil, "certificate"},
	} {
		s := senderOf(t, webhook.Config{Allow: []string{"127.0.0.0/8"}, Roots: tt.roots, Resolve: resolve})
		again, err := s.Deliver(t.Context(), event(tt.address))
		if again != (tt.fault != "") || !strings.Contains(fmt.Sprint(err), tt.fault) {
			t.Errorf("%s: again %v, %v", name, again, err)
		}
	}
}

// TestProxyIsIgnored: the environment's proxy would resolve names by itself. No proxy is
// asked for loopback, so a name is used.
func TestProxyIsIgnored(t *testing.T) {
	receiver := serve(t, func(http.ResponseWriter, *http.Request) {})
	u, _ := url.Parse(receiver)
	req, err := http.NewRequest("POST", "http://hooks.internal/", http.NoBody)
	if asked, _ := http.ProxyFromEnvironment(req); err != nil || asked == nil || asked.String() != proxy {
		t.Fatal("the environment has no proxy")
	}
	s := senderOf(t, webhook.Config{Allow: []string{"hooks.internal"}, Resolve: names{"hooks.internal": {"127.0.0.1"}}.resolve})
	if again, err := s.Deliver(t.Context(), event("http://hooks.internal:"+u.Port())); again || err != nil {
		t.Error(again, err)
	}
}

// raw is a receiver that writes what it likes, on every connection.
func raw(t *testing.T, answer func(c net.Conn)) (address string, connections *atomic.Int32) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	connections = new(atomic.Int32)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			wg.Go(func() {
				defer c.Close()
				if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					answer(c)
				}
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
	})
	return "http://" + l.Addr().String(), connections
}

// TestAnswersAreBounded: whatever a receiver sends, and however slowly, a delivery
// ends, and takes in little more than what sockets buffer.
func TestAnswersAreBounded(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	for name, tt := range map[string]struct {
		head, forever string // what is sent once, and what is sent then without an end
		pause         time.Duration
		timeout       time.Duration // zero: 300 ms
		delivered     bool
	}{
		"silence":        {},
		"closes":         {head: "\r\n"},
		"no HTTP":        {head: "SSH-2.0-OpenSSH\r\n"},
		"endless head":   {head: ok, forever: "X-A: " + strings.Repeat("a", 4000) + "\r\n", timeout: time.Minute},
		"slow head":      {head: ok, forever: "X", pause: 5 * time.Millisecond},
		"endless 1xx":    {forever: "HTTP/1.1 102 Processing\r\n\r\n", timeout: time.Minute},
		"endless body":   {head: ok + "\r\n", forever: strings.Repeat("a", 1<<16), timeout: time.Minute, delivered: true},
		"endless chunks": {head: ok + "Transfer-Encoding: chunked\r\n\r\n", forever: "1\r\na\r\n", timeout: time.Minute, delivered: true},
		"slow body":      {head: ok + "\r\n", forever: "a", pause: 5 * time.Millisecond, timeout: time.Minute, delivered: true},
		"cut body":       {head: ok + "Content-Length: 5\r\n\r\na", delivered: true},
		"gzip bomb":      {head: ok + "Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x8b", delivered: true},
		"negative":       {head: ok + "Content-Length: -1\r\n\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var sent atomic.Int64
			address, connections := raw(t, func(c net.Conn) {
				_, err := c.Write([]byte(tt.head))
				for err == nil && tt.forever != "" {
					_, err = c.Write([]byte(tt.forever))
					sent.Add(int64(len(tt.forever)))
					time.Sleep(tt.pause) // the receiver's own time, on a real socket
				}
				if tt.head == "" {
					_, _ = c.Read(make([]byte, 1))
				}
			})
			s := senderOf(t, webhook.Config{Allow: []string{"127.0.0.1"}, Timeout: cmp.Or(tt.timeout, 300*time.Millisecond)})
			begin := time.Now()
			again, err := s.Deliver(t.Context(), event(address+"/CANARY"))
			if took := time.Since(begin); took > 10*time.Second {
				t.Errorf("it took %s", took)
			}
			if again == tt.delivered || (err == nil) != tt.delivered || strings.Contains(fmt.Sprint(err), "CANARY") {
				t.Errorf("again %v, %v", again, err)
			}
			if n := connections.Load(); n != 1 {
				t.Errorf("%d connections for one attempt", n)
			}
			if n := sent.Load(); n > 32<<20 {
				t.Errorf("%d MiB went through", n>>20)
			}
		})
	}
}

// TestContextEndsADelivery while the receiver says nothing.
func TestContextEndsADelivery(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	address, _ := raw(t, func(c net.Conn) {
		cancel(nil)
		_, _ = c.Read(make([]byte, 1))
	})
	again, err := sender(t, "127.0.0.1").Deliver(ctx, event(address))
	if !again || !errors.Is(err, context.Canceled) {
		t.Error(again, err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 0)
	defer stop()
	if again, err := sender(t, "127.0.0.1").Deliver(ctx, event(address)); !again || !errors.Is(err, context.DeadlineExceeded) {
		t.Error(again, err)
	}
}

// TestNothingIsInjected: what a caller controls adds no line to a request.
func TestNothingIsInjected(t *testing.T) {
	var lines []string
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		head := bufio.NewReader(c)
		for {
			line, err := head.ReadString('\n')
			if line = strings.TrimRight(line, "\r\n"); err != nil || line == "" {
				break
			}
			lines = append(lines, line)
		}
		_, _ = c.Write([]byte("HTTP/1.1 204 No Content\r\n\r\n"))
	}()
	s := sender(t, "127.0.0.1")
	base := "http://" + l.Addr().String()
	for _, id := range []string{"", "a\r\nX-Evil: 1", "a\nb", "a b", "a.b", "ä", "a\x00", strings.Repeat("a", 129)} {
		m := event(base)
		m.ID = id
		if again, err := s.Deliver(t.Context(), m); again || err == nil {
			t.Errorf("ID %q: again %v, %v", id, again, err)
		}
	}
	for _, path := range []string{"/\r\nX-Evil: 1", "/ HTTP/1.1\r\nX-Evil: 1\r\n\r\n", "/\n", "\r\nX: "} {
		if again, err := s.Deliver(t.Context(), event(base+path)); again || err == nil {
			t.Errorf("path %q: again %v, %v", path, again, err)
		}
	}
	if again, err := s.Deliver(t.Context(), event(base+"/%0d%0aX-Evil:%201?%0d%0aX-Evil:%201")); again || err != nil {
		t.Error(again, err)
	}
	<-done
	if len(lines) != 9 || lines[0] != "POST /%0d%0aX-Evil:%201?%0d%0aX-Evil:%201 HTTP/1.1" {
		t.Errorf("%d lines:\n%s", len(lines), strings.Join(lines, "\n"))
	}
}

// TestBadSecret: an event is rather not sent than signed with a secret that is none.
func TestBadSecret(t *testing.T) {
	address, connections := raw(t, func(net.Conn) {})
	for _, secret := range [][]byte{nil, {}, make([]byte, 23), make([]byte, 65)} {
		s, err := webhook.New(webhook.Config{Secret: func(string) []byte { return secret }, Allow: []string{"127.0.0.1"}})
		if err != nil {
			t.Fatal(err)
		}
		if again, err := s.Deliver(t.Context(), event(address)); again || err == nil || !strings.Contains(err.Error(), "secret") {
			t.Errorf("%d bytes: again %v, %v", len(secret), again, err)
		}
	}
	if connections.Load() != 0 {
		t.Error("something was sent")
	}
}

// TestConcurrentDeliveries share a Sender and leave no connection behind.
func TestConcurrentDeliveries(t *testing.T) {
	var open, seen atomic.Int64
	receiver := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || webhook.Verify(secretOf(r.URL.Query().Get("tenant")), r.Header, body, time.Now(), 0) != nil {
			w.WriteHeader(http.StatusUnauthorized)
		}
		seen.Add(1)
	}))
	receiver.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			open.Add(1)
		case http.StateClosed:
			open.Add(-1)
		}
	}
	receiver.Start()
	s := sender(t, "127.0.0.1")
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			m := event(fmt.Sprintf("%s/?tenant=t%d", receiver.URL, i))
			m.Tenant, m.Body = fmt.Sprintf("t%d", i), bytes.Repeat([]byte{'a'}, i*1000)
			if again, err := s.Deliver(t.Context(), m); again || err != nil {
				t.Error(again, err)
			}
		})
	}
	wg.Wait()
	for begin := time.Now(); open.Load() > 0 && time.Since(begin) < 5*time.Second; {
		time.Sleep(time.Millisecond) // the receiver learns of it from its socket
	}
	left := open.Load()
	receiver.Close() // closes those that are idle
	if seen.Load() != 40 || left != 0 {
		t.Errorf("%d seen, %d connections open", seen.Load(), left)
	}
}
