package failure_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/failure"
	"github.com/forebay-ai/forebay/llm"
)

// sentences are how providers say in a message when to try again.
var sentences = []struct {
	text string
	want time.Duration
}{
	{"Rate limit reached for gpt-4o in organization org-1 on tokens per min (TPM): Limit 30000, Used 29000. Please try again in 1.5s. Visit https://platform", 1500 * time.Millisecond},
	{"Please try again in 350ms.", 350 * time.Millisecond},
	{"Please try again in 6m0s.", 6 * time.Minute},
	{"Please try again in 7m12.5s", 7*time.Minute + 12500*time.Millisecond},
	{"Please try again in 1h2m3s.", time.Hour}, // bounded
	{"Please try again in 20 seconds.", 20 * time.Second},
	{"have exceeded token rate limit of your current OpenAI S0 pricing tier. Please retry after 7 seconds. Please go here", 7 * time.Second},
	{"Please retry in 34.500000000s.", 34500 * time.Millisecond},
	{"try again in 1 minute 30 seconds", 90 * time.Second},
	{"Please wait 12s before trying again", 12 * time.Second},
	{"Try Again In 2 S", 2 * time.Second},
	{"Please try again in 999999999h", llm.MaxRetryAfter},
	{"Please try again in 0s", 0},
	{"Please try again in -5s", 0},
	{"Please try again in 1e9s", 0},
	{"Please try again in NaNs", 0},
	{"Please try again in 5 days", 0},
	{"Please try again in 1 month", 0},
	{"Please try again in 1.2.3s", 0},
	{"Please try again in 12345678901234567890s", 0},
	{"Please try again later.", 0},
	{"retry after 7", 0}, // of what?
	{strings.Repeat("x", 1<<20) + " try again in 5s", 0},
	{"", 0},
}

func TestDelayInASentence(t *testing.T) {
	for _, s := range sentences {
		for _, status := range []int{429, 503} {
			if got := failure.Classify(failure.Signal{Status: status, Message: s.text}).RetryAfter; got != s.want {
				t.Errorf("%.80q with %d: %v, want %v", s.text, status, got, s.want)
			}
		}
		// A request that is at fault may quote whatever the caller wrote.
		for _, status := range []int{400, 500} {
			if got := failure.Classify(failure.Signal{Status: status, Message: s.text}).RetryAfter; got != 0 {
				t.Errorf("%.80q with %d: %v", s.text, status, got)
			}
		}
	}
}

func TestWhichDelayCounts(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	const date, later = "Sun, 01 Mar 2026 11:00:00 GMT", "Sun, 01 Mar 2026 11:00:09 GMT"
	for _, test := range []struct {
		name    string
		status  int
		header  map[string]string
		message string
		hint    string
		now     time.Time
		want    time.Duration
	}{
		{name: "header before body", status: 429, header: map[string]string{"Retry-After": "3"}, message: "try again in 9s", want: 3 * time.Second},
		{name: "milliseconds", status: 503, header: map[string]string{"Retry-After-Ms": "250", "Retry-After": "1"}, want: 250 * time.Millisecond},
		{name: "Azure's milliseconds", status: 429, header: map[string]string{"X-Ms-Retry-After-Ms": "1500"}, want: 1500 * time.Millisecond},
		{name: "body before reset", status: 429, header: map[string]string{"X-Ratelimit-Reset-Tokens": "6m0s"}, message: "try again in 9s", want: 9 * time.Second},
		{name: "hint before sentence", status: 429, hint: "13s", message: "try again in 9s", want: 13 * time.Second},
		{name: "hint without a unit", status: 429, hint: "13", want: 13 * time.Second},
		{name: "hint that is none", status: 429, hint: "soon", message: "try again in 9s", want: 9 * time.Second},
		{name: "negative hint", status: 429, hint: "-13s", want: 0},
		{name: "infinite hint", status: 429, hint: "Inf", want: 0},
		{name: "huge hint", status: 429, hint: "99999999s", want: llm.MaxRetryAfter},
		{name: "reset", status: 429, header: map[string]string{"X-Ratelimit-Reset-Tokens": "6m0s"}, want: 6 * time.Minute},
		{name: "reset of a limit that was not met", status: 503, header: map[string]string{"X-Ratelimit-Reset-Tokens": "6m0s"}},
		{name: "date by the provider's clock", status: 503, header: map[string]string{"Retry-After": later, "Date": date}, now: now, want: 9 * time.Second},
		{name: "date by ours", status: 503, header: map[string]string{"Retry-After": later}, now: now.Add(-time.Hour), want: 9 * time.Second},
		{name: "date that is over", status: 503, header: map[string]string{"Retry-After": later}, now: now},
		{name: "date without a clock", status: 503, header: map[string]string{"Retry-After": later}},
		{name: "Anthropic's moment", status: 429, header: map[string]string{"Anthropic-Ratelimit-Input-Tokens-Reset": "2026-03-01T11:00:20Z", "Date": date}, want: 20 * time.Second},
		{name: "absurd seconds", status: 429, header: map[string]string{"Retry-After": "1000000000"}, want: llm.MaxRetryAfter},
		{name: "no number", status: 429, header: map[string]string{"Retry-After": "NaN"}},
	} {
		h := http.Header{}
		for name, value := range test.header {
			h.Set(name, value)
		}
		v := failure.Classify(failure.Signal{Status: test.status, Header: h, Message: test.message, Hint: test.hint, Now: test.now})
		if v.RetryAfter != test.want {
			t.Errorf("%s: %v, want %v", test.name, v.RetryAfter, test.want)
		}
	}
}
