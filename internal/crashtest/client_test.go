//go:build linux

package crashtest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// outcome is what is known of an operation.
type outcome string

const (
	ok      outcome = "ok"
	refused outcome = "fail"    // it was not carried out
	unknown outcome = "unknown" // it may have been
)

// view is a job as the gateway shows it.
type view struct {
	ID         string `json:"id"`
	State      string `json:"state"`
	Priority   string `json:"priority"`
	CustomID   string `json:"custom_id"`
	Attempt    int    `json:"attempt"`
	Retries    int    `json:"retries"`
	LostLeases int    `json:"lost_leases"`
	Error      *struct {
		Kind    string `json:"error_type"`
		Message string `json:"message"`
	} `json:"error"`
}

// final says that nothing may happen to the job any more.
func (v view) final() bool {
	switch v.State {
	case "completed", "failed", "timeout", "cancelled", "dead":
		return true
	}
	return false
}

// figures are what /v1/jobs/stats counts.
type figures struct {
	Queued, Processing, Completed, Failed, Timeout, Cancelled, Dead, Damaged int
	Fenced                                                                   int
}

// caller talks to a gateway as its clients do.
type caller struct{ http *http.Client }

func newCaller(connections int) *caller {
	return &caller{&http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: connections, MaxIdleConns: connections,
		DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
	}}}
}

// answer is what an operation got.
type answer struct {
	outcome outcome
	status  int
	header  http.Header
	body    string
}

// request is one operation.
type request struct {
	method, url, body string
	header            map[string]string
}

// do sends a request once. A connection that could not be made is a refusal, one that
// died leaves everything open, and so does an answer of 5xx: what went wrong inside may
// have gone wrong behind the commit.
func (c *caller) do(ctx context.Context, r request) answer {
	var body io.Reader = http.NoBody
	if r.body != "" {
		// The type hides that the body could be sent again, as net/http does by itself for
		// requests with an idempotency key.
		body = struct{ io.Reader }{strings.NewReader(r.body)}
	}
	req, err := http.NewRequestWithContext(ctx, r.method, r.url, body)
	if err != nil {
		return answer{outcome: refused}
	}
	req.Header.Set("Authorization", "Bearer "+secret)
	req.Header.Set("Content-Type", "application/json")
	for k, v := range r.header {
		req.Header.Set(k, v)
	}
	res, err := c.http.Do(req)
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) && op.Op == "dial" {
			return answer{outcome: refused}
		}
		return answer{outcome: unknown}
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	a := answer{outcome: ok, status: res.StatusCode, header: res.Header, body: string(text)}
	switch {
	case err != nil || res.StatusCode >= 500:
		a.outcome = unknown
	case res.StatusCode >= 400:
		a.outcome = refused
	}
	return a
}

func (c *caller) get(ctx context.Context, url string) answer {
	return c.do(ctx, request{method: http.MethodGet, url: url})
}

// job reads a job out of an answer of 2xx.
func (a answer) job() (view, error) {
	var v view
	if a.outcome != ok {
		return v, fmt.Errorf("%s: status %d: %s", a.outcome, a.status, a.body)
	}
	err := json.Unmarshal([]byte(a.body), &v)
	if err == nil && v.ID == "" {
		err = errors.New("no job: " + a.body)
	}
	return v, err
}

// figures asks what the queue counts.
func (c *caller) figures(ctx context.Context, base string) (figures, error) {
	var f figures
	a := c.get(ctx, base+"/v1/jobs/stats")
	if a.outcome != ok {
		return f, fmt.Errorf("stats: %s: status %d: %s", a.outcome, a.status, a.body)
	}
	return f, json.Unmarshal([]byte(a.body), &f)
}

// list reads all jobs that the query selects, page by page.
func (c *caller) list(ctx context.Context, base string, query url.Values) ([]view, error) {
	var all []view
	q := url.Values{"order": {"asc"}, "limit": {"100"}}
	for k, v := range query {
		q[k] = v
	}
	for {
		a := c.get(ctx, base+"/v1/jobs?"+q.Encode())
		if a.outcome != ok {
			return nil, fmt.Errorf("list: %s: status %d: %s", a.outcome, a.status, a.body)
		}
		var page struct {
			Data []view `json:"data"`
			More bool   `json:"has_more"`
			Next string `json:"next"`
		}
		if err := json.Unmarshal([]byte(a.body), &page); err != nil {
			return nil, fmt.Errorf("list: %w: %.200s", err, a.body)
		}
		all = append(all, page.Data...)
		if !page.More {
			return all, nil
		}
		if page.Next == "" || len(page.Data) == 0 {
			return nil, errors.New("list: there is more, and no way to it")
		}
		q.Set("after", page.Next)
	}
}

// submission is a job as a client asks for it.
type submission struct {
	Name    string // custom id, idempotency key and first word of the prompt
	Filler  int    // bytes added to the prompt
	Keyed   bool   // has an idempotency key
	Band    string
	Timeout string // "" for the default
}

// canary is what prompts are full of. No file may have it.
const canary = "a prompt is nobody's business. "

func (s submission) request(base string) request {
	prompt := s.Name + " " + strings.Repeat(canary, s.Filler/len(canary)) + strings.Repeat(".", s.Filler%len(canary))
	h := map[string]string{"X-Forebay-Priority": s.Band}
	if s.Keyed {
		h["Idempotency-Key"] = s.Name
	}
	if s.Timeout != "" {
		h["X-Forebay-Timeout"] = s.Timeout
	}
	return request{http.MethodPost, base + "/v1/jobs", fmt.Sprintf(
		`{"url":"/v1/chat/completions","custom_id":%q,"body":{"model":"m","messages":[{"role":"user","content":%q}]}}`, s.Name, prompt), h}
}
