// Package subject starts the gateways that are measured, each as a process of its
// own, and asks them what the measurements have to know. It knows how Forebay is
// configured for that; every other server it takes as it is handed over.
package subject

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/forebay-ai/forebay/bench/internal/proc"
	"github.com/forebay-ai/forebay/bench/internal/upstream"
)

const (
	// ChatPath is where all of them take calls, and MetricsPath where they tell about
	// themselves.
	ChatPath    = "/v1/chat/completions"
	MetricsPath = "/metrics"
	// MallocsMetric is how many allocations a Go program has made.
	MallocsMetric = "go_memstats_mallocs_total"
	// Key is what the measured Forebay asks of its callers.
	Key = "sk-bench-0123456789abcdef0123456789abcdef"
	// readyTimeout bounds the start of a gateway: a hundred times what is required.
	readyTimeout = 10 * time.Second
)

// Server is a running system under test.
type Server struct {
	Child *proc.Child // nil for one that outlives a run
	Addr  string      // host:port
	PIDs  []int       // the roots of its processes
	log   string      // file of what it says; empty where nobody keeps it
}

// Of is the server that a child of ours announced.
func Of(child *proc.Child, addr string) *Server {
	return &Server{Child: child, Addr: addr, PIDs: []int{child.PID()}}
}

// Stop ends it and waits for its end.
func (s *Server) Stop() {
	if s.Child != nil {
		s.Child.Stop()
	}
}

// FreePort finds a port that is free now. Another program could take it before it
// is used; then the start fails and says so.
func FreePort() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer ln.Close()
	return ln.Addr().String(), nil
}

// WhenReady waits until s answers a chat completion, asked every millisecond, and
// stops it where that takes too long.
func (s *Server) WhenReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	for {
		err := askOnce(ctx, s.Addr)
		if err == nil {
			return nil
		}
		select {
		case <-s.Child.Done():
			return fmt.Errorf("the program ended at once%s", s.said())
		case <-ctx.Done():
			s.Stop()
			return fmt.Errorf("no answer within %v: %w%s", readyTimeout, err, s.said())
		case <-time.After(time.Millisecond):
		}
	}
}

// askOnce asks for one answer on a connection of its own.
func askOnce(ctx context.Context, addr string) error {
	body := fmt.Sprintf(`{"model":%q,"messages":[{"role":"user","content":"ready at %d?"}]}`, upstream.Small, time.Now().UnixNano())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+ChatPath, strings.NewReader(body))
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
	req.Header.Set("Authorization", "Bearer "+Key)
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

// Metric reads one metric, named with its labels as the exposition has them.
func (s *Server) Metric(ctx context.Context, name string) (float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.Addr+MetricsPath, nil)
	if err != nil {
		return 0, err
	}
	text, err := send(req)
	if err != nil {
		return 0, err
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		if v, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			return strconv.ParseFloat(v, 64)
		}
	}
	return 0, fmt.Errorf("%s has no %s", MetricsPath, name)
}

// said gives the end of a program's log, to go behind an error.
func (s *Server) said() string {
	text, err := os.ReadFile(s.log)
	if err != nil || len(text) == 0 {
		return ""
	}
	return "; it said:\n" + string(text[max(0, len(text)-2000):])
}
