package cli_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay/internal/cli"
)

// IDs of jobs, the newest last.
const (
	job1 = "job_01mqzk3v5x8y2"
	job2 = "job_01mqzk3v5x8y4"
	job3 = "job_01mqzk3v5x8y6"
)

// door is a gateway's API of jobs, as far as a test needs it: what it was asked, and
// what it answers.
type door struct {
	*httptest.Server
	mu    sync.Mutex // guards asked
	asked []string   // method, path, query and body
	heads []http.Header
}

// open serves handlers by patterns of http.ServeMux. What they do not know is answered
// as a gateway does.
func open(t *testing.T, handlers map[string]http.HandlerFunc) *door {
	t.Helper()
	d := &door{}
	mux := http.NewServeMux()
	for pattern, handle := range handlers {
		mux.HandleFunc(pattern, handle)
	}
	if handlers["/"] == nil {
		mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
			problem(w, 404, "there is no route "+r.Method+" "+r.URL.Path)
		})
	}
	d.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		d.mu.Lock()
		d.asked = append(d.asked, strings.TrimSpace(r.Method+" "+r.URL.RequestURI()+" "+string(body)))
		d.heads = append(d.heads, r.Header)
		d.mu.Unlock()
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		d.Close()
	})
	return d
}

// questions is what was asked since the last time.
func (d *door) questions() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	asked := d.asked
	d.asked = nil
	return asked
}

// run runs forebay jobs against the door.
func (d *door) run(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	return d.runWith(t, nil, args...)
}

func (d *door) runWith(t *testing.T, in io.Reader, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, talk bytes.Buffer
	code = cli.Main(t.Context(), append([]string{"jobs"}, args...), cli.Streams{
		In: in, Out: &out, Err: &talk, Environ: []string{"FOREBAY_URL=" + d.URL, "FOREBAY_KEY=secret-key"},
	})
	return code, out.String(), talk.String()
}

func problem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"status": status, "detail": detail})
}

// jobJSON is a job as the gateway shows it; more are further members.
func jobJSON(id, state string, more ...string) string {
	return fmt.Sprintf(`{"id":%q,"object":"job","state":%q,"priority":"normal","priority_score":1,"created_at":"2025-11-22T00:06:40.000Z","attempt":1,"retries":0,"lost_leases":0,"bytes":1234%s}`,
		id, state, strings.Join(append([]string{""}, more...), ","))
}

// answers answers with texts, the last one for ever.
func answers(texts ...string) http.HandlerFunc {
	var mu sync.Mutex
	return func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		text := texts[0]
		if len(texts) > 1 {
			texts = texts[1:]
		}
		mu.Unlock()
		if strings.HasPrefix(text, "503") {
			problem(w, 503, text)
			return
		}
		_, _ = io.WriteString(w, text)
	}
}

// byID answers for every job in the state that it has there.
func byID(states map[string]string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		state, ok := states[r.PathValue("id")]
		if !ok {
			problem(w, 404, "no job is named "+r.PathValue("id")+". GET /v1/jobs lists jobs.")
			return
		}
		_, _ = io.WriteString(w, jobJSON(r.PathValue("id"), state))
	}
}

func TestJobsSubmit(t *testing.T) {
	var replay bool
	d := open(t, map[string]http.HandlerFunc{"POST /v1/jobs": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "/v1/jobs/"+job1)
		if replay {
			w.Header().Set("Idempotency-Replayed", "true")
			_, _ = io.WriteString(w, jobJSON(job1, "processing"))
			return
		}
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, jobJSON(job1, "queued", `"place":3`, `"new":"member"`))
	}})
	// Numbers, doubles and white space that another encoding would change.
	const body = "{ \"model\":\"m\",\n  \"n\": 1.0e2, \"user\":\"<ä>\", \"messages\":[]}\n"
	file := filepath.Join(t.TempDir(), "body.json")
	if err := os.WriteFile(file, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}

	code, out, talk := d.run(t, "submit", file)
	if code != 0 || out != job1+"\n" || talk != "" {
		t.Error(code, out, talk)
	}
	if d := cmp.Diff([]string{`POST /v1/jobs {"url":"/v1/chat/completions","body":` + body + "}"}, d.questions()); d != "" {
		t.Error(d)
	}
	if h := d.heads[0]; h.Get("Authorization") != "Bearer secret-key" || h.Get("Content-Type") != "application/json" || h.Get("X-Forebay-Priority") != "" || h.Get("X-Forebay-Timeout") != "" {
		t.Error(h)
	}

	code, out, _ = d.runWith(t, strings.NewReader("{}"), "submit", "-", "--endpoint", "/v1/operations/vc-analysis", "--priority", "low", "--timeout", "90s", "--user", "ada",
		"--operation", "op", "--persona", "p", "--idempotency-key", "k-1", "--custom-id", "c<1>", "--webhook", "https://example.com/h?a=b&c", "--retention", "36h", "--json")
	if code != 0 || !strings.Contains(out, `"new": "member"`) || !json.Valid([]byte(out)) {
		t.Error(code, out)
	}
	var sent map[string]any
	if err := json.Unmarshal([]byte(strings.TrimPrefix(d.questions()[0], "POST /v1/jobs ")), &sent); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"url": "/v1/operations/vc-analysis", "custom_id": "c<1>", "webhook": "https://example.com/h?a=b&c", "retention": "36h0m0s", "body": map[string]any{}}
	if d := cmp.Diff(want, sent); d != "" {
		t.Error(d)
	}
	for name, value := range map[string]string{
		"X-Forebay-Priority": "low", "X-Forebay-Timeout": "90000", "X-Forebay-User": "ada", "X-Forebay-Operation": "op",
		"X-Forebay-Persona": "p", "Idempotency-Key": "k-1",
	} {
		if got := d.heads[1].Get(name); got != value {
			t.Errorf("%s: %q, want %q", name, got, value)
		}
	}

	replay = true
	code, out, talk = d.run(t, "submit", file, "--idempotency-key", "k-1")
	if code != 0 || out != job1+"\n" || talk != job1+" was submitted before under this idempotency key; it is processing\n" {
		t.Error(code, out, talk)
	}
}

func TestJobsSubmitRefuses(t *testing.T) {
	d := open(t, nil)
	for _, tt := range []struct {
		in   string
		args []string
		code int
		want string
	}{
		{"{\n\"a\": }", nil, 1, "-: not JSON: line 2: "},
		{"", nil, 1, "-: not JSON: line 1: "},
		{"{} {}", nil, 1, "not JSON"},
		{"{}", []string{"--priority", "hihg"}, 64, `unknown priority "hihg"`},
		{"{}", []string{"--timeout", "-1s"}, 64, "durations above 0"},
		{"{}", []string{"--output", "xml"}, 64, "table or json"},
		{"{}", []string{"--custom-idd", "x"}, 64, "did you mean --custom-id?"},
	} {
		code, out, talk := d.runWith(t, strings.NewReader(tt.in), append([]string{"submit", "-"}, tt.args...)...)
		if code != tt.code || out != "" || !strings.Contains(talk, tt.want) {
			t.Errorf("%q %v: %d, %s", tt.in, tt.args, code, talk)
		}
	}
	if asked := d.questions(); asked != nil {
		t.Errorf("asked %q", asked)
	}
	d = open(t, map[string]http.HandlerFunc{"POST /v1/jobs": answers("503 this gateway keeps no durable jobs (store.dir = not set). Set store.dir.")})
	code, out, talk := d.runWith(t, strings.NewReader("{}"), "submit", "-", "--wait")
	if code != 1 || out != "" || talk != "forebay: 503 this gateway keeps no durable jobs (store.dir = not set). Set store.dir.\n" {
		t.Error(code, out, talk)
	}
	d = open(t, map[string]http.HandlerFunc{"/": answers("<html>")})
	if code, _, talk := d.runWith(t, strings.NewReader("{}"), "submit", "-"); code != 1 || !strings.Contains(talk, "is it a gateway of this version?") {
		t.Error(code, talk)
	}
}

// TestJobsSubmitWait has a result that is printed byte by byte, and a job without one.
func TestJobsSubmitWait(t *testing.T) {
	const result = "{\"choices\":[ ]}\n \x00"
	for state, want := range map[string]struct {
		code int
		out  string
	}{"completed": {0, result}, "failed": {10, ""}, "dead": {13, ""}} {
		d := open(t, map[string]http.HandlerFunc{
			"POST /v1/jobs":            answers(jobJSON(job1, "queued")),
			"GET /v1/jobs/{id}":        answers(jobJSON(job1, "processing"), jobJSON(job1, state, `"error":{"error_type":"provider_error","message":"no\u001b luck"}`)),
			"GET /v1/jobs/{id}/result": answers(result),
		})
		code, out, talk := d.runWith(t, strings.NewReader("{}"), "submit", "-", "--wait")
		if code != want.code || out != want.out || !strings.HasPrefix(talk, job1+"\n") {
			t.Errorf("%s: %d, %q, %s", state, code, out, talk)
		}
		if code != 0 && !strings.Contains(talk, "ended as "+state+": no? luck (provider_error). Try it again: forebay jobs requeue "+job1) {
			t.Error(talk)
		}
	}
}
