package app_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/forebay-ai/forebay/config"
	"github.com/forebay-ai/forebay/internal/app"
	"github.com/forebay-ai/forebay/llm/llmtest"
)

func TestServe(t *testing.T) {
	var log lines
	s := start(t, app.Options{File: file(t, nil), Client: scripted(t, llmtest.Script(llmtest.OK("fine"))), Logger: log.logger(), Version: "v1.2.3"})
	if status, body, _ := s.call(wholeBody); status != http.StatusOK || !strings.Contains(body, "fine") {
		t.Errorf("a call gives %d %s", status, body)
	}
	for path, want := range map[string]string{"/": "v1.2.3", "/healthz": "alive", "/readyz": "ready", "/v1/health": "healthy", "/metrics": "forebay_"} {
		if status, body, _ := s.get(s.URL(), path); status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s gives %d %s", path, status, body)
		}
	}
	if s.ControlURL() != "" {
		t.Errorf("there is a control address %s that nobody asked for", s.ControlURL())
	}
	s.stop()
	if err := s.wait(); err != nil {
		t.Errorf("Run gives %v", err)
	}
	if text := log.String(); !strings.Contains(text, "msg=draining for_at_most=25s") || !strings.Contains(text, "msg=stopped") {
		t.Errorf("the log is\n%s", text)
	}
	if c, err := net.Dial("tcp", s.Addr()); err == nil {
		_ = c.Close()
		t.Error("the address is still taken after Run")
	}
}

// TestDrain stops a server in the middle of a stream.
func TestDrain(t *testing.T) {
	open := make(chan struct{})
	s := start(t, app.Options{File: file(t, map[string]string{"control": "127.0.0.1:0"}), Client: scripted(t, gated(open))})
	res := s.begin()
	s.stop()
	for _, base := range []string{s.URL(), s.ControlURL()} {
		eventually(t, "readiness of "+base+" turns red", func() bool {
			status, body, _ := s.get(base, "/readyz")
			return status == http.StatusServiceUnavailable && strings.Contains(body, "forebay_draining")
		})
	}
	status, body, header := s.call(wholeBody)
	if status != http.StatusServiceUnavailable || !strings.Contains(body, "forebay_draining") || header.Get("X-Should-Retry") != "true" || header.Get("Retry-After") != "1" {
		t.Errorf("a new call gets %d %s %v", status, body, header)
	}
	if status, _, _ := s.get(s.URL(), "/healthz"); status != http.StatusOK {
		t.Errorf("liveness is %d while draining: the process would be killed", status)
	}
	select {
	case err := <-s.ended:
		t.Fatalf("Run returned %v with a stream in progress", err)
	default:
	}
	close(open)
	rest, err := io.ReadAll(res.Body)
	if err != nil || string(rest) != lastEvents {
		t.Errorf("the stream goes on with %q, %v", rest, err)
	}
	if err := s.wait(); err != nil {
		t.Errorf("Run gives %v", err)
	}
}

// TestDrainTimeout has a stream that does not end in time.
func TestDrainTimeout(t *testing.T) {
	provider := gated(make(chan struct{}))
	s := start(t, app.Options{File: file(t, nil), Client: scripted(t, provider), Drain: 50 * time.Millisecond})
	res := s.begin()
	s.stop()
	err := s.wait()
	if err == nil {
		t.Fatal("Run says nothing of the stream that it cut")
	}
	for _, want := range []string{"drain of 50ms was too short", "calls still running at the end of the drain: 1", "connections were still at work and are closed"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error says nothing of %q: %v", want, err)
		}
	}
	if rest, err := io.ReadAll(res.Body); err == nil {
		t.Errorf("the stream that was cut ends as if it were whole, with %q", rest)
	}
	if now, _ := provider.InFlight(); now != 0 {
		t.Errorf("%d calls of the provider still run after Run", now)
	}
}

// TestCutEndsPipelined has a client that sends a second request behind its first:
// then net/http does not see the end of the connection, and the call has to be
// ended all the same. Run waits until its handler has returned.
func TestCutEndsPipelined(t *testing.T) {
	log := lines{slow: "msg=request"} // the last thing that a handler does
	s := start(t, app.Options{
		File: file(t, map[string]string{"log.requests": "true"}), Client: scripted(t, gated(make(chan struct{}))),
		Drain: 50 * time.Millisecond, Logger: log.logger(),
	})
	var request strings.Builder
	if err := s.chat(streamBody).Write(&request); err != nil {
		t.Fatal(err)
	}
	c := s.dial(request.String(), "early")
	if _, err := io.WriteString(c, request.String()); err != nil {
		t.Fatal(err)
	}
	s.stop()
	if err := s.wait(); err == nil {
		t.Error("Run says nothing of the stream that it cut")
	}
	if text := log.String(); !strings.Contains(text, "msg=request") {
		t.Errorf("Run returned before the handler did: %s", text)
	}
}

// TestCutEndsUpload has a client that stops in the middle of its body: there is no
// call yet, and nobody but the connection to end.
func TestCutEndsUpload(t *testing.T) {
	s := start(t, app.Options{File: file(t, map[string]string{"gateway.body_timeout": "1h"}), Drain: 50 * time.Millisecond})
	s.dial("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 100\r\n\r\n", "100 Continue")
	s.stop()
	if err := s.wait(); err == nil || !strings.Contains(err.Error(), "listen: connections were still at work and are closed") {
		t.Errorf("Run gives %v", err)
	}
}

// dial sends text on a connection of its own, and reads until the answer has want.
func (s *served) dial(text string, want ...string) net.Conn {
	s.t.Helper()
	c, err := net.Dial("tcp", s.Addr())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience)) // a connection of net's takes deadlines
	if _, err := io.WriteString(c, text); err != nil {
		s.t.Fatal(err)
	}
	answer := make([]byte, 4<<10)
	for _, w := range want {
		for got := ""; !strings.Contains(got, w); {
			n, err := c.Read(answer)
			if err != nil {
				s.t.Fatal(err)
			}
			got += string(answer[:n])
		}
	}
	return c
}

// TestStopBeforeRun is a stop during the start.
func TestStopBeforeRun(t *testing.T) {
	s, err := app.Listen(app.Options{File: file(t, map[string]string{"control": "127.0.0.1:0"})})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Run(ctx); err != nil {
		t.Errorf("Run gives %v", err)
	}
}

// TestListenRefuses starts what cannot be started, and sees that nothing is left.
func TestListenRefuses(t *testing.T) {
	taken := occupied(t)
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	badKey := file(t, nil)
	badKey.Keys = []config.Key{{Name: "not a name", Secret: "short"}}
	open := file(t, nil)
	open.Listen = "0.0.0.0:0" // config.Read refuses both as well, with better messages
	unresolved := file(t, nil)
	unresolved.Listen = "127.0.0.1:no-such-port"
	tests := map[string]struct {
		o    app.Options
		want []string
	}{
		"no file":        {app.Options{}, []string{"File is missing"}},
		"negative drain": {app.Options{File: file(t, nil), Drain: -time.Second}, []string{"-1s", "negative"}},
		"bad key":        {app.Options{File: badKey}, []string{"not a name", "8 to 512"}},
		"open to all":    {app.Options{File: open}, []string{"listen: ", "without keys", "127.0.0.1"}},
		"port in use":    {app.Options{File: file(t, map[string]string{"listen": taken})}, []string{"listen: " + taken + " is in use by another process", "--listen", "127.0.0.1:0"}},
		"control in use": {app.Options{File: file(t, map[string]string{"control": taken})}, []string{"control: " + taken + " is in use by another process", "--set control="}},
		"second in use":  {app.Options{File: file(t, map[string]string{"control": "127.0.0.1:0", "listen": taken})}, []string{"listen: " + taken + " is in use"}},
		"unknown port":   {app.Options{File: unresolved}, []string{"listen: ", "no-such-port"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s, err := app.Listen(tt.o)
			if err == nil {
				t.Fatalf("it listens on %s", s.Addr())
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the message has no %q: %v", want, err)
				}
			}
		})
	}
}

// TestListenGivesBack has a second address that is taken: the first one is free
// again afterwards.
func TestListenGivesBack(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	control := l.Addr().String()
	_ = l.Close()
	if _, err := app.Listen(app.Options{File: file(t, map[string]string{"control": control, "listen": occupied(t)})}); err == nil {
		t.Fatal("two servers on one port")
	}
	if l, err = net.Listen("tcp", control); err != nil {
		t.Fatalf("the control address was not given back: %v", err)
	}
	_ = l.Close()
}

// occupied is the address of a port that is taken.
func occupied(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}

// TestClientOfAnother checks that a client which was handed in survives a start
// that failed.
func TestClientOfAnother(t *testing.T) {
	taken := occupied(t)
	client := scripted(t, llmtest.Script())
	if _, err := app.Listen(app.Options{File: file(t, map[string]string{"listen": taken}), Client: client}); err == nil {
		t.Fatal("two servers on one port")
	}
	if err := client.Ready(); err != nil {
		t.Errorf("Listen closed a client that is not its own: %v", err)
	}
	if err := client.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestAcceptFails takes the listener away from a server that runs.
func TestAcceptFails(t *testing.T) {
	s := start(t, app.Options{File: file(t, nil)})
	eventually(t, "it serves", func() bool { status, _, _ := s.get(s.URL(), "/healthz"); return status == http.StatusOK })
	if err := app.CloseListener(s.Server); err != nil {
		t.Fatal(err)
	}
	if err := s.wait(); !errors.Is(err, net.ErrClosed) || !strings.Contains(err.Error(), "listen: ") {
		t.Errorf("Run gives %v", err)
	}
}

func TestURL(t *testing.T) {
	keys := file(t, nil)
	keys.Keys = []config.Key{{Name: "web", Secret: "0123456789abcdef0123"}}
	for addr, want := range map[string]string{"127.0.0.1:0": "http://127.0.0.1:", "0.0.0.0:0": "http://127.0.0.1:", "localhost:0": "http://"} {
		f := *keys
		f.Listen = addr
		s := start(t, app.Options{File: &f})
		if !strings.HasPrefix(s.URL(), want) {
			t.Errorf("listening on %s, the URL is %s", addr, s.URL())
		}
		if status, _, _ := s.get(s.URL(), "/healthz"); status != http.StatusOK {
			t.Errorf("%s answers %d", s.URL(), status)
		}
	}
}
