package console

import (
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/forebay-ai/forebay/llm"
)

// fault refuses a parameter.
func fault(name, message, fix string) error {
	return &llm.Error{Kind: llm.CallerInvalidRequest, Param: name, Message: "the parameter " + name + " " + message, Fix: fix}
}

// maxWindow is how long series are kept.
const maxWindow = 30 * 24 * time.Hour

// window reads a span of time such as 15m, 6h or 7d.
func window(q url.Values, missing time.Duration) (time.Duration, error) {
	text := q.Get("window")
	if text == "" {
		return missing, nil
	}
	d, err := duration(text)
	if err != nil || d < time.Minute || d > maxWindow {
		return 0, fault("window", fmt.Sprintf("has the value %.32q", text), "Send 1m to 30d, such as 15m, 6h or 7d.")
	}
	return d, nil
}

// duration is time.ParseDuration with days.
func duration(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseFloat(days, 64)
		if err != nil || math.IsNaN(n) || math.Abs(n) > 10_000 {
			return 0, fmt.Errorf("not a number of days: %.32q", text)
		}
		return time.Duration(n * float64(24*time.Hour)), nil
	}
	return time.ParseDuration(text)
}

// number reads a whole number between bounds.
func number(q url.Values, name string, missing, low, high int64) (int64, error) {
	text := q.Get(name)
	if text == "" {
		return missing, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < low || n > high {
		return 0, fault(name, fmt.Sprintf("has the value %.32q", text), fmt.Sprintf("Send a whole number from %d to %d.", low, high))
	}
	return n, nil
}

// moment reads a time in the form of RFC 3339, or a date.
func moment(q url.Values, name string) (time.Time, error) {
	text := q.Get(name)
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fault(name, fmt.Sprintf("has the value %.40q", text), "Send a time such as 2026-11-01T12:00:00Z, or a date such as 2026-11-01.")
}
