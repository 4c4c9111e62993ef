package show

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/breaker"
)

// Targets writes the state of targets.
func Targets(w io.Writer, targets []forebay.TargetStatus, now time.Time) error {
	t := newTable(0, "target", "region", "breaker", "since", "in flight", "waiting", "cooling", "quota left", "why")
	for i := range targets {
		x := &targets[i]
		t.AppendRow([]any{
			Clean(x.Name), regionText(x), breakerText(&x.Breaker, now), since(x.Breaker.Since, now), inFlightText(x), x.Waiting,
			remaining(x.CoolingUntil, now), quotaText(x), dash(Clean(x.Breaker.Reason)),
		})
	}
	return write(w, t)
}

func regionText(t *forebay.TargetStatus) string {
	text := Clean(t.Region)
	if t.Residency != "" && !strings.HasPrefix(t.Region, t.Residency) {
		text = strings.TrimPrefix(text+" ("+Clean(t.Residency)+")", " ")
	}
	if t.RegionDown {
		text += ", down"
	}
	return dash(text)
}

// breakerText is the state with what it will turn into: "open, probes in 1.2s",
// "open, forced", "closed, 40% of its share".
func breakerText(b *breaker.Snapshot, now time.Time) string {
	text := b.State.String()
	switch {
	case b.Forced:
		text += ", forced"
	case b.State == breaker.Open:
		text += ", probes " + in(b.RetryAt, now)
	case b.State == breaker.Closed && b.Share < 1:
		text += fmt.Sprintf(", %.0f%% of its share", 100*b.Share)
	}
	return text
}

func inFlightText(t *forebay.TargetStatus) string {
	if t.Limit < 0 {
		return fmt.Sprint(t.InFlight)
	}
	text := fmt.Sprintf("%d/%d", t.InFlight, t.Limit)
	if t.Ceiling > t.Limit {
		text += fmt.Sprintf(" of %d", t.Ceiling)
	}
	return text
}

func quotaText(t *forebay.TargetStatus) string {
	q := t.Quota
	if q == nil {
		return "-"
	}
	var parts []string
	if q.RequestsPerMinute > 0 {
		parts = append(parts, fmt.Sprintf("%d/%d requests", q.RequestsLeft, q.RequestsPerMinute))
	}
	if q.TokensPerMinute > 0 {
		parts = append(parts, fmt.Sprintf("%d/%d tokens", q.TokensLeft, q.TokensPerMinute))
	}
	return dash(strings.Join(parts, ", "))
}

// since is how long ago t was; a dash for never. The gateway's clock may be ahead.
func since(t, now time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return Roughly(max(now.Sub(t).Seconds(), 0.1)) + " ago"
}

// remaining is how long it is until t; a dash for a time that is over.
func remaining(t, now time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return Roughly(t.Sub(now).Seconds())
}

// in is when t will be: "in 1.2s", "now".
func in(t, now time.Time) string {
	if !t.After(now) {
		return "now"
	}
	return "in " + Roughly(max(t.Sub(now).Seconds(), 0.1))
}

// Roughly is a number of seconds for people, to a tenth below a minute; a dash for none.
func Roughly(n float64) string {
	if n <= 0 {
		return "-"
	}
	d := time.Duration(n * float64(time.Second))
	if d < time.Minute {
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}
