package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/forebay-ai/forebay/bench/internal/proc"
	"github.com/forebay-ai/forebay/bench/internal/upstream"
)

const (
	metricsPath   = "/metrics"
	mallocsMetric = "go_memstats_mallocs_total"
	chatPath      = "/v1/chat/completions"
	// benchKey is what the measured Forebay asks of its callers.
	benchKey = "sk-bench-0123456789abcdef0123456789abcdef"
	// readyTimeout bounds the start of a gateway: a hundred times what is required.
	readyTimeout = 10 * time.Second
)

// forebayConfig runs Forebay with keys, metrics and accounting on, in front of
// one upstream. Its arguments are its own address and the upstream's.
const forebayConfig = `listen: %s
keys:
  - {name: bench, secret: ` + benchKey + `, tenant: bench, scopes: [call, metrics], bands: [low, normal, high, critical]}
providers:
  mock: {type: openai, base_url: "http://%s/v1"}
models:
  "*": {targets: [{provider: mock}]}
limits: {max_concurrent: 1024}
`

// server is a running system under test.
type server struct {
	child *proc.Child // nil for the upstream itself, which outlives a run
	addr  string
	pids  []int
}

func (s *server) stop() {
	if s.child != nil {
		s.child.Stop()
	}
}

// lab has what the systems under test are started from.
type lab struct {
	self     string // this binary
	forebay  string // the forebay binary; empty where it is skipped
	dir      string // for configurations and logs; removed at the end
	upstream server
}

// start starts a system, and returns once it has answered.
func (l *lab) start(ctx context.Context, s system) (*server, error) {
	switch {
	case s == direct:
		return &server{addr: l.upstream.addr, pids: l.upstream.pids}, nil
	case s == proxy:
		child, addr, err := proc.StartServer(exec.Command(l.self, cmdProxy, l.upstream.addr))
		if err != nil {
			return nil, err
		}
		return l.whenReady(ctx, &server{child: child, addr: addr, pids: []int{child.PID()}}, nil)
	}
	return l.startForebay(ctx)
}

// startForebay runs a fresh Forebay, with an empty cache and an environment that
// holds no keys of anybody's.
func (l *lab) startForebay(ctx context.Context) (*server, error) {
	addr, err := freePort()
	if err != nil {
		return nil, err
	}
	file := filepath.Join(l.dir, "forebay.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, forebayConfig, addr, l.upstream.addr), 0o600); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(l.dir, "forebay.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close() // the child has its own
	cmd := exec.Command(l.forebay, "serve", "--config", file)
	cmd.Dir, cmd.Stdout, cmd.Stderr = l.dir, log, log
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + l.dir}
	child, err := proc.Start(cmd)
	if err != nil {
		return nil, err
	}
	return l.whenReady(ctx, &server{child: child, addr: addr, pids: []int{child.PID()}}, log)
}

// freePort finds a port that is free now. Another program could take it before it
// is used; then the start fails and says so.
func freePort() (string, error) {
	ln, err := net.Listen("tcp", anyPort)
	if err != nil {
		return "", err
	}
	defer ln.Close()
	return ln.Addr().String(), nil
}

// whenReady waits until s answers a chat completion, asked every millisecond.
func (l *lab) whenReady(ctx context.Context, s *server, log *os.File) (*server, error) {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	for {
		err := askOnce(ctx, s.addr)
		if err == nil {
			return s, nil
		}
		select {
		case <-s.child.Done():
			return nil, fmt.Errorf("the program ended at once%s", tailOf(log))
		case <-ctx.Done():
			s.stop()
			return nil, fmt.Errorf("no answer within %v: %w%s", readyTimeout, err, tailOf(log))
		case <-time.After(time.Millisecond):
		}
	}
}

// askOnce asks for one answer on a connection of its own.
func askOnce(ctx context.Context, addr string) error {
	body := fmt.Sprintf(`{"model":%q,"messages":[{"role":"user","content":"ready at %d?"}]}`, upstream.Small, time.Now().UnixNano())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+chatPath, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	text, err := send(req)
	if err == nil && !bytes.Contains(text, []byte("chat.completion")) {
		err = fmt.Errorf("not a chat completion: %.200s", text)
	}
	return err
}

// send sends req with the bench's key and reads the answer, which must be a 200.
func send(req *http.Request) ([]byte, error) {
	req.Header.Set("Authorization", "Bearer "+benchKey)
	t := &http.Transport{DisableKeepAlives: true}
	res, err := t.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 8<<20))
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d: %.300s", res.StatusCode, text)
	}
	return text, err
}

// mallocs reads how many allocations the Go program at addr has made.
func mallocs(ctx context.Context, addr string) (float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+metricsPath, nil)
	if err != nil {
		return 0, err
	}
	text, err := send(req)
	if err != nil {
		return 0, err
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		if v, ok := strings.CutPrefix(lines.Text(), mallocsMetric+" "); ok {
			return strconv.ParseFloat(v, 64)
		}
	}
	return 0, fmt.Errorf("%s has no %s", metricsPath, mallocsMetric)
}

// tailOf gives the end of a program's log, to go behind an error.
func tailOf(log *os.File) string {
	if log == nil {
		return ""
	}
	text, err := os.ReadFile(log.Name())
	if err != nil || len(text) == 0 {
		return ""
	}
	return "; it said:\n" + string(text[max(0, len(text)-2000):])
}
