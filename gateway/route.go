package gateway

import (
	"net/http"
	"strings"

	"github.com/forebay-ai/forebay/access"
	"github.com/forebay-ai/forebay/gateway/form"
	"github.com/forebay-ai/forebay/internal/near"
	"github.com/forebay-ai/forebay/llm"
)

// scopePublic marks routes that need no key. No key can name it.
const scopePublic = "public"

// Route is one entry of the table of what the gateway serves.
type Route struct {
	// Method and Pattern say what is matched. {name} in a pattern stands for one
	// segment of the path, {name...} for the rest of it.
	Method, Pattern string
	// Scope is what the caller's key has to have; "public" needs no key.
	Scope string
	// Doc says in a sentence what the route does.
	Doc string
}

// handler answers one request. It writes the answer through the visit or returns
// an error; errors are encoded in one place, visit.fail.
type handler func(g *Gateway, x *visit) error

// route is a Route with what serves it.
type route struct {
	Route
	style  style
	handle handler
}

// routes is the one table: nothing is served that does not stand here.
func routes() []route {
	const completions = pathChat
	return append([]route{
		{Route{"POST", completions, access.Call, "Chat completion in the OpenAI format, whole or streamed."}, openAI, (*Gateway).chat},
		{Route{"POST", pathEmbeddings, access.Call, "Embeddings in the OpenAI format."}, openAI, (*Gateway).embeddings},
		{Route{"GET", "/v1/models", access.Call, "What may be asked for, in the OpenAI format."}, openAI, (*Gateway).models},
		{Route{"GET", "/v1/models/{id...}", access.Call, "One model, in the OpenAI format."}, openAI, (*Gateway).model},
		{Route{"POST", pathOperations + "{operation}", access.Call, "A named operation: payload in, result and metadata out."}, problem, (*Gateway).operation},
		{Route{"GET", "/v1/health", access.Call, "State of the whole system; 503 while it is unhealthy."}, problem, (*Gateway).health},

		{Route{"GET", "/v1/cache/explain", access.Call, "How the cache sees a request: its key, and what made it."}, problem, (*Gateway).explainCache},
		{Route{"POST", "/v1/cache/explain", access.Call, "The same, for clients that send no body with GET."}, problem, (*Gateway).explainCache},
		{Route{"GET", "/v1/cache", access.Cache, "What the cache holds and did."}, problem, (*Gateway).cacheStats},
		{Route{"POST", "/v1/cache/invalidate", access.Cache, "Makes stored answers void, or counts them."}, problem, (*Gateway).invalidateCache},
		{Route{"POST", "/v1/cache/warmup", access.Cache, "Fetches the answers to a file of requests; tells its progress line by line."}, problem, (*Gateway).warmCache},

		{Route{"GET", completions, access.Stored, "The completions stored in the provider's account, passed through."}, openAI, (*Gateway).stored},
		{Route{"GET", completions + "/{id}", access.Stored, "One stored completion, passed through."}, openAI, (*Gateway).stored},
		{Route{"POST", completions + "/{id}", access.Stored, "Changes a stored completion's metadata, passed through."}, openAI, (*Gateway).stored},
		{Route{"DELETE", completions + "/{id}", access.Stored, "Deletes a stored completion, passed through."}, openAI, (*Gateway).stored},
		{Route{"GET", completions + "/{id}/messages", access.Stored, "The messages of a stored completion, passed through."}, openAI, (*Gateway).stored},

		{Route{"GET", "/", scopePublic, "What is served here."}, problem, (*Gateway).index},
		{Route{"GET", "/healthz", scopePublic, "Liveness: the process answers."}, problem, (*Gateway).alive},
		{Route{"GET", "/readyz", scopePublic, "Readiness: calls are taken; 503 while draining."}, problem, (*Gateway).ready},
		{Route{"GET", pathMetrics, access.Metrics, "Measurements in the Prometheus format."}, problem, (*Gateway).measurements},
	}, append(append(operatorRoutes(), jobRoutes()...), bedrockRoutes()...)...)
}

// jobRoutes are the routes of durable jobs.
func jobRoutes() []route {
	return []route{
		{Route{"POST", pathJobs, access.Jobs, "Takes a call in as a durable job: it outlasts a restart and is made when there is room."}, problem, (*Gateway).submitJob},
		{Route{"GET", pathJobs, access.Jobs, "Lists jobs, newest first."}, problem, (*Gateway).listJobs},
		{Route{"GET", pathJobs + "/{id}", access.Jobs, "One job; ?wait= holds the answer until its end."}, problem, (*Gateway).job},
		{Route{"GET", pathJobs + "/{id}/result", access.Jobs, "What the job's endpoint would have answered."}, problem, (*Gateway).jobResult},
		{Route{"GET", pathJobs + "/{id}/events", access.Jobs, "States of a job and pieces of its answer, as server-sent events."}, problem, (*Gateway).jobEvents},
		{Route{"DELETE", pathJobs + "/{id}", access.Jobs, "Cancels a job that is not final."}, problem, (*Gateway).cancelJob},
		{Route{"PATCH", pathJobs + "/{id}", access.Jobs, "Changes the priority of a queued job."}, problem, (*Gateway).patchJob},
		{Route{"POST", pathJobs + "/{id}/requeue", access.Jobs, "Queues a job again that failed, timed out, was cancelled or is dead."}, problem, (*Gateway).requeueJob},
		{Route{"POST", pathJobs + "/purge", access.Jobs, "Removes final jobs."}, problem, (*Gateway).purgeJobs},
		{Route{"POST", pathJobs + "/pause", access.Admin, "Stops claims of an operation's jobs."}, problem, (*Gateway).pauseJobs},
		{Route{"POST", pathJobs + "/resume", access.Admin, "Allows them again."}, problem, (*Gateway).resumeJobs},
		{Route{"GET", pathJobs + "/stats", access.Jobs, "How many jobs there are, how old and how fast; admin: of all tenants."}, problem, (*Gateway).jobStats},
		{Route{"GET", pathJobs + "/webhook-secret", access.Jobs, "The secret that signs the tenant's webhooks."}, problem, (*Gateway).webhookSecret},
	}
}

// Routes lists what a Gateway serves, for documentation and tests.
func Routes() []Route {
	var all []Route
	for _, r := range routes() {
		all = append(all, r.Route)
	}
	return all
}

// table finds routes. It matches the decoded path as it came: nothing is cleaned,
// redirected or compared without case, so that there is one spelling of each
// route and no other path reaches its handler. The routes of the Bedrock door are
// matched by the path as it was sent, and by nothing else.
type table struct {
	exact    map[string][]*route // by path
	patterns []pattern
	models   []pattern // of the Bedrock door: matched before escapes are resolved
}

// pattern is the paths with one variable: prefix, variable, suffix.
type pattern struct {
	prefix, suffix string
	rest           bool // the variable may contain slashes
	routes         []*route
}

func newTable(all []route) *table {
	t := &table{exact: map[string][]*route{}}
	for i := range all {
		r := &all[i]
		prefix, variable, found := strings.Cut(r.Pattern, "{")
		if !found {
			t.exact[r.Pattern] = append(t.exact[r.Pattern], r)
			continue
		}
		name, suffix, _ := strings.Cut(variable, "}")
		p, into := pattern{prefix: prefix, suffix: suffix, rest: strings.HasSuffix(name, "...")}, &t.patterns
		if r.style == aws {
			into = &t.models
		}
		*into = add(*into, p, r)
	}
	return t
}

// add puts r to the routes of its pattern.
func add(patterns []pattern, p pattern, r *route) []pattern {
	for i := range patterns {
		q := &patterns[i]
		if q.prefix == p.prefix && q.suffix == p.suffix {
			q.routes = append(q.routes, r)
			return patterns
		}
	}
	p.routes = []*route{r}
	return append(patterns, p)
}

// match finds the routes of a path, one for each method, and the variable in it.
func (t *table) match(path string) (found []*route, variable string) {
	if found = t.exact[path]; found != nil {
		return found, ""
	}
	for i := range t.patterns {
		p := &t.patterns[i]
		if len(path) <= len(p.prefix)+len(p.suffix) || !strings.HasPrefix(path, p.prefix) || !strings.HasSuffix(path, p.suffix) {
			continue
		}
		variable = path[len(p.prefix) : len(path)-len(p.suffix)]
		if p.rest || strings.IndexByte(variable, '/') < 0 {
			return p.routes, variable
		}
	}
	return nil, ""
}

// find sets the visit's route, or says that there is none.
func (t *table) find(x *visit) error {
	path := x.r.URL.Path
	found, variable := t.match(path)
	if sent := x.r.URL.EscapedPath(); found == nil && strings.HasPrefix(sent, pathBedrock) {
		x.style = aws
		found, variable = t.matchModels(sent)
	} else if call, _ := bedrockCallAt(doorBedrock + sent); found == nil && call != nil {
		x.style = aws
		return &llm.Error{
			Kind: llm.CallerNotFound, Message: "nothing is served at " + form.Printable(path, 100),
			Fix: "Let the endpoint of the AWS SDK end in " + doorBedrock + ".",
		}
	}
	if found == nil {
		return t.unknownPath(path)
	}
	method := x.r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	var allowed []string
	for _, r := range found {
		if r.Method == method {
			x.route, x.variable = r, variable
			return nil
		}
		allowed = append(allowed, r.Method)
		if r.Method == http.MethodGet {
			allowed = append(allowed, http.MethodHead)
		}
	}
	x.style = found[0].style
	x.set("Allow", strings.Join(allowed, ", "))
	return &llm.Error{
		Kind: llm.CallerMethodNotAllowed, Message: form.Printable(x.r.Method, 32) + " is not served at " + found[0].Pattern,
		Fix: "Use " + strings.Join(allowed, " or ") + ".",
	}
}

// unknownPath is the refusal of a path. The commonest cause is a base URL of an
// SDK without its /v1, so that is told.
func (t *table) unknownPath(path string) *llm.Error {
	e := &llm.Error{Kind: llm.CallerNotFound, Message: "nothing is served at " + form.Printable(path, 100), Fix: "GET / lists what is served."}
	trimmed := strings.TrimRight(path, "/")
	if found, _ := t.match("/v1" + trimmed); trimmed != "" && found != nil {
		e.Fix = "Let the base URL of the SDK end in /v1: this is served at /v1" + form.Printable(trimmed, 100) + "."
		return e
	}
	var known []string
	for p := range t.exact {
		known = append(known, p)
	}
	if best := near.Name(trimmed, known); best != "" && best != "/" {
		e.Fix = "Did you mean " + best + "? GET / lists what is served."
	}
	return e
}
