package gateway_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/gateway"
	"github.com/forebay-ai/forebay/internal/memnet"
	"github.com/forebay-ai/forebay/jobs"
	"github.com/forebay-ai/forebay/llm"
)

// sse is one server-sent event, or a comment.
type sse struct{ id, event, data, comment string }

// nextEvent reads an event as the WHATWG specification has it.
func nextEvent(r *bufio.Reader) (e sse, err error) {
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return e, err
		}
		line = strings.TrimSuffix(line, "\n")
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "":
			return e, nil
		case name == "":
			e.comment = value
		case name == "id":
			e.id = value
		case name == "event":
			e.event = value
		case name == "data":
			e.data = value
		}
	}
}

// follow opens the events of a job.
func follow(t *testing.T, c net.Conn, id backlog.ID, headers ...string) *http.Response {
	t.Helper()
	_, _ = io.WriteString(c, request("GET", "/v1/jobs/"+id.String()+"/events", "", append([]string{"Authorization: Bearer " + jobsKey}, headers...)...))
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// TestJobEvents follows a job from its acceptance to its end, and again from the
// middle.
func TestJobEvents(t *testing.T) {
	d, s, _ := jobDoor(t)
	id := d.submit(jobsKey)
	res := follow(t, dial(t, d.addr, ""), id)
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" || res.Header.Get("Cache-Control") != "no-cache" || res.Header.Get("X-Accel-Buffering") != "no" {
		t.Errorf("%d %v", res.StatusCode, res.Header)
	}
	r := bufio.NewReader(res.Body)
	next := func() sse {
		e, err := nextEvent(r)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	if e := next(); e.id != "1" || e.event != "state" || into[jobs.View](t, e.data).State != "queued" {
		t.Errorf("%+v", e)
	}
	s.set(id, func(k *kept) { k.job.State = backlog.Processing })
	if e := next(); e.id != "2" || into[jobs.View](t, e.data).State != "processing" {
		t.Errorf("%+v", e)
	}
	const chunk = "data: {\"text\":\"Grüße\\n\"}\n\ndata: [DONE]\n\n"
	s.chunk(id, chunk)
	if e := next(); e.id != "3" || e.event != "chunk" || into[struct{ Data string }](t, e.data).Data != chunk {
		t.Errorf("%+v", e)
	}
	s.set(id, func(k *kept) { s.tell(k, jobs.Event{Type: jobs.EventRestart}) })
	if e := next(); e != (sse{id: "4", event: "restart", data: "{}"}) {
		t.Errorf("%+v", e)
	}
	s.complete(id, forebay.Response{})
	if e := next(); e.id != "5" || into[jobs.View](t, e.data).State != "completed" {
		t.Errorf("%+v", e)
	}
	if e, err := nextEvent(r); err != io.EOF {
		t.Errorf("behind the final state: %+v %v", e, err)
	}

	again := d.tell(jobsKey, "GET /v1/jobs/"+id.String()+"/events", "", "Last-Event-ID: 3")
	if !strings.HasPrefix(again.body, "id: 4\nevent: restart\n") || strings.Count(again.body, "event: ") != 2 {
		t.Errorf("resumed: %s", again.body)
	}
	if s.readers() != 0 {
		t.Error("a reader was left")
	}
}

// TestJobEventsReaderGone frees the reader of a client that left.
func TestJobEventsReaderGone(t *testing.T) {
	d, s, _ := jobDoor(t)
	id := d.submit(jobsKey)
	c := dial(t, d.addr, "")
	follow(t, c, id)
	until(t, 5*time.Second, func() bool { return s.readers() == 1 })
	_ = c.Close()
	until(t, 5*time.Second, func() bool { return s.readers() == 0 })
}

// TestJobEventsKeepalive is silence, and then a drain: the stream ends, so that its
// reader goes elsewhere, and the drain does not wait for it.
func TestJobEventsKeepalive(t *testing.T) {
	jobBubble(t, func(t *testing.T, s *shelf, b *backend, w wired) {
		j, _, _ := s.SubmitJob(t.Context(), &llm.Request{Tenant: "acme"}, gateway.Submission{})
		c, err := w.l.Dial(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		start := time.Now()
		r := bufio.NewReader(follow(t, c, j.ID).Body)
		if e, _ := nextEvent(r); e.event != "state" {
			t.Errorf("%+v", e)
		}
		for i := range 2 {
			e, err := nextEvent(r)
			if took := time.Since(start); e != (sse{comment: "keepalive"}) || took != time.Duration(i+1)*15*time.Second {
				t.Errorf("%+v after %s: %v", e, took, err)
			}
		}
		time.Sleep(10 * time.Second)
		s.chunk(j.ID, "x") // silence begins anew
		start = time.Now()
		_, _ = nextEvent(r)
		if e, _ := nextEvent(r); e.comment != "keepalive" || time.Since(start) != 15*time.Second {
			t.Errorf("%+v after %s", e, time.Since(start))
		}
		b.mu.Lock()
		b.ready = &llm.Error{Kind: llm.ForebayUnavailable} // the store has failed: readers stay
		b.mu.Unlock()
		if e, err := nextEvent(r); e.comment != "keepalive" {
			t.Errorf("%+v %v", e, err)
		}
		b.mu.Lock()
		b.ready = llm.Errorf(llm.ForebayDraining, "shutting down")
		b.mu.Unlock()
		start = time.Now()
		if e, err := nextEvent(r); err != io.EOF || time.Since(start) > 2*time.Second {
			t.Errorf("%+v %v after %s", e, err, time.Since(start))
		}
		synctest.Wait()
		if s.readers() != 0 {
			t.Error("a reader was left")
		}
	})
}

// TestJobEventsSlowReader cuts a client that stops reading.
func TestJobEventsSlowReader(t *testing.T) {
	back := func() *backend { b := newBackend(); b.jobs = newShelf(); return b }
	bubble(t, func(c *gateway.Config) { c.WriteTimeout = 2 * time.Second }, back, func(t *testing.T, b *backend, l *memnet.Listener) {
		j, _, _ := b.jobs.SubmitJob(t.Context(), &llm.Request{Tenant: "acme"}, gateway.Submission{})
		c, err := l.Dial(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, _ = io.WriteString(c, request("GET", "/v1/jobs/"+j.ID.String()+"/events", "", "Authorization: Bearer "+jobsKey))
		start := time.Now()
		for b.jobs.readers() == 0 && time.Since(start) < time.Second {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(2*time.Second + time.Millisecond)
		synctest.Wait()
		if b.jobs.readers() != 0 {
			t.Error("the reader is still there")
		}
	})
}

// TestJobEventsFail breaks the stream where the queue fails.
func TestJobEventsFail(t *testing.T) {
	d, s, _ := jobDoor(t)
	id := d.submit(jobsKey)
	res := follow(t, dial(t, d.addr, ""), id, "X-Request-Id: the-id")
	until(t, 5*time.Second, func() bool { return s.readers() == 1 })
	s.mu.Lock()
	delete(s.all, id)
	close(s.changed)
	s.changed = make(chan struct{})
	s.mu.Unlock()
	body, err := io.ReadAll(res.Body)
	if !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(string(body), "event: error\ndata: {\"success\":false") || !strings.Contains(string(body), "the-id") {
		t.Errorf("%v: %s", err, body)
	}
}

// TestLongPoll holds the answer until the job ends, the time is over, or the client
// drains.
func TestLongPoll(t *testing.T) {
	jobBubble(t, func(t *testing.T, s *shelf, b *backend, w wired) {
		j, _, _ := s.SubmitJob(t.Context(), &llm.Request{Tenant: "acme"}, gateway.Submission{})
		ask := func(query string, headers ...string) string {
			return request("GET", "/v1/jobs/"+j.ID.String()+query, "", append([]string{"Authorization: Bearer " + jobsKey}, headers...)...)
		}
		for _, c := range []struct {
			raw      string
			while    func()
			took     time.Duration
			state    string
			applied  string
			statuses int
		}{
			{raw: ask(""), state: "queued"},
			{raw: ask("?wait=0"), state: "queued"},
			{raw: ask("?wait=30"), took: 30 * time.Second, state: "queued"},
			{raw: ask("?wait=2500ms"), took: 2500 * time.Millisecond, state: "queued"},
			{raw: ask("", "Prefer: wait=7"), took: 7 * time.Second, state: "queued", applied: "wait=7"},
			{raw: ask("?wait=3", "Prefer: wait=7"), took: 3 * time.Second, state: "queued"},
			{raw: ask("", "Prefer: wait=soon"), state: "queued"},
			{raw: ask("?wait=5m"), took: 9 * time.Second, state: "processing", while: func() {
				s.set(j.ID, func(k *kept) { k.job.State = backlog.Processing })
				time.Sleep(7900 * time.Millisecond)
				b.mu.Lock()
				defer b.mu.Unlock()
				b.ready = llm.Errorf(llm.ForebayDraining, "shutting down")
			}},
			{raw: ask("?wait=5m"), took: 4 * time.Second, state: "completed", while: func() {
				b.mu.Lock()
				b.ready = nil
				b.mu.Unlock()
				time.Sleep(4 * time.Second)
				s.complete(j.ID, forebay.Response{})
			}},
			{raw: ask("?wait=5m"), state: "completed"},
		} {
			start := time.Now()
			r := w.send(t, c.raw, c.while)
			took := time.Since(start)
			if c.state == "processing" {
				took = took.Round(3 * time.Second) // within the next look
			}
			if r.status != 200 || into[jobs.View](t, r.body).State != c.state || took != c.took || r.header.Get("Preference-Applied") != c.applied {
				t.Errorf("%.60s: %d after %s: %v %s", c.raw, r.status, took, r.header, r.body)
			}
		}
	})
}

// TestLongPollClientGone ends the wait of a client that left.
func TestLongPollClientGone(t *testing.T) {
	d, _, _ := jobDoor(t)
	id := d.submit(jobsKey)
	c := dial(t, d.addr, request("GET", fmt.Sprintf("/v1/jobs/%s?wait=5m", id), "", "Authorization: Bearer "+jobsKey))
	_ = c.Close() // goleak tells of a handler that stays, and the server waits for it at the end
}
