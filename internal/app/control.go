package app

import (
	"net/http"
	"slices"
	"strings"

	"github.com/forebay-ai/forebay/console"
)

// operatorPaths are for those who run the gateway: where there is a control address
// they are served there alone. One that ends with a slash stands for all below it.
func operatorPaths() []string {
	return append([]string{"/metrics", "/v1/cache", "/v1/cache/invalidate", "/v1/cache/warmup", "/v1/jobs/pause", "/v1/jobs/resume", "/v1/targets", "/v1/breakers"}, console.OperatorPaths()...)
}

// controlPaths are what the control address serves.
func controlPaths() []string {
	return append(operatorPaths(), "/healthz", "/readyz", "/v1/health", "/v1/cache/explain", "/v1/jobs", "/v1/jobs/",
		"/v1/cost", "/v1/cost/analysis", "/v1/measurements", "/v1/me", "/v1/me/usage")
}

// among says that a path is one of paths, or below one of them.
func among(paths []string, path string) bool {
	return slices.ContainsFunc(paths, func(p string) bool { return p == path || strings.HasSuffix(p, "/") && strings.HasPrefix(path, p) })
}

// The paths that a gateway gets in place of one that is not served at an address.
// Both stand in its message after "nothing is served at". They begin with no
// slash, as no path of a request does, so that no route of it can match.
const (
	notControl = "this address but the dashboard, metrics, health and what operators see and run"
	notCalls   = "this address under this path: the address of control has it"
)

// controlOnly lets next serve the control address: the paths of operators, and for
// all others the gateway's own answer to an unknown path.
func controlOnly(next http.Handler) http.Handler {
	paths := controlPaths()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !among(paths, r.URL.Path) {
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
		if among(paths, r.URL.Path) {
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
