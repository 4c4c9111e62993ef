package fakeapi

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/forebay-ai/forebay/llm"
)

// definitions are alarms as the profile analysis has them, in short.
func (s *Server) definitions() []obj {
	def := func(name, severity, metric, stat, op string, threshold float64, unit, message, do string) obj {
		return obj{
			"name": name, "severity": severity, "metric": metric, "stat": stat, "window_ns": int64(5 * time.Minute), "op": op, "threshold": threshold, "unit": unit,
			"every_ns": int64(10 * time.Second), "m": 3, "n": 3, "min_count": 20, "missing": "ok", "message": message, "do": do, "runbook": "docs/operate/alarms.md#" + name,
		}
	}
	burn := def("error-budget-burns", "critical", "failures", "sum", ">", 0.001, "%", "The month's error budget burns too fast", "See which targets fail under Reliability.")
	burn["over"], burn["burn"] = "requests", []obj{{"long_ns": int64(time.Hour), "short_ns": int64(5 * time.Minute), "factor": 14.4}, {"long_ns": int64(6 * time.Hour), "short_ns": int64(30 * time.Minute), "factor": 6}}
	open := def("breaker-open", "critical", "breaker_open", "max", ">", 0, "", "A target's breaker is open", "Look at the provider's status page. Calls go to other targets meanwhile.")
	open["by"] = "target"
	cost := def("user-cost", "warning", "user_cost_month", "last", ">", 5, "USD", "A user costs more than planned this month", "See Cost by user.")
	cost["off"] = true
	throttled := def("throttled-requests", "warning", "throttled_requests", "sum", ">", 10, "requests", "The table throttles requests", "Raise its capacity.")
	throttled["external"] = true
	errorsHigh := def("errors-high", "critical", "failures", "sum", ">", 0.10, "%", "More than one call in ten fails", "See which targets fail under Reliability.")
	errorsHigh["over"] = "requests"
	return []obj{
		open, def("response-time", "warning", "duration", "p95", ">", 25, "s", "95 of 100 calls take longer than 25 s", "See which operation is slow under Operations."),
		def("response-time-critical", "critical", "duration", "p95", ">", 30, "s", "95 of 100 calls take longer than 30 s", "See which operation is slow under Operations."),
		errorsHigh, burn, def("queue-depth", "warning", "waiting", "max", ">", 50, "requests", "More than 50 calls wait", "Raise limits or shed load of the band low."),
		def("hit-rate", "warning", "hits", "sum", "<", 0.3, "%", "The cache answers fewer than 30 of 100 calls", "See why calls miss under Cache."),
		def("store-down", "critical", "store_up", "min", "<", 1, "", "The store takes no changes", "Look at its disk."), cost, throttled,
	}
}

func (s *Server) firing() []obj {
	if s.cfg.Quiet {
		return []obj{}
	}
	now := s.cfg.Now()
	return []obj{
		{"name": "breaker-open", "of": targets[0].name, "state": "firing", "since": stamp(now.Add(-4 * time.Minute)), "value": 1.0, "has_value": true, "reason": "breaker_open of anthropic/claude-sonnet was 1 in the last 5 min: above 0"},
		{"name": "response-time", "state": "firing", "since": stamp(now.Add(-9 * time.Minute)), "value": 27.1, "has_value": true, "silenced": s.silenced("response-time"), "reason": "p95 of duration over 5 min is 27.1 s: above 25 s"},
	}
}

func (s *Server) silenced(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.silences, func(x obj) bool { return x["alarm"] == name || x["alarm"] == "*" })
}

func (s *Server) alarms(*http.Request) (any, error) {
	defs := s.definitions()
	firing := s.firing()
	for _, d := range defs {
		states := []obj{}
		for _, f := range firing {
			if f["name"] == d["name"] {
				states = append(states, f)
			}
		}
		switch {
		case d["off"] == true || d["external"] == true:
		case s.cfg.Quiet:
			states = append(states, obj{"name": d["name"], "state": "no_data", "since": stamp(s.begin), "value": 0, "has_value": false, "reason": "nothing was measured yet"})
		case d["by"] != nil:
			for _, t := range targets[1:] {
				states = append(states, obj{"name": d["name"], "of": t.name, "state": "ok", "since": stamp(s.begin.Add(-75 * time.Hour)), "value": 0, "has_value": true, "reason": "breaker_open is 0"})
			}
		case len(states) == 0:
			states = append(states, obj{"name": d["name"], "state": "ok", "since": stamp(s.begin.Add(-75 * time.Hour)), "value": 0.012, "has_value": true, "reason": "within its threshold"})
		}
		d["states"] = states
	}
	s.mu.Lock()
	silences := slices.Clone(s.silences)
	s.mu.Unlock()
	if silences == nil {
		silences = []obj{}
	}
	return obj{
		"object": "list", "profile": "analysis", "data": defs, "silences": silences,
		"notifiers": []obj{
			{"name": "log", "sent": 48, "failed": 0, "dropped": 0, "waiting": 0, "last_sent": stamp(s.cfg.Now().Add(-4 * time.Minute))},
			{"name": "slack", "sent": 31, "failed": 2, "dropped": 0, "waiting": 0, "last_sent": stamp(s.cfg.Now().Add(-4 * time.Minute)), "last_error": "429 Too Many Requests, sent again after 5 s"},
			{"name": "mail", "sent": 0, "failed": 6, "dropped": 1, "waiting": 2, "last_error": "dial tcp 10.0.0.25:587: connect: connection refused"},
		},
	}, nil
}

// history is what alarms did, newest first.
func (s *Server) history() []obj {
	now := s.cfg.Now()
	var all []obj
	names := []struct {
		name, of, severity, reason string
	}{
		{"breaker-open", targets[0].name, "critical", "breaker_open of anthropic/claude-sonnet was 1 in the last 5 min"},
		{"response-time", "", "warning", "p95 of duration over 5 min is 27.1 s"},
		{"queue-depth", "", "warning", "max of waiting over 5 min is 63"},
		{"hit-rate", "", "warning", "hits are 24 % of lookups over 5 min"},
	}
	for i := range 240 {
		n := names[(i/2)%len(names)]
		from, to := "firing", "ok"
		if i%2 == 0 && i < 4 || i%2 == 1 && i >= 4 {
			from, to = "ok", "firing"
		}
		all = append(all, obj{
			"seq": 240 - i, "at": stamp(now.Add(-time.Duration(4+i*i*3) * time.Minute)), "name": n.name, "of": n.of, "severity": n.severity, "from": from, "to": to,
			"value": 27.1 - float64(i)/20, "reason": n.reason, "silenced": i%17 == 5,
		})
	}
	return all
}

func (s *Server) alarmHistory(r *http.Request) (any, error) {
	q := r.URL.Query()
	limit, err := strconv.Atoi(q.Get("limit"))
	if err != nil {
		limit = 100
	}
	before, err := strconv.Atoi(q.Get("before"))
	if err != nil {
		before = 1 << 30
	}
	found := []obj{}
	answer := obj{"object": "list"}
	if !s.cfg.Quiet {
		for _, e := range s.history() {
			if e["seq"].(int) >= before || q.Get("name") != "" && q.Get("name") != e["name"] {
				continue
			}
			if len(found) == limit {
				answer["next"] = found[limit-1]["seq"]
				break
			}
			found = append(found, e)
		}
	}
	answer["data"] = found
	return answer, nil
}

func (s *Server) silence(r *http.Request) (any, error) {
	var in struct{ Alarm, Of, For, Comment string }
	if err := body(r, &in); err != nil {
		return nil, err
	}
	d, err := time.ParseDuration(in.For)
	if err != nil || d <= 0 {
		return nil, &llm.Error{Kind: llm.CallerInvalidRequest, Param: "for", Message: "for is " + strconv.Quote(in.For), Fix: "Send a duration such as 2h."}
	}
	now := s.cfg.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	x := obj{
		"id": fmt.Sprintf("sil_%04d", len(s.silences)+1), "alarm": in.Alarm, "of": in.Of, "from": stamp(now), "until": stamp(now.Add(d)), "by": "operator", "comment": in.Comment,
	}
	s.silences = append(s.silences, x)
	return x, nil
}

func (s *Server) unsilence(r *http.Request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.silences)
	s.silences = slices.DeleteFunc(s.silences, func(x obj) bool { return x["id"] == r.PathValue("id") })
	if len(s.silences) == n {
		return nil, &llm.Error{Kind: llm.CallerNotFound, Message: "no silence has this id"}
	}
	return obj{}, nil
}

func (s *Server) testAlarms(*http.Request) (any, error) {
	return obj{"data": []obj{
		{"notifier": "log", "ok": true, "seconds": 0.0001},
		{"notifier": "slack", "ok": true, "seconds": 0.42},
		{"notifier": "mail", "ok": false, "error": "dial tcp 10.0.0.25:587: connect: connection refused", "seconds": 3.0},
	}}, nil
}
