package fakeapi

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/requestlog"
)

type operation struct {
	name, model, persona string
	share, seconds, hits float64
	in, out              int64
}

var operations = []operation{
	{"vc-analysis", "analysis", "vc", 0.16, 9.5, 0.34, 5200, 1400},
	{"pitch-feedback", "analysis", "coach", 0.11, 6.8, 0.22, 2600, 900},
	{"document-qa", "fast", "", 0.30, 2.1, 0.46, 3100, 260},
	{"study-plan", "fast", "tutor", 0.14, 3.4, 0.31, 900, 620},
	{"quiz", "fast", "tutor", 0.18, 1.6, 0.58, 700, 410},
	{"nightly-summary", "analysis", "", 0.05, 12.4, 0.05, 8800, 1100},
	{"embed", "embedding", "", 0.06, 0.24, 0.61, 1500, 0},
}

type target struct {
	name, region string
	weight       float64
}

var targets = []target{
	{"anthropic/claude-sonnet", "eu-central-1", 0.34},
	{"bedrock/claude-sonnet", "ap-south-1", 0.22},
	{"openai/gpt-mini", "", 0.28},
	{"local/llama", "", 0.10},
	{"openai/embedding-small", "", 0.06},
}

// perSecond is how many calls there are on average.
const perSecond = 3.2

// when is the time of a call in the log; the newest were just now.
func (s *Server) when(seq int64) time.Time {
	back := float64(s.newest()-seq) / perSecond
	jitter := s.random("jitter", seq).Float64() * 0.2
	return s.cfg.Now().Add(-time.Duration((back + jitter) * 1e9))
}

// newest is the number of the newest call: it grows with time.
func (s *Server) newest() int64 {
	if s.cfg.Requests == 0 {
		return 0
	}
	return s.cfg.Requests + int64(s.cfg.Now().Sub(s.begin).Seconds()*perSecond)
}

func pick(r *rand.Rand) *operation {
	x := r.Float64()
	for i := range operations {
		if x -= operations[i].share; x < 0 {
			return &operations[i]
		}
	}
	return &operations[0]
}

// entry is the call with this number: always the same one.
func (s *Server) entry(seq int64) requestlog.Entry {
	r := s.random("entry", seq)
	op := pick(r)
	at := s.when(seq)
	e := requestlog.Entry{
		Seq: seq, ID: fmt.Sprintf("req_%016x", r.Uint64()), Start: at.UTC(), Tenant: []string{"default", "course", "course"}[r.IntN(3)],
		User: fmt.Sprintf("student-%03d", r.IntN(240)), Key: "course-app", Operation: op.name, Persona: op.persona, Endpoint: "/v1/operations/" + op.name,
		Model: op.model, Priority: []string{"low", "normal", "normal", "high"}[r.IntN(4)], Stream: r.IntN(3) == 0, Job: op.name == "nightly-summary",
		Lookup: time.Duration(30+r.IntN(200)) * time.Microsecond, Overhead: time.Duration(180+r.IntN(900)) * time.Microsecond,
	}
	if op.name == "embed" {
		e.Endpoint, e.Stream = "/v1/embeddings", false
	}
	e.Usage = llm.Usage{Input: int64(float64(op.in) * (0.4 + 1.2*r.Float64())), Output: int64(float64(op.out) * (0.4 + 1.2*r.Float64()))}
	price := e.Usage.Input*3/10 + e.Usage.Output*15/10
	e.CacheKey = fmt.Sprintf("%016x%016x%016x%016x", r.Uint64(), r.Uint64(), r.Uint64(), r.Uint64())
	e.Trace = fmt.Sprintf("00-%016x%016x-%016x-01", r.Uint64(), r.Uint64(), r.Uint64())
	if r.Float64() < op.hits {
		s.hit(&e, r, price)
		return e
	}
	s.miss(&e, r, op, price)
	return e
}

func (s *Server) hit(e *requestlog.Entry, r *rand.Rand, price int64) {
	e.Outcome, e.Cache, e.SavedMicroUSD = "ok", "hit", price
	switch r.IntN(12) {
	case 0:
		e.Cache = "collapsed"
	case 1:
		e.Cache, e.CacheDetail = "stale_hit", ""
	}
	e.Duration = e.Lookup + e.Overhead
	if e.Cache == "collapsed" {
		e.Duration += time.Duration(r.IntN(2000)) * time.Millisecond
	}
	e.FirstToken = e.Duration
}

// miss makes up the attempts of a call that went to a model. One list of cases on purpose:
// each is one way in which calls end.
func (s *Server) miss(e *requestlog.Entry, r *rand.Rand, op *operation, price int64) {
	reasons := []string{"never_seen", "never_seen", "never_seen", "expired", "scope", "evicted", "invalidated"}
	e.Cache, e.CacheReason = "miss", reasons[r.IntN(len(reasons))]
	if e.CacheReason == "expired" {
		e.Cache = "stale"
	}
	bad := s.incident(e.Start)
	if r.Float64() < 0.006+0.02*bad {
		e.Outcome, e.ErrorType, e.Usage, e.Attempts = "refused", llm.PolicyOverloaded, llm.Usage{}, nil
		e.Queue, e.CacheKey = time.Duration(r.IntN(4000))*time.Millisecond, ""
		e.Duration = e.Queue + e.Overhead
		return
	}
	e.Queue = time.Duration(r.ExpFloat64() * (40 + 900*bad) * float64(time.Millisecond))
	at := e.Lookup + e.Queue
	tries := 1
	if r.Float64() < 0.05+0.35*bad {
		tries = 2 + r.IntN(2)
	}
	failed := r.Float64() < 0.008+0.06*bad
	for i := range tries {
		a := s.attempt(r, op, bad, i)
		a.Start, a.Waited = at, e.Queue
		if i > 0 {
			a.Waited = 0
		}
		if i < tries-1 || failed {
			kinds := []llm.Kind{llm.ProviderTimeout, llm.ProviderOverloaded, llm.ProviderRateLimited, llm.ProviderError}
			a.ErrorType, a.FirstToken = kinds[r.IntN(len(kinds))], 0
			if a.ErrorType == llm.ProviderRateLimited {
				a.Duration = time.Duration(80+r.IntN(200)) * time.Millisecond
			}
			e.ErrorType = a.ErrorType
		} else {
			e.ErrorType, e.FirstToken, e.Upstream = "", at+a.FirstToken, a.FirstToken
			e.Provider, e.Answered, _ = strings.Cut(a.Target, "/")
			e.Answered, e.Region = strings.TrimPrefix(a.Target, e.Provider+"/"), a.Region
		}
		e.Attempts = append(e.Attempts, a)
		at += a.Duration
		if i < tries-1 {
			at += time.Duration(50+r.IntN(400)) * time.Millisecond // backoff
		}
	}
	e.Duration, e.MicroUSD, e.Outcome = at+e.Overhead, price+int64(tries-1)*price/4, "ok"
	e.Stored = r.IntN(8) > 0
	switch {
	case failed && r.IntN(2) == 0:
		e.Outcome, e.Fallback, e.Template, e.Stored = "degraded", "template", e.Persona, false
	case failed:
		e.Outcome, e.Usage.Output, e.Stored = "error", 0, false
	case r.IntN(60) == 0:
		e.Outcome, e.ErrorType, e.Stored = "cancelled", llm.CallerCancelled, false
	}
}

func (s *Server) attempt(r *rand.Rand, op *operation, bad float64, i int) requestlog.Attempt {
	t := targets[4]
	if op.name != "embed" {
		t = targets[(r.IntN(4)+i)%4]
	}
	slow := 1.0
	if t.name == targets[0].name {
		slow += 2.2 * bad
	}
	seconds := op.seconds * slow * math.Exp(0.45*r.NormFloat64())
	d := time.Duration(seconds * float64(time.Second))
	return requestlog.Attempt{Target: t.name, Region: t.region, Duration: d, FirstToken: time.Duration(float64(d) * (0.12 + 0.2*r.Float64()))}
}

// requests serves the log.
func (s *Server) requests(r *http.Request) (any, error) {
	q := r.URL.Query()
	limit, err := strconv.Atoi(q.Get("limit"))
	if err != nil || limit < 1 || limit > 500 {
		limit = 50
	}
	before, err := strconv.ParseInt(q.Get("before"), 10, 64)
	if err != nil {
		before = s.newest() + 1
	}
	keep, err := readFilter(r)
	if err != nil {
		return nil, err
	}
	found := []requestlog.Entry{}
	seq := before - 1
	for looked := 0; seq > 0 && len(found) < limit && looked < 20_000; looked++ {
		if e := s.entry(seq); keep(&e) {
			e.Attempts = nil
			found = append(found, e)
		}
		seq--
	}
	answer := list(found)
	if seq > 0 {
		answer["next"] = seq + 1
	}
	return answer, nil
}

// readFilter reads the parameters of GET /v1/requests.
func readFilter(r *http.Request) (func(*requestlog.Entry) bool, error) {
	q := r.URL.Query()
	var faults []string
	duration := func(name string) time.Duration {
		if q.Get(name) == "" {
			return 0
		}
		d, err := time.ParseDuration(q.Get(name))
		if err != nil {
			faults = append(faults, name)
		}
		return d
	}
	moment := func(name string) time.Time {
		if q.Get(name) == "" {
			return time.Time{}
		}
		t, err := time.Parse(time.RFC3339, q.Get(name))
		if err != nil {
			faults = append(faults, name)
		}
		return t
	}
	slow, from, to := duration("min_duration"), moment("from"), moment("to")
	dear, _ := strconv.ParseFloat(q.Get("min_usd"), 64)
	if len(faults) > 0 {
		return nil, &llm.Error{
			Kind: llm.CallerInvalidRequest, Param: faults[0], Message: fmt.Sprintf("%s is %q", faults[0], q.Get(faults[0])), Fix: "Send a duration such as 2s, or a time in RFC 3339.",
		}
	}
	return func(e *requestlog.Entry) bool {
		for name, value := range map[string]string{
			"tenant": e.Tenant, "user": e.User, "key": e.Key, "operation": e.Operation, "model": e.Model, "provider": e.Provider, "outcome": e.Outcome,
			"error_type": string(e.ErrorType), "cache": e.Cache, "fallback": e.Fallback, "id": e.ID,
		} {
			if want := q.Get(name); want != "" && want != value {
				return false
			}
		}
		return e.Duration >= slow && e.MicroUSD >= int64(dear*1e6) && (from.IsZero() || !e.Start.Before(from)) && (to.IsZero() || e.Start.Before(to)) &&
			(q.Get("failed") != "true" || e.Outcome == "error" || e.Outcome == "refused")
	}, nil
}

func (s *Server) request(r *http.Request) (any, error) {
	seq, err := strconv.ParseInt(r.PathValue("seq"), 10, 64)
	if err != nil || seq < 1 || seq > s.newest() {
		return nil, &llm.Error{Kind: llm.CallerNotFound, Message: "the log has no call with this number", Fix: "It may be past the log's retention; GET /v1/requests lists what there is."}
	}
	return s.entry(seq), nil
}
