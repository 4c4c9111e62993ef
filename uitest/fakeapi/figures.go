package fakeapi

import (
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/forebay-ai/forebay/llm"
)

// totals are the figures over a window, of everything or of a share of it.
func (s *Server) totals(name string, share, seconds, hits float64, d time.Duration) obj {
	if s.cfg.Quiet {
		return obj{
			"requests": 0, "per_second": 0, "failures": 0, "error_rate": 0, "refused": 0, "p50": 0, "p95": 0, "p99": 0, "first_token_p50": 0, "first_token_p95": 0,
			"overhead_p99": 0, "hit_rate": 0, "input_tokens": 0, "output_tokens": 0, "micro_usd": 0, "saved_micro_usd": 0, "waiting": 0, "in_flight": 0, "concurrent_users": 0,
		}
	}
	now := s.cfg.Now()
	level := 0.7 + 0.6*s.wave("traffic "+name, now.Truncate(10*time.Second))
	bad := s.incident(now) * min(1, float64(14*time.Minute)/float64(d)*1.5)
	r := s.random("totals", name, now.Truncate(10*time.Second).Unix())
	ps := perSecond * share * level
	n := ps * d.Seconds()
	errors := (0.006 + 0.055*bad) * (0.7 + 0.6*r.Float64())
	slow := 1 + 1.3*bad
	return obj{
		"requests": int64(n), "per_second": ps, "failures": int64(n * errors), "error_rate": errors, "refused": int64(n * (0.004 + 0.015*bad)),
		"p50": seconds * 0.55 * slow, "p95": seconds * 2.3 * slow, "p99": seconds * 3.6 * slow, "first_token_p50": seconds * 0.13 * slow, "first_token_p95": seconds * 0.5 * slow,
		"overhead_p99": 0.0016 + 0.0006*r.Float64(), "hit_rate": hits, "input_tokens": int64(n * (1 - hits) * 2700), "output_tokens": int64(n * (1 - hits) * 640),
		"micro_usd": int64(n * (1 - hits) * 2200), "saved_micro_usd": int64(n * hits * 1900),
		"waiting": int(2 + 38*bad*share), "in_flight": int(6 + 20*share*level), "concurrent_users": int64(20 + 120*share*level),
	}
}

func (s *Server) overview(r *http.Request) (any, error) {
	d, now := window(r), s.cfg.Now()
	totals := s.totals("all", 1, 5.2, 0.38, d)
	if name := r.URL.Query().Get("operation"); name != "" {
		i := slices.IndexFunc(operations, func(o operation) bool { return o.name == name })
		if i < 0 {
			return nil, &llm.Error{Kind: llm.CallerUnknownOperation, Message: "no operation " + name, Fix: "GET /v1/operations lists them."}
		}
		totals = s.totals(name, operations[i].share, operations[i].seconds, operations[i].hits, d)
	}
	o := obj{
		"at": stamp(now), "started": stamp(s.begin.Add(-75 * time.Hour)), "version": "0.7.0-dev", "window_seconds": d.Seconds(), "health": s.healthOf(),
		"totals": totals, "faults": obj{}, "objective": obj{"seconds": 30.0, "met": 1.0}, "problems": []obj{}, "alarms": []obj{}, "slowest": []obj{}, "failing": []obj{}, "budgets": []obj{},
		"cost_today_micro_usd": 0,
	}
	if s.cfg.Quiet {
		o["started"] = stamp(now.Add(-40 * time.Second))
		return o, nil
	}
	n := float64(totals["requests"].(int64))
	o["faults"] = obj{"caller": int64(n * 0.004), "policy": int64(n * 0.006), "provider": totals["failures"], "forebay": 0}
	o["objective"] = obj{"seconds": 30.0, "met": 0.9712}
	o["problems"] = s.problems()
	o["alarms"] = s.firing()
	rows := s.rows("operation", d)
	slices.SortFunc(rows, func(a, b obj) int { return -compare(a["p95"], b["p95"]) })
	o["slowest"] = rows[:5]
	failing := slices.Clone(rows)
	slices.SortFunc(failing, func(a, b obj) int { return -compare(a["error_rate"], b["error_rate"]) })
	o["failing"] = failing[:3]
	o["budgets"] = s.budgetStates()[:2]
	o["cost_today_micro_usd"] = int64(38_412_000)
	return o, nil
}

func compare(a, b any) int {
	x, y := a.(float64), b.(float64)
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

func (s *Server) problems() []obj {
	return []obj{
		{
			"severity": "critical", "what": "The breaker of anthropic/claude-sonnet is open", "why": "5 failures in a row: provider_timeout; since 4 min",
			"do": "Calls go to bedrock/claude-sonnet meanwhile. Look at the provider's status page; it closes by itself when probes succeed.", "page": "reliability",
		},
		{
			"severity": "critical", "what": "95 of 100 calls take up to 27.1 s; the target is 25 s", "why": "vc-analysis waits for a slot: 41 calls in the line",
			"do": "Raise limit.max_concurrent of bedrock/claude-sonnet, or let operations of the band low wait.", "page": "operations",
		},
		{
			"severity": "warning", "what": "The budget course-month is spent to 86 %", "why": "$172.40 of $200.00, 9 days before it begins anew",
			"do": "See which users and operations spend it, and raise it or let it degrade to a cheaper model.", "page": "cost",
		},
	}
}

// rows are the operations, models or targets.
func (s *Server) rows(by string, d time.Duration) []obj {
	var rows []obj
	add := func(name string, share, seconds, hits float64) {
		row := s.totals(by+" "+name, share, seconds, hits, d)
		row["name"] = name
		rows = append(rows, row)
	}
	if s.cfg.Quiet {
		return []obj{}
	}
	switch by {
	case "model":
		for _, m := range []struct {
			name          string
			share, second float64
		}{{"analysis", 0.32, 9}, {"fast", 0.62, 2.3}, {"embedding", 0.06, 0.24}} {
			add(m.name, m.share, m.second, 0.35)
		}
	case "target":
		for _, t := range targets {
			add(t.name, t.weight, 4.4, 0)
		}
	default:
		for _, o := range operations {
			add(o.name, o.share, o.seconds, o.hits)
		}
	}
	return rows
}

func (s *Server) operations(r *http.Request) (any, error) {
	by := r.URL.Query().Get("by")
	if by == "" {
		by = "operation"
	}
	return obj{"object": "list", "by": by, "data": s.rows(by, window(r))}, nil
}

// metric is how a series is made up.
type metric struct {
	kind, unit, doc string
	base, swing     float64 // the value in quiet times, and how far it moves
	incident        float64 // what the incident multiplies it with, less one
	labels          []string
}

var byCall = []string{"operation", "model"}

var metrics = map[string]metric{
	"requests": {"counter", "", "Calls.", perSecond, 1.4, 0, byCall}, "failures": {"counter", "", "Calls that failed, without the callers' own faults.", 0.02, 0.02, 9, append([]string{"fault", "error"}, byCall...)},
	"refused": {"counter", "", "Calls that were refused.", 0.012, 0.01, 4, byCall}, "good": {"counter", "", "Calls answered within the objective.", perSecond * 0.98, 1.3, -0.05, byCall},
	"degraded": {"counter", "", "Calls that a fallback answered.", 0.02, 0.02, 9, []string{"fallback"}}, "lookups": {"counter", "", "Hits and misses.", 3.2, 1.2, 0, byCall},
	"hits": {"counter", "", "Answers of the cache.", 1.2, 0.5, 0, byCall}, "misses": {"counter", "", "Calls that the cache had no answer to.", 2, 0.9, 0, byCall},
	"input_tokens": {"counter", "tokens", "Tokens of prompts.", 5600, 2100, 0, byCall}, "output_tokens": {"counter", "tokens", "Tokens of answers.", 1400, 600, 0, byCall},
	"cost": {"counter", "micro-USD", "What calls cost.", 4500, 2000, 0.2, byCall}, "saved": {"counter", "micro-USD", "What hits did not cost.", 2600, 1200, 0, byCall},
	"retries": {"counter", "", "Repeated attempts.", 0.1, 0.08, 6, byCall}, "attempts": {"counter", "", "Attempts.", 2.1, 0.8, 0.5, []string{"target"}},
	"attempt_failures": {"counter", "", "Attempts that failed.", 0.05, 0.05, 8, []string{"target"}}, "dropped": {"counter", "", "What was lost.", 0, 0, 0, nil},
	"duration": {"distribution", "s", "From a call's arrival to its end.", 5.2, 1.4, 0.9, byCall}, "first_token": {"distribution", "s", "To the first useful chunk.", 0.9, 0.3, 1.1, byCall},
	"per_token": {"distribution", "s", "For each token of an answer.", 0.012, 0.003, 0.4, byCall}, "queue_wait": {"distribution", "s", "Waiting for slots.", 0.08, 0.05, 12, []string{"band"}},
	"overhead": {"distribution", "s", "What Forebay added.", 0.0009, 0.0002, 0.1, byCall}, "upstream": {"distribution", "s", "Of providers, to their first chunk.", 1.1, 0.4, 1, []string{"target"}},
	"waiting": {"gauge", "", "Calls in the line.", 1, 2, 14, []string{"band"}}, "oldest_wait": {"gauge", "s", "How long the first in the line has waited.", 0.2, 0.2, 20, nil},
	"in_flight": {"gauge", "", "Calls in progress.", 9, 5, 0.6, []string{"target"}}, "limit": {"gauge", "", "How many there may be.", 24, 1, -0.3, []string{"target"}},
	"breaker_open": {"gauge", "", "1 while a breaker is open or half-open.", 0, 0, 0, []string{"target"}}, "breaker_half_open": {"gauge", "", "1 while it is half-open.", 0, 0, 0, []string{"target"}},
	"jobs_queued": {"gauge", "", "Jobs that wait.", 18, 12, 3, nil}, "jobs_oldest": {"gauge", "s", "Age of the oldest job.", 40, 30, 6, nil}, "jobs_dead": {"gauge", "", "Jobs given up.", 3, 0, 0, nil},
	"store_up": {"gauge", "", "1 while the store takes changes.", 1, 0, 0, nil}, "alerting_up": {"gauge", "", "1 while notices are taken.", 1, 0, 0, nil}, "users": {"gauge", "", "Distinct users in 5 min.", 84, 40, 0, nil},
	"connections": {"gauge", "", "Open connections.", 60, 25, 0.3, nil}, "cache_entries": {"gauge", "", "Answers in memory.", 42_000, 900, 0, nil}, "cache_bytes": {"gauge", "bytes", "Memory of answers.", 210e6, 4e6, 0, nil},
	"user_cost_month": {"gauge", "USD", "The most expensive user.", 3.2, 0.1, 0, nil}, "budget_spent": {"gauge", "", "Share that is spent.", 0.6, 0.1, 0, []string{"budget"}}, "degradation": {"gauge", "", "Level of degradation.", 0, 0, 1, nil},
	"custom_study_time": {"distribution", "s", "How long students study.", 1500, 500, 0, []string{"course"}},
}

// values are those that a label has.
func values(label string) []string {
	var all []string
	switch label {
	case "operation":
		for _, o := range operations {
			all = append(all, o.name)
		}
	case "model":
		all = []string{"analysis", "fast", "embedding"}
	case "target":
		for _, t := range targets {
			all = append(all, t.name)
		}
	case "band":
		all = []string{"critical", "high", "normal", "low"}
	case "fault":
		all = []string{"caller", "policy", "provider", "forebay"}
	case "error":
		all = []string{"provider_timeout", "provider_overloaded", "policy_overloaded", "provider_rate_limited"}
	case "fallback":
		all = []string{"cached", "similar", "template", "simplified"}
	case "budget":
		all = []string{"course-month", "student-day"}
	case "course":
		all = []string{"entrepreneurship", "statistics"}
	}
	return all
}

var stats = map[string][]string{
	"counter": {"sum", "rate"}, "gauge": {"last", "min", "max", "mean"}, "distribution": {"count", "sum", "mean", "min", "max", "rate", "p50", "p90", "p95", "p99"},
}

var factors = map[string]float64{"p50": 0.55, "p90": 1.8, "p95": 2.3, "p99": 3.6, "min": 0.02, "max": 6}

func (s *Server) seriesMetrics(*http.Request) (any, error) {
	var all []obj
	for name, m := range metrics {
		all = append(all, obj{"name": name, "kind": m.kind, "unit": m.unit, "doc": m.doc, "labels": m.labels, "stats": stats[m.kind]})
	}
	slices.SortFunc(all, func(a, b obj) int { return strings.Compare(a["name"].(string), b["name"].(string)) })
	return list(all), nil
}

// steps gives the step of a window: 60 to 200 of them.
func steps(d time.Duration) time.Duration {
	for _, step := range []time.Duration{5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, 10 * time.Minute, time.Hour, 6 * time.Hour} {
		if d/step <= 200 {
			return step
		}
	}
	return 24 * time.Hour
}

func (s *Server) series(r *http.Request) (any, error) {
	q, d := r.URL.Query(), window(r)
	step := steps(d)
	to := s.cfg.Now()
	if unix, err := strconv.ParseInt(q.Get("to"), 10, 64); err == nil {
		to = time.Unix(unix, 0)
	}
	from := to.Add(-d).Truncate(step)
	lines := []obj{}
	for _, query := range q["q"] {
		stat, name, _ := strings.Cut(query, ":")
		ratio := stat == "ratio"
		if ratio {
			stat = "sum"
			name, _, _ = strings.Cut(name, "/")
		}
		m, ok := metrics[name]
		if !ok || !slices.Contains(stats[m.kind], stat) {
			return nil, &llm.Error{Kind: llm.CallerInvalidRequest, Param: "q", Message: "q is " + strconv.Quote(query), Fix: "GET /v1/series/metrics lists what may be asked for."}
		}
		of := []string{""}
		if by := q.Get("by"); by != "" {
			if of = nil; slices.Contains(m.labels, by) {
				of = values(by)
			}
		}
		for i, value := range of {
			line := obj{"query": query, "metric": name, "stat": stat, "unit": m.unit, "values": s.line(lineOf{m, name, stat, value, i, len(of)}, from, to, step)}
			if ratio {
				line["values"], line["unit"] = s.share(name, from, to, step), "share"
			}
			if value != "" {
				line["of"] = value
			}
			lines = append(lines, line)
		}
	}
	return obj{"from": from.Unix(), "step_seconds": int64(step.Seconds()), "series": lines}, nil
}

// share is a ratio: of hits about a third, of failures few.
func (s *Server) share(name string, from, to time.Time, step time.Duration) []*float64 {
	m := metric{kind: "gauge", base: 0.38, swing: 0.1}
	if name == "failures" {
		m = metric{kind: "gauge", base: 0.008, swing: 0.006, incident: 6}
	}
	return s.line(lineOf{metric: m, name: "ratio " + name, n: 1}, from, to, step)
}

// lineOf is which line is wanted: a statistic of a metric, of the i-th of n values.
type lineOf struct {
	metric
	name, stat, value string
	i, n              int
}

func (s *Server) line(l lineOf, from, to time.Time, step time.Duration) []*float64 {
	var out []*float64
	for t := from; t.Before(to); t = t.Add(step) {
		if s.cfg.Quiet {
			out = append(out, nil)
			continue
		}
		v := l.base + l.swing*(s.wave(l.name+l.value, t)-0.5)
		v *= 1 + l.incident*s.incident(t)
		if l.n > 1 && l.kind != "distribution" && l.name != "limit" && l.name != "budget_spent" {
			v *= 1.6 / float64(l.n) * math.Pow(0.8, float64(l.i))
		}
		if f := factors[l.stat]; f != 0 && l.kind == "distribution" {
			v *= f * (1 + 0.25*float64(l.i%4))
		}
		if l.stat == "sum" && l.kind == "counter" {
			v *= step.Seconds()
		}
		if l.name == "breaker_open" && l.i == 0 && s.incident(t) >= 1 {
			v = 1
		}
		// Four digits are what a chart shows, and a tenth of what a float has.
		if v, err := strconv.ParseFloat(strconv.FormatFloat(max(0, v), 'g', 4, 64), 64); err == nil {
			out = append(out, &v)
		}
	}
	return out
}
