package gateway

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/forebay-ai/forebay/access"
	"github.com/forebay-ai/forebay/gateway/form"
)

// ScopeAny is the scope of routes for every key, whatever it is for.
const ScopeAny = "any"

// Endpoint is a route that another package serves behind the gateway's door: keys, the
// form of errors, bounds and the log are the gateway's.
type Endpoint struct {
	Route
	// Serve answers a visit. An error is answered in the form of RFC 9457; best an
	// *llm.Error.
	Serve func(v *Visit) error
}

// Visit is one request to an Endpoint. It is for the goroutine that serves it.
type Visit struct {
	// Caller is what the caller's key grants.
	Caller *access.Grant
	// Request is what came; its body is read with Read.
	Request *http.Request
	// Variable is what stands for {name} in the route's pattern.
	Variable string

	x *visit
}

// Query reads the query's parameters. One that is not among known, or that is there more
// than once and not among many, is refused.
func (v *Visit) Query(known []string, many ...string) (url.Values, error) {
	raw := v.Request.URL.RawQuery
	if len(many) == 0 {
		return form.Query(raw, known...)
	}
	return form.Repeated(raw, known, many)
}

// Read reads the request's body, a JSON object, into a pointer to a struct. Members that
// the struct does not have are refused.
func (v *Visit) Read(into any) error {
	body, err := v.x.readJSON()
	if err != nil {
		return err
	}
	return form.Unmarshal(body, into)
}

// HasBody says that the request brings one.
func (v *Visit) HasBody() bool { return v.Request.ContentLength != 0 }

// JSON answers with body as JSON.
func (v *Visit) JSON(status int, body any) error { return v.x.answerJSON(status, body) }

// Event is one server-sent event; without a name it is a comment that keeps the
// connection.
type Event struct {
	Name string
	Data []byte // one line
}

// Events answers with the events that come until the channel is closed, the reader
// leaves or the client drains. The error is about neither.
func (v *Visit) Events(ctx context.Context, events <-chan Event) error {
	x := v.x
	x.headOfStream()
	x.flush()
	if v.Request.Method == http.MethodHead {
		return nil
	}
	silence, drain := time.NewTicker(keepalive), time.NewTicker(drainLook)
	defer silence.Stop()
	defer drain.Stop()
	for {
		text := []byte(": keepalive\n\n")
		select {
		case e, ok := <-events:
			if !ok {
				return nil
			}
			text = append(append(append(append([]byte("event: "), e.Name...), "\ndata: "...), e.Data...), "\n\n"...)
		case <-silence.C:
		case <-drain.C:
			if x.gateway.draining() || !x.lasts() {
				return nil
			}
			continue
		case <-ctx.Done():
			return nil
		}
		if !x.write(text) {
			return nil
		}
		x.flush()
	}
}

// lasts says that the caller's key, or session, still lets it in.
func (x *visit) lasts() bool {
	if x.gateway.anyone != nil {
		return true
	}
	_, err := x.gateway.find(x, time.Now())
	return err == nil
}

// endpointRoutes puts the endpoints of other packages into the form of the gateway's own.
func endpointRoutes(all []Endpoint) []route {
	var routes []route
	for _, e := range all {
		routes = append(routes, route{e.Route, problem, func(_ *Gateway, x *visit) error {
			return e.Serve(&Visit{Caller: x.grant, Request: x.r, Variable: x.variable, x: x})
		}})
	}
	return routes
}
