package fakeapi

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/forebay-ai/forebay/llm"
)

func (s *Server) budgetStates() []obj {
	now := s.cfg.Now().UTC()
	month := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	day := now.Truncate(24 * time.Hour)
	return []obj{
		{"rule": "course-month", "kind": "degrade", "period": "month", "tenant": "course", "from": stamp(month), "to": stamp(month.AddDate(0, 1, 0)), "limit_micro_usd": 200_000_000, "spent_micro_usd": 172_400_000, "reserved_micro_usd": 310_000, "warned": true, "exhausted": false},
		{"rule": "student-day", "kind": "hard", "period": "day", "user": "student-017", "from": stamp(day), "to": stamp(day.AddDate(0, 0, 1)), "limit_micro_usd": 500_000, "spent_micro_usd": 500_000, "reserved_micro_usd": 0, "warned": true, "exhausted": true},
		{"rule": "student-day", "kind": "hard", "period": "day", "user": "student-101", "from": stamp(day), "to": stamp(day.AddDate(0, 0, 1)), "limit_micro_usd": 500_000, "spent_micro_usd": 121_400, "reserved_micro_usd": 2_100, "warned": false, "exhausted": false},
		{"rule": "all", "kind": "soft", "period": "month", "from": stamp(month), "to": stamp(month.AddDate(0, 1, 0)), "limit_micro_usd": 1_500_000_000, "spent_micro_usd": 611_000_000, "reserved_micro_usd": 900_000, "warned": false, "exhausted": false},
	}
}

func (s *Server) budgets(*http.Request) (any, error) {
	if s.cfg.Quiet {
		return list([]obj{}), nil
	}
	return list(s.budgetStates()), nil
}

func amounts(calls, micro int64) obj {
	return obj{
		"calls": calls, "usage": obj{"input": calls * 2700, "output": calls * 640, "cache_read": calls * 120, "cache_write": 0}, "micro_usd": micro,
		"compute_micro_usd": micro / 9, "storage_micro_usd": micro / 40, "hits": calls * 38 / 100, "saved_micro_usd": micro * 6 / 10, "estimated_micro_usd": micro / 200,
	}
}

// groups are the values of a dimension.
func (s *Server) groups(by string, from, to time.Time) []string {
	var all []string
	switch by {
	case "day":
		for t := from; t.Before(to) && t.Before(s.cfg.Now()); t = t.AddDate(0, 0, 1) {
			all = append(all, t.Format(time.DateOnly))
		}
	case "month":
		all = []string{from.Format("2006-01-02")}
	case "tenant":
		all = []string{"course", "default"}
	case "user":
		for i := range 60 {
			all = append(all, fmt.Sprintf("student-%03d", i*4+1))
		}
	case "key":
		all = []string{"course-app", "operator"}
	case "provider":
		all = []string{"anthropic", "bedrock", "openai", "local"}
	default:
		all = values(by)
	}
	return all
}

// cost serves reports: rows for each value of the first dimension, and of the second.
func (s *Server) cost(r *http.Request) (any, error) {
	q, now := r.URL.Query(), s.cfg.Now().UTC()
	from := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	to := from.AddDate(0, 1, 0)
	for name, into := range map[string]*time.Time{"from": &from, "to": &to} {
		if v := q.Get(name); v != "" {
			t, err := time.Parse(time.DateOnly, v)
			if err != nil {
				return nil, &llm.Error{Kind: llm.CallerInvalidRequest, Param: name, Message: name + " is no date", Fix: "Send a date such as 2026-11-01."}
			}
			*into = t
		}
	}
	by := strings.Split(cmp.Or(q.Get("by"), "model"), ",")
	rows := []obj{{}}
	for _, dim := range by {
		var next []obj
		for _, row := range rows {
			for _, v := range s.groups(dim, from, to) {
				c := obj{dim: v}
				for k, x := range row {
					c[k] = x
				}
				next = append(next, c)
			}
		}
		rows = next
	}
	if s.cfg.Quiet {
		rows = []obj{}
	}
	var calls, micro int64
	for i, row := range rows {
		n := int64(40 + s.random("cost", fmt.Sprint(row)).Float64()*9000/float64(1+i%40))
		for k, v := range amounts(n, n*2140) {
			row[k] = v
		}
		day := cmp.Or(fmt.Sprint(row["day"]), "")
		if row["day"] == nil {
			day = fmt.Sprint(row["month"])
		}
		if row["day"] == nil && row["month"] == nil {
			day = "0001-01-01"
		}
		delete(row, "month")
		row["day"] = day + "T00:00:00Z"
		for _, k := range []string{"tenant", "operation"} {
			if row[k] == nil {
				row[k] = ""
			}
		}
		calls, micro = calls+n, micro+n*2140
	}
	slices.SortFunc(rows, func(a, b obj) int { return int(b["micro_usd"].(int64) - a["micro_usd"].(int64)) })
	currency, rate := cmp.Or(q.Get("currency"), "USD"), 1.0
	switch currency {
	case "USD":
	case "INR":
		rate = 83.12
	case "EUR":
		rate = 0.92
	default:
		return nil, &llm.Error{Kind: llm.CallerInvalidRequest, Param: "currency", Message: "no rate is known for " + currency, Fix: "Use one of USD, INR, EUR."}
	}
	report := obj{
		"from": from.Format(time.DateOnly), "to": to.Format(time.DateOnly), "by": by, "currency": currency, "rate": rate, "total": amounts(calls, micro), "rows": rows, "truncated": false,
	}
	if currency != "USD" {
		report["rate_date"] = "2026-11-01"
	}
	return report, nil
}

func (s *Server) usage(r *http.Request) (any, error) {
	report, err := s.cost(r)
	if err != nil {
		return nil, err
	}
	c := report.(obj)
	return obj{
		"key": "course-app", "tenant": "course", "from": c["from"], "to": c["to"], "total": c["total"], "days": c["rows"], "models": c["rows"],
		"budgets": s.budgetStates()[:1], "currency": "USD",
	}, nil
}

func (s *Server) configuration(*http.Request) (any, error) {
	entry := func(key, value, def, origin, doc string) obj {
		return obj{"key": key, "value": value, "default": def, "origin": origin, "doc": doc}
	}
	return obj{"object": "list", "file": "forebay.yaml", "data": []obj{
		entry("listen", "0.0.0.0:8080", "127.0.0.1:8080", "file forebay.yaml:3", "Where the gateway listens."),
		entry("profile", "analysis", "standard", "flag --profile", "A set of defaults: standard, analysis or interactive."),
		entry("queue.max_size", "200", "1000", "environment MAX_QUEUE_SIZE", "How many calls may wait for one target. Beyond it calls are refused."),
		entry("queue.max_wait", "30s", "30s", "default", "How long a call waits at most."),
		entry("cache.enabled", "true", "true", "default", "Whether answers are kept."),
		entry("cache.max_bytes", "268435456", "268435456", "default", "Memory of the cache in bytes."),
		entry("cache.ttl", "24h", "1h", "profile analysis", "How long an answer stays fresh."),
		entry("providers.anthropic.api_key", "***", "", "environment ANTHROPIC_API_KEY", "The provider's key."),
		entry("providers.anthropic.base_url", "https://models.example.com", "", "file forebay.yaml:14", "Where the provider is."),
		entry("breaker.open_for", "30s", "30s", "default", "How long a breaker stays open before it tries."),
		entry("breaker.failures", "5", "5", "default", "How many failures in a row open a breaker."),
		entry("store.dir", "/var/lib/forebay", "", "file forebay.yaml:9", "Where durable jobs, the cache's second tier and history are kept."),
		entry("alarms.profile", "analysis", "standard", "profile analysis", "Which alarms are judged."),
		entry("dashboard.read_only", "false", "false", "default", "Whether the dashboard refuses changes."),
	}}, nil
}
