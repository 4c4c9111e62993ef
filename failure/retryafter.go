package failure

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/forebay-ai/forebay/internal/ident"
	"github.com/forebay-ai/forebay/llm"
)

// never is when all dates that anybody means are over.
var never = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// retryAfter reads how long to wait: from the headers that say it outright, then from
// the body, then from the headers that say when a rate limit is reset. Of these OpenAI's
// say when the limit is whole again, which is later than its body says.
//
// Dates are reckoned from the answer's own Date where it has one, so that a clock that
// differs from the provider's does no harm. When a rate limit is reset matters only
// where it was met: OpenAI says it with every answer, and a call that failed with 500
// need not wait for it.
func retryAfter(kind llm.Kind, s *Signal) time.Duration {
	now, err := http.ParseTime(s.Header.Get("Date"))
	if err != nil {
		now = s.Now
	}
	if now.IsZero() {
		now = never
	}
	if d := llm.RetryAfter(only(s.Header, llm.RetryHeaders()), now); d > 0 || !kind.FeedsLimiter() {
		return d
	}
	if d := hinted(s, now); d > 0 || kind != llm.ProviderRateLimited {
		return d
	}
	return llm.RetryAfter(s.Header, now)
}

// only returns the members of h with these names; nil where there are none.
func only(h http.Header, names []string) http.Header {
	var some http.Header
	for _, name := range names {
		if values := h[name]; len(values) > 0 {
			if some == nil {
				some = make(http.Header, len(names))
			}
			some[name] = values
		}
	}
	return some
}

// hinted reads the delay that a body states.
func hinted(s *Signal, now time.Time) time.Duration {
	if s.Hint != "" {
		if d := llm.RetryAfter(http.Header{"X-Ratelimit-Reset": {s.Hint}}, now); d > 0 {
			return d
		}
	}
	return inText(s.Message[:min(len(s.Message), maxText)])
}

var (
	// sentence finds the delay in "Please try again in 6m0s", "Please retry after 7
	// seconds", "Please retry in 34.07s".
	sentence = ident.Pattern(`(?i)\b(?:try again|retry|wait)(?: again)?(?: in| after| for)?(?: about)? ((?:[0-9]{1,9}(?:\.[0-9]{1,9})? ?` + unit + ` ?)+)(?:[^a-z0-9]|$)`)
	part     = ident.Pattern(`(?i)([0-9.]+) ?(` + unit + `)`)
)

// unit is what delays are counted in; longer names first.
const unit = `(?:milliseconds?|ms|minutes?|mins?|m|seconds?|secs?|s|hours?|h)`

// inText reads the delay that a sentence states, or 0.
func inText(text string) time.Duration {
	found := sentence().FindStringSubmatch(text)
	if found == nil {
		return 0
	}
	var sum float64
	for _, p := range part().FindAllStringSubmatch(found[1], -1) {
		n, err := strconv.ParseFloat(p[1], 64)
		if err != nil {
			return 0
		}
		sum += n * float64(length(strings.ToLower(p[2])))
	}
	return time.Duration(min(sum, float64(llm.MaxRetryAfter)))
}

// length is how long one of a unit is.
func length(unit string) time.Duration {
	switch {
	case strings.HasPrefix(unit, "ms"), strings.HasPrefix(unit, "milli"):
		return time.Millisecond
	case strings.HasPrefix(unit, "m"):
		return time.Minute
	case strings.HasPrefix(unit, "h"):
		return time.Hour
	}
	return time.Second
}
