package gateway_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/access"
	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/envelope"
	"github.com/forebay-ai/forebay/gateway"
	"github.com/forebay-ai/forebay/jobs"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/llm/llmtest"
	"github.com/forebay-ai/forebay/store/storetest"
)

// realJobs serves a real client with a durable queue, whose provider streams three
// chunks or says a document.
func realJobs(t *testing.T) door {
	t.Helper()
	master, err := envelope.NewMaster()
	if err != nil {
		t.Fatal(err)
	}
	keyring, err := envelope.New(t.Context(), envelope.Config{Masters: []envelope.Master{master}, Keys: storetest.NewMemory()})
	if err != nil {
		t.Fatal(err)
	}
	p := llmtest.Script(llmtest.OK(`{"score": 85}`))
	c, err := forebay.New(forebay.Config{
		Providers:  map[string]llm.Provider{"fake": p},
		Models:     map[string]forebay.Model{"haiku": {Targets: []forebay.Target{{Provider: "fake"}}}},
		Operations: map[string]forebay.Operation{"vc-analysis": {Model: "haiku", Prompt: "Be brief."}},
		Jobs:       forebay.Jobs{Store: storetest.NewBacklog(), Keys: keyring},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	t.Cleanup(func() {
		_ = c.Close(context.Background())
		stop()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	g, err := gateway.New(gateway.Config{Client: c, Keys: append(keys(), access.Key{Name: "both", Secret: "both-key-secret", Tenant: "acme", Scopes: []string{"call", "jobs"}, Bands: llm.Priorities[:]})})
	if err != nil {
		t.Fatal(err)
	}
	return door{t, serve(t, g)}
}

// TestRealJobs runs jobs from the door to the provider and back: the result of each
// is what its endpoint answers at once.
func TestRealJobs(t *testing.T) {
	d := realJobs(t)
	for path, body := range map[string]string{
		chatPath: chatBody,
		opPath:   `{"payload":{"a":1},"requestId":"mine","userId":"ada"}`,
	} {
		at := d.tell(jobsKey, "POST "+path, body)
		v := into[jobs.View](t, d.ask(202, jobsKey, "POST /v1/jobs", `{"url":"`+path+`","body":`+body+`,"custom_id":"c"}`))
		v = into[jobs.View](t, d.ask(200, jobsKey, "GET /v1/jobs/"+v.ID+"?wait=10s", ""))
		if v.State != "completed" || v.CustomID != "c" || v.Tenant != "acme" {
			t.Errorf("%+v", v)
		}
		later := d.tell(jobsKey, "GET /v1/jobs/"+v.ID+"/result", "")
		if same(t, at.body) != same(t, later.body) || later.status != 200 {
			t.Errorf("%s: %d\n%s\nand at once\n%s", path, later.status, later.body, at.body)
		}
		direct := d.tell(jobsKey, "POST "+path, body, "Prefer: respond-async, wait=10")
		if same(t, at.body) != same(t, direct.body) || direct.status != 200 || direct.header.Get("Preference-Applied") != "wait=10" {
			t.Errorf("%s: %d\n%s", path, direct.status, direct.body)
		}
		d.ask(404, otherKey, "GET /v1/jobs/"+v.ID, "")
		d.ask(422, jobsKey, "DELETE /v1/jobs/"+v.ID, "")
		d.ask(422, jobsKey, "POST /v1/jobs/"+v.ID+"/requeue", "")
	}
	s := d.tell(jobsKey, "POST "+chatPath, streamBody, "Prefer: respond-async, wait=10")
	if s.status != 200 || s.header.Get("Content-Type") != "text/event-stream" || !strings.HasSuffix(s.body, "data: [DONE]\n\n") {
		t.Errorf("%d %v %s", s.status, s.header, s.body)
	}
	events := d.tell(jobsKey, "GET "+s.header.Get("Location")+"/events", "")
	if !strings.Contains(events.body, "event: state\ndata: ") || !strings.Contains(events.body, `"state":"completed"`) {
		t.Errorf("%s", events.body)
	}
	stats := into[jobs.Stats](t, d.ask(200, adminKey, "GET /v1/jobs/stats", ""))
	if stats.Completed != 5 || len(stats.Bands) != 4 {
		t.Errorf("%+v", stats)
	}
	if got := d.ask(200, jobsKey, "POST /v1/jobs/purge", `{"states":["completed"],"before":"1h"}`); got != "{\"removed\":0}\n" {
		t.Error(got)
	}
	if got := d.ask(200, jobsKey, "POST /v1/jobs/purge", `{"states":["completed"]}`); got != "{\"removed\":5}\n" {
		t.Error(got)
	}
}

// same is an answer without what differs from call to call.
func same(t *testing.T, body string) string {
	t.Helper()
	v := into[map[string]any](t, body)
	for _, name := range []string{"id", "created"} {
		delete(v, name)
	}
	if m, ok := v["metadata"].(map[string]any); ok {
		delete(m, "processingTime")
		delete(m, "queueTime")
		delete(m, "fromCache")
		delete(m, "tokenCount") // none for a hit
	}
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestRealJobsPaused has a job that waits: it can be moved, within the key's bands,
// listed and cancelled, and a repeated submission is the same job.
func TestRealJobsPaused(t *testing.T) {
	d := realJobs(t)
	d.ask(200, adminKey, "POST /v1/jobs/pause", `{"operation":"vc-analysis"}`)
	body, key := `{"url":"`+opPath+`","body":{"payload":1},"retention":"1h"}`, "Idempotency-Key: one"
	first := d.tell(jobsKey, "POST /v1/jobs", body, key)
	again := d.tell(jobsKey, "POST /v1/jobs", body, key, "X-Request-Id: another")
	v := into[jobs.View](t, first.body)
	if first.status != 202 || again.status != 200 || again.header.Get("Idempotency-Replayed") != "true" || into[jobs.View](t, again.body).ID != v.ID {
		t.Errorf("%d, again %d %s", first.status, again.status, again.body)
	}
	if v.State != "queued" || v.Place == nil || *v.Place != 1 || v.Operation != "vc-analysis" {
		t.Errorf("%s", first.body)
	}
	d.ask(422, jobsKey, "POST /v1/jobs", strings.Replace(body, `"payload":1`, `"payload":2`, 1), key)
	d.ask(202, otherKey, "POST /v1/jobs", body, key)
	d.ask(403, jobsKey, "PATCH /v1/jobs/"+v.ID, `{"priority":"high"}`)
	if got := into[jobs.View](t, d.ask(200, "both-key-secret", "PATCH /v1/jobs/"+v.ID, `{"priority":"high"}`)); got.Priority != "high" || got.PriorityScore >= v.PriorityScore {
		t.Errorf("%+v", got)
	}
	list := into[gateway.JobList](t, d.ask(200, jobsKey, "GET /v1/jobs?state=queued&operation=vc-analysis", ""))
	if len(list.Data) != 1 || list.Data[0].ID != v.ID || list.HasMore {
		t.Errorf("%+v", list)
	}
	if r := d.tell(jobsKey, "GET /v1/jobs/"+v.ID+"/result", ""); r.status != 422 || !strings.Contains(r.text(), "?wait=30s") {
		t.Errorf("%d %s", r.status, r.body)
	}
	if got := into[jobs.View](t, d.ask(200, jobsKey, "DELETE /v1/jobs/"+v.ID, "")); got.State != "cancelled" {
		t.Errorf("%+v", got)
	}
	if got := into[jobs.View](t, d.ask(200, jobsKey, "POST /v1/jobs/"+v.ID+"/requeue", "")); got.State != "queued" {
		t.Errorf("%+v", got)
	}
	if stats := into[jobs.Stats](t, d.ask(200, adminKey, "GET /v1/jobs/stats", "")); !cmp.Equal(stats.Paused, []string{"vc-analysis"}) || stats.Queued != 2 {
		t.Errorf("%+v", stats)
	}
	d.ask(200, adminKey, "POST /v1/jobs/resume", `{"operation":"vc-analysis"}`)
	if got := into[jobs.View](t, d.ask(200, jobsKey, "GET /v1/jobs/"+v.ID+"?wait=10s", "")); got.State != "completed" || got.Attempt == 0 {
		t.Errorf("%+v", got)
	}
	// The deadline is part of what a job asks for.
	if r := d.tell(jobsKey, "POST "+chatPath, chatBody, "Prefer: respond-async", "X-Forebay-Timeout: 169h"); r.status != 400 || !strings.Contains(r.text(), "jobs.max_timeout") {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := d.tell(jobsKey, "POST "+chatPath, chatBody, "Prefer: respond-async", "X-Forebay-Webhook: https://a.example"); r.status != 400 || !strings.Contains(r.text(), "webhooks are not set up") {
		t.Errorf("%d %s", r.status, r.body)
	}
	unknown := "/v1/jobs/" + new(backlog.IDs).Next(time.Now()).String()
	d.ask(404, jobsKey, "GET "+unknown, "")
	d.ask(404, jobsKey, "GET "+unknown+"/result", "")
}
