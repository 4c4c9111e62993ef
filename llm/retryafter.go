package llm

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// MaxRetryAfter bounds what RetryAfter believes. A provider that asks for more
// (a daily quota) is tried again after an hour at the latest.
const MaxRetryAfter = time.Hour

// epochFloor tells a moment from a delay in x-ratelimit-reset: no sensible delay
// has 10^9 seconds (32 years), and every moment since 2001 has more.
const epochFloor = 1e9

// RetryHeaders returns the headers that say outright when to try again, in canonical
// form and in the order of their preference. The slice is the caller's.
func RetryHeaders() []string {
	return []string{"Retry-After-Ms", "X-Ms-Retry-After-Ms", "Retry-After"}
}

// RetryAfter reads from the headers of an answer how long to wait before another
// try. It looks at retry-after-ms and Azure's x-ms-retry-after-ms (milliseconds), then
// Retry-After (seconds, with or without a fraction, or an HTTP date), then at the
// headers that say when rate limits are reset: x-ratelimit-reset… and ratelimit-reset
// ("350ms", "6m0s", seconds, or a moment in Unix seconds or milliseconds), and
// anthropic-ratelimit-…-reset (a moment as RFC 3339 has it). Zero means that nothing
// usable is there: absent, unreadable, negative or already over. The result is never
// above MaxRetryAfter.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	for _, name := range [...]string{"Retry-After-Ms", "X-Ms-Retry-After-Ms"} {
		if ms, ok := number(h.Get(name)); ok {
			return bounded(ms * float64(time.Millisecond))
		}
	}
	if v := strings.TrimSpace(h.Get("Retry-After")); v != "" {
		if s, ok := number(v); ok {
			return bounded(s * float64(time.Second))
		}
		if at, err := http.ParseTime(v); err == nil {
			return bounded(float64(at.Sub(now)))
		}
	}
	return resetAfter(h, now)
}

// resetAfter reads the headers about rate limits. The limit that was met is the
// one with nothing remaining; where no header tells which, the earlier reset is
// taken, because a wait that is too short costs one more try and a wait that is
// too long costs the call.
func resetAfter(h http.Header, now time.Time) time.Duration {
	var met, other time.Duration
	for name, values := range h {
		remaining, ok := remainingOf(name)
		if !ok || len(values) == 0 {
			continue
		}
		d := resetDelay(values[0], now)
		if d == 0 {
			continue
		}
		if left, ok := number(h.Get(remaining)); ok && left <= 0 {
			met = max(met, d)
		} else if other == 0 || d < other {
			other = d
		}
	}
	if met > 0 {
		return met
	}
	return other
}

// remainingOf says whether a header tells when a rate limit is reset, and which header
// tells how much of that limit remains.
func remainingOf(name string) (remaining string, ok bool) {
	for _, family := range [...]string{"X-Ratelimit-", "Ratelimit-"} {
		if limit, ok := strings.CutPrefix(name, family+"Reset"); ok {
			return family + "Remaining" + limit, true
		}
	}
	if limit, ok := strings.CutSuffix(name, "-Reset"); ok && strings.HasPrefix(name, "Anthropic-Ratelimit-") {
		return limit + "-Remaining", true
	}
	return "", false
}

func resetDelay(v string, now time.Time) time.Duration {
	v = strings.TrimSpace(v)
	if n, ok := number(v); ok {
		switch {
		case n >= epochFloor*1000:
			n = n/1000 - float64(now.UnixMilli())/1000
		case n >= epochFloor:
			n -= float64(now.UnixMilli()) / 1000
		}
		return bounded(n * float64(time.Second))
	}
	if d, err := time.ParseDuration(v); err == nil {
		return bounded(float64(d))
	}
	if at, err := time.Parse(time.RFC3339, v); err == nil {
		return bounded(float64(at.Sub(now)))
	}
	return 0
}

// number reads a plain decimal number. Exponents, hexadecimals and the names of
// infinities, which strconv would take, are no header values.
func number(v string) (float64, bool) {
	v = strings.TrimSpace(v)
	if v == "" || strings.Trim(v, "+-.0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseFloat(v, 64)
	return n, err == nil
}

func bounded(ns float64) time.Duration {
	if math.IsNaN(ns) || ns <= 0 {
		return 0
	}
	return time.Duration(min(ns, float64(MaxRetryAfter)))
}
