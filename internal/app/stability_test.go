package app_test

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/config"
	"github.com/forebay-ai/forebay/internal/app"
)

// Calls go on while what stands beside them is down. Each test here takes one of these
// parts away from a gateway that works with all of them.

// stable starts a gateway with stores and a control address in front of a simulated
// provider, and checks that it works.
func stable(t *testing.T, log *slog.Logger) *served {
	t.Helper()
	path := filepath.Join(t.TempDir(), "forebay.yaml")
	text := fmt.Sprintf("listen: 127.0.0.1:0\ncontrol: 127.0.0.1:0\nproviders: {sim: {type: simulated, latency_scale: 0}}\n"+
		"models: {m: {targets: [{provider: sim}]}}\nstore: {dir: %q}\n", t.TempDir())
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := config.Read(config.Sources{Path: path, Environ: []string{}})
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, app.Options{File: f, Logger: log})
	s.goesOn("at first")
	return s
}

// goesOn makes calls that have to be answered: new ones, and one that the cache has.
func (s *served) goesOn(when string) {
	s.t.Helper()
	for i := range 20 {
		body := fmt.Sprintf(`{"model":"m","messages":[{"role":"user","content":"%s %d"}]}`, when, i/2)
		status, answer, header := s.call(body)
		if status != http.StatusOK {
			s.t.Fatalf("%s: call %d: %d %s", when, i, status, answer)
		}
		if hit := strings.Contains(header.Get("Cache-Status"), "; hit"); hit != (i%2 == 1) {
			s.t.Fatalf("%s: call %d: %s", when, i, header.Get("Cache-Status"))
		}
	}
}

func TestCallsGoOnWithoutStores(t *testing.T) {
	s := stable(t, nil)
	if err := app.CloseStores(s.Server); err != nil {
		t.Fatal(err)
	}
	s.goesOn("without stores")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL()+"/v1/chat/completions", strings.NewReader(`{"model":"m","messages":[{"role":"user","content":"later"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if status, body, _ := s.send(req, "Prefer", "respond-async"); status != http.StatusServiceUnavailable {
		t.Errorf("a job without a store: %d %s", status, body)
	}
	if status, _, _ := s.get(s.URL(), "/healthz"); status != http.StatusOK {
		t.Errorf("liveness: %d", status)
	}
	s.stop()
	if err := s.wait(); err != nil && !errors.Is(err, fs.ErrClosed) {
		t.Logf("the stop says: %v", err)
	}
}

func TestCallsGoOnWithoutControl(t *testing.T) {
	s := stable(t, nil)
	if err := app.CloseControl(s.Server); err != nil {
		t.Fatal(err)
	}
	s.goesOn("without control")
	if _, err := net.DialTimeout("tcp", strings.TrimPrefix(s.ControlURL(), "http://"), time.Second); err == nil {
		t.Error("control is still there")
	}
}

// Whoever asks for metrics and reads nothing keeps nobody from being served.
func TestCallsGoOnWithoutReadersOfMetrics(t *testing.T) {
	s := stable(t, nil)
	for range 50 {
		c, err := net.Dial("tcp", strings.TrimPrefix(s.ControlURL(), "http://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		if err := c.(*net.TCPConn).SetReadBuffer(1 << 10); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte(strings.Repeat("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 100))); err != nil {
			t.Fatal(err)
		}
	}
	s.goesOn("with scrapers that hang")
	// The number of readings at once is bounded: one more is refused, not left to hang.
	if status, _, _ := s.get(s.ControlURL(), "/metrics"); status != http.StatusOK && status != http.StatusServiceUnavailable {
		t.Errorf("metrics: %d", status)
	}
}

// An operator's change that cannot be recorded is not made; calls do not care.
func TestCallsGoOnWithoutAudit(t *testing.T) {
	s := stable(t, nil)
	ctx := t.Context()
	if err := s.Client().SetBreaker(ctx, "ops", "sim/*", forebay.BreakerClose, "trial"); err != nil {
		t.Fatal(err)
	}
	if err := app.CloseAudit(s.Server); err != nil {
		t.Fatal(err)
	}
	if err := s.Client().SetBreaker(ctx, "ops", "sim/*", forebay.BreakerOpen, "trial"); err == nil {
		t.Error("a change was made that is recorded nowhere")
	}
	s.goesOn("without audit")
}

// What operators change is on disk before it takes effect.
func TestAudit(t *testing.T) {
	s := stable(t, nil)
	if err := s.Client().SetBreaker(t.Context(), "ops", "sim/*", forebay.BreakerClose, "a trial"); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(app.StoreDir(s.Server), "audit.log"))
	if err != nil || !strings.HasSuffix(string(text), `"actor":"ops","action":"breaker.close","details":{"action":"close","reason":"a trial","target":"sim/*"}}`+"\n") {
		t.Errorf("%s (%v)", text, err)
	}
}
