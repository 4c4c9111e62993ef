package observability

import (
	"slices"
	"strings"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/monitor"
)

// label is one label with the words that it may have.
type label struct{ name, values string }

// labels lists every label; what stands in code is taken from there. One table on purpose:
// it becomes one.
func labels() []label {
	kinds := make([]string, 0, len(llm.Kinds()))
	for _, k := range llm.Kinds() {
		kinds = append(kinds, string(k))
	}
	slices.Sort(kinds)
	events := make([]string, 0, len(monitor.JobEvents()))
	for _, e := range monitor.JobEvents() {
		events = append(events, string(e))
	}
	bands := make([]string, 0, len(llm.Priorities))
	for _, p := range llm.Priorities {
		bands = append(bands, p.String())
	}
	const configured = "names in the configuration"
	return []label{
		{"operation", configured + "; `default` for none"},
		{"model", configured + ", and providers' own names of them"},
		{"provider", configured},
		{"target", configured + ", as provider/model"},
		{"function", "names that the embedder gave"},
		{"budget", configured},
		{"outcome", words("ok", "degraded", "refused", "error", "cancelled")},
		{"error_type", "`none`, " + words(kinds...)},
		{"cache", words("hit", "stale_hit", "miss", "stale", "collapsed", "bypass", "off")},
		{"fallback", words("none", "cached", "similar", "template", "simplified", "error")},
		{"direction", words("input", "output", "cache_read", "cache_write")},
		{"stage", words(string(monitor.StageCache), string(monitor.StageQueue), string(monitor.StageUpstream), string(monitor.StageFirstToken))},
		{"priority", words(bands...)},
		{"tier", words("memory", "store")},
		{"reason", "of refusals " + words(monitor.DefaultRefusalReasons()...) + "; of misses " +
			words("never_seen", "expired", "invalidated", "scope", "evicted", "undecryptable", "damaged", "store_down") + "; of retries as error_type"},
		{"state", "of breakers " + words("closed", "half_open", "open") + ", of which one is 1; of jobs " + words("queued", "processing")},
		{"from", words("closed", "half_open", "open")},
		{"to", words("closed", "half_open", "open")},
		{"event", words(events...)},
		{"what", words(monitor.DroppedKinds()...)},
		{"status", words("1xx", "2xx", "3xx", "4xx", "5xx")},
		{"severity", words("warning", "critical")},
		{"call", "what calls of DynamoDB are for, by table and purpose, such as `queue.insert` and `cache.get`"},
		{"kind", words("read", "write")},
		{"version", "of the build"},
		{"revision", "of the build"},
		{"go_version", "of the build"},
	}
}

func words(all ...string) string { return "`" + strings.Join(all, "`, `") + "`" }
