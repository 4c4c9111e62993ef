package config

import (
	"fmt"
	"time"

	"github.com/forebay-ai/forebay/config/internal/settings"
)

// checkNumbers finds pairs of numbers that exclude each other. Those that nobody
// set were fitted before.
func (f *File) checkNumbers() {
	v := f.values
	if f.ordered("queue.warn", "queue.max", false) && f.ordered("queue.critical", "queue.max", false) {
		f.ordered("queue.warn", "queue.critical", false)
	}
	f.ordered("queue.queue_at", "limits.max_concurrent", true)
	f.ordered("jobs.backoff", "jobs.max_backoff", false)
	f.ordered("jobs.timeout", "jobs.max_timeout", false)
	f.ordered("jobs.retention", "jobs.max_retention", false)
	f.ordered("queue.target", "queue.max_age", false)
	f.ordered("cache.max_entry", "cache.memory", false)
	f.ordered("retry.base", "retry.cap", false)
	f.ordered("breaker.open_for", "breaker.max_open_for", false)
	f.ordered("queue.offsets.high", "queue.offsets.normal", false)
	f.ordered("queue.offsets.normal", "queue.offsets.low", false)
	f.share("cache.jitter", 0.5)
	f.share("cache.tenant_floor", 0.9)
	f.share("queue.floor", 1.0/3)
	reserve, floor := v.Float("queue", "critical_reserve"), v.Float("queue", "floor")
	if reserve+3*floor > 1+1e-9 && floor <= 1.0/3 {
		s := explicit(v, "queue.floor", "queue.critical_reserve")
		s.Wrong(fmt.Sprintf("queue.critical_reserve (%s) and three times queue.floor (%s) make more than all slots", settings.Format(settings.Ratio, reserve), settings.Format(settings.Ratio, floor)), "Lower one of them.")
	}
	if s := v.Lookup("breaker.slow_rate"); s != nil && s.Value == 0.0 {
		s.Wrong("breaker.slow_rate: 0% would open the breaker at once", "Write a share above 0%; breaker.slow_call: 0s switches the rule off.")
	}
	if slow, deadline := v.Duration("breaker", "slow_call"), f.longest(); slow > 0 && slow >= deadline {
		v.Get("breaker", "slow_call").Wrong(fmt.Sprintf("breaker.slow_call: no call takes %s, because the longest deadline is %s", settings.FormatDuration(slow), settings.FormatDuration(deadline)), "Lower it, or raise a deadline.")
	}
}

// explicit is the setting that somebody set, the first that is; at least the last.
func explicit(v *settings.Values, keys ...string) *settings.Setting {
	for _, k := range keys {
		if s := v.Lookup(k); s.From.Rank >= settings.FromFile {
			return s
		}
	}
	return v.Lookup(keys[len(keys)-1])
}

// ordered wants low to be at most high. unbounded says that a high of 0 is no bound.
// It says whether it is.
func (f *File) ordered(low, high string, unbounded bool) bool {
	l, h := f.values.Lookup(low), f.values.Lookup(high)
	a, b := number(l.Value), number(h.Value)
	if a <= b || unbounded && b == 0 {
		return true
	}
	at := explicit(f.values, low, high)
	at.Wrong(fmt.Sprintf("%s (%s) is more than %s (%s)", low, settings.Format(l.Row.Kind, l.Value), high, settings.Format(h.Row.Kind, h.Value)), "Lower "+low+", or raise "+high+".")
	return false
}

func number(v any) int64 {
	switch v := v.(type) {
	case int64:
		return v
	case time.Duration:
		return int64(v)
	}
	return 0
}

// share bounds a share further than its type does.
func (f *File) share(key string, most float64) {
	s := f.values.Lookup(key)
	if s != nil && s.Value.(float64) > most {
		s.Wrong(fmt.Sprintf("%s: %s is out of range", key, settings.Format(settings.Ratio, s.Value)), fmt.Sprintf("Write 0%% to %.0f%%.", most*100))
	}
}

// longest is the longest deadline of any operation.
func (f *File) longest() time.Duration {
	v := f.values
	most := v.Duration("defaults", "deadline")
	for _, name := range v.Names("operations") {
		most = max(most, v.Duration("operations", name, "deadline"))
	}
	return most
}

// adapt fits numbers that nobody set to those that somebody did: whoever sets
// queue.max to 5 has not asked for a warning at 50.
func adapt(v *settings.Values) {
	atMost := func(key, other string, share int64) {
		s, o := v.Lookup(key), v.Lookup(other)
		if s.From.Rank <= settings.FromProfile && s.Value.(int64) > o.Value.(int64)/share {
			v.Replace(s.With(max(1, o.Value.(int64)/share), ", fitted to "+other))
		}
	}
	atLeast := func(key, other string) {
		s, o := v.Lookup(key), v.Lookup(other)
		if s.From.Rank <= settings.FromProfile && s.Value.(time.Duration) < o.Value.(time.Duration) {
			v.Replace(s.With(o.Value, ", fitted to "+other))
		}
	}
	atMost("queue.critical", "queue.max", 1)
	atMost("queue.warn", "queue.critical", 1)
	atMost("cache.max_entry", "cache.memory", 8)
	atLeast("retry.cap", "retry.base")
	atLeast("jobs.max_backoff", "jobs.backoff")
	atLeast("jobs.max_timeout", "jobs.timeout")
	atLeast("jobs.max_retention", "jobs.retention")
	atLeast("breaker.max_open_for", "breaker.open_for")
}
