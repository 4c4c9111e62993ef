// Package fakeapi serves the dashboard over a JSON API that makes its data up: the routes of
// package console and those of the gateway that pages ask, with figures as a busy week in a
// university might have them, and an incident that is going on. The same seed and time give
// the same data. It is for work on the pages and for their tests in a browser; nothing of it
// is in Forebay.
package fakeapi

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/forebay-ai/forebay/access"
	"github.com/forebay-ai/forebay/dashboard"
	"github.com/forebay-ai/forebay/llm"
)

// The keys that the server knows.
const (
	OperatorKey = "operator-key-0123456789" // every scope
	ReaderKey   = "reader-key-0123456789"   // metrics and cache
	CallerKey   = "caller-key-0123456789"   // call alone
)

// Config is what a Server is made of.
type Config struct {
	Seed uint64
	// Now is the time; nil means the clock.
	Now func() time.Time
	// Open needs no key. ReadOnly refuses changes by sessions.
	Open, ReadOnly bool
	// Quiet is a gateway that has just begun: no calls yet.
	Quiet bool
	// Requests is how many the log has. 0 means 1,000,000.
	Requests int64
}

// Server serves the API and the dashboard. Close ends its streams.
type Server struct {
	cfg   Config
	ring  *access.Ring
	ui    *dashboard.Handler
	mux   *http.ServeMux
	begin time.Time

	mu       sync.Mutex // guards what follows
	silences []obj
	forced   map[string]string // target -> state
	reasons  map[string]string // target -> why it was forced
	paused   map[string]bool
	jobs     []obj
	voided   int64
}

// obj is a JSON object.
type obj = map[string]any

// New makes a Server.
func New(cfg Config) (*Server, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Requests == 0 {
		cfg.Requests = 1_000_000
	}
	if cfg.Quiet {
		cfg.Requests = 0
	}
	ring, err := access.NewRing([]access.Key{
		{Name: "operator", Secret: llm.Secret(OperatorKey), Scopes: []string{access.Call, access.Metrics, access.Admin, access.Cache, access.Jobs}},
		{Name: "reader", Secret: llm.Secret(ReaderKey), Scopes: []string{access.Call, access.Metrics, access.Cache}},
		{Name: "course-app", Tenant: "course", Secret: llm.Secret(CallerKey), Scopes: []string{access.Call}},
	})
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, ring: ring, begin: cfg.Now(), forced: map[string]string{}, reasons: map[string]string{}, paused: map[string]bool{"nightly-summary": !cfg.Quiet}}
	ui := dashboard.Config{ReadOnly: cfg.ReadOnly}
	if !cfg.Open {
		ui.Authenticate = s.find
	}
	if s.ui, err = dashboard.New(ui); err != nil {
		return nil, err
	}
	s.jobs = s.makeJobs()
	s.routes()
	return s, nil
}

func (s *Server) find(_ context.Context, secret string) (*access.Grant, error) {
	g, err := s.ring.Find(http.Header{"Authorization": {"Bearer " + secret}}, time.Now())
	if err != nil {
		return nil, err
	}
	return g, nil
}

// anyScope is that of routes for whoever has a key.
const anyScope = ""

// handler answers with a value as JSON, or an error.
type handler func(r *http.Request) (any, error)

func (s *Server) routes() {
	s.mux = http.NewServeMux()
	s.mux.Handle("/ui", s.ui)
	s.mux.Handle("/ui/", s.ui)
	for pattern, route := range map[string]struct {
		scope  string
		handle handler
	}{
		"GET /v1/me": {anyScope, s.me}, "GET /v1/me/usage": {anyScope, s.usage}, "GET /v1/health": {access.Call, s.health},
		"GET /v1/overview": {access.Metrics, s.overview}, "GET /v1/operations": {access.Metrics, s.operations},
		"GET /v1/series": {access.Metrics, s.series}, "GET /v1/series/metrics": {access.Metrics, s.seriesMetrics},
		"GET /v1/requests": {access.Metrics, s.requests}, "GET /v1/requests/{seq}": {access.Metrics, s.request},
		"GET /v1/breakers/history": {access.Metrics, s.transitions}, "POST /v1/breakers": {access.Admin, s.setBreaker}, "GET /v1/targets": {access.Metrics, s.targets},
		"GET /v1/alarms": {access.Metrics, s.alarms}, "GET /v1/alarms/history": {access.Metrics, s.alarmHistory},
		"POST /v1/alarms/silences": {access.Admin, s.silence}, "DELETE /v1/alarms/silences/{id}": {access.Admin, s.unsilence}, "POST /v1/alarms/test": {access.Admin, s.testAlarms},
		"GET /v1/cost": {access.Metrics, s.cost}, "GET /v1/budgets": {access.Metrics, s.budgets}, "GET /v1/config": {access.Metrics, s.configuration},
		"GET /v1/cache": {access.Cache, s.cache}, "POST /v1/cache/invalidate": {access.Cache, s.invalidate},
		"GET /v1/jobs": {access.Jobs, s.listJobs}, "GET /v1/jobs/stats": {access.Jobs, s.jobStats}, "GET /v1/jobs/{id}": {access.Jobs, s.job},
		"DELETE /v1/jobs/{id}": {access.Jobs, s.cancelJob}, "POST /v1/jobs/{id}/requeue": {access.Jobs, s.requeueJob}, "PATCH /v1/jobs/{id}": {access.Jobs, s.patchJob},
		"POST /v1/jobs/purge": {access.Jobs, s.purgeJobs}, "POST /v1/jobs/pause": {access.Admin, s.switchJobs(true)}, "POST /v1/jobs/resume": {access.Admin, s.switchJobs(false)},
	} {
		s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			r, err := s.authorize(r, route.scope)
			if err != nil {
				fail(w, err)
				return
			}
			v, err := route.handle(r)
			if err != nil {
				fail(w, err)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(v)
		})
	}
	s.mux.HandleFunc("GET /v1/events", func(w http.ResponseWriter, r *http.Request) {
		if r, err := s.authorize(r, access.Metrics); err != nil {
			fail(w, err)
		} else {
			s.events(w, r)
		}
	})
	s.mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/ui/", http.StatusFound) })
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fail(w, &llm.Error{Kind: llm.CallerNotFound, Message: "nothing is served at " + r.URL.Path, Fix: "GET / lists what is served."})
	})
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

type grantKey struct{}

// authorize finds who is asking, by the session's cookie or a key, and puts it into the
// request's context.
func (s *Server) authorize(r *http.Request, scope string) (*http.Request, error) {
	grant := access.Anonymous()
	if !s.cfg.Open {
		var err error
		if grant, err = s.ui.Authorize(r); err == nil && grant == nil {
			var e *llm.Error
			if grant, e = s.ring.Find(r.Header, time.Now()); e != nil {
				err = e
			}
		}
		if err != nil {
			return nil, err
		}
	}
	// As in the gateway, admin is leave to look at targets.
	if scope != anyScope && !grant.Allows(scope) && !(r.URL.Path == "/v1/targets" && grant.Allows(access.Admin)) {
		return nil, &llm.Error{
			Kind: llm.CallerForbidden, Message: fmt.Sprintf("the key %q does not grant the scope %s", grant.Name, scope),
			Limit: "keys." + grant.Name + ".scopes", Value: fmt.Sprint(grant.Scopes), Fix: "Use a key that has the scope " + scope + ".",
		}
	}
	return r.WithContext(context.WithValue(r.Context(), grantKey{}, grant)), nil
}

func fail(w http.ResponseWriter, err error) {
	e := llm.AsError(err)
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(e.HTTPStatus())
	_ = json.NewEncoder(w).Encode(obj{
		"success": false, "type": "urn:forebay:error:" + string(e.Kind), "status": e.HTTPStatus(), "title": http.StatusText(e.HTTPStatus()),
		"detail": e.Text(), "error_type": e.Kind, "limit": e.Limit, "value": e.Value, "fix": e.Fix, "support_id": "req_0123456789abcdef",
	})
}

func (s *Server) me(r *http.Request) (any, error) {
	grant, _ := r.Context().Value(grantKey{}).(*access.Grant)
	_, csrf, _ := s.ui.Session(r)
	return obj{"key": grant.Name, "tenant": grant.Tenant, "scopes": grant.Scopes, "read_only": s.cfg.ReadOnly, "open": s.cfg.Open, "csrf": csrf}, nil
}

// random gives numbers that depend on the seed and what they are for alone.
func (s *Server) random(parts ...any) *rand.Rand {
	h := fnv.New64a()
	fmt.Fprint(h, parts...)
	return rand.New(rand.NewPCG(s.cfg.Seed, h.Sum64())) //nolint:gosec // made-up data
}

// wave is a value in 0..1 that moves slowly with time, another for each name.
func (s *Server) wave(name string, t time.Time) float64 {
	phase := s.random("phase", name).Float64() * 2 * math.Pi
	x := float64(t.Unix())
	slow := math.Sin(2*math.Pi*x/3600 + phase)
	quick := math.Sin(2*math.Pi*x/420 + 2*phase)
	noise := s.random("noise", name, t.Unix()).Float64()*2 - 1
	return min(1, max(0, 0.5+0.28*slow+0.12*quick+0.1*noise))
}

// incident is how bad things are, from 0 to 1: a provider has been slow for some minutes.
func (s *Server) incident(t time.Time) float64 {
	since := s.cfg.Now().Sub(t)
	switch {
	case s.cfg.Quiet || since > 14*time.Minute || since < -time.Minute:
		return 0
	case since > 10*time.Minute:
		return float64(14*time.Minute-since) / float64(4*time.Minute)
	}
	return 1
}

// window reads the parameter, with days too.
func window(r *http.Request) time.Duration {
	text := r.URL.Query().Get("window")
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil {
			return time.Duration(n) * 24 * time.Hour
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return d
	}
	return 15 * time.Minute
}

func body(r *http.Request, into any) error {
	if err := json.NewDecoder(r.Body).Decode(into); err != nil {
		return &llm.Error{Kind: llm.CallerInvalidRequest, Message: "the body is no JSON", Err: err}
	}
	return nil
}

func list(data any) obj { return obj{"object": "list", "data": data} }

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }
