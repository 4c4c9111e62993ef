package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// upstream is a model with a fixed number of slots. A call takes the milliseconds
// that its model's name ends with; a call above the slots gets 429, as from a
// provider with a concurrency limit.
type upstream struct {
	slots int64
	busy  atomic.Int64

	calls, refused, cutOff atomic.Int64
	server                 *http.Server
	addr                   string
}

// modelOf names a model whose calls take so long.
func modelOf(service time.Duration) string { return fmt.Sprintf("svc-%d", service.Milliseconds()) }

func startUpstream(slots int64) (*upstream, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	u := &upstream{slots: slots, addr: ln.Addr().String()}
	u.server = &http.Server{Handler: u, ReadHeaderTimeout: time.Second}
	go func() { _ = u.server.Serve(ln) }() // ends with Close
	return u, nil
}

// use is what became of calls: all, those above the slots, and those whose caller left
// before the answer.
type use struct{ Calls, Refused429, CutOff int64 }

func (u *upstream) use() use { return use{u.calls.Load(), u.refused.Load(), u.cutOff.Load()} }

func (a use) since(b use) use {
	return use{a.Calls - b.Calls, a.Refused429 - b.Refused429, a.CutOff - b.CutOff}
}

func (u *upstream) close() { _ = u.server.Close() }

// ServeHTTP implements http.Handler.
func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body struct{ Model string }
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var ms int
	if _, name, ok := strings.Cut(body.Model, "svc-"); !ok || scan(name, &ms) != nil {
		ms = 1
	}
	u.calls.Add(1)
	w.Header().Set("Content-Type", "application/json")
	if u.busy.Add(1) > u.slots {
		u.busy.Add(-1)
		u.refused.Add(1)
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = w.Write([]byte(`{"error":{"message":"too many concurrent requests","type":"rate_limit_error","code":"rate_limit_exceeded"}}`))
		return
	}
	defer u.busy.Add(-1)
	timer := time.NewTimer(time.Duration(ms) * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
		u.cutOff.Add(1)
		return
	}
	fmt.Fprintf(w, `{"id":"c","object":"chat.completion","created":1,"model":%q,"choices":[{"index":0,"message":{"role":"assistant","content":"done"},`+
		`"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}}`, body.Model)
}

func scan(text string, n *int) error {
	_, err := fmt.Sscanf(text, "%d", n)
	return err
}
