// Package runtimeapi speaks Lambda's runtime API (2018-06-01) as the service does to a
// function's process: the next event, the answer, streamed or whole, errors, and those of
// the start. It is for tests and measurements on one machine: with it the very binary that is
// deployed runs as it does there, but for the freezing between invocations.
package runtimeapi

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Event is one invocation to be made.
type Event struct {
	Payload []byte
	// Timeout is the time that the invocation has. Zero means 30 s.
	Timeout time.Duration
	// TraceID is X-Ray's header; may be empty.
	TraceID string
	// OnPiece is told each piece of the answer when it comes, prelude included. Nil means nobody.
	OnPiece func([]byte)
}

// Answer is what the function made of an event.
type Answer struct {
	// ContentType and Body are the answer's. The body of a streamed answer of HTTP begins with
	// a prelude: Prelude splits it.
	ContentType string
	Body        []byte
	// Failed says that the invocation failed as a whole: Body is the error then.
	Failed bool
	// ErrorType and ErrorBody are the trailers of a streamed answer that broke off.
	ErrorType, ErrorBody string
	// FirstByte is when the first byte of the answer was there.
	FirstByte time.Time
}

// Prelude splits a streamed answer of HTTP into its head, a JSON object, and the body.
func (a *Answer) Prelude() (head, body string, ok bool) {
	return strings.Cut(string(a.Body), "\x00\x00\x00\x00\x00\x00\x00\x00")
}

// Server is the runtime API. Make it with Start; its methods may be called concurrently.
type Server struct {
	http     *http.Server
	addr     string
	events   chan *invocation
	asks     chan struct{} // gets a value each time that the function asks for an event
	failures chan string   // of the start
	wg       sync.WaitGroup

	mu      sync.Mutex // guards what follows
	n       int
	running map[string]*invocation
}

type invocation struct {
	Event
	id     string
	answer Answer
	done   chan struct{}
}

// Start serves the API on a free port of this machine, until Close.
func Start() (*Server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Server{
		addr: l.Addr().String(), events: make(chan *invocation), asks: make(chan struct{}, 1024), failures: make(chan string, 1),
		running: map[string]*invocation{},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", s.next)
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/response", s.response)
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/error", s.failed)
	mux.HandleFunc("POST /2018-06-01/runtime/init/error", s.initFailed)
	s.http = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	s.wg.Go(func() { _ = s.http.Serve(l) })
	return s, nil
}

// Address is what the function finds in AWS_LAMBDA_RUNTIME_API.
func (s *Server) Address() string { return s.addr }

// Environ are the variables that Lambda sets.
func (s *Server) Environ() []string {
	return []string{
		"AWS_LAMBDA_RUNTIME_API=" + s.addr, "AWS_LAMBDA_FUNCTION_NAME=forebay", "AWS_LAMBDA_FUNCTION_VERSION=$LATEST",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE=512", "AWS_REGION=eu-central-1", "AWS_EXECUTION_ENV=AWS_Lambda_provided.al2023",
	}
}

// Close ends the API; a function that waits for an event is let go.
func (s *Server) Close() error {
	err := s.http.Close()
	s.wg.Wait()
	return err
}

// InitFailure waits for the report of a start that failed.
func (s *Server) InitFailure(ctx context.Context) (string, error) {
	select {
	case text := <-s.failures:
		return text, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// Ready waits until the function asks for an event: the start, or the invocation before, is
// over then. Each asking counts once.
func (s *Server) Ready(ctx context.Context) error {
	select {
	case <-s.asks:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Invoke makes one invocation and waits for its answer.
func (s *Server) Invoke(ctx context.Context, e Event) (Answer, error) {
	if e.Timeout == 0 {
		e.Timeout = 30 * time.Second
	}
	s.mu.Lock()
	s.n++
	inv := &invocation{Event: e, id: fmt.Sprintf("00000000-0000-4000-8000-%012d", s.n), done: make(chan struct{})}
	s.running[inv.id] = inv
	s.mu.Unlock()
	select {
	case s.events <- inv:
	case <-ctx.Done():
		return Answer{}, ctx.Err()
	}
	select {
	case <-inv.done:
		return inv.answer, nil
	case <-ctx.Done():
		return Answer{}, ctx.Err()
	}
}

func (s *Server) next(w http.ResponseWriter, r *http.Request) {
	select {
	case s.asks <- struct{}{}:
	default:
	}
	var inv *invocation
	select {
	case inv = <-s.events:
	case <-r.Context().Done():
		return
	}
	h := w.Header()
	h.Set("Lambda-Runtime-Aws-Request-Id", inv.id)
	h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(time.Now().Add(inv.Timeout).UnixMilli(), 10))
	h.Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-central-1:123456789012:function:forebay")
	if inv.TraceID != "" {
		h.Set("Lambda-Runtime-Trace-Id", inv.TraceID)
	}
	_, _ = w.Write(inv.Payload)
}

// take finds the invocation of a request; nil where there is none, which is answered.
func (s *Server) take(w http.ResponseWriter, r *http.Request) *invocation {
	s.mu.Lock()
	defer s.mu.Unlock()
	inv := s.running[r.PathValue("id")]
	if inv == nil {
		http.Error(w, `{"errorType":"InvalidRequestID"}`, http.StatusBadRequest)
	}
	delete(s.running, r.PathValue("id"))
	return inv
}

func (s *Server) response(w http.ResponseWriter, r *http.Request) {
	inv := s.take(w, r)
	if inv == nil {
		return
	}
	defer close(inv.done)
	a := &inv.answer
	a.ContentType = r.Header.Get("Content-Type")
	for b := make([]byte, 64<<10); ; {
		n, err := r.Body.Read(b)
		if n > 0 {
			if a.FirstByte.IsZero() {
				a.FirstByte = time.Now()
			}
			a.Body = append(a.Body, b[:n]...)
			if inv.OnPiece != nil {
				inv.OnPiece(b[:n])
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			a.ErrorType = "connection: " + err.Error()
			return
		}
	}
	a.ErrorType = r.Trailer.Get("Lambda-Runtime-Function-Error-Type")
	text, _ := base64.StdEncoding.DecodeString(r.Trailer.Get("Lambda-Runtime-Function-Error-Body"))
	a.ErrorBody = string(text)
	w.WriteHeader(http.StatusAccepted)
}

func (s *Server) failed(w http.ResponseWriter, r *http.Request) {
	inv := s.take(w, r)
	if inv == nil {
		return
	}
	defer close(inv.done)
	inv.answer.Failed, inv.answer.FirstByte = true, time.Now()
	inv.answer.Body, _ = io.ReadAll(r.Body)
	w.WriteHeader(http.StatusAccepted)
}

func (s *Server) initFailed(w http.ResponseWriter, r *http.Request) {
	text, _ := io.ReadAll(r.Body)
	select {
	case s.failures <- string(text):
	default:
	}
	w.WriteHeader(http.StatusAccepted)
}
