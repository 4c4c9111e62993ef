package replay

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/dunglas/httpsfv"
)

// stages are the parts of Server-Timing that the report knows, in the order of a
// request's way.
var stages = [...]string{"cache", "queue", "upstream", "total"}

// What Cache-Status can say, as the report counts it.
const (
	cacheHit       = "hit"
	cacheCollapsed = "collapsed"
	cacheStale     = "stale"
	cacheBypass    = "bypass"
	cacheMiss      = "miss"
)

// head is what the headers of an answer say.
type head struct {
	cache    string // one of the constants above; empty where not said
	fallback string // empty for none
	attempts int64
	queue    time.Duration
	cost     int64 // billionths of a dollar: sums stay exact
	// stage holds Server-Timing by stage; known says which were there.
	stage [len(stages)]time.Duration
	known [len(stages)]bool
}

// read takes what h says and leaves the rest as it is, so that a trailer adds to
// the header. Fields that cannot be read count as absent.
func (o *head) read(h http.Header) {
	if len(h) == 0 {
		return
	}
	if v := h.Values("Cache-Status"); len(v) > 0 {
		o.cache = cacheStatus(v)
	}
	if v := h.Get("X-Forebay-Fallback"); v != "" && v != "none" {
		o.fallback = v
	}
	if n, err := strconv.ParseInt(h.Get("X-Forebay-Attempts"), 10, 32); err == nil && n >= 0 {
		o.attempts = n
	}
	if d, ok := milliseconds(h.Get("X-Forebay-Queue-Ms")); ok {
		o.queue = d
	}
	if usd, err := strconv.ParseFloat(h.Get("X-Forebay-Cost-Usd"), 64); err == nil && usd >= 0 && usd < 1e6 {
		o.cost = int64(math.Round(usd * 1e9))
	}
	for _, v := range h.Values("Server-Timing") {
		o.serverTiming(v)
	}
}

// cacheStatus reads RFC 9211. Its last member is the cache nearest to the caller:
// the gateway.
func cacheStatus(values []string) string {
	list, err := httpsfv.UnmarshalList(values)
	if err != nil || len(list) == 0 {
		return ""
	}
	item, ok := list[len(list)-1].(httpsfv.Item)
	if !ok {
		return ""
	}
	is := func(param string) bool { v, _ := item.Params.Get(param); b, _ := v.(bool); return b }
	fwd, _ := item.Params.Get("fwd")
	switch {
	case is("hit"):
		return cacheHit
	case is("collapsed"):
		return cacheCollapsed
	case fwd == httpsfv.Token("stale"):
		return cacheStale
	case fwd == httpsfv.Token("bypass"), fwd == httpsfv.Token("method"):
		return cacheBypass
	case fwd != nil:
		return cacheMiss
	}
	return ""
}

// serverTiming reads entries such as "queue;dur=140.2;desc=wait", as far as the
// gateway writes them: a quoted comma in a description is not provided for.
func (o *head) serverTiming(v string) {
	for entry := range strings.SplitSeq(v, ",") {
		name, params, _ := strings.Cut(strings.TrimSpace(entry), ";")
		for i, stage := range stages {
			if name != stage {
				continue
			}
			for param := range strings.SplitSeq(params, ";") {
				dur, ok := strings.CutPrefix(strings.TrimSpace(param), "dur=")
				if d, valid := milliseconds(dur); ok && valid {
					o.stage[i], o.known[i] = d, true
				}
			}
		}
	}
}

// milliseconds reads a decimal number of milliseconds from 0 to a day.
func milliseconds(s string) (time.Duration, bool) {
	ms, err := strconv.ParseFloat(s, 64)
	if err != nil || !(ms >= 0 && ms <= 86_400_000) {
		return 0, false
	}
	return time.Duration(ms * float64(time.Millisecond)), true
}
