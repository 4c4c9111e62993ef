package fakeapi

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/forebay-ai/forebay/llm"
)

func (s *Server) healthOf() obj {
	states := obj{}
	for _, t := range targets {
		states[t.name] = s.breaker(t.name)
	}
	overall, level, reasons := "degraded", "partial", []string{"breaker_open"}
	if s.cfg.Quiet {
		overall, level, reasons = "healthy", "none", []string{}
	}
	return obj{
		"overall": overall, "performance": obj{"requests": s.newest(), "failures": s.newest() / 120, "error_rate": 0.0083, "p50_seconds": 2.9, "p95_seconds": 12.0, "p99_seconds": 19.4, "tokens_total": s.newest() * 3300},
		"queue": obj{"waiting": 41, "processing": 24, "capacity": 200, "by_priority": obj{"low": 22, "normal": 17, "high": 2, "critical": 0}, "refused": 812},
		"jobs":  obj{"enabled": true, "up": true}, "cache": obj{"enabled": true, "entries": 41_822, "bytes": 210_334_112, "hits": s.newest() * 38 / 100, "misses": s.newest() * 62 / 100, "hit_rate": 0.38},
		"degradation": obj{"level": level, "reasons": reasons, "targets": states},
	}
}

func (s *Server) health(*http.Request) (any, error) { return s.healthOf(), nil }

func (s *Server) breaker(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.forced[name]; f != "" {
		return f
	}
	if name == targets[0].name && !s.cfg.Quiet {
		return "open"
	}
	return "closed"
}

func (s *Server) targets(*http.Request) (any, error) {
	var all []obj
	for i, t := range targets {
		all = append(all, s.targetOf(i, t))
	}
	return list(all), nil
}

func (s *Server) targetOf(i int, t target) obj {
	now := s.cfg.Now()
	state := s.breaker(t.name)
	s.mu.Lock()
	forced, reason := s.forced[t.name] != "", s.reasons[t.name]
	s.mu.Unlock()
	provider, model, _ := strings.Cut(t.name, "/")
	b := obj{"name": t.name, "state": state, "forced": forced, "share": 1.0, "consecutive": 0, "failures": i, "slow": i * 2, "total": 380 - 40*i}
	if state == "open" && !forced {
		b["since"], b["retry_at"], b["reason"], b["share"], b["consecutive"], b["failures"] = stamp(now.Add(-4*time.Minute)), stamp(now.Add(14*time.Second)), "5 failures in a row: provider_timeout", 0.0, 5, 31
	}
	if forced {
		b["since"], b["reason"] = stamp(now.Add(-20*time.Second)), strings.TrimSuffix("forced "+state+": "+reason, ": ")
	}
	out := obj{
		"name": t.name, "provider": provider, "model": model, "region": t.region, "breaker": b, "in_flight": 3 + 4*i, "limit": 24 - 3*i, "ceiling": 32, "waiting": max(0, 41-20*i), "limit_reason": "",
		"first_token_ns": int64(time.Duration(600+200*i) * time.Millisecond),
	}
	switch i {
	case 1:
		out["residency"], out["limit_reason"], out["cooling_until"] = "ap-south", "rate_limited", stamp(now.Add(9*time.Second))
	case 2:
		out["quota"] = obj{"requests_per_minute": 500, "tokens_per_minute": 200_000, "requests_left": 212, "tokens_left": 18_400, "open": 7}
	case 3:
		out["limit"], out["ceiling"] = -1, -1
	}
	return out
}

func (s *Server) setBreaker(r *http.Request) (any, error) {
	var in struct{ Target, Action, Reason string }
	if err := body(r, &in); err != nil {
		return nil, err
	}
	i := slices.IndexFunc(targets, func(t target) bool { return t.name == in.Target })
	if i < 0 {
		return nil, &llm.Error{Kind: llm.CallerNotFound, Param: "target", Message: fmt.Sprintf("unknown target %q", in.Target), Fix: "GET /v1/targets lists them."}
	}
	state, ok := map[string]string{"open": "open", "close": "closed", "reset": ""}[in.Action]
	if !ok {
		return nil, &llm.Error{Kind: llm.CallerInvalidRequest, Param: "action", Message: "action has an unknown value", Fix: "Use open, close or reset."}
	}
	s.mu.Lock()
	s.forced[in.Target], s.reasons[in.Target] = state, in.Reason
	s.mu.Unlock()
	return s.targetOf(i, targets[i]), nil
}

func (s *Server) transitions(r *http.Request) (any, error) {
	now, d := s.cfg.Now(), window(r)
	from := now.Add(-d)
	states := obj{}
	for _, t := range targets {
		states[t.name] = "closed"
	}
	all := []obj{}
	add := func(ago time.Duration, name, a, b, reason string) {
		if ago < d && !s.cfg.Quiet {
			all = append(all, obj{"at": stamp(now.Add(-ago)), "target": name, "from": a, "to": b, "reason": reason})
		}
	}
	add(52*time.Minute, targets[1].name, "closed", "open", "5 failures in a row: provider_overloaded")
	add(51*time.Minute+20*time.Second, targets[1].name, "open", "half_open", "")
	add(51*time.Minute, targets[1].name, "half_open", "closed", "3 probes succeeded")
	add(10*time.Minute, targets[0].name, "closed", "open", "5 failures in a row: provider_timeout")
	add(8*time.Minute, targets[0].name, "open", "half_open", "")
	add(7*time.Minute+40*time.Second, targets[0].name, "half_open", "open", "the probe failed: provider_timeout")
	add(5*time.Minute, targets[0].name, "open", "half_open", "")
	add(4*time.Minute, targets[0].name, "half_open", "open", "the probe failed: provider_timeout")
	return obj{"from": stamp(from), "to": stamp(now), "states": states, "data": all}, nil
}

func (s *Server) counts(name string, share float64) obj {
	n := float64(s.newest()) * share
	hits := int64(n * 0.36)
	return obj{
		"hits": hits, "hits_on_disk": hits / 7, "refusal_hits": hits / 900, "stale_hits": hits / 60, "coalesced": hits / 25, "bypassed": int64(n * 0.02), "misses": int64(n * 0.6),
		"miss_reasons": obj{"never_seen": int64(n * 0.42), "expired": int64(n * 0.09), "scope": int64(n * 0.04), "evicted": int64(n * 0.03), "invalidated": int64(n * 0.02)},
		"stored":       int64(n * 0.5), "saved_tokens": hits * 3300, "saved_usd": float64(hits) * 0.0019,
	}
}

func (s *Server) cache(*http.Request) (any, error) {
	state := s.counts("all", 1)
	s.mu.Lock()
	voided := s.voided
	s.mu.Unlock()
	by := obj{}
	if !s.cfg.Quiet {
		for _, o := range operations {
			by[o.name] = s.counts(o.name, o.share)
		}
	}
	more := obj{
		"entries": max(0, 41_822-voided), "bytes": 210_334_112, "hit_rate": 0.381, "evictions": 1821, "too_large": 12, "invalidations": 9, "operations": by,
		"store": obj{"state": "up", "waiting_bytes": 18_432, "written": 402_113, "dropped": 0, "damaged": 1, "undecryptable": 0, "deleted": 21_004, "compression": 3.7},
	}
	for k, v := range more {
		state[k] = v
	}
	if s.cfg.Quiet {
		state["entries"], state["bytes"], state["hit_rate"] = 0, 0, 0
		return state, nil
	}
	top := []obj{}
	for i := range 12 {
		r := s.random("top", i)
		top = append(top, obj{
			"key": fmt.Sprintf("%016x%016x%016x%016x", r.Uint64(), r.Uint64(), r.Uint64(), r.Uint64()), "operation": operations[i%5].name, "model": operations[i%5].model,
			"hits": 900 - 61*i, "bytes": 2_000 + r.IntN(20_000), "age_seconds": float64(600 + r.IntN(80_000)),
		})
	}
	state["top"] = top
	return state, nil
}

func (s *Server) invalidate(r *http.Request) (any, error) {
	var in struct {
		Operation, User, Model, Key string
		DryRun                      bool `json:"dry_run"`
	}
	if err := body(r, &in); err != nil {
		return nil, err
	}
	n := int64(41_822)
	if in.Operation+in.User+in.Model+in.Key != "" {
		n = int64(s.random("void", in.Operation, in.User, in.Model, in.Key).IntN(4000))
	}
	if in.Key != "" {
		n = 1
	}
	if in.DryRun {
		return obj{"dry_run": true, "memory": n, "store": n * 6, "durable": false}, nil
	}
	s.mu.Lock()
	s.voided += n
	s.mu.Unlock()
	return obj{"dry_run": false, "memory": n, "number": 10, "durable": true}, nil
}

// makeJobs makes jobs up, newest first.
func (s *Server) makeJobs() []obj {
	jobs := []obj{}
	if s.cfg.Quiet {
		return jobs
	}
	now := s.cfg.Now()
	states := []string{"queued", "queued", "processing", "completed", "completed", "completed", "failed", "cancelled", "dead", "timeout", "completed"}
	for i := range 260 {
		r := s.random("job", i)
		created := now.Add(-time.Duration(i*47+r.IntN(30)) * time.Second)
		state := states[(i+r.IntN(3))%len(states)]
		j := obj{
			"id": fmt.Sprintf("job_%012x%04x", created.UnixMilli(), r.IntN(65536)), "object": "job", "state": state, "operation": operations[i%len(operations)].name, "endpoint": "/v1/operations/" + operations[i%len(operations)].name,
			"model": operations[i%len(operations)].model, "priority": []string{"low", "normal", "high", "low"}[i%4], "priority_score": created.UnixMilli(), "tenant": "course", "user": fmt.Sprintf("student-%03d", r.IntN(240)),
			"created_at": stamp(created), "deadline_at": stamp(created.Add(time.Hour)), "keep_until": stamp(created.Add(24 * time.Hour)), "attempt": 1 + r.IntN(2), "retries": r.IntN(2), "lost_leases": 0, "bytes": 900 + r.IntN(9000),
		}
		if state != "queued" {
			j["started_at"] = stamp(created.Add(3 * time.Second))
		} else {
			j["place"], j["estimated_wait_ms"], j["attempt"] = i+1, int64(i+1)*4000, 0
		}
		if !slices.Contains([]string{"queued", "processing"}, state) {
			j["finished_at"] = stamp(created.Add(14 * time.Second))
		}
		if slices.Contains([]string{"failed", "dead", "timeout"}, state) {
			j["error"] = obj{"error_type": "provider_timeout", "message": "no first token within 30 s"}
		}
		if i%5 == 0 {
			j["custom_id"], j["webhook"] = fmt.Sprintf("essay-%d", i), obj{"state": "delivered", "attempts": 1}
		}
		jobs = append(jobs, j)
	}
	return jobs
}

func (s *Server) listJobs(r *http.Request) (any, error) {
	q := r.URL.Query()
	limit, err := strconv.Atoi(q.Get("limit"))
	if err != nil {
		limit = 100
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found := []obj{}
	past := q.Get("after") == ""
	answer := obj{"object": "list", "has_more": false}
	for _, j := range s.jobs {
		if !past {
			past = j["id"] == q.Get("after")
			continue
		}
		if state := q.Get("state"); state != "" && !slices.Contains(strings.Split(state, ","), j["state"].(string)) {
			continue
		}
		if q.Has("operation") && q.Get("operation") != j["operation"] || q.Has("user") && q.Get("user") != j["user"] || q.Has("custom_id") && q.Get("custom_id") != j["custom_id"] {
			continue
		}
		if len(found) == limit {
			answer["has_more"], answer["next"] = true, found[limit-1]["id"]
			break
		}
		found = append(found, j)
	}
	answer["data"] = found
	return answer, nil
}

func (s *Server) jobStats(*http.Request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := map[string]int{}
	for _, j := range s.jobs {
		n[j["state"].(string)]++
	}
	paused := []string{}
	for name, on := range s.paused {
		if on {
			paused = append(paused, name)
		}
	}
	stats := obj{
		"damaged": 0, "queued_bytes": 412_000, "drain_rate_per_second": 0.21, "accepted": 18_231, "refused": 14, "retries": 391, "lost_leases": 2, "fenced": 1, "paused": paused,
		"bands": obj{
			"critical": band(0, 0, 0, 0, 0), "high": band(4, 1, 0, 12, 20), "normal": band(21, 2, 1, 95, 120), "low": band(max(0, n["queued"]-25), 1, 3, 410, 600),
		},
	}
	for _, state := range []string{"queued", "processing", "completed", "failed", "timeout", "cancelled", "dead"} {
		stats[state] = n[state]
	}
	return stats, nil
}

func band(queued, processing, delayed int, oldest, wait float64) obj {
	return obj{"queued": queued, "processing": processing, "delayed": delayed, "oldest_seconds": oldest, "estimated_wait_seconds": wait}
}

// change applies f to a job.
func (s *Server) change(r *http.Request, f func(obj) error) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, j := range s.jobs {
		if j["id"] == r.PathValue("id") {
			if err := f(j); err != nil {
				return nil, err
			}
			return j, nil
		}
	}
	return nil, &llm.Error{Kind: llm.CallerNotFound, Message: "no job has this id", Fix: "It may be past its retention."}
}

func (s *Server) job(r *http.Request) (any, error) {
	return s.change(r, func(obj) error { return nil })
}

func (s *Server) cancelJob(r *http.Request) (any, error) {
	return s.change(r, func(j obj) error {
		if j["state"] != "queued" && j["state"] != "processing" {
			return &llm.Error{Kind: llm.CallerConflict, Message: fmt.Sprintf("the job is %s already", j["state"]), Fix: "Only jobs that are not final can be cancelled."}
		}
		j["state"] = "cancelled"
		return nil
	})
}

func (s *Server) requeueJob(r *http.Request) (any, error) {
	return s.change(r, func(j obj) error {
		if j["state"] == "completed" || j["state"] == "queued" || j["state"] == "processing" {
			return &llm.Error{Kind: llm.CallerConflict, Message: fmt.Sprintf("the job is %s", j["state"]), Fix: "Only jobs that failed, timed out, were cancelled or are dead can be queued again."}
		}
		j["state"] = "queued"
		delete(j, "error")
		return nil
	})
}

func (s *Server) patchJob(r *http.Request) (any, error) {
	var in struct{ Priority string }
	if err := body(r, &in); err != nil {
		return nil, err
	}
	return s.change(r, func(j obj) error { j["priority"] = in.Priority; return nil })
}

func (s *Server) purgeJobs(r *http.Request) (any, error) {
	var in struct{ States []string }
	if err := body(r, &in); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.jobs)
	s.jobs = slices.DeleteFunc(s.jobs, func(j obj) bool { return slices.Contains(in.States, j["state"].(string)) })
	return obj{"removed": n - len(s.jobs)}, nil
}

func (s *Server) switchJobs(pause bool) handler {
	return func(r *http.Request) (any, error) {
		var in struct{ Operation string }
		if err := body(r, &in); err != nil {
			return nil, err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.paused[in.Operation] = pause
		return obj{"operation": in.Operation, "paused": pause}, nil
	}
}
