package form_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/gateway/form"
	"github.com/forebay-ai/forebay/llm"
)

func TestPrefer(t *testing.T) {
	for _, c := range []struct {
		values []string
		want   form.Preferences
	}{
		{nil, form.Preferences{}},
		{[]string{""}, form.Preferences{}},
		{[]string{"respond-async"}, form.Preferences{Async: true}},
		{[]string{"Respond-Async, WAIT=20"}, form.Preferences{Async: true, Wait: 20 * time.Second}},
		{[]string{"return=minimal", "wait=5", "respond-async"}, form.Preferences{Async: true, Wait: 5 * time.Second}},
		{[]string{`wait="5" ; a=b , respond-async;x`}, form.Preferences{Async: true, Wait: 5 * time.Second}},
		{[]string{`a="respond-async, wait=9", wait=1`}, form.Preferences{Wait: time.Second}},
		{[]string{`a="\", respond-async"`}, form.Preferences{}},
		{[]string{"wait=3, wait=9"}, form.Preferences{Wait: 3 * time.Second}},
		{[]string{"wait=x, wait=9"}, form.Preferences{}},
		{[]string{"wait=-1"}, form.Preferences{}},
		{[]string{"wait=1.5"}, form.Preferences{}},
		{[]string{"wait"}, form.Preferences{}},
		{[]string{"wait=2147483647"}, form.Preferences{Wait: 5 * time.Minute}},
		{[]string{"wait=99999999999"}, form.Preferences{}},
		{[]string{"respond-async-now"}, form.Preferences{}},
	} {
		if diff := cmp.Diff(c.want, form.Prefer(c.values)); diff != "" {
			t.Errorf("%q: %s", c.values, diff)
		}
	}
	p := form.Preferences{Async: true, Wait: 90 * time.Second}
	if got := p.Applied(true) + "|" + p.Applied(false) + "|" + (form.Preferences{}).Applied(true); got != "respond-async, wait=90|wait=90|respond-async" {
		t.Error(got)
	}
}

func ExamplePrefer() {
	p := form.Prefer([]string{"respond-async, wait=30"})
	fmt.Println(p.Async, p.Wait, p.Applied(true))
	// Output: true 30s respond-async, wait=30
}

func ExampleReadList() {
	q, err := form.ReadList("state=dead,failed&limit=20")
	fmt.Println(q.States, q.Limit, q.Newest, err)
	_, err = form.ReadList("states=dead")
	fmt.Println(err)
	// Output:
	// [dead failed] 20 true <nil>
	// caller_invalid_request: the parameter states is not known (did you mean state?). Use state, operation, user, tenant, custom_id, after, limit, order.
}

func TestReadList(t *testing.T) {
	id := backlog.ID(77)
	empty, acme := "", "acme"
	for raw, want := range map[string]backlog.Query{
		"": {Newest: true, Limit: 100},
		"state=dead,dead,queued&order=desc&limit=1000": {Newest: true, Limit: 1000, States: []backlog.State{backlog.Dead, backlog.Queued}},
		"operation=&user=&tenant=acme&custom_id=a%20b": {Newest: true, Limit: 100, Operation: &empty, User: &empty, Tenant: &acme, CustomID: "a b"},
		"order=asc&after=" + id.String():               {Limit: 100, After: id},
	} {
		if got, err := form.ReadList(raw); err != nil || !cmp.Equal(got, want) {
			t.Errorf("%q: %v %s", raw, err, cmp.Diff(want, got))
		}
	}
}

func TestReadPurge(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	q, err := form.ReadPurge([]byte(`{"states":["completed","dead"],"user":"","before":"36h"}`), now)
	if err != nil || len(q.States) != 2 || q.User == nil || q.Operation != nil || !q.Newest {
		t.Fatalf("%+v %v", q, err)
	}
	before, after := new(backlog.IDs).Next(now.Add(-36*time.Hour-time.Millisecond)), new(backlog.IDs).Next(now.Add(-36*time.Hour+time.Millisecond))
	if q.After <= before || q.After >= after {
		t.Errorf("%s is not between %s and %s", q.After, before, after)
	}
}

// refused checks that err is a refusal which helps whoever reads it.
func refused(t *testing.T, err error) {
	t.Helper()
	e := llm.AsError(err)
	if (e.Kind != llm.CallerInvalidRequest && e.Kind != llm.CallerTooLarge) || e.Fix == "" || e.Message == "" || len(e.Text()) > 1200 || !utf8.ValidString(e.Text()) {
		t.Fatalf("%+v", e)
	}
	if strings.Contains(e.Text(), "Go ") || strings.Contains(e.Text(), "json:") {
		t.Fatalf("it speaks of Go: %s", e.Text())
	}
}

// FuzzHeaders reads what stands in headers: no answer is a panic, and what is taken is
// within its bounds.
func FuzzHeaders(f *testing.F) {
	for _, seed := range []string{"respond-async, wait=10", `a="\",",wait=1;x="y;z"`, "3", "-1", "~", "", "wait=\"", "24h", "https://a.example", "\xff"} {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, one, two string) {
		p := form.Prefer([]string{one, two})
		if p.Wait < 0 || p.Wait > form.MaxWait || p.Wait%time.Second != 0 {
			t.Fatalf("%+v", p)
		}
		if again := form.Prefer([]string{p.Applied(p.Async)}); again != p {
			t.Fatalf("%+v, applied and read again %+v", p, again)
		}
		h := http.Header{"Idempotency-Key": {one}, "Last-Event-Id": {one}}
		if key, err := form.IdempotencyKey(h); err != nil {
			refused(t, err)
		} else if key != one || !form.Visible(key) || len(key) > 255 {
			t.Fatalf("%q", key)
		}
		if n, err := form.LastEvent(h); err != nil {
			refused(t, err)
		} else if n < 0 {
			t.Fatal(n)
		}
		if d, err := form.Wait(one, p); err != nil {
			refused(t, err)
		} else if d < 0 || d > form.MaxWait {
			t.Fatal(d)
		}
		if d, err := form.Kept(one, form.Header, "X-A"); err != nil {
			refused(t, err)
		} else if d < form.MinKept || d > form.MaxKept {
			t.Fatal(d)
		}
		if err := form.Webhook(one, form.Header, "X-A"); err != nil {
			refused(t, err)
		}
	})
}

// FuzzJobs reads queries and bodies: what is taken selects what it says.
func FuzzJobs(f *testing.F) {
	for _, seed := range []string{
		"state=dead&limit=7&order=asc&after=job_0000000000001", "user=%ff", "a=b;c=d", "limit=1e3",
		`{"states":["dead"],"before":"1h"}`, `{"url":"/v1/embeddings","body":{},"retention":"1h","webhook":"https://a"}`,
		`{"priority":"low"}`, `{"operation":""}`, `{"states":["dead"],"states":[]}`, `{"a":`, `[]`, `{"states":[null]}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		if q, err := form.ReadList(in); err != nil {
			refused(t, err)
		} else if q.Limit < 1 || q.Limit > 1000 || q.After < 0 {
			t.Fatalf("%+v", q)
		}
		if q, err := form.ReadPurge([]byte(in), time.Unix(1_800_000_000, 0)); err != nil {
			refused(t, err)
		} else {
			for _, s := range q.States {
				if !s.Final() {
					t.Fatalf("%+v", q)
				}
			}
			if len(q.States) == 0 {
				t.Fatal("it selects jobs of every state")
			}
		}
		if s, err := form.ReadSubmission([]byte(in)); err != nil {
			refused(t, err)
		} else if s.URL == "" || !s.Body.IsValid() || s.Keep < 0 {
			t.Fatalf("%+v", s)
		}
		if _, err := form.ReadPatch([]byte(in)); err != nil {
			refused(t, err)
		}
		if _, err := form.ReadSwitch([]byte(in)); err != nil {
			refused(t, err)
		}
	})
}
