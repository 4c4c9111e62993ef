package cli_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay/backlog"
)

func TestJobsGetAndResult(t *testing.T) {
	d := open(t, map[string]http.HandlerFunc{
		"GET /v1/jobs/{id}": answers(jobJSON(job1, "dead", `"operation":"vc-analysis"`, `"endpoint":"/v1/chat/completions"`, `"model":"m"`, `"tenant":"acme"`, `"user":"a\u001b[31m"`,
			`"custom_id":"c"`, `"finished_at":"2025-11-22T00:07:40.000Z"`, `"error":{"error_type":"provider_error","message":"down"}`, `"webhook":{"state":"failed","attempts":8}`, `"later":1`)),
		"GET /v1/jobs/{id}/result": func(w http.ResponseWriter, r *http.Request) {
			if r.PathValue("id") == job2 {
				problem(w, 422, "the job is queued, so it has no result yet. GET /v1/jobs/"+job2+"?wait=30s waits for its end.")
				return
			}
			_, _ = io.WriteString(w, "{\"a\": 1}\x00")
		},
	})
	code, out, talk := d.run(t, "get", job1)
	want := `id         job_01mqzk3v5x8y2
state      dead
priority   normal
operation  vc-analysis
endpoint   /v1/chat/completions
model      m
tenant     acme
user       a?[31m
custom id  c
created    2025-11-22T00:06:40.000Z
finished   2025-11-22T00:07:40.000Z
attempts   1 (0 retries, 0 lost leases)
size       1.2 KiB
error      provider_error: down
webhook    failed, 8 attempts
`
	if d := cmp.Diff(want, out); d != "" || code != 0 || talk != "" {
		t.Error(code, d, talk)
	}
	if _, out, _ := d.run(t, "get", job1, "-o", "json"); !strings.Contains(out, "\n  \"later\": 1\n}\n") {
		t.Error(out)
	}
	if code, out, _ := d.run(t, "result", job1); code != 0 || out != "{\"a\": 1}\x00" {
		t.Errorf("%d %q", code, out)
	}
	if code, out, talk := d.run(t, "result", job2); code != 1 || out != "" || !strings.Contains(talk, "waits for its end") {
		t.Error(code, out, talk)
	}
}

// pagesOf serves jobs as a list does: a page begins behind after, and after that there is
// a next one as long as there are jobs.
func pagesOf(size int, all ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		begin := 0
		for i, job := range all {
			if after := r.URL.Query().Get("after"); after != "" && strings.Contains(job, after) {
				begin = i + 1
			}
		}
		end := min(begin+size, len(all))
		next := ""
		if end < len(all) {
			j, _, _ := strings.Cut(strings.TrimPrefix(all[end-1], `{"id":"`), `"`)
			next = `,"next":"` + j + `"`
		}
		_, _ = fmt.Fprintf(w, `{"object":"list","data":[%s],"has_more":%v%s}`, strings.Join(all[begin:end], ","), next != "", next)
	}
}

func TestJobsList(t *testing.T) {
	jobs := []string{
		jobJSON(job3, "dead", `"operation":"vc-analysis"`, `"model":"haiku"`, `"error":{"error_type":"provider_error","message":"x"}`),
		jobJSON(job2, "processing", `"custom_id":"evil\u001b]0;x\u0007\n"`), jobJSON(job1, "queued"),
	}
	d := open(t, map[string]http.HandlerFunc{"GET /v1/jobs": pagesOf(2, jobs...)})
	code, out, talk := d.run(t, "list")
	if code != 0 || talk != "there are more: add --after "+job2+", or --all\n" {
		t.Error(code, talk)
	}
	lines := strings.Split(out, "\n")
	if len(lines) != 4 || !strings.HasPrefix(lines[0], "id                   state         priority    operation") || strings.ContainsAny(out, "\x1b\x07") ||
		!strings.Contains(lines[1], "provider_error") || !strings.Contains(lines[2], "evil?]0;x??") {
		t.Errorf("%q", out)
	}
	_, out, talk = d.run(t, "list", "--all")
	if n := strings.Count(out, "\n"); n != 4 || talk != "" || strings.Count(out, "custom id") != 1 {
		t.Errorf("%d lines: %s%s", n, out, talk)
	}
	_, out, _ = d.run(t, "list", "--all", "--json")
	for _, id := range []string{job1, job2, job3, `"has_more": false`} {
		if strings.Count(out, id) != 1 {
			t.Errorf("%s in %s", id, out)
		}
	}
	d.questions()
	d.run(t, "list", "--state", "dead,failed", "--state", "queued", "--operation", "vc analysis", "--user", "u&", "--tenant", "t", "--custom-id", "c", "--limit", "7", "--after", job1, "--oldest", "--json")
	if d := cmp.Diff([]string{"GET /v1/jobs?after=" + job1 + "&custom_id=c&limit=7&operation=vc+analysis&order=asc&state=dead%2Cfailed%2Cqueued&tenant=t&user=u%26"}, d.questions()); d != "" {
		t.Error(d)
	}
	empty := open(t, map[string]http.HandlerFunc{"GET /v1/jobs": pagesOf(2)})
	if code, out, talk := empty.run(t, "list"); code != 0 || out != "" || talk != "no such jobs\n" {
		t.Error(code, out, talk)
	}
	stuck := open(t, map[string]http.HandlerFunc{"GET /v1/jobs": answers(`{"data":[],"has_more":true,"next":"x"}`)})
	if code, _, talk := stuck.run(t, "list", "--all"); code != 1 || !strings.Contains(talk, "does not go on") {
		t.Error(code, talk)
	}
}

func TestJobsCancelAndPriority(t *testing.T) {
	d := open(t, map[string]http.HandlerFunc{
		"DELETE /v1/jobs/{id}": byID(map[string]string{job1: "cancelled", job3: "cancelled"}),
		"PATCH /v1/jobs/{id}":  answers(strings.Replace(jobJSON(job1, "queued", `"place":2`), "normal", "high", 1)),
	})
	code, out, talk := d.run(t, "cancel", job1, job2, job3)
	if code != 1 || out != job1+" cancelled\n"+job3+" cancelled\n" || !strings.Contains(talk, job2+": no job is named") || !strings.HasSuffix(talk, "forebay: 1 of 3 jobs failed\n") {
		t.Error(code, out, talk)
	}
	if code, out, talk := d.run(t, "cancel", job2); code != 1 || out != "" || !strings.HasPrefix(talk, "forebay: no job is named") {
		t.Error(code, out, talk)
	}
	d.questions()
	if code, out, _ := d.run(t, "priority", job1, "HIGH"); code != 0 || out != job1+" high, place 2\n" {
		t.Error(code, out)
	}
	if d := cmp.Diff([]string{"PATCH /v1/jobs/" + job1 + ` {"priority":"high"}`}, d.questions()); d != "" {
		t.Error(d)
	}
}

func TestJobsRequeue(t *testing.T) {
	d := open(t, map[string]http.HandlerFunc{
		"GET /v1/jobs":               pagesOf(2, jobJSON(job3, "dead"), jobJSON(job2, "dead"), jobJSON(job1, "dead")),
		"POST /v1/jobs/{id}/requeue": byID(map[string]string{job1: "queued", job3: "queued"}),
	})
	if code, out, _ := d.run(t, "requeue", job1, job3); code != 0 || out != job1+" queued\n"+job3+" queued\n" {
		t.Error(code, out)
	}
	d.questions()
	code, out, talk := d.run(t, "requeue", "--state", "dead", "--operation", "vc-analysis")
	if code != 1 || out != "requeued: 2 jobs\n" || !strings.Contains(talk, job2+": no job is named") || !strings.Contains(talk, "1 job left as they are") {
		t.Error(code, out, talk)
	}
	want := []string{
		"GET /v1/jobs?limit=1000&operation=vc-analysis&state=dead", "POST /v1/jobs/" + job3 + "/requeue", "POST /v1/jobs/" + job2 + "/requeue",
		"GET /v1/jobs?after=" + job2 + "&limit=1000&operation=vc-analysis&state=dead", "POST /v1/jobs/" + job1 + "/requeue",
	}
	if d := cmp.Diff(want, d.questions()); d != "" {
		t.Error(d)
	}
	full := open(t, map[string]http.HandlerFunc{
		"GET /v1/jobs":               pagesOf(9, jobJSON(job3, "dead"), jobJSON(job2, "dead"), jobJSON(job1, "dead")),
		"POST /v1/jobs/{id}/requeue": answers(jobJSON(job3, "queued"), "503 the queue is full (jobs.max = 1)", jobJSON(job1, "queued")),
	})
	if code, out, talk := full.run(t, "requeue", "--state", "dead"); code != 1 || out != "requeued: 1 job\n" || !strings.Contains(talk, "jobs.max = 1") {
		t.Error(code, out, talk)
	}
	if n := len(full.questions()); n != 3 {
		t.Errorf("%d questions: it went on though the queue is full", n)
	}
}

func TestJobsPurge(t *testing.T) {
	d := open(t, map[string]http.HandlerFunc{
		"GET /v1/jobs":        pagesOf(2, jobJSON(job3, "dead"), jobJSON(job2, "dead"), jobJSON(job1, "dead")),
		"POST /v1/jobs/purge": answers(`{"removed":3}`),
	})
	code, out, talk := d.run(t, "purge", "--state", "dead")
	if code != 64 || out != "" || !strings.Contains(talk, "nobody is there to be asked: add --yes") {
		t.Error(code, out, talk)
	}
	code, out, _ = d.runWith(t, strings.NewReader("y\n"), "purge", "--state", "dead")
	if code != 64 || out != "" {
		t.Error("a pipe is nobody to be asked", code, out)
	}
	code, out, _ = d.run(t, "purge", "--state", "dead", "--dry-run", "--yes", "--before", "24h")
	if code != 0 || out != "would be removed: 3 jobs\n" {
		t.Error(code, out)
	}
	asked := d.questions()
	for _, q := range asked {
		if strings.HasPrefix(q, "POST") {
			t.Errorf("%s: nobody said yes", q)
		}
	}
	// An ID of a day ago stands between what is old enough and what is not.
	_, after, _ := strings.Cut(asked[len(asked)-2], "after=")
	after, _, _ = strings.Cut(after, "&")
	if _, err := backlog.ParseID(after); err != nil {
		t.Errorf("%v in %q", err, asked)
	}
	code, out, _ = d.run(t, "purge", "--state", "dead,failed", "--operation", "op", "--user", "u", "--tenant", "t", "--before", "24h", "--yes")
	if code != 0 || out != "removed: 3 jobs\n" {
		t.Error(code, out)
	}
	if d := cmp.Diff([]string{`POST /v1/jobs/purge {"before":"24h0m0s","operation":"op","states":["dead","failed"],"tenant":"t","user":"u"}`}, d.questions()); d != "" {
		t.Error(d)
	}
}

func TestJobsSwitchesAndSecret(t *testing.T) {
	d := open(t, map[string]http.HandlerFunc{
		"POST /v1/jobs/pause":         answers(`{"operation":"op","paused":true}`),
		"POST /v1/jobs/resume":        answers(`{"operation":"","paused":false}`),
		"GET /v1/jobs/webhook-secret": answers(`{"secret":"whsec_AAAA"}`),
	})
	for want, args := range map[string][]string{
		"op is paused: its jobs wait, those in progress go on\n": {"pause", "op"},
		"\"\" goes on\n": {"resume", ""},
		"whsec_AAAA\n":   {"webhook-secret"},
	} {
		if code, out, talk := d.run(t, args...); code != 0 || out != want || talk != "" {
			t.Errorf("%v: %d, %s%s", args, code, out, talk)
		}
	}
	d.questions()
	d.run(t, "pause", "op")
	d.run(t, "resume", "")
	if d := cmp.Diff([]string{`POST /v1/jobs/pause {"operation":"op"}`, `POST /v1/jobs/resume {"operation":""}`}, d.questions()); d != "" {
		t.Error(d)
	}
}

func TestJobsStats(t *testing.T) {
	const whole = `{"queued":12,"processing":3,"completed":100,"failed":1,"timeout":2,"cancelled":0,"dead":4,"damaged":1,"drain_rate_per_second":2.25,"queued_bytes":2048,
		"bands":{"low":{"queued":10,"processing":1,"delayed":2,"oldest_seconds":3725.4,"estimated_wait_seconds":12.34},"normal":{},"high":{},"critical":{"queued":2,"processing":2}},
		"accepted":122,"refused":7,"retries":1,"lost_leases":2,"fenced":1,"paused":["vc-analysis",""],"later":1}`
	d := open(t, map[string]http.HandlerFunc{"GET /v1/jobs/stats": answers(whole)})
	code, out, talk := d.run(t, "stats")
	want := `queued           12
processing       3
completed        100
failed           1
timeout          2
cancelled        0
dead             4
damaged          1 (records that cannot be read; they are kept apart)
payloads queued  2.0 KiB
drain rate       2.2 a second
since the start  122 accepted, 7 refused, 1 retry, 2 lost leases, 1 fenced
paused           vc-analysis, ""

band      queued  delayed  processing  oldest  estimated wait
critical       2        0           2  -       -
high           0        0           0  -       -
normal         0        0           0  -       -
low           10        2           1  1h2m5s  12.3s
`
	if d := cmp.Diff(want, out); d != "" || code != 0 || talk != "" {
		t.Error(code, d, talk)
	}
	if _, out, _ := d.run(t, "stats", "--json"); !strings.Contains(out, "\n  \"later\": 1\n") {
		t.Error(out)
	}
	own := open(t, map[string]http.HandlerFunc{"GET /v1/jobs/stats": answers(`{"queued":1,"draining":true,"paused":[]}`)})
	if _, out, _ := own.run(t, "stats"); strings.Contains(out, "band") || !strings.Contains(out, "it stops") {
		t.Error(out)
	}
	gone := open(t, map[string]http.HandlerFunc{"GET /v1/jobs/stats": func() http.HandlerFunc {
		n := 0
		return func(w http.ResponseWriter, _ *http.Request) {
			if n++; n > 2 {
				problem(w, 403, "the key has no such scope any more")
				return
			}
			_, _ = io.WriteString(w, whole)
		}
	}()})
	code, out, _ = gone.run(t, "stats", "--watch", "--every", "100ms")
	if lines := strings.Split(out, "\n"); code != 1 || len(lines) != 4 || !strings.HasPrefix(lines[0], "time        queued processing") || !strings.HasSuffix(lines[2], "12          3       100         1       2        4         7     2.2") {
		t.Errorf("%d\n%s", code, out)
	}
}

// TestJobsArguments: what is wrong with a call is said before anything is sent.
func TestJobsArguments(t *testing.T) {
	d := open(t, nil)
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"get"}, "jobs get takes the ID of one job, and got 0"},
		{[]string{"get", "17"}, `"17" is not the ID of a job, such as job_01mqzk3v5x8y2`},
		{[]string{"get", job1, job2}, "got 2"},
		{[]string{"result", "../stats"}, "not the ID of a job"},
		{[]string{"wait"}, "jobs wait takes IDs of jobs"},
		{[]string{"cancel", job1, "x"}, "not the ID of a job"},
		{[]string{"watch", "job_O1mqzk3v5x8y2"}, "not the ID of a job"},
		{[]string{"priority", job1}, "and got 1"},
		{[]string{"priority", job1, "hi"}, `the band "hi": low, normal, high or critical`},
		{[]string{"priority", job1, ""}, "the band"},
		{[]string{"requeue"}, "name jobs by their IDs, or all in a state by --state"},
		{[]string{"requeue", job1, "--state", "dead"}, "name jobs by their IDs"},
		{[]string{"requeue", job1, "--user", "ada"}, "go with --state"},
		{[]string{"requeue", "--state", "queued"}, "--state"},
		{[]string{"purge"}, "say which jobs by --state"},
		{[]string{"purge", "--state", "processing", "--yes"}, `--state "processing": one of completed, failed, timeout, cancelled, dead`},
		{[]string{"purge", "--state", "daed"}, "did you mean dead?"},
		{[]string{"purge", "--state", "dead", "--before", "-1h"}, "a duration above 0"},
		{[]string{"list", "--state", "quued"}, "did you mean queued?"},
		{[]string{"list", "--limit", "0"}, "--limit 0: 1 to 1000; --all lists all"},
		{[]string{"list", "x"}, "takes no arguments"},
		{[]string{"pause"}, "takes the name of one operation"},
		{[]string{"stats", "--every", "1ms"}, "100ms or more"},
		{[]string{"lsit"}, `unknown command "jobs lsit" (did you mean wait or list?)`},
	} {
		if code, out, talk := d.run(t, tt.args...); code != 64 || out != "" || !strings.Contains(talk, tt.want) {
			t.Errorf("%v: %d, %s%s", tt.args, code, out, talk)
		}
	}
	if asked := d.questions(); asked != nil {
		t.Errorf("asked %q", asked)
	}
}
