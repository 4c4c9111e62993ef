package browser

import (
	"encoding/json"
	"fmt"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
)

// Request is something that a page fetched.
type Request struct {
	URL, Method, Type string
	// Status is 0 until the answer's head is there.
	Status int64
	// Bytes is how many came over the wire, head included; what is compressed counts as that.
	Bytes int64
	// Done says that the answer has ended, Failed why it did so badly.
	Done   bool
	Failed string
}

// record takes down what a page does. It is told on chromedp's goroutine.
type record struct {
	mu       sync.Mutex // guards all that follows
	requests map[network.RequestID]*Request
	order    []network.RequestID
	faults   []string
	last     time.Time // of anything on the network
}

func newRecord() *record {
	return &record{requests: map[network.RequestID]*Request{}, last: time.Now()}
}

// event takes down one event of the browser's.
func (r *record) event(ev any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch e := ev.(type) {
	case *runtime.EventConsoleAPICalled:
		if e.Type == "error" || e.Type == "warning" || e.Type == "assert" {
			r.faults = append(r.faults, "console "+string(e.Type)+": "+arguments(e.Args))
		}
	case *runtime.EventExceptionThrown:
		r.faults = append(r.faults, "exception: "+exception(e.ExceptionDetails))
	case *log.EventEntryAdded:
		if e.Entry.Level == "error" || e.Entry.Level == "warning" {
			r.faults = append(r.faults, fmt.Sprintf("%s: %s (%s)", e.Entry.Source, e.Entry.Text, e.Entry.URL))
		}
	default:
		r.networkLocked(ev)
	}
}

func (r *record) networkLocked(ev any) {
	switch e := ev.(type) {
	case *network.EventRequestWillBeSent:
		if _, known := r.requests[e.RequestID]; !known {
			r.order = append(r.order, e.RequestID)
		}
		r.requests[e.RequestID] = &Request{URL: e.Request.URL, Method: e.Request.Method, Type: string(e.Type)}
	case *network.EventResponseReceived:
		if q := r.requests[e.RequestID]; q != nil {
			q.Status = e.Response.Status
		}
	case *network.EventDataReceived:
		if q := r.requests[e.RequestID]; q != nil {
			q.Bytes += e.EncodedDataLength
		}
	case *network.EventLoadingFinished:
		if q := r.requests[e.RequestID]; q != nil {
			q.Bytes, q.Done = int64(e.EncodedDataLength), true
		}
	case *network.EventLoadingFailed:
		if q := r.requests[e.RequestID]; q != nil {
			q.Done, q.Failed = true, e.ErrorText
		}
	default:
		return
	}
	r.last = time.Now()
}

// Requests returns what the page has fetched since it was opened or Forget was called, in order.
func (p *Page) Requests() []Request {
	p.seen.mu.Lock()
	defer p.seen.mu.Unlock()
	all := make([]Request, 0, len(p.seen.order))
	for _, id := range p.seen.order {
		all = append(all, *p.seen.requests[id])
	}
	return all
}

// Bytes is how many bytes those were, over the wire.
func (p *Page) Bytes() int64 {
	var n int64
	for _, q := range p.Requests() {
		n += q.Bytes
	}
	return n
}

// Faults returns what went wrong in the page: errors and warnings of its console, exceptions,
// what the browser itself complains of.
func (p *Page) Faults() []string {
	p.seen.mu.Lock()
	defer p.seen.mu.Unlock()
	all := append([]string(nil), p.seen.faults...)
	sort.Strings(all)
	return all
}

// Forget begins the record anew.
func (p *Page) Forget() {
	p.seen.mu.Lock()
	defer p.seen.mu.Unlock()
	p.seen.requests, p.seen.order, p.seen.faults = map[network.RequestID]*Request{}, nil, nil
}

// Quiet waits until the network has been silent for a while, or for d. Streams that stay open do
// not count: it is their chunks that do.
func (p *Page) Quiet(silence, d time.Duration) bool {
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		p.seen.mu.Lock()
		still := time.Since(p.seen.last) >= silence && p.seen.settledLocked()
		p.seen.mu.Unlock()
		if still {
			return true
		}
	}
	return false
}

// settledLocked says that nothing is on its way but streams.
func (r *record) settledLocked() bool {
	for _, q := range r.requests {
		if !q.Done && q.Type != "EventSource" && !strings.Contains(q.URL, "/events") {
			return false
		}
	}
	return true
}

func arguments(args []*runtime.RemoteObject) string {
	var texts []string
	for _, a := range args {
		text := a.Description
		if text == "" && json.Unmarshal(a.Value, &text) != nil {
			text = string(a.Value) // no string
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, " ")
}

func exception(d *runtime.ExceptionDetails) string {
	if d.Exception != nil && d.Exception.Description != "" {
		return d.Text + " " + d.Exception.Description
	}
	return fmt.Sprintf("%s (%s:%d)", d.Text, d.URL, d.LineNumber)
}
