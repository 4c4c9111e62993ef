package head

import (
	"strconv"
	"time"

	"github.com/forebay-ai/forebay"
)

// CacheStatus says in the words of RFC 9211 what the cache did. An answer that was not
// called for, so never came to the cache, names it without a parameter.
func CacheStatus(m *forebay.Meta, called bool) string {
	c := &m.Cache
	if !called {
		return "forebay"
	}
	words := "forebay"
	switch c.Status {
	case forebay.CacheHit, forebay.CacheStaleHit:
		b := make([]byte, 0, 64)
		b = append(b, "forebay; hit"...)
		if c.Detail != forebay.DetailNegative {
			b = strconv.AppendInt(append(b, "; ttl="...), int64(c.TTL/time.Second), 10)
		}
		words = string(b)
	case forebay.CacheMiss:
		words = "forebay; fwd=uri-miss"
	case forebay.CacheExpired:
		words = "forebay; fwd=stale"
	case forebay.CacheCollapsed:
		return "forebay; fwd=uri-miss; collapsed"
	case forebay.CacheBypass, forebay.CacheOff:
		words = "forebay; fwd=bypass"
	}
	switch {
	case c.Detail != "":
		return words + "; detail=" + string(c.Detail)
	case c.Stored:
		return words + "; stored"
	}
	return words
}

// ServerTiming says where the time went since start, in milliseconds, as browsers'
// tools draw it. Stages that the request did not come to are left out.
func ServerTiming(m *forebay.Meta, start time.Time) string {
	b := make([]byte, 0, 96)
	t := &m.Timing
	stage := func(name string, d time.Duration) {
		if d > 0 {
			b = append(appendMillis(append(b, name...), d), ", "...)
		}
	}
	stage("cache;dur=", t.Cache)
	stage("queue;dur=", t.Queue)
	stage("upstream;dur=", t.Upstream)
	return string(appendMillis(append(b, "total;dur="...), time.Since(start)))
}

// appendMillis appends d in milliseconds with three decimals.
func appendMillis(b []byte, d time.Duration) []byte {
	us := max(d.Microseconds(), 0)
	b = strconv.AppendInt(b, us/1000, 10)
	us %= 1000
	return append(b, '.', byte('0'+us/100), byte('0'+us/10%10), byte('0'+us%10))
}

// ResetText is d in the format of OpenAI's reset header: "0s", "120ms", "6m0s".
func ResetText(d time.Duration) string {
	if d <= 0 {
		return "0s"
	}
	return max(d.Round(time.Millisecond), time.Millisecond).String()
}

// Dollars is an amount in millionths of a dollar as a decimal number of dollars.
func Dollars(micro int64) string {
	if micro <= 0 {
		return "0"
	}
	b := strconv.AppendInt(make([]byte, 0, 24), micro/1e6, 10)
	rest := micro % 1e6
	if rest == 0 {
		return string(b)
	}
	b = append(b, '.')
	for place := int64(1e5); rest > 0; place /= 10 {
		b = append(b, byte('0'+rest/place))
		rest %= place
	}
	return string(b)
}
