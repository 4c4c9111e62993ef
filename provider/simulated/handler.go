package simulated

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/llm"
)

// maxRequest bounds the body of a request in bytes: 2,048 inputs of 8 KB.
const maxRequest = 32 << 20

// Handler serves the OpenAI protocol, with and without /v1 in front:
//
//	POST /v1/chat/completions                  whole or as events
//	POST /v1/embeddings
//	GET  /v1/models  /v1/models/{id}
//	GET  /v1/chat/completions                  and stored completions: every id
//	GET POST DELETE /v1/chat/completions/{id}  exists, nothing is stored
//	GET  /v1/chat/completions/{id}/messages
//
// and what changes and shows the simulation, in JSON:
//
//	GET PUT DELETE /simulated/faults           a list of what ParseFault reads
//	GET DELETE     /simulated/calls            the log
//	GET PUT        /simulated/config           {"capacity": 0, "scale": 0}; parts will do
//
// Faults and capacity concern chat and embeddings alone. Connections that a fault
// breaks are aborted with http.ErrAbortHandler, which net/http does not log.
func (p *Provider) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, prefix := range []string{"", "/v1"} {
		completions := prefix + "/chat/completions"
		mux.HandleFunc("POST "+completions, p.serveCall(llm.Chat))
		mux.HandleFunc("POST "+prefix+"/embeddings", p.serveCall(llm.Embeddings))
		mux.HandleFunc("GET "+prefix+"/models", p.serveModels)
		mux.HandleFunc("GET "+prefix+"/models/{id...}", p.serveModel)
		mux.HandleFunc("GET "+completions, p.serveStored)
		mux.HandleFunc(completions+"/{id}", p.serveStored)
		mux.HandleFunc("GET "+completions+"/{id}/messages", p.serveStored)
	}
	mux.HandleFunc("GET /simulated/faults", p.serveFaults)
	mux.HandleFunc("PUT /simulated/faults", p.replaceFaults)
	mux.HandleFunc("DELETE /simulated/faults", p.replaceFaults)
	mux.HandleFunc("GET /simulated/calls", p.serveCalls)
	mux.HandleFunc("DELETE /simulated/calls", p.serveCalls)
	mux.HandleFunc("GET /simulated/config", p.serveConfig)
	mux.HandleFunc("PUT /simulated/config", p.serveConfig)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		writeError(w, llm.Errorf(llm.CallerNotFound, "%s no route %s %s", label, r.Method, r.URL.Path))
	})
	return mux
}

// serveCall serves the routes that a model answers.
func (p *Provider) serveCall(endpoint llm.Endpoint) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := readBody(w, r)
		if err != nil {
			writeError(w, err)
			return
		}
		s, sc := p.open(endpoint, body, CallRecord{RequestID: r.Header.Get("X-Request-Id"), Path: r.URL.Path})
		play := &playing{w: w, r: r, session: s, script: sc}
		// Also when the connection is aborted by a panic.
		defer play.finish()
		play.run()
	}
}

// playing is a script that is being played over a connection.
type playing struct {
	w       http.ResponseWriter
	r       *http.Request
	session *session
	script  *script
	sent    int // bytes of the body
	headed  bool
	left    bool // the caller left
}

// run plays the script. It panics with http.ErrAbortHandler where the script
// breaks the connection, which is the one way in net/http to do that.
func (p *playing) run() {
	sc := p.script
	switch {
	case sc.hang:
		p.wait(never)
		return
	case !p.wait(sc.delay):
		return
	case sc.refuse:
		panic(http.ErrAbortHandler)
	}
	p.head()
	if !p.body() {
		return
	}
	switch sc.end {
	case complete, unframed:
	case silent:
		p.flush()
		p.wait(never)
	case broken:
		p.flush()
		panic(http.ErrAbortHandler)
	}
}

func (p *playing) head() {
	sc, h := p.script, p.w.Header()
	sc.header(h)
	if !sc.events && sc.end != unframed {
		h["Content-Length"] = []string{strconv.Itoa(len(sc.body))}
	}
	p.headed = true
	p.w.WriteHeader(sc.status)
}

// body sends the pieces: in one go where there is no gap between them, else each
// by itself. It reports whether the caller took all of them.
func (p *playing) body() bool {
	sc := p.script
	if sc.gap <= 0 {
		return p.write(sc.body[:sc.sent()])
	}
	for i, end := range sc.ends {
		if i > 0 && !p.wait(sc.gap) || !p.write(sc.body[p.sent:end]) {
			return false
		}
		p.flush()
	}
	return true
}

func (p *playing) write(b []byte) bool {
	n, err := p.w.Write(b)
	p.sent += n
	p.left = p.left || err != nil
	return err == nil
}

func (p *playing) flush() {
	// An error means that the caller is gone, which the next write or wait sees.
	_ = http.NewResponseController(p.w).Flush()
}

// wait passes d and reports whether the caller is still there.
func (p *playing) wait(d time.Duration) bool {
	if d == 0 {
		return true
	}
	var due <-chan time.Time // nil for never
	if d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-due:
		return true
	case <-p.r.Context().Done():
		p.left = true
		return false
	}
}

func (p *playing) finish() {
	outcome, status := p.session.outcome(), 0
	if p.left {
		outcome = Cancelled
	}
	if p.headed {
		status = p.script.status
	}
	p.session.end(outcome, status, p.script.chunksIn(p.sent))
}

// readBody reads a request's body, into memory of its announced size.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, *llm.Error) {
	if r.ContentLength > maxRequest {
		return nil, tooLarge()
	}
	limited := http.MaxBytesReader(w, r.Body, maxRequest)
	var err error
	var body []byte
	if r.ContentLength >= 0 {
		body = make([]byte, r.ContentLength)
		_, err = io.ReadFull(limited, body)
	} else {
		body, err = io.ReadAll(limited)
	}
	var large *http.MaxBytesError
	switch {
	case err == nil:
		return body, nil
	case errors.As(err, &large):
		return nil, tooLarge()
	}
	return nil, &llm.Error{Kind: llm.CallerInvalidRequest, Message: label + " the body could not be read", Err: err}
}

func tooLarge() *llm.Error {
	return &llm.Error{
		Kind: llm.CallerTooLarge, Message: label + " the body is too large",
		Limit: "bytes", Value: strconv.Itoa(maxRequest),
	}
}

func (p *Provider) serveModels(w http.ResponseWriter, r *http.Request) {
	models, _ := p.Models(r.Context()) // the list is in memory
	writeJSON(w, http.StatusOK, openai.EncodeModels(models))
}

func (p *Provider) serveModel(w http.ResponseWriter, r *http.Request) {
	writeJSON(w, http.StatusOK, openai.EncodeModel(model(r.PathValue("id"))))
}

func writeJSON(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h["X-Simulated"], h["Content-Type"] = isSimulated, jsonType
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	_, _ = io.Copy(w, bytes.NewReader(body)) // an error means that the caller is gone
}

func writeError(w http.ResponseWriter, e *llm.Error) {
	writeJSON(w, e.HTTPStatus(), openai.EncodeError(e))
}
