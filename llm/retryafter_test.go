package llm_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/llm"
)

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		name   string
		header map[string]string
		want   time.Duration
	}{
		{"none", nil, 0},
		{"seconds", map[string]string{"Retry-After": "7"}, 7 * time.Second},
		{"fraction", map[string]string{"Retry-After": "0.25"}, 250 * time.Millisecond},
		{"space", map[string]string{"Retry-After": " 2 "}, 2 * time.Second},
		{"zero", map[string]string{"Retry-After": "0"}, 0},
		{"negative", map[string]string{"Retry-After": "-3"}, 0},
		{"garbage", map[string]string{"Retry-After": "soon"}, 0},
		{"exponent", map[string]string{"Retry-After": "1e3"}, 0},
		{"infinity", map[string]string{"Retry-After": "Inf"}, 0},
		{"not a number", map[string]string{"Retry-After": "NaN"}, 0},
		{"hexadecimal", map[string]string{"Retry-After": "0x10"}, 0},
		{"dots", map[string]string{"Retry-After": "1.2.3"}, 0},
		{"long", map[string]string{"Retry-After": "86400"}, llm.MaxRetryAfter},
		{"longest", map[string]string{"Retry-After": "99999999999999999999999999"}, llm.MaxRetryAfter},
		{"date", map[string]string{"Retry-After": "Sun, 01 Mar 2026 12:00:30 GMT"}, 30 * time.Second},
		{"past date", map[string]string{"Retry-After": "Sun, 01 Mar 2026 11:59:30 GMT"}, 0},
		{"far date", map[string]string{"Retry-After": "Sun, 01 Mar 2027 11:59:30 GMT"}, llm.MaxRetryAfter},
		{"milliseconds first", map[string]string{"Retry-After-Ms": "350", "Retry-After": "9"}, 350 * time.Millisecond},
		{"milliseconds garbage", map[string]string{"Retry-After-Ms": "x", "Retry-After": "9"}, 9 * time.Second},
		{"milliseconds fraction", map[string]string{"Retry-After-Ms": "1.5"}, 1500 * time.Microsecond},
		{"retry-after before reset", map[string]string{"Retry-After": "1", "X-Ratelimit-Reset-Requests": "9s"}, time.Second},
		{"reset", map[string]string{"X-Ratelimit-Reset-Requests": "1s"}, time.Second},
		{"reset minutes", map[string]string{"X-Ratelimit-Reset-Tokens": "6m0s"}, 6 * time.Minute},
		{"reset milliseconds", map[string]string{"X-Ratelimit-Reset-Tokens": "350ms"}, 350 * time.Millisecond},
		{"reset delta", map[string]string{"X-Ratelimit-Reset": "12"}, 12 * time.Second},
		{"reset moment", map[string]string{"X-Ratelimit-Reset": "1772366420"}, 20 * time.Second},
		{"reset moment in ms", map[string]string{"X-Ratelimit-Reset": "1772366420500"}, 20500 * time.Millisecond},
		{"reset past", map[string]string{"X-Ratelimit-Reset": "1772366400"}, 0},
		{"reset negative", map[string]string{"X-Ratelimit-Reset": "-5s"}, 0},
		{"reset garbage", map[string]string{"X-Ratelimit-Reset": "tomorrow"}, 0},
		{"reset of the limit that was met", map[string]string{
			"X-Ratelimit-Reset-Requests": "1s", "X-Ratelimit-Remaining-Requests": "12",
			"X-Ratelimit-Reset-Tokens": "40s", "X-Ratelimit-Remaining-Tokens": "0",
		}, 40 * time.Second},
		{"earlier reset where none was met", map[string]string{
			"X-Ratelimit-Reset-Requests": "8s", "X-Ratelimit-Remaining-Requests": "12",
			"X-Ratelimit-Reset-Tokens": "40s", "X-Ratelimit-Remaining-Tokens": "10",
		}, 8 * time.Second},
		{"reset of a project", map[string]string{"X-Ratelimit-Reset-Project-Tokens": "3s"}, 3 * time.Second},
		{"reset per minute and day", map[string]string{
			"X-Ratelimit-Reset-Requests-Day": "80000", "X-Ratelimit-Remaining-Requests-Day": "900",
			"X-Ratelimit-Reset-Tokens-Minute": "14.5", "X-Ratelimit-Remaining-Tokens-Minute": "0",
		}, 14500 * time.Millisecond},
		{"IETF draft", map[string]string{"Ratelimit-Reset": "5", "Ratelimit-Remaining": "0"}, 5 * time.Second},
		{"Azure's milliseconds", map[string]string{"X-Ms-Retry-After-Ms": "40"}, 40 * time.Millisecond},
		{"Anthropic", map[string]string{"Anthropic-Ratelimit-Requests-Reset": "2026-03-01T12:00:07Z"}, 7 * time.Second},
		{"Anthropic with an offset", map[string]string{"Anthropic-Ratelimit-Requests-Reset": "2026-03-01T13:00:07.5+01:00"}, 7500 * time.Millisecond},
		{"Anthropic, the limit that was met", map[string]string{
			"Anthropic-Ratelimit-Requests-Reset": "2026-03-01T12:00:01Z", "Anthropic-Ratelimit-Requests-Remaining": "40",
			"Anthropic-Ratelimit-Output-Tokens-Reset": "2026-03-01T12:00:30Z", "Anthropic-Ratelimit-Output-Tokens-Remaining": "0",
		}, 30 * time.Second},
		{"Anthropic, over", map[string]string{"Anthropic-Ratelimit-Requests-Reset": "2026-03-01T11:00:07Z"}, 0},
		{"Anthropic, far", map[string]string{"Anthropic-Ratelimit-Requests-Reset": "2036-03-01T11:00:07Z"}, llm.MaxRetryAfter},
		{"no limit's reset", map[string]string{"Anthropic-Ratelimit-Requests-Limit": "50", "X-Reset": "9"}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := http.Header{}
			for name, value := range test.header {
				h.Set(name, value)
			}
			got := llm.RetryAfter(h, now)
			if diff := got - test.want; diff < -time.Microsecond || diff > time.Microsecond {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func FuzzRetryAfter(f *testing.F) {
	f.Add("1", "2s", "Sun, 01 Mar 2026 12:00:30 GMT")
	f.Add("1e9", "-1h", "9999999999999999")
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, ms, reset, after string) {
		h := http.Header{"Retry-After-Ms": {ms}, "X-Ratelimit-Reset": {reset}, "Retry-After": {after}}
		if d := llm.RetryAfter(h, now); d < 0 || d > llm.MaxRetryAfter {
			t.Fatalf("%v is out of bounds", d)
		}
	})
}
