package app

import (
	"net/http"
	"slices"
)

// operatorPaths are for those who run the gateway: where there is a control address
// they are served there alone.
func operatorPaths() []string {
	return []string{"/metrics", "/v1/cache", "/v1/cache/invalidate", "/v1/cache/warmup", "/v1/jobs/pause", "/v1/jobs/resume", "/v1/targets", "/v1/breakers"}
}

// controlPaths are what the control address serves.
func controlPaths() []string {
	return append(operatorPaths(), "/healthz", "/readyz", "/v1/health", "/v1/cache/explain", "/v1/jobs/stats", "/v1/jobs/purge")
}

// The paths that a gateway gets in place of one that is not served at an address.
// Both stand in its message after "nothing is served at". They begin with no
// slash, as no path of a request does, so that no route of it can match.
const (
	notControl = "this address but /metrics, /healthz, /readyz, /v1/health and what runs cache, jobs and targets"
	notCalls   = "this address under this path: the address of control has it"
)

// controlOnly lets next serve the control address: the paths of operators, and for
// all others the gateway's own answer to an unknown path.
func controlOnly(next http.Handler) http.Handler {
	paths := controlPaths()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !slices.Contains(paths, r.URL.Path) {
			r = underPath(r, notControl)
		}
		next.ServeHTTP(w, r)
	})
}

// withoutControl lets next serve everything but what the control address has for
// itself. Health and readiness stay: load balancers ask the address that they send
// calls to.
func withoutControl(next http.Handler) http.Handler {
	paths := operatorPaths()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if slices.Contains(paths, r.URL.Path) {
			r = underPath(r, notCalls)
		}
		next.ServeHTTP(w, r)
	})
}

// underPath is r with another path.
func underPath(r *http.Request, path string) *http.Request {
	changed, u := *r, *r.URL
	u.Path, u.RawPath = path, ""
	changed.URL = &u
	return &changed
}
