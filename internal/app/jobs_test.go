package app_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/internal/app"
	"github.com/forebay-ai/forebay/webhook"
)

// jobsFile configures a gateway with durable jobs in dir.
func jobsFile(upstream, dir, more string) string {
	return fmt.Sprintf("listen: 127.0.0.1:0\nproviders: {echo: {type: openai, base_url: %q}}\nmodels: {\"*\": {targets: [{provider: echo}]}}\n"+
		"store: {dir: %q}\n", upstream, dir) + more
}

// job is what the gateway says of a job, as far as these tests look at it.
type job struct {
	ID      string
	State   string
	Attempt int
	Webhook struct{ State string }
}

// ask sends a request to a route, such as "GET /v1/jobs", and reads a JSON answer with
// the status that is expected.
func (s *served) ask(route, body string, status int, out any, header ...string) http.Header {
	s.t.Helper()
	method, path, _ := strings.Cut(route, " ")
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.URL()+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	code, text, head := s.send(req, header...)
	if code != status {
		s.t.Fatalf("%s %s: %d %s, want %d", method, path, code, text, status)
	}
	if out != nil {
		if err := json.Unmarshal([]byte(text), out); err != nil {
			s.t.Fatalf("%s %s: %v in %s", method, path, err, text)
		}
	}
	return head
}

const question = `{"model":"m","messages":[{"role":"user","content":"what is a forebay"}],"stream":%v}`

// One call as a job, over sockets: accepted, watched, done, and its result is what the
// endpoint gives.
func TestJobOverSockets(t *testing.T) {
	upstream := newEcho(t)
	s := start(t, app.Options{File: configured(t, jobsFile(upstream.URL, t.TempDir(), ""), nil)})
	var j job
	head := s.ask("POST /v1/chat/completions", fmt.Sprintf(question, true), http.StatusAccepted, &j,
		"Prefer", "respond-async", "Idempotency-Key", "one")
	if head.Get("Location") != "/v1/jobs/"+j.ID || head.Get("Preference-Applied") != "respond-async" {
		t.Errorf("%v", head)
	}
	_, events, _ := s.get(s.URL(), "/v1/jobs/"+j.ID+"/events")
	for _, want := range []string{"event: state", `"state":"completed"`} {
		if !strings.Contains(events, want) {
			t.Errorf("no %s in the events:\n%s", want, events)
		}
	}
	s.ask("GET /v1/jobs/"+j.ID+"?wait=20s", "", http.StatusOK, &j)
	if j.State != "completed" || j.Attempt != 1 {
		t.Errorf("%+v", j)
	}
	_, got, _ := s.get(s.URL(), "/v1/jobs/"+j.ID+"/result")
	_, direct, _ := s.call(fmt.Sprintf(question, true))
	if got != direct || !strings.Contains(got, "[DONE]") {
		t.Errorf("the job's result\n%s\nis not the answer\n%s", got, direct)
	}
	var again job
	if head := s.ask("POST /v1/chat/completions", fmt.Sprintf(question, true), http.StatusOK, &again,
		"Prefer", "respond-async", "Idempotency-Key", "one"); again.ID != j.ID || head.Get("Idempotency-Replayed") != "true" {
		t.Errorf("%+v %v", again, head)
	}
	s.ask("POST /v1/chat/completions", fmt.Sprintf(question, false), http.StatusUnprocessableEntity, nil,
		"Prefer", "respond-async", "Idempotency-Key", "one")
	if n := upstream.calls.Load(); n != 1 {
		t.Errorf("%d calls upstream, want 1", n)
	}
}

// A job that was taken in before a restart is done behind it.
func TestJobOutlastsARestart(t *testing.T) {
	release, asked := make(chan struct{}), make(chan struct{}, 8)
	var calls atomic.Int32
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if calls.Add(1) == 1 {
			asked <- struct{}{}
			select { // the first process is stopped in the middle
			case <-r.Context().Done():
				return
			case <-release:
			}
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"id":"1","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"done"},"finish_reason":"stop"}]}`)
	}))
	t.Cleanup(upstream.Close)
	t.Cleanup(func() { close(release) })
	dir := t.TempDir()
	first := start(t, app.Options{File: configured(t, jobsFile(upstream.URL, dir, ""), nil), Drain: time.Second})
	var j job
	first.ask("POST /v1/jobs", `{"url":"/v1/chat/completions","body":`+fmt.Sprintf(question, false)+`}`, http.StatusAccepted, &j)
	<-asked
	first.stop()
	if err := first.wait(); err != nil {
		t.Errorf("a job that goes on later is taken for a call that was cut off: %v", err)
	}
	second := start(t, app.Options{File: configured(t, jobsFile(upstream.URL, dir, ""), nil)})
	second.ask("GET /v1/jobs/"+j.ID+"?wait=20s", "", http.StatusOK, &j)
	if j.State != "completed" || j.Attempt != 2 {
		t.Errorf("%+v", j)
	}
}

// A webhook arrives, signed with the tenant's own secret; an address of this machine
// is refused unless the configuration allows it.
func TestWebhookOverSockets(t *testing.T) {
	upstream := newEcho(t)
	type delivery struct {
		header http.Header
		body   []byte
	}
	arrived := make(chan delivery, 8)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		arrived <- delivery{r.Header, body}
	}))
	t.Cleanup(receiver.Close)
	at, err := url.Parse(receiver.URL)
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, app.Options{File: configured(t, jobsFile(upstream.URL, t.TempDir(), fmt.Sprintf("jobs: {webhook_hosts: [%q]}\n", at.Host)), nil)})
	submit := `{"url":"/v1/chat/completions","body":` + fmt.Sprintf(question, false) + `,"webhook":%q}`
	s.ask("POST /v1/jobs", fmt.Sprintf(submit, "http://127.0.0.1:1/hook"), http.StatusBadRequest, nil)
	s.ask("POST /v1/jobs", fmt.Sprintf(submit, "https://[::ffff:169.254.169.254]/latest"), http.StatusBadRequest, nil)
	var j job
	s.ask("POST /v1/jobs", fmt.Sprintf(submit, receiver.URL+"/hook"), http.StatusAccepted, &j)
	var d delivery
	select {
	case d = <-arrived:
	case <-time.After(patience):
		t.Fatal("no webhook")
	}
	var secret struct{ Secret string }
	s.ask("GET /v1/jobs/webhook-secret", "", http.StatusOK, &secret)
	key, err := webhook.ParseSecret(secret.Secret)
	if err != nil {
		t.Fatal(err)
	}
	if err := webhook.Verify(key, d.header, d.body, time.Now(), time.Minute); err != nil {
		t.Error(err)
	}
	var told struct {
		Type string
		Data job
	}
	if err := json.Unmarshal(d.body, &told); err != nil || told.Type != "job.completed" || told.Data.ID != j.ID || told.Data.State != "completed" {
		t.Errorf("%v %s", err, d.body)
	}
	eventually(t, "the delivery is noted", func() bool {
		s.ask("GET /v1/jobs/"+j.ID, "", http.StatusOK, &j)
		return j.Webhook.State == "delivered"
	})
}

// No prompt and no answer of a job lies in the clear in any file of the store.
func TestJobsAreSealed(t *testing.T) {
	upstream := newEcho(t)
	dir := t.TempDir()
	s := start(t, app.Options{File: configured(t, jobsFile(upstream.URL, dir, "cache: {enabled: false}\n"), nil)})
	const canary = "canary-7391-of-the-prompt"
	var j job
	s.ask("POST /v1/jobs", `{"url":"/v1/chat/completions","body":{"model":"m","messages":[{"role":"user","content":"`+canary+`"}]}}`, http.StatusAccepted, &j)
	s.ask("GET /v1/jobs/"+j.ID+"?wait=20s", "", http.StatusOK, &j)
	if _, got, _ := s.get(s.URL(), "/v1/jobs/"+j.ID+"/result"); !strings.Contains(got, canary) {
		t.Fatalf("the echo has no canary: %s", got)
	}
	s.stop()
	if err := s.wait(); err != nil {
		t.Error(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) < 3 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte(canary)) {
			t.Errorf("%s has the prompt in the clear", filepath.Base(name))
		}
	}
}

// A stream that waits for a slot is told its place.
func TestPlaceIsTold(t *testing.T) {
	release := make(chan struct{})
	var once sync.Once
	upstream := newEcho(t)
	upstream.answer = func(text, _ string) string {
		<-release
		return text
	}
	t.Cleanup(func() { once.Do(func() { close(release) }) })
	s := start(t, app.Options{File: configured(t, jobsFile(upstream.URL, t.TempDir(),
		"limits: {max_concurrent: 1}\nqueue: {announce: 50ms}\n"), nil)})
	first := make(chan string, 1)
	go func() {
		_, body, _ := s.call(`{"model":"m","messages":[{"role":"user","content":"first"}]}`)
		first <- body
	}()
	eventually(t, "the first call runs", func() bool { return upstream.calls.Load() == 1 })
	req := s.chat(`{"model":"m","messages":[{"role":"user","content":"second"}],"stream":true}`)
	res, err := s.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	if !lines.Scan() || !strings.HasPrefix(lines.Text(), ": queue position=") {
		t.Errorf("the first line is %q", lines.Text())
	}
	once.Do(func() { close(release) })
	<-first
	var rest strings.Builder
	for lines.Scan() {
		rest.WriteString(lines.Text() + "\n")
	}
	if !strings.Contains(rest.String(), "second") || !strings.Contains(rest.String(), "[DONE]") {
		t.Errorf("%s", rest.String())
	}
}
