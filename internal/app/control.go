package app

import (
	"net/http"
	"slices"
)

const metricsPath = "/metrics"

// controlPaths are what the control address serves.
func controlPaths() []string { return []string{metricsPath, "/healthz", "/readyz", "/v1/health"} }

// The paths that a gateway gets in place of one that is not served at an address.
// Both stand in its message after "nothing is served at". They begin with no
// slash, as no path of a request does, so that no route of it can match.
const (
	notControl = "this address but /metrics, /healthz, /readyz and /v1/health"
	notCalls   = "this address under /metrics: the address of control has it"
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

// withoutMetrics lets next serve everything but the measurements. Health and
// readiness stay: load balancers ask the address that they send calls to.
func withoutMetrics(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == metricsPath {
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
