package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// mode is how the upstream treats calls that come now.
type mode int32

const (
	well    mode = iota
	failing      // every call gets a 500 at once
	slow         // every call takes slowBy times as long
)

// slowBy is how much longer calls take in a slow upstream.
const slowBy = 20

// tokenEvery is the time between two chunks of a stream, of ten tokens each.
const tokenEvery = 20 * time.Millisecond

// ending is how a call ended, as the upstream saw it.
type ending string

const (
	done    ending = "done"
	tooMany ending = "429"
	failed  ending = "500"
	cut     ending = "cut" // the caller left before the end
)

// served is the upstream's record of one call.
type served struct {
	number     int // of the request, as its text says; -1 where it says none
	start, end time.Time
	ending     ending
}

// upstream is a model with a fixed number of slots. A call takes the milliseconds that
// its model's name ends with; a call above the slots gets 429, as from a provider with
// a concurrency limit. A stream brings its first chunk after firstToken of that time.
type upstream struct {
	slots  int64
	busy   atomic.Int64
	mode   atomic.Int32
	server *http.Server
	addr   string

	mu  sync.Mutex // guards log
	log []served
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

func (u *upstream) close() { _ = u.server.Close() }

func (u *upstream) set(m mode) { u.mode.Store(int32(m)) }

// calls gives the records of the calls that load made, and leaves out those of the start.
func (u *upstream) calls() []served {
	u.mu.Lock()
	defer u.mu.Unlock()
	var all []served
	for _, s := range u.log {
		if s.number >= 0 {
			all = append(all, s)
		}
	}
	return all
}

// ServeHTTP implements http.Handler.
func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Model    string
		Stream   bool
		Messages []struct{ Content string }
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s := served{number: -1, start: time.Now()}
	if len(body.Messages) > 0 {
		if _, err := fmt.Sscanf(body.Messages[0].Content, "request %d ", &s.number); err != nil {
			s.number = -1
		}
	}
	service := time.Millisecond
	if _, name, ok := strings.Cut(body.Model, "svc-"); ok {
		var ms int
		if _, err := fmt.Sscanf(name, "%d", &ms); err == nil {
			service = time.Duration(ms) * time.Millisecond
		}
	}
	s.ending = u.answer(w, r, service, body.Stream)
	s.end = time.Now()
	u.mu.Lock()
	u.log = append(u.log, s)
	u.mu.Unlock()
}

// answer says yes or no and holds a slot for as long as it takes.
func (u *upstream) answer(w http.ResponseWriter, r *http.Request, service time.Duration, stream bool) ending {
	m := mode(u.mode.Load())
	if m == failing {
		refuse(w, http.StatusInternalServerError, "server_error", "the model has crashed")
		return failed
	}
	if u.busy.Add(1) > u.slots {
		u.busy.Add(-1)
		w.Header().Set("Retry-After", "1")
		refuse(w, http.StatusTooManyRequests, "rate_limit_error", "too many concurrent requests")
		return tooMany
	}
	defer u.busy.Add(-1)
	if m == slow {
		service *= slowBy
	}
	if stream {
		return writeStream(w, r, service)
	}
	if !pause(r, service) {
		return cut
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprint(w, `{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"done"},`+
		`"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}}`)
	return done
}

func refuse(w http.ResponseWriter, status int, kind, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"error":{"message":%q,"type":%q,"code":null}}`, text, kind)
}

// firstToken is how much of a stream's time passes before its first chunk: of the
// calls of the trace, 300 of some 700 ms.
const firstToken = 0.4

// writeStream brings a stream within service.
func writeStream(w http.ResponseWriter, r *http.Request, service time.Duration) ending {
	w.Header().Set("Content-Type", "text/event-stream")
	flush := http.NewResponseController(w)
	event := func(delta, rest string) {
		fmt.Fprintf(w, `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{%s},"finish_reason":%s}]}`+"\n\n", delta, rest)
		_ = flush.Flush() // a caller that is gone shows in the request's context
	}
	wait := time.Duration(float64(service) * firstToken)
	for left := service - wait; ; left -= wait {
		if !pause(r, wait) {
			return cut
		}
		if left <= 0 {
			break
		}
		event(`"content":"ten tokens of text, more or less, as models stream them "`, "null")
		wait = min(tokenEvery, left)
	}
	event("", `"stop"`)
	fmt.Fprint(w, "data: [DONE]\n\n")
	return done
}

// pause waits and reports whether the caller is still there.
func pause(r *http.Request, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
		return false
	}
}
