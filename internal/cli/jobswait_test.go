package cli_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestJobsWaitExitCodes holds the numbers fast that scripts rely on.
func TestJobsWaitExitCodes(t *testing.T) {
	d := open(t, map[string]http.HandlerFunc{"GET /v1/jobs/{id}": byID(map[string]string{job1: "completed", job2: "failed", job3: "timeout"})})
	cancelled := open(t, map[string]http.HandlerFunc{"GET /v1/jobs/{id}": byID(map[string]string{job1: "completed", job2: "cancelled", job3: "dead"})})
	for _, tt := range []struct {
		d    *door
		ids  []string
		code int
	}{
		{d, []string{job1}, 0},
		{d, []string{job1, job1}, 0},
		{d, []string{job2}, 10},
		{d, []string{job3}, 11},
		{d, []string{job3, job1, job2}, 11},
		{cancelled, []string{job2, job1}, 12},
		{cancelled, []string{job1, job3, job2}, 13},
	} {
		code, out, talk := tt.d.run(t, append([]string{"wait"}, tt.ids...)...)
		if code != tt.code || strings.Count(out, "\n") != len(tt.ids) || (code != 0) != strings.Contains(talk, "ended as") {
			t.Errorf("%v: %d\n%s%s", tt.ids, code, out, talk)
		}
	}
	_, out, _ := d.run(t, "wait", job1, job3)
	if out != job1+" completed\n"+job3+" timeout\n" {
		t.Error(out)
	}
	_, out, _ = d.run(t, "wait", job1, job3, "--json")
	if out != jobJSON(job1, "completed")+"\n"+jobJSON(job3, "timeout")+"\n" {
		t.Error(out)
	}
}

func TestJobsWaitAsksInLongPolls(t *testing.T) {
	polls := 0
	d := open(t, map[string]http.HandlerFunc{"GET /v1/jobs/{id}": func(w http.ResponseWriter, _ *http.Request) {
		if polls++; polls == 1 {
			_, _ = io.WriteString(w, jobJSON(job1, "queued"))
			return
		}
		_, _ = io.WriteString(w, jobJSON(job1, "completed"))
	}})
	if code, _, talk := d.run(t, "wait", job1); code != 0 || talk != "" {
		t.Error(code, talk)
	}
	want := []string{"GET /v1/jobs/" + job1 + "?wait=30s", "GET /v1/jobs/" + job1 + "?wait=30s"}
	if d := cmp.Diff(want, d.questions()); d != "" {
		t.Error(d)
	}
}

func TestJobsWaitTimeout(t *testing.T) {
	d := open(t, map[string]http.HandlerFunc{"GET /v1/jobs/{id}": byID(map[string]string{job1: "processing", job2: "dead"})})
	code, out, talk := d.run(t, "wait", job1, job2, "--timeout", "50ms")
	if code != 14 || out != job1+" processing\n"+job2+" dead\n" || !strings.Contains(talk, "is processing still. It goes on: forebay jobs wait "+job1) {
		t.Error(code, out, talk)
	}
	if n := len(d.questions()); n > 5 { // the door answers at once, as one that drains
		t.Errorf("%d questions in 50 ms", n)
	}
}

// TestJobsWaitOutlastsARestart: a gateway that answered and is away then is waited for;
// one that never answered is not.
func TestJobsWaitOutlastsARestart(t *testing.T) {
	var asked atomic.Int32
	d := open(t, map[string]http.HandlerFunc{"GET /v1/jobs/{id}": func(w http.ResponseWriter, _ *http.Request) {
		switch asked.Add(1) {
		case 1:
			_, _ = io.WriteString(w, jobJSON(job1, "queued"))
		case 2:
			problem(w, 503, "this gateway is shutting down. Try another one.")
		case 3:
			panic(http.ErrAbortHandler)
		case 4:
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, jobJSON(job1, "completed")) // and breaks off
			panic(http.ErrAbortHandler)
		default:
			_, _ = io.WriteString(w, jobJSON(job1, "completed"))
		}
	}})
	code, out, talk := d.run(t, "wait", job1)
	if code != 0 || out != job1+" completed\n" || talk != "this gateway is shutting down. Try another one.; trying again for 30s\n" {
		t.Error(code, out, talk)
	}
	for _, first := range []http.HandlerFunc{answers("503 no store"), func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }} {
		d := open(t, map[string]http.HandlerFunc{"/": first})
		if code, _, talk := d.run(t, "wait", job1); code != 1 || strings.Contains(talk, "trying again") || len(d.questions()) > 2 {
			t.Error(code, talk) // net/http itself asks twice where the connection breaks
		}
	}
	d = open(t, map[string]http.HandlerFunc{"GET /v1/jobs/{id}": byID(nil)})
	if code, _, talk := d.run(t, "wait", job1); code != 1 || !strings.Contains(talk, "no job is named "+job1+". GET /v1/jobs lists jobs.") {
		t.Error(code, talk)
	}
}

// stream answers with events and ends; each is an event's lines.
func stream(w http.ResponseWriter, events ...string) {
	w.Header().Set("Content-Type", "text/event-stream")
	for _, e := range events {
		_, _ = io.WriteString(w, e+"\n\n")
	}
}

func state(id int, job string) string { return fmt.Sprintf("id: %d\nevent: state\ndata: %s", id, job) }

func chunk(id int, quoted string) string {
	return fmt.Sprintf("id: %d\nevent: chunk\ndata: {\"data\":%s}", id, quoted)
}

func TestJobsWatch(t *testing.T) {
	var mu sync.Mutex // guards from: requests come one after the other, on connections of their own
	var from []string
	d := open(t, map[string]http.HandlerFunc{"GET /v1/jobs/{id}/events": func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		from = append(from, r.Header.Get("Last-Event-Id"))
		n := len(from)
		mu.Unlock()
		switch n {
		case 1:
			stream(w, ": keepalive", state(1, jobJSON(job1, "queued", `"place":3`)), state(2, jobJSON(job1, "processing")),
				chunk(3, `"data: {\"choices\":[{\"delta\":{\"content\":\"Hel\"}}]}\n\nda"`),
				chunk(4, `"ta: {\"choices\":[{\"delta\":{\"content\":\"lo\"}}]}\n\n"`))
		case 2: // the gateway was restarted
			stream(w, "id: 5\nevent: restart\ndata: {}", state(6, strings.ReplaceAll(jobJSON(job1, "processing"), `"attempt":1`, `"attempt":2`)),
				chunk(7, `"data: {\"choices\":[{\"delta\":{\"content\":\"Hello, \"}}]}\n\n"`))
		case 3:
			panic(http.ErrAbortHandler)
		default:
			stream(w, chunk(8, `"data: {\"choices\":[{\"delta\":{\"content\":\"world\"}}]}\n\ndata: [DONE]\n\n"`), state(9, jobJSON(job1, "completed")), chunk(10, `"never"`))
		}
	}})
	code, out, talk := d.run(t, "watch", job1)
	if code != 0 || out != "Hello\nHello, world\n" {
		t.Errorf("%d, %q", code, out)
	}
	for _, want := range []string{"queued, place 3\nprocessing\n", "the answer begins anew; what stands above is void\nprocessing, attempt 2\n", "the events broke off; trying again", "completed\n"} {
		if !strings.Contains(talk, want) {
			t.Errorf("no %q in %s", want, talk)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if d := cmp.Diff([]string{"", "4", "7", "7"}, from[:4]); d != "" {
		t.Error(d)
	}
}

func TestJobsWatchEnds(t *testing.T) {
	for name, tt := range map[string]struct {
		events []string
		args   []string
		code   int
		out    string
		talk   string
	}{
		"plain text":       {[]string{chunk(1, `"{\"a\":"`), chunk(2, `"1}"`), state(3, jobJSON(job1, "completed"))}, nil, 0, "{\"a\":1}\n", "completed"},
		"short text":       {[]string{chunk(1, `"ok\n"`), state(3, jobJSON(job1, "completed"))}, nil, 0, "ok\n", "completed"},
		"nothing":          {[]string{state(3, jobJSON(job1, "completed"))}, nil, 0, "", "completed"},
		"failed":           {[]string{state(3, jobJSON(job1, "failed", `"error":{"error_type":"provider_error","message":"no"}`))}, nil, 10, "", "ended as failed: no (provider_error)"},
		"queued again":     {[]string{state(2, jobJSON(job1, "queued", `"error":{"error_type":"provider_error","message":"no"}`)), state(3, jobJSON(job1, "completed"))}, nil, 0, "", "queued again after attempt 1: no"},
		"json":             {[]string{state(1, jobJSON(job1, "processing")), chunk(2, `"x"`), state(3, jobJSON(job1, "cancelled"))}, []string{"--json"}, 12, `{"data":` + jobJSON(job1, "processing") + `,"event":"state","id":"1"}` + "\n" + `{"data":{"data":"x"},"event":"chunk","id":"2"}` + "\n" + `{"data":` + jobJSON(job1, "cancelled") + `,"event":"state","id":"3"}` + "\n", "cancelled"},
		"unknown event":    {[]string{"event: later\ndata: {}", state(3, jobJSON(job1, "completed"))}, nil, 0, "", "completed"},
		"error":            {[]string{"event: error\ndata: {\"status\":404,\"detail\":\"no job is named so\"}"}, nil, 1, "", "forebay: no job is named so"},
		"a job that is no": {[]string{"event: state\ndata: {}"}, nil, 1, "", "the answer is no job"},
	} {
		t.Run(name, func(t *testing.T) {
			d := open(t, map[string]http.HandlerFunc{"GET /v1/jobs/{id}/events": func(w http.ResponseWriter, _ *http.Request) { stream(w, tt.events...) }})
			code, out, talk := d.run(t, append([]string{"watch", job1}, tt.args...)...)
			if code != tt.code || out != tt.out || !strings.Contains(talk, tt.talk) {
				t.Errorf("%d, %q, %s", code, out, talk)
			}
		})
	}
}

// TestJobsSubmitStreamsEvents prints the pieces as they come, and where none came,
// because the job was done before anybody listened, its result.
func TestJobsSubmitStreamsEvents(t *testing.T) {
	const frame = `data: {"choices":[{"delta":{"content":"whole"}}]}` + "\n\ndata: [DONE]\n\n"
	for want, events := range map[string][]string{
		"piece\n": {chunk(1, `"piece"`), state(2, jobJSON(job1, "completed"))},
		"whole\n": {state(2, jobJSON(job1, "completed"))},
		// What came is void, and what is not is not sent any more.
		"a part\nwhole\n": {chunk(1, `"a part"`), "id: 3\nevent: restart\ndata: {}", state(4, jobJSON(job1, "completed"))},
	} {
		d := open(t, map[string]http.HandlerFunc{
			"POST /v1/jobs":            answers(jobJSON(job1, "queued")),
			"GET /v1/jobs/{id}/events": func(w http.ResponseWriter, _ *http.Request) { stream(w, events...) },
			"GET /v1/jobs/{id}/result": func(w http.ResponseWriter, _ *http.Request) { stream(w, strings.TrimSuffix(frame, "\n\n")) },
		})
		code, out, talk := d.runWith(t, strings.NewReader(`{"stream":true}`), "submit", "-", "--stream-events")
		if code != 0 || out != want {
			t.Errorf("%d, %q, %s", code, out, talk)
		}
	}
}
