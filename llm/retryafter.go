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

// RetryAfter reads from the headers of an answer how long to wait before another
// try. It looks at retry-after-ms (milliseconds), then Retry-After (seconds,
// with or without a fraction, or an HTTP date), then the x-ratelimit-reset
// family ("350ms", "6m0s", seconds, or a moment in Unix seconds or
// milliseconds). Zero means that nothing usable is there: absent, unreadable,
// negative or already over. The result is never above MaxRetryAfter.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	if ms, ok := number(h.Get("Retry-After-Ms")); ok {
		return bounded(ms * float64(time.Millisecond))
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

// resetAfter reads the x-ratelimit-reset family. The limit that was met is the
// one with nothing remaining; where no header tells which, the earlier reset is
// taken, because a wait that is too short costs one more try and a wait that is
// too long costs the call.
func resetAfter(h http.Header, now time.Time) time.Duration {
	var met, other time.Duration
	for _, limit := range [...]string{"-Requests", "-Tokens", ""} {
		d := resetDelay(h.Get("X-Ratelimit-Reset"+limit), now)
		if d == 0 {
			continue
		}
		if left, ok := number(h.Get("X-Ratelimit-Remaining" + limit)); ok && left <= 0 {
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
