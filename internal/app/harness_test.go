package app_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/config"
	"github.com/forebay-ai/forebay/internal/app"
	"github.com/forebay-ai/forebay/internal/awstest"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/llm/llmtest"
)

// TestMain sees goroutines that are left behind. As a child it is a gateway.
func TestMain(m *testing.M) {
	if path := os.Getenv(childEnv); path != "" {
		serveAsChild(path)
		return
	}
	goleak.VerifyTestMain(awstest.Main{M: m})
}

// patience bounds what happens at once where nothing is wrong.
const patience = 20 * time.Second

// served is a server that runs.
type served struct {
	*app.Server
	t      *testing.T
	client *http.Client
	stop   context.CancelFunc
	ended  chan error // gets what Run returned
}

// start listens with o, whose file is read from the text and the flags, and runs.
func start(t *testing.T, o app.Options) *served {
	t.Helper()
	s, err := app.Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	r := &served{Server: s, t: t, client: &http.Client{Transport: &http.Transport{}}, stop: stop, ended: make(chan error, 1)}
	var wg sync.WaitGroup
	wg.Go(func() { r.ended <- s.Run(ctx) })
	t.Cleanup(func() {
		r.client.CloseIdleConnections()
		stop()
		wg.Wait()
	})
	return r
}

// wait gives what Run returned.
func (s *served) wait() error {
	s.t.Helper()
	select {
	case err := <-s.ended:
		return err
	case <-time.After(patience):
		s.t.Fatal("Run does not return")
		return nil
	}
}

// get asks for a path of the address base. header are pairs.
func (s *served) get(base, path string, header ...string) (int, string, http.Header) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, base+path, http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.send(req, header...)
}

// call asks for a chat completion.
func (s *served) call(body string, header ...string) (int, string, http.Header) {
	s.t.Helper()
	return s.send(s.chat(body), header...)
}

func (s *served) chat(body string) *http.Request {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.URL()+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	return req
}

func (s *served) send(req *http.Request, header ...string) (int, string, http.Header) {
	s.t.Helper()
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := s.client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res.StatusCode, string(body), res.Header
}

// file reads a configuration whose calls go nowhere.
func file(t *testing.T, flags map[string]string) *config.File {
	t.Helper()
	all := map[string]string{"listen": "127.0.0.1:0"}
	for k, v := range flags {
		all[k] = v
	}
	f, err := config.Read(config.Sources{Environ: []string{}, Upstreams: []string{"http://127.0.0.1:1/v1"}, Flags: all})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// scripted is a client whose one provider follows p.
func scripted(t *testing.T, p *llmtest.Provider) *forebay.Client {
	t.Helper()
	c, err := forebay.New(forebay.Config{
		Providers: map[string]llm.Provider{"script": p},
		Models:    map[string]forebay.Model{"*": {Targets: []forebay.Target{{Provider: "script"}}}},
		Retry:     forebay.Retry{Max: -1},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// lines is a log as text, that tests read while it is written.
type lines struct {
	slow string // lines with this text take a moment

	mu   sync.Mutex // guards text
	text strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	if l.slow != "" && strings.Contains(string(b), l.slow) {
		time.Sleep(30 * time.Millisecond)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *lines) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// eventually waits until something holds that another goroutine is about to do.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for start := time.Now(); !holds(); time.Sleep(time.Millisecond) {
		if time.Since(start) > patience {
			t.Fatal("not within " + patience.String() + ": " + what)
		}
	}
}

// gate is a provider's streamed answer whose end waits until it is opened.
type gate struct {
	ctx  context.Context
	open chan struct{}
	sent int
}

const (
	firstEvent = `data: {"id":"x","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"early"}}]}` + "\n\n"
	lastEvents = `data: {"id":"x","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":" late"},"finish_reason":"stop"}]}` + "\n\ndata: [DONE]\n\n"
	streamBody = `{"model":"m","stream":true,"messages":[{"role":"user","content":"go on"}]}`
	wholeBody  = `{"model":"m","messages":[{"role":"user","content":"hello"}]}`
)

// gated is a provider of such answers. Closing open lets them end.
func gated(open chan struct{}) *llmtest.Provider {
	return llmtest.Script(llmtest.Do(func(ctx context.Context, _ string, _ *llm.Request) (llm.Stream, error) {
		return &gate{ctx: ctx, open: open}, nil
	}))
}

func (g *gate) Next() (llm.Chunk, error) {
	g.sent++
	switch g.sent {
	case 1:
		return llm.Chunk{Raw: []byte(firstEvent), Events: 1, Useful: true}, nil
	case 2:
		select {
		case <-g.open:
			return llm.Chunk{Raw: []byte(lastEvents), Events: 2, Useful: true, Last: true, Finish: llm.FinishStop}, nil
		case <-g.ctx.Done():
			return llm.Chunk{}, llm.AsError(g.ctx.Err())
		}
	}
	return llm.Chunk{}, io.EOF
}

func (g *gate) Close() error { return nil }

// begin sends a streamed call and reads its first event.
func (s *served) begin() *http.Response {
	s.t.Helper()
	res, err := s.client.Do(s.chat(streamBody))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = res.Body.Close() })
	event := make([]byte, len(firstEvent))
	if _, err := io.ReadFull(res.Body, event); err != nil || string(event) != firstEvent {
		s.t.Fatalf("the first event is %q, %v", event, err)
	}
	return res
}
