package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/gateway"
	"github.com/forebay-ai/forebay/internal/memnet"
	"github.com/forebay-ai/forebay/jobs"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/llm/llmtest"
)

// jobRoute prepares a job for a route of jobs, and says what to ask.
func jobRoute(s *shelf, r gateway.Route) (path string, status int, body string) {
	j, _, _ := s.SubmitJob(context.Background(), &llm.Request{Tenant: "ops", Body: []byte(chatBody)}, gateway.Submission{})
	path, status = strings.Replace(r.Pattern, "{id}", j.ID.String(), 1), 200
	switch r.Method + " " + r.Pattern {
	case "POST /v1/jobs":
		return path, 202, `{"url":"/v1/chat/completions","body":` + chatBody + `}`
	case "GET /v1/jobs/{id}/result", "GET /v1/jobs/{id}/events":
		s.complete(j.ID, forebay.Response{Response: llm.Response{Body: []byte(`{}`)}})
	case "POST /v1/jobs/{id}/requeue":
		s.fail(j.ID, backlog.Dead, llm.ProviderError, "no")
		return path, 200, " "
	case "PATCH /v1/jobs/{id}":
		return path, 200, `{"priority":"low"}`
	case "POST /v1/jobs/purge":
		return path, 200, `{"states":["dead"]}`
	case "POST /v1/jobs/pause", "POST /v1/jobs/resume":
		return path, 200, `{"operation":"vc-analysis"}`
	}
	return path, 200, ""
}

// jobDoor is a gateway with a shelf.
func jobDoor(t *testing.T) (door, *shelf, *backend) {
	b := newBackend(llmtest.OK("fine"))
	b.jobs = newShelf()
	return door{t, serve(t, newGateway(t, b, func(c *gateway.Config) {
		c.WebhookSecret = func(tenant string) []byte { return []byte(fmt.Sprintf("%-32s", tenant)) }
	}))}, b.jobs, b
}

// tell sends a request as door.ask does and returns all of the answer.
func (d door) tell(key, what, body string, headers ...string) reply {
	d.t.Helper()
	method, path, _ := strings.Cut(what, " ")
	r := send(d.t, d.addr, request(method, path, body, append([]string{"Authorization: Bearer " + key, jsonBody}, headers...)...))
	wantHeaders(d.t, r)
	return r
}

// submit puts a job on the shelf and returns its ID.
func (d door) submit(key string, headers ...string) backlog.ID {
	d.t.Helper()
	v := into[jobs.View](d.t, d.ask(202, key, "POST /v1/jobs", `{"url":"/v1/chat/completions","body":`+chatBody+`}`, headers...))
	id, err := backlog.ParseID(v.ID)
	if err != nil {
		d.t.Fatal(err)
	}
	return id
}

func TestSubmitJob(t *testing.T) {
	d, s, b := jobDoor(t)
	r := d.tell(adminKey, "POST /v1/jobs", `{"custom_id":"row-7","method":"POST","url":"/v1/chat/completions","body":`+chatQuery+`,
		"webhook":"https://example.com/hook?a=b","retention":"48h"}`,
		"X-Forebay-Priority: high", "X-Forebay-Timeout: 48h", "X-Forebay-Persona: p", "X-Forebay-Operation: vc-analysis", "X-Request-Id: the-id",
		"X-Forebay-Webhook: https://example.com/other", "X-Forebay-Retention: 5", "X-Forebay-Cache: off", "X-Forebay-Fallback: deny")
	v := into[jobs.View](t, r.body)
	if r.status != 202 || r.header.Get("Location") != "/v1/jobs/"+v.ID || v.State != "queued" || v.CustomID != "row-7" || v.Priority != "high" || v.Tenant != "ops" {
		t.Errorf("%d %v %s", r.status, r.header, r.body)
	}
	k := s.last()
	q, sub := k.req, k.sub
	if q.Tenant != "ops" || q.User != "ada" || q.Key != "admin" || q.Persona != "p" || q.Operation != "vc-analysis" || q.Timeout != 48*time.Hour || !q.Cache.NoRead || !q.NoFallback ||
		q.Model != "haiku" || q.Endpoint != llm.Chat || string(q.Body) != chatQuery || q.ID != "the-id" {
		t.Errorf("request %+v", q)
	}
	if sub.Webhook != "https://example.com/hook?a=b" || sub.Retention != 48*time.Hour || sub.CustomID != "row-7" || sub.IdempotencyKey != "" || len(sub.Raw) != 0 {
		t.Errorf("submission %+v", sub)
	}
	for url, body := range map[string]string{
		"/v1/embeddings":             `{"model":"haiku","input":"a"}`,
		"/v1/operations/vc-analysis": `{"payload":{"a":1},"userId":"bob","requestId":"mine","priority":"low"}`,
	} {
		d.ask(202, jobsKey, "POST /v1/jobs", `{"url":"`+url+`","body":`+body+`}`)
		k := s.last()
		if url == "/v1/embeddings" && (k.req.Endpoint != llm.Embeddings || k.req.Priority != llm.Normal) {
			t.Errorf("%+v", k.req)
		}
		if url != "/v1/embeddings" && (k.req.Operation != "vc-analysis" || k.req.User != "bob" || k.req.Priority != llm.Low || k.sub.Raw["door"] != "operation" || k.sub.Raw["request"] != "mine") {
			t.Errorf("%+v %+v", k.req, k.sub)
		}
	}
	if n := len(b.provider.Calls()); n != 0 {
		t.Errorf("%d calls were made", n)
	}
}

// submissions is bodies and headers of jobs that cannot be understood.
func submissions() []bad {
	job := func(body string, headers ...string) string {
		return request("POST", "/v1/jobs", body, append([]string{"Authorization: Bearer " + jobsKey, jsonBody}, headers...)...)
	}
	chat := `{"url":"/v1/chat/completions","body":` + chatBody
	long := strings.Repeat("a", 3000)
	return []bad{
		{"no body", job(""), 400, invalid, "no body", "JSON object"},
		{"no url", job(`{"body":` + chatBody + `}`), 400, invalid, "the member url is missing", "/v1/chat/completions"},
		{"null url", job(`{"url":null,"body":` + chatBody + `}`), 400, invalid, "the member url is missing", "/v1/chat/completions"},
		{"no body in it", job(`{"url":"/v1/chat/completions"}`), 400, invalid, "the member body is missing", "/v1/chat/completions takes"},
		{"null body", job(`{"url":"/v1/chat/completions","body":null}`), 400, invalid, "the member body is missing", "takes"},
		{"unknown url", job(`{"url":"/v1/models","body":{}}`), 400, invalid, "no calls are served at /v1/models", "/v1/embeddings"},
		{"unknown operation", job(`{"url":"/v1/operations/vc-analyses","body":{"payload":1}}`), 404, llm.CallerUnknownOperation, "did you mean vc-analysis?", "Use one of"},
		{"method", job(chat + `,"method":"GET"}`), 400, invalid, `the member method is "GET"`, "POST"},
		{"unknown member", job(chat + `,"custom-id":"a"}`), 400, invalid, "did you mean custom_id?", ""},
		{"duplicate member", job(chat + `,"url":"/v1/embeddings"}`), 400, invalid, "/url is there more than once", ""},
		{"duplicate member within", job(`{"url":"/v1/chat/completions","body":{"model":"a","model":"b"}}`), 400, invalid, "/body/model is there more than once", ""},
		{"custom_id a number", job(chat + `,"custom_id":7}`), 400, invalid, "/custom_id has the wrong type", ""},
		{"long custom_id", job(chat + `,"custom_id":"` + long[:300] + `"}`), 400, invalid, "custom_id = 256 bytes", "UTF-8"},
		{"retention", job(chat + `,"retention":"long"}`), 400, invalid, "retention = 1s to 720h", "24h"},
		{"retention 0", job(chat + `,"retention":"0"}`), 400, invalid, "retention = 1s to 720h", "24h"},
		{"late retention", job(chat + `,"retention":"721h"}`), 400, invalid, "retention = 1s to 720h", "24h"},
		{"webhook", job(chat + `,"webhook":"https://a b"}`), 400, invalid, "webhook = 2048 bytes of visible ASCII", "https://"},
		{"long webhook", job(chat + `,"webhook":"https://` + long + `"}`), 400, invalid, "webhook = 2048 bytes", "https://"},
		{"array", job(`[]`), 400, invalid, "", ""},
		{"chat without messages", job(`{"url":"/v1/chat/completions","body":{"model":"haiku"}}`), 400, invalid, "messages", ""},
		{"embeddings without input", job(`{"url":"/v1/embeddings","body":{"model":"haiku"}}`), 400, invalid, "input", ""},
		{"operation without payload", job(`{"url":"/v1/operations/vc-analysis","body":{}}`), 400, invalid, "payload is missing", ""},
		{"operation's band", job(`{"url":"/v1/operations/vc-analysis","body":{"payload":1,"priority":"high"}}`), 403, llm.CallerForbidden, "keys.jobs.bands", "low, normal"},
		{"band", job(chat+`}`, "X-Forebay-Priority: critical"), 403, llm.CallerForbidden, "keys.jobs.bands", "low, normal"},
		{"unknown header", job(chat+`}`, "X-Forebay-Webhok: x"), 400, invalid, "did you mean x-forebay-webhook?", "Use "},
		{"webhook header", job(chat+`}`, "X-Forebay-Webhook: "), 400, invalid, "x-forebay-webhook = 2048 bytes", "https://"},
		{"retention header", job(chat+`}`, "X-Forebay-Retention: 1ms"), 400, invalid, "x-forebay-retention = 1s to 720h", "24h"},
		{"late timeout", job(chat+`}`, "X-Forebay-Timeout: 721h"), 400, invalid, "for a job to 720h", "25s"},
		{"long key", job(chat+`}`, "Idempotency-Key: "+long[:256]), 400, invalid, "idempotency-key = 255 characters", "UUID"},
		{"empty key", job(chat+`}`, "Idempotency-Key: "), 400, invalid, "idempotency-key = 255 characters", "UUID"},
		{"key with a space", job(chat+`}`, "Idempotency-Key: a b"), 400, invalid, "no visible ASCII", "UUID"},
		{"two keys", job(chat+`}`, "Idempotency-Key: a", "Idempotency-Key: b"), 400, invalid, "more than once", "UUID"},
		{"media", request("POST", "/v1/jobs", chat+`}`, "Authorization: Bearer "+jobsKey, "Content-Type: text/plain"), 415, llm.CallerUnsupportedMedia, "text/plain", "application/json"},
	}
}

// asyncs is calls that cannot be jobs, and calls that say what only jobs can.
func asyncs() []bad {
	async := func(path, body string, headers ...string) string {
		return request("POST", path, body, append([]string{"Authorization: Bearer " + jobsKey, jsonBody, "Prefer: respond-async"}, headers...)...)
	}
	return []bad{
		{"async key", async(chatPath, chatBody, "Idempotency-Key: a b"), 400, invalid, "no visible ASCII", "UUID"},
		{"async body", async(chatPath, `{"model":"haiku"}`), 400, invalid, "messages", ""},
		{"async operation", async(opPath, `{}`), 400, invalid, "payload is missing", ""},
		{"async unknown operation", async("/v1/operations/none", `{"payload":1}`), 404, llm.CallerUnknownOperation, "no operation", ""},
		{"webhook without a job", post(chatPath, chatBody, "X-Forebay-Webhook: https://a.example"), 400, invalid, "is for jobs", "Prefer: respond-async"},
		{"retention without a job", post(opPath, `{"payload":1}`, "X-Forebay-Retention: 1h"), 400, invalid, "is for jobs", "Prefer: respond-async"},
		{"long call without a job", post(chatPath, chatBody, "X-Forebay-Timeout: 25h"), 400, invalid, "1ms to 24h", "25s"},
	}
}

// questions is what cannot be asked of jobs.
func questions() []bad {
	get := func(what string, headers ...string) string {
		method, path, _ := strings.Cut(what, " ")
		return request(method, path, "", append([]string{"Authorization: Bearer " + adminKey}, headers...)...)
	}
	with := func(what, body string) string {
		method, path, _ := strings.Cut(what, " ")
		return request(method, path, body, "Authorization: Bearer "+adminKey, jsonBody)
	}
	long := strings.Repeat("a", 3000)
	some := "/v1/jobs/" + new(backlog.IDs).Next(time.Now()).String()
	return []bad{
		{"list state", get("GET /v1/jobs?state=ded"), 400, invalid, "did you mean dead?", "queued, processing"},
		{"list parameter", get("GET /v1/jobs?states=dead"), 400, invalid, "did you mean state?", "Use state, operation"},
		{"list twice", get("GET /v1/jobs?state=dead&state=failed"), 400, invalid, "more than once", "once"},
		{"list limit", get("GET /v1/jobs?limit=0"), 400, invalid, "limit = 1 to 1000", "100"},
		{"list large limit", get("GET /v1/jobs?limit=1001"), 400, invalid, "limit = 1 to 1000", "100"},
		{"list order", get("GET /v1/jobs?order=up"), 400, invalid, `order has the unknown value "up"`, "asc, desc"},
		{"list cursor", get("GET /v1/jobs?after=7"), 400, invalid, "no cursor", "next"},
		{"list escape", get("GET /v1/jobs?user=%zz"), 400, invalid, "not well formed", "%20"},
		{"list long user", get("GET /v1/jobs?user=" + long[:300]), 400, invalid, "user = 256 bytes", ""},
		{"list long query", get("GET /v1/jobs?user=" + long + long), 413, llm.CallerTooLarge, "query = 4096 bytes", "fewer"},
		{"list empty custom_id", get("GET /v1/jobs?custom_id="), 400, invalid, "custom_id is empty", ""},
		{"no id", get("GET /v1/jobs/7"), 404, llm.CallerNotFound, `no job is named "7"`, "GET /v1/jobs"},
		{"upper case id", get("GET " + strings.ToUpper(some)), 404, llm.CallerNotFound, "nothing is served", ""},
		{"unknown id", get("GET " + some), 404, llm.CallerNotFound, "no job is named job_", "GET /v1/jobs"},
		{"unknown id's result", get("GET " + some + "/result"), 404, llm.CallerNotFound, "no job is named", ""},
		{"unknown id's events", get("GET " + some + "/events"), 404, llm.CallerNotFound, "no job is named", ""},
		{"unknown id's end", get("DELETE " + some), 404, llm.CallerNotFound, "no job is named", ""},
		{"wait", get("GET " + some + "?wait=soon"), 400, invalid, "wait = 0 to 5m", "30s"},
		{"long wait", get("GET " + some + "?wait=301"), 400, invalid, "wait = 0 to 5m", "30s"},
		{"wait for the result", get("GET " + some + "/result?wait=3"), 400, invalid, "wait is not known", "no parameters"},
		{"last event", get("GET "+some+"/events", "Last-Event-ID: x"), 400, invalid, "last-event-id is", "leave it out"},
		{"negative last event", get("GET "+some+"/events", "Last-Event-ID: -1"), 400, invalid, "last-event-id is", "leave it out"},
		{"put", get("PUT " + some), 405, llm.CallerMethodNotAllowed, "PUT is not served", "GET or HEAD or DELETE or PATCH"},
		{"patch nothing", with("PATCH "+some, `{}`), 400, invalid, "priority is missing", "low, normal"},
		{"patch state", with("PATCH "+some, `{"state":"dead"}`), 400, invalid, "/state is not known", ""},
		{"patch band", with("PATCH "+some, `{"priority":"urgent"}`), 400, invalid, `"urgent"`, "low, normal"},
		{"purge nothing", with("POST /v1/jobs/purge", `{}`), 400, invalid, "states is missing", "completed, failed"},
		{"purge queued", with("POST /v1/jobs/purge", `{"states":["queued"]}`), 400, invalid, "queued, which is not final", "Cancel"},
		{"purge unknown", with("POST /v1/jobs/purge", `{"states":["ded"]}`), 400, invalid, "did you mean dead?", ""},
		{"purge before", with("POST /v1/jobs/purge", `{"states":["dead"],"before":"yesterday"}`), 400, invalid, "before = 1ns to 8736h", "24h"},
		{"purge before what is to come", with("POST /v1/jobs/purge", `{"states":["dead"],"before":"-1h"}`), 400, invalid, "before = 1ns to 8736h", "24h"},
		{"purge before seconds", with("POST /v1/jobs/purge", `{"states":["dead"],"before":"99999999"}`), 400, invalid, "before = 1ns to 8736h", "24h"},
		{"purge member", with("POST /v1/jobs/purge", `{"state":["dead"]}`), 400, invalid, "did you mean states?", ""},
		{"pause nothing", with("POST /v1/jobs/pause", `{}`), 400, invalid, "operation is missing", ""},
		{"pause unknown", with("POST /v1/jobs/pause", `{"operation":"vc-analyses"}`), 404, llm.CallerUnknownOperation, "did you mean vc-analysis?", "Use one of"},
		{"stats parameter", get("GET /v1/jobs/stats?tenant=a"), 400, invalid, "tenant is not known", "no parameters"},
	}
}

// TestBadJobs checks that nothing is stored of what is refused, and that what the
// endpoints refuse is refused in a job as well.
func TestBadJobs(t *testing.T) {
	d, s, _ := jobDoor(t)
	for _, c := range slices.Concat(submissions(), asyncs(), questions()) {
		t.Run(c.name, func(t *testing.T) { checkBad(t, c, send(t, d.addr, c.raw)) })
	}
	if k := s.last(); k != nil {
		t.Errorf("something was stored: %+v", k.job)
	}
}

// TestNoJobs is a gateway without a store.
func TestNoJobs(t *testing.T) {
	addr := serve(t, newGateway(t, newBackend(llmtest.OK("fine")), nil))
	for _, route := range gateway.Routes() {
		if !strings.HasPrefix(route.Pattern, "/v1/jobs") {
			continue
		}
		path := strings.Replace(route.Pattern, "{id}", backlog.ID(7).String(), 1)
		r := send(t, addr, request(route.Method, path, `{}`, "Authorization: Bearer "+adminKey, jsonBody))
		if r.status != 503 || r.errorType() != "forebay_unavailable" || !strings.Contains(r.text(), "Set store.dir") {
			t.Errorf("%s %s: %d %s", route.Method, path, r.status, r.body)
		}
	}
	for _, raw := range []string{
		request("POST", chatPath, chatBody, "Authorization: Bearer "+adminKey, "Prefer: respond-async"),
		request("POST", opPath, `{"payload":1}`, "Authorization: Bearer "+adminKey, "Prefer: respond-async"),
	} {
		if r := send(t, addr, raw); r.status != 503 || !strings.Contains(r.text(), "Set store.dir") {
			t.Errorf("%d %s", r.status, r.body)
		}
	}
}

// TestJobTenants checks that no tenant's key reaches the jobs of another, on every
// route of one job and of many.
func TestJobTenants(t *testing.T) {
	d, s, _ := jobDoor(t)
	mine, other := d.submit(jobsKey), d.submit(otherKey)
	s.complete(other, forebay.Response{Response: llm.Response{Body: []byte(`{"secret":1}`)}})
	failed := d.submit(otherKey)
	s.fail(failed, backlog.Failed, llm.ProviderError, "secret")
	for _, what := range []string{"GET /v1/jobs/%s", "GET /v1/jobs/%s?wait=1", "GET /v1/jobs/%s/result", "GET /v1/jobs/%s/events", "DELETE /v1/jobs/%s", "PATCH /v1/jobs/%s", "POST /v1/jobs/%s/requeue"} {
		for _, id := range []backlog.ID{other, failed} {
			body := ""
			if strings.HasPrefix(what, "PATCH") {
				body = `{"priority":"low"}`
			}
			r := d.tell(jobsKey, fmt.Sprintf(what, id), body)
			unknown := d.tell(jobsKey, fmt.Sprintf(what, backlog.ID(7)), body)
			same := strings.NewReplacer(id.String(), "ID", backlog.ID(7).String(), "ID", r.header.Get("X-Request-Id"), "", unknown.header.Get("X-Request-Id"), "")
			if r.status != 404 || same.Replace(r.body) != same.Replace(unknown.body) {
				t.Errorf("%s: %d %s, and for an unknown one %s", what, r.status, r.body, unknown.body)
			}
		}
	}
	list := into[gateway.JobList](t, d.ask(200, jobsKey, "GET /v1/jobs", ""))
	if len(list.Data) != 1 || list.Data[0].ID != mine.String() {
		t.Errorf("%+v", list)
	}
	if q := s.queries[len(s.queries)-1]; q.Tenant == nil || *q.Tenant != "acme" {
		t.Errorf("the query is for %v", q.Tenant)
	}
	d.ask(403, jobsKey, "GET /v1/jobs?tenant=umbrella", "")
	d.ask(200, jobsKey, "GET /v1/jobs?tenant=acme", "")
	if n := len(into[gateway.JobList](t, d.ask(200, adminKey, "GET /v1/jobs", "")).Data); n != 3 {
		t.Errorf("an operator sees %d", n)
	}
	if n := len(into[gateway.JobList](t, d.ask(200, adminKey, "GET /v1/jobs?tenant=umbrella", "")).Data); n != 2 {
		t.Errorf("an operator sees %d", n)
	}
	if n := into[jobs.Stats](t, d.ask(200, jobsKey, "GET /v1/jobs/stats", "")).Queued; n != 1 {
		t.Errorf("a tenant counts %d", n)
	}
	d.ask(403, jobsKey, "POST /v1/jobs/purge", `{"states":["failed"],"tenant":"umbrella"}`)
	if got := d.ask(200, jobsKey, "POST /v1/jobs/purge", `{"states":["failed","completed"]}`); got != "{\"removed\":0}\n" {
		t.Error(got)
	}
	d.ask(403, jobsKey, "POST /v1/jobs/pause", `{"operation":"vc-analysis"}`)
	d.ask(403, jobsKey, "POST /v1/jobs/resume", `{"operation":"vc-analysis"}`)
	d.ask(403, webKey, "POST /v1/jobs", `{}`)
	d.ask(403, webKey, "GET /v1/jobs", "")
	if r := d.tell(webKey, "POST "+chatPath, chatBody, "Prefer: respond-async"); r.status != 403 || !strings.Contains(r.text(), "scope jobs") {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := d.tell(otherKey, "GET /v1/jobs/webhook-secret", ""); !strings.Contains(r.body, `"secret":"whsec_dW1icmVsbGE`) || r.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s", r.body)
	}
	if got := d.ask(200, adminKey, "GET /v1/jobs/"+other.String()+"/result", ""); got != `{"secret":1}` {
		t.Error(got)
	}
	open := serve(t, newGateway(t, func() *backend { b := newBackend(); b.jobs = newShelf(); return b }(), func(c *gateway.Config) { c.Keys, c.Open = nil, true }))
	for what, status := range map[string]int{"GET /v1/jobs": 200, "GET /v1/jobs/stats": 200, "GET /v1/jobs/webhook-secret": 503} {
		if r := send(t, open, request("GET", strings.Fields(what)[1], "")); r.status != status {
			t.Errorf("open: %s: %d %s", what, r.status, r.body)
		}
	}
	if r := send(t, open, request("POST", "/v1/jobs/pause", `{"operation":""}`)); r.status != 403 {
		t.Errorf("open: %d %s", r.status, r.body)
	}
}

func TestPreferAsync(t *testing.T) {
	d, s, b := jobDoor(t)
	for _, c := range []struct{ what, body string }{
		{"POST " + chatPath, chatBody}, {"POST " + chatPath, streamBody}, {"POST /v1/embeddings", `{"model":"haiku","input":"a"}`}, {"POST " + opPath, `{"payload":1}`},
	} {
		r := d.tell(jobsKey, c.what, c.body, `Prefer: handling="a,b"; x=respond-async, Respond-Async`, "X-Forebay-Webhook: https://a.example/", "X-Forebay-Retention: 2h", "X-Forebay-Timeout: 30h", "Idempotency-Key: k"+c.body[:5])
		v := into[jobs.View](t, r.body)
		if r.status != 202 || r.header.Get("Preference-Applied") != "respond-async" || r.header.Get("Location") != "/v1/jobs/"+v.ID || v.State != "queued" {
			t.Errorf("%s: %d %v %s", c.what, r.status, r.header, r.body)
		}
		k := s.last()
		if k.sub.Webhook != "https://a.example/" || k.sub.Retention != 2*time.Hour || k.req.Timeout != 30*time.Hour || k.req.Stream != (c.body == streamBody) || (k.sub.Raw["door"] == "operation") != (c.what == "POST "+opPath) {
			t.Errorf("%s: %+v %+v", c.what, k.req, k.sub)
		}
		s.mu.Lock()
		s.all = map[backlog.ID]*kept{}
		s.mu.Unlock()
	}
	for _, prefer := range []string{"return=minimal", "wait=10", "", "x=\"respond-async\"", "respond-asynchronously"} {
		r := d.tell(jobsKey, "POST "+chatPath, chatBody, "Prefer: "+prefer)
		if r.status != 200 || r.header.Get("Preference-Applied") != "" || !strings.Contains(r.body, "fine") {
			t.Errorf("%q: %d %s", prefer, r.status, r.body)
		}
	}
	if n := len(b.provider.Calls()); n != 5 {
		t.Errorf("%d calls", n)
	}
}

// TestPreferWait holds the answer for the result, as long as the caller wants.
func TestPreferWait(t *testing.T) {
	jobBubble(t, func(t *testing.T, s *shelf, _ *backend, d wired) {
		raw := func(body, wait string) string {
			return request("POST", chatPath, body, "Authorization: Bearer "+jobsKey, jsonBody, "Prefer: respond-async; a=b, wait="+wait)
		}
		start := time.Now()
		r := d.send(t, raw(chatBody, "10"), nil)
		if took := time.Since(start); r.status != 202 || took != 10*time.Second || r.header.Get("Preference-Applied") != "respond-async, wait=10" {
			t.Errorf("%d after %s: %v", r.status, took, r.header)
		}
		start = time.Now()
		r = d.send(t, raw(chatBody, "10"), func() {
			time.Sleep(3 * time.Second)
			s.complete(s.last().job.ID, forebay.Response{Response: llm.Response{Body: []byte(`{"a":1}`)}, Meta: forebay.Meta{Provider: "p", Attempts: 2}})
		})
		if took := time.Since(start); r.status != 200 || took != 3*time.Second || r.header.Get("Preference-Applied") != "wait=10" || r.body != `{"a":1}` || r.header.Get("X-Forebay-Attempts") != "2" || !strings.HasPrefix(r.header.Get("Location"), "/v1/jobs/job_") {
			t.Errorf("%d after %s: %v %s", r.status, took, r.header, r.body)
		}
		r = d.send(t, raw(chatBody, "10"), func() {
			time.Sleep(3 * time.Second)
			s.fail(s.last().job.ID, backlog.Dead, llm.ProviderError, "it broke")
		})
		if r.status != 502 || r.errorType() != "provider_error" || !strings.Contains(r.text(), "it broke") || r.header.Get("Location") == "" || r.header.Get("X-Should-Retry") != "false" {
			t.Errorf("%d %v %s", r.status, r.header, r.body)
		}
		start = time.Now()
		r = d.send(t, raw(chatBody, "3600"), nil)
		if took := time.Since(start); took != 5*time.Minute || r.header.Get("Preference-Applied") != "respond-async, wait=300" {
			t.Errorf("after %s: %v", took, r.header)
		}
	})
}

// wired is a gateway in memory, on the fake clock.
type wired struct{ l *memnet.Listener }

// send sends raw, does meanwhile beside it, and reads the answer.
func (w wired) send(t *testing.T, raw string, meanwhile func()) reply {
	t.Helper()
	c, err := w.l.Dial(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = c.Write([]byte(raw))
		synctest.Wait()
		if meanwhile != nil {
			meanwhile()
		}
	}()
	r := readReply(t, c, raw)
	<-done
	return r
}

// jobBubble runs f with a gateway with a shelf, on the fake clock.
func jobBubble(t *testing.T, f func(t *testing.T, s *shelf, b *backend, d wired)) {
	t.Helper()
	bubble(t, nil, func() *backend { b := newBackend(llmtest.OK("fine")); b.jobs = newShelf(); return b },
		func(t *testing.T, b *backend, l *memnet.Listener) { f(t, b.jobs, b, wired{l}) })
}

func TestIdempotency(t *testing.T) {
	d, s, _ := jobDoor(t)
	body := `{"url":"/v1/chat/completions","body":` + chatBody + `}`
	key := "Idempotency-Key: " + strings.Repeat("~", 255)
	first := d.tell(jobsKey, "POST /v1/jobs", body, key)
	again := d.tell(jobsKey, "POST /v1/jobs", body, key)
	async := d.tell(jobsKey, "POST "+chatPath, chatBody, key, "Prefer: respond-async")
	if first.status != 202 || first.header.Get("Idempotency-Replayed") != "" {
		t.Errorf("%d %v", first.status, first.header)
	}
	for _, r := range []reply{again, async} {
		if r.status != 200 || r.header.Get("Idempotency-Replayed") != "true" || r.header.Get("Location") != first.header.Get("Location") || r.body != first.body {
			t.Errorf("%d %v %s", r.status, r.header, r.body)
		}
	}
	if r := d.tell(jobsKey, "POST "+chatPath, chatQuery, key, "Prefer: respond-async", "X-Forebay-User: x"); r.status != 202 {
		t.Errorf("another user's: %d %s", r.status, r.body)
	}
	if r := d.tell(otherKey, "POST /v1/jobs", body, key); r.status != 202 {
		t.Errorf("another tenant's: %d %s", r.status, r.body)
	}
	r := d.tell(jobsKey, "POST "+chatPath, strings.Replace(chatBody, "hello", "bye", 1), key, "Prefer: respond-async")
	if r.status != 422 || r.errorType() != "caller_conflict" || r.header.Get("Location") != "" {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := d.tell(jobsKey, "POST /v1/jobs", `{"url":"/v1/nothing","body":{}}`); !strings.Contains(r.body, `"param":"url"`) {
		t.Errorf("%s", r.body)
	}
	s.fails = &llm.Error{Kind: llm.PolicyOverloaded, Message: "queue full", Limit: "jobs.max", Value: "500", RetryAfter: 3 * time.Second}
	if r := d.tell(jobsKey, "POST /v1/jobs", body); r.status != 503 || r.header.Get("Retry-After") != "3" || !strings.Contains(r.text(), "jobs.max = 500") || r.header.Get("X-Should-Retry") != "true" {
		t.Errorf("%d %v %s", r.status, r.header, r.body)
	}
}

func TestListJobs(t *testing.T) {
	d, s, _ := jobDoor(t)
	var ids []string
	for i := range 5 {
		ids = append(ids, d.submit(jobsKey, fmt.Sprintf("X-Forebay-User: u%d", i%2)).String())
	}
	dead, _ := backlog.ParseID(ids[3])
	s.fail(dead, backlog.Dead, llm.ProviderError, "no")
	page := func(query string) ([]string, gateway.JobList) {
		list := into[gateway.JobList](t, d.ask(200, jobsKey, "GET /v1/jobs"+query, ""))
		var got []string
		for _, v := range list.Data {
			got = append(got, v.ID)
		}
		return got, list
	}
	for query, want := range map[string][]string{
		"":                              {ids[4], ids[3], ids[2], ids[1], ids[0]},
		"?order=asc":                    ids,
		"?state=dead,failed":            {ids[3]},
		"?state=dead":                   {ids[3]},
		"?user=u1":                      {ids[3], ids[1]},
		"?user=":                        nil,
		"?operation=":                   {ids[4], ids[3], ids[2], ids[1], ids[0]},
		"?operation=vc-analysis":        nil,
		"?custom_id=x":                  nil,
		"?order=asc&after=" + ids[2]:    {ids[3], ids[4]},
		"?after=" + ids[2] + "&limit=9": {ids[1], ids[0]},
	} {
		if got, list := page(query); !cmp.Equal(got, want) || list.HasMore || list.Next != "" || list.Object != "list" || list.Data == nil {
			t.Errorf("%s: %v (%+v), want %v", query, got, list, want)
		}
	}
	var all []string
	for query := "?limit=2"; ; {
		got, list := page(query)
		all = append(all, got...)
		if !list.HasMore {
			break
		}
		query = "?limit=2&after=" + list.Next
	}
	if want := []string{ids[4], ids[3], ids[2], ids[1], ids[0]}; !cmp.Equal(all, want) {
		t.Errorf("page by page %v", all)
	}
	if !strings.Contains(d.ask(200, jobsKey, "GET /v1/jobs?state=failed", ""), `"data":[]`) {
		t.Error("an empty list is no list")
	}
}

// TestJobResult checks that a result is what the endpoint would have answered.
func TestJobResult(t *testing.T) {
	d, s, b := jobDoor(t)
	meta := forebay.Meta{Provider: "p", Model: "m", Attempts: 3, CostMicroUSD: 1500, Cache: forebay.CacheResult{Status: forebay.CacheMiss, Stored: true}, Timing: forebay.Timing{Queue: 140 * time.Millisecond}}
	id := d.submit(jobsKey)
	s.complete(id, forebay.Response{Response: llm.Response{Body: []byte(`{"whole":true}`)}, Meta: meta})
	r := d.tell(jobsKey, "GET /v1/jobs/"+id.String()+"/result", "")
	for name, want := range map[string]string{"Content-Type": "application/json", "X-Forebay-Provider": "p", "X-Forebay-Model": "m", "X-Forebay-Attempts": "3", "X-Forebay-Cost-Usd": "0.0015", "Cache-Status": "forebay; fwd=uri-miss; stored", "X-Forebay-Queue-Ms": "140"} {
		if got := r.header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if r.status != 200 || r.body != `{"whole":true}` {
		t.Errorf("%d %s", r.status, r.body)
	}
	id = d.submit(jobsKey)
	s.complete(id, forebay.Response{Response: llm.Response{Body: []byte("data: {}\n\n")}, Streamed: true})
	if r := d.tell(jobsKey, "GET /v1/jobs/"+id.String()+"/result", ""); r.status != 200 || r.header.Get("Content-Type") != "text/event-stream" || r.body != "data: {}\n\n" {
		t.Errorf("%d %v %s", r.status, r.header, r.body)
	}

	// An operation's: the same document, but for the time.
	document := func(r reply) map[string]any {
		v := into[map[string]any](t, r.body)
		took := v["metadata"].(map[string]any)["processingTime"].(float64)
		delete(v["metadata"].(map[string]any), "processingTime")
		v["took"] = took > 1000
		return v
	}
	const payload = `{"payload":{"b":1,"a":2},"requestId":"mine"}`
	b.meta = meta
	at := document(d.tell(jobsKey, "POST "+opPath, payload))
	answer, err := b.Do(t.Context(), b.last(t))
	if err != nil {
		t.Fatal(err)
	}
	v := into[jobs.View](t, d.ask(202, jobsKey, "POST "+opPath, payload, "Prefer: respond-async"))
	done, _ := backlog.ParseID(v.ID)
	s.complete(done, *answer)
	later := document(d.tell(jobsKey, "GET /v1/jobs/"+v.ID+"/result", ""))
	if at["took"] = true; !cmp.Equal(at, later) {
		t.Error(cmp.Diff(at, later))
	}
	v = into[jobs.View](t, d.ask(202, jobsKey, "POST /v1/jobs", `{"url":"`+opPath+`","body":{"payload":1}}`))
	done, _ = backlog.ParseID(v.ID)
	s.complete(done, *answer)
	if later := document(d.tell(jobsKey, "GET /v1/jobs/"+v.ID+"/result", "")); later["requestId"] != v.ID || later["operation"] != "vc-analysis" {
		t.Errorf("%v", later)
	}
}

// TestNoResult is jobs that have none, and what is answered then.
func TestNoResult(t *testing.T) {
	d, s, _ := jobDoor(t)
	for _, c := range []struct {
		state  backlog.State
		kind   llm.Kind
		status int
		want   llm.Kind
		text   string
	}{
		{backlog.Queued, "", 422, llm.CallerConflict, "?wait=30s"},
		{backlog.Processing, llm.ProviderError, 422, llm.CallerConflict, "the job is processing"},
		{backlog.Failed, llm.ProviderRejected, 400, llm.ProviderRejected, "scripted"},
		{backlog.Dead, llm.ProviderRateLimited, 429, llm.ProviderRateLimited, "/requeue tries again"},
		{backlog.Timeout, llm.CallerDeadline, 504, llm.CallerDeadline, "scripted"},
		{backlog.Timeout, "", 504, llm.CallerDeadline, "scripted"},
		{backlog.Cancelled, "", 422, llm.CallerConflict, "was cancelled"},
		{backlog.Dead, "", 500, llm.ForebayInternal, "scripted"},
		{backlog.Completed, "", 404, llm.CallerNotFound, "not kept any more"},
	} {
		id := d.submit(jobsKey)
		s.fail(id, c.state, c.kind, "scripted")
		r := d.tell(jobsKey, "GET /v1/jobs/"+id.String()+"/result", "")
		if r.status != c.status || r.errorType() != string(c.want) || !strings.Contains(r.text(), c.text) || r.header.Get("X-Should-Retry") != "false" || r.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %s", c.state, r.status, r.body)
		}
	}
}

// TestChangeJobs cancels, requeues and moves jobs.
func TestChangeJobs(t *testing.T) {
	d, s, _ := jobDoor(t)
	id := d.submit(jobsKey)
	at := "/v1/jobs/" + id.String()
	state := func(body string) string { v := into[jobs.View](t, body); return v.State + " " + v.Priority }
	if got := state(d.ask(200, jobsKey, "PATCH "+at, `{"priority":"low"}`)); got != "queued low" {
		t.Error(got)
	}
	r := d.tell(jobsKey, "PATCH "+at, `{"priority":"high"}`)
	if r.status != 403 || r.errorType() != "caller_forbidden" || !strings.Contains(r.body, `"param":"priority"`) || !strings.Contains(r.text(), "keys.jobs.bands = low, normal") {
		t.Errorf("%d %s", r.status, r.body)
	}
	if got := state(d.ask(200, adminKey, "PATCH "+at, `{"priority":"critical"}`)); got != "queued critical" {
		t.Error(got)
	}
	d.ask(422, jobsKey, "POST "+at+"/requeue", "")
	if got := state(d.ask(200, jobsKey, "DELETE "+at, "")); got != "cancelled critical" {
		t.Error(got)
	}
	d.ask(422, jobsKey, "DELETE "+at, "")
	d.ask(422, adminKey, "PATCH "+at, `{"priority":"low"}`)
	if got := state(d.ask(200, jobsKey, "POST "+at+"/requeue", "")); got != "queued critical" {
		t.Error(got)
	}
	d.ask(200, adminKey, "POST /v1/jobs/pause", `{"operation":"vc-analysis"}`)
	d.ask(200, adminKey, "POST /v1/jobs/pause", `{"operation":""}`)
	if got := d.ask(200, adminKey, "POST /v1/jobs/resume", `{"operation":"gone"}`); got != "{\"operation\":\"gone\",\"paused\":false}\n" {
		t.Error(got)
	}
	if diff := cmp.Diff([]string{"vc-analysis", ""}, s.paused); diff != "" {
		t.Error(diff)
	}
}

func TestPurgeJobs(t *testing.T) {
	d, s, _ := jobDoor(t)
	for i := range 4 {
		id := d.submit(jobsKey)
		s.fail(id, []backlog.State{backlog.Dead, backlog.Failed, backlog.Dead, backlog.Processing}[i], llm.ProviderError, "no")
	}
	foreign := d.submit(otherKey)
	s.fail(foreign, backlog.Dead, llm.ProviderError, "no")
	for _, c := range []struct {
		key, body string
		removed   int
	}{
		{jobsKey, `{"states":["dead"],"before":"1h"}`, 0},
		{jobsKey, `{"states":["dead"],"operation":"vc-analysis"}`, 0},
		{jobsKey, `{"states":["dead"],"user":"nobody"}`, 0},
		{jobsKey, `{"states":["dead"]}`, 2},
		{jobsKey, `{"states":["dead","failed","completed"],"tenant":"acme"}`, 1},
		{adminKey, `{"states":["dead"],"tenant":"acme"}`, 0},
		{adminKey, `{"states":["dead"]}`, 1},
	} {
		if got := into[map[string]int](t, d.ask(200, c.key, "POST /v1/jobs/purge", c.body))["removed"]; got != c.removed {
			t.Errorf("%s: %d, want %d", c.body, got, c.removed)
		}
	}
	if k := s.last(); k.job.State != backlog.Processing || len(s.all) != 1 {
		t.Errorf("what goes on is gone: %v", s.all)
	}
	// Age counts from acceptance.
	old := new(backlog.IDs).Next(time.Now().Add(-2 * time.Hour))
	s.mu.Lock()
	s.all[old] = &kept{job: backlog.Job{ID: old, Spec: backlog.Spec{Tenant: "acme"}, Status: backlog.Status{State: backlog.Dead}}}
	s.mu.Unlock()
	if got := d.ask(200, jobsKey, "POST /v1/jobs/purge", `{"states":["dead"],"before":"3h"}`); got != "{\"removed\":0}\n" {
		t.Error(got)
	}
	if got := d.ask(200, jobsKey, "POST /v1/jobs/purge", `{"states":["dead"],"before":"3600"}`); got != "{\"removed\":1}\n" {
		t.Error(got)
	}
}

// TestJobView checks that a job is shown as the queue shows it.
func TestJobView(t *testing.T) {
	d, s, _ := jobDoor(t)
	id := d.submit(jobsKey, "X-Forebay-User: ada")
	got := into[map[string]any](t, d.ask(200, jobsKey, "GET /v1/jobs/"+id.String(), ""))
	view := s.View(&s.last().job)
	text, _ := json.Marshal(view)
	want := into[map[string]any](t, string(text))
	if diff := cmp.Diff(want, got); diff != "" || got["object"] != "job" || got["user"] != "ada" {
		t.Errorf("%s", diff)
	}
	if r := d.tell(jobsKey, "HEAD /v1/jobs/"+id.String()+"/events", ""); r.status != http.StatusOK || r.body != "" {
		t.Errorf("%d %q", r.status, r.body)
	}
}
