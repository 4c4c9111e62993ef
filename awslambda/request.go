package awslambda

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/forebay-ai/forebay/gateway/form"
	"github.com/forebay-ai/forebay/llm"
)

// httpEvent is what the shapes that carry HTTP say, together. Those of format 2.0 have
// rawPath, rawQueryString and cookies, the others the path and parameters.
type httpEvent struct {
	RawPath        string   `json:"rawPath"`
	RawQueryString string   `json:"rawQueryString"`
	Cookies        []string `json:"cookies"`

	HTTPMethod string              `json:"httpMethod"`
	Path       string              `json:"path"`
	Query      map[string]string   `json:"queryStringParameters"`
	MultiQuery map[string][]string `json:"multiValueQueryStringParameters"`

	Headers      map[string]string   `json:"headers"`
	MultiHeaders map[string][]string `json:"multiValueHeaders"`
	Body         string              `json:"body"`
	Base64       bool                `json:"isBase64Encoded"`
	Context      struct {
		RequestID  string         `json:"requestId"`
		Stage      string         `json:"stage"`
		DomainName string         `json:"domainName"`
		Authorizer jsontext.Value `json:"authorizer"`
		HTTP       struct {
			Method   string `json:"method"`
			SourceIP string `json:"sourceIp"`
		} `json:"http"`
		Identity struct {
			SourceIP string `json:"sourceIp"`
			UserARN  string `json:"userArn"` // REST: of callers who signed
		} `json:"identity"`
	} `json:"requestContext"`
}

// request is an HTTP request out of an event.
type request struct {
	shape  Shape
	id     string // of the invocation
	multi  bool   // a load balancer that sends and takes several values for a header
	method string
	url    url.URL
	host   string
	remote string // address of the caller
	header http.Header
	body   []byte
	// authorized says that an authorizer of AWS let the request pass.
	authorized bool
	signed     bool // by its caller, so that no header can be added
}

// keep is what of an invocation's time the handler does not get. A signed call cannot be told
// by a header how long it may take: the end of its context is what ends it in time.
func (r *request) keep(margin time.Duration) time.Duration {
	if r.signed {
		return margin
	}
	return margin / 2
}

// http answers an event that carries an HTTP request.
func (f *Function) http(ctx context.Context, shape Shape, event []byte) (*reply, error) {
	r, err := readRequest(shape, event)
	if err == nil && f.cfg.NeedAuthorizer && !r.authorized {
		err = &llm.Error{
			Kind: llm.CallerForbidden, Message: "the gateway has no keys, so that it serves only callers whom AWS let pass",
			Fix: "Configure keys, or let the function URL or API authorize its callers (AWS_IAM, JWT or a Lambda authorizer).",
		}
	}
	if err != nil {
		h, text := refusal(err)
		if shape == FunctionURL && !f.cfg.BufferedURL || shape == RESTAPI && f.cfg.StreamREST {
			return h.streamed(shape, bytes.NewReader(text)), nil
		}
		out, err := (&request{shape: shape, multi: r != nil && r.multi}).encode(h, text)
		return whole(out), err
	}
	f.complete(ctx, r)
	if shape == FunctionURL && !f.cfg.BufferedURL || shape == RESTAPI && f.cfg.StreamREST {
		return f.stream(ctx, r), nil
	}
	return f.whole(ctx, r)
}

// readRequest makes the request of an event.
func readRequest(shape Shape, event []byte) (*request, error) {
	var e httpEvent
	if err := json.Unmarshal(event, &e); err != nil {
		return nil, malformed("the event has a member of the wrong type", err)
	}
	r := &request{shape: shape, header: http.Header{}, multi: len(e.MultiHeaders) > 0}
	r.readHead(&e)
	switch shape {
	case FunctionURL, HTTPAPI:
		r.method, r.remote = e.Context.HTTP.Method, e.Context.HTTP.SourceIP
		r.setPath(e.RawPath, e.Context.Stage)
		r.url.RawQuery = e.RawQueryString
	default:
		r.method, r.remote = e.HTTPMethod, e.Context.Identity.SourceIP
		r.setPath(e.Path, "")
		r.url.RawQuery = e.query(shape)
	}
	if !token(r.method) {
		return nil, malformed("the event has no valid HTTP method", nil)
	}
	if shape == LoadBalancer { // the last address is the one that the balancer itself saw
		hops := strings.Split(strings.Join(r.header["X-Forwarded-For"], ","), ",")
		r.remote = strings.TrimSpace(hops[len(hops)-1])
	}
	r.body = []byte(e.Body)
	if e.Base64 {
		var err error
		if r.body, err = base64.StdEncoding.DecodeString(e.Body); err != nil {
			return nil, malformed("the event's body is not in base64, as it says", err)
		}
	}
	return r, nil
}

func malformed(message string, err error) *llm.Error {
	return &llm.Error{Kind: llm.CallerInvalidRequest, Message: message, Err: err}
}

// readHead takes over headers, cookies and who is asking.
func (r *request) readHead(e *httpEvent) {
	for name, value := range e.Headers {
		r.header.Set(name, value)
	}
	for name, values := range e.MultiHeaders { // where there are both, these say more
		r.header[http.CanonicalHeaderKey(name)] = slices.Clone(values)
	}
	if len(e.Cookies) > 0 {
		r.header.Set("Cookie", strings.Join(e.Cookies, "; "))
	}
	r.host = cmp.Or(r.header.Get("Host"), e.Context.DomainName)
	r.header.Del("Host") // as net/http has it
	r.header.Del("Transfer-Encoding")
	r.id = e.Context.RequestID
	r.authorized = saysWho(e.Context.Authorizer) || e.Context.Identity.UserARN != ""
}

// saysWho says that an authorizer's verdict names somebody. HTTP APIs in payload format 1.0
// have {"claims":null,"scopes":null} where there is no authorizer at all.
func saysWho(authorizer jsontext.Value) bool {
	in := members{}
	if authorizer.Kind() != '{' || json.Unmarshal(authorizer, &in) != nil {
		return false
	}
	for name := range in {
		if name != "integrationLatency" && in.has(name) {
			return true
		}
	}
	return false
}

// setPath keeps the path as it was sent, since a model's id in it may have escaped
// slashes. Some doors of AWS unescape it: then it is escaped again. A stage in front of the
// path is AWS's, not the caller's.
func (r *request) setPath(path, stage string) {
	if stage != "" && stage != "$default" {
		if rest, ok := strings.CutPrefix(path, "/"+stage); ok && (rest == "" || rest[0] == '/') {
			path = cmp.Or(rest, "/")
		}
	}
	path = cmp.Or(path, "/")
	if plain, err := url.PathUnescape(path); err == nil {
		r.url.Path, r.url.RawPath = plain, path
		return
	}
	r.url.Path = path
}

// query puts parameters together again. REST APIs give them unescaped, balancers as they came.
func (e *httpEvent) query(shape Shape) string {
	all := e.MultiQuery
	if len(all) == 0 {
		all = make(map[string][]string, len(e.Query))
		for name, value := range e.Query {
			all[name] = []string{value}
		}
	}
	if shape == RESTAPI {
		return url.Values(all).Encode()
	}
	var parts []string
	for name, values := range all {
		for _, value := range values {
			parts = append(parts, name+"="+value)
		}
	}
	slices.Sort(parts)
	return strings.Join(parts, "&")
}

// token says that s is a method: a token of RFC 9110.
func token(s string) bool {
	return s != "" && strings.Trim(s, "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") == ""
}

// complete adds what the invocation knows: its trace, and the time that it has.
func (f *Function) complete(ctx context.Context, r *request) {
	if r.header.Get("Traceparent") == "" {
		if trace := TraceParent(xrayOf(ctx)); trace != "" {
			r.header.Set("Traceparent", trace)
		}
	}
	f.bound(ctx, r)
}

const (
	timeoutHeader   = "X-Forebay-Timeout"
	operationHeader = "X-Forebay-Operation"
	operationsPath  = "/v1/operations/"
)

// bound gives a call the time that is left where it may take longer: then it fails as
// calls fail, in time for the answer. A job has the time that it asks for.
func (f *Function) bound(ctx context.Context, r *request) {
	end, ok := ctx.Deadline()
	r.signed = strings.HasPrefix(r.header.Get("Authorization"), "AWS4-")
	if !ok || r.signed || f.cfg.Deadline == nil || AboutJobs(r.url.Path, r.header) {
		return
	}
	operation, ok := strings.CutPrefix(r.url.Path, operationsPath)
	if !ok {
		operation = r.header.Get(operationHeader)
	}
	left := max(time.Until(end)-f.cfg.Margin, time.Millisecond)
	asked := f.cfg.Deadline(operation)
	if text := r.header.Get(timeoutHeader); text != "" {
		own, err := parseTimeout(text)
		if err != nil {
			return // the handler refuses it
		}
		asked = own
	}
	if asked == 0 || asked > left {
		r.header.Set(timeoutHeader, fmt.Sprintf("%dms", left.Milliseconds()))
	}
}

const jobsPath = "/v1/jobs"

// AboutJobs says that a request is about durable jobs, or asks to be made as one (RFC 7240):
// it makes no call in its own time.
func AboutJobs(path string, h http.Header) bool {
	return path == jobsPath || strings.HasPrefix(path, jobsPath+"/") || form.Prefer(h["Prefer"]).Async
}

// parseTimeout reads milliseconds, or a number with a unit, as the gateway does.
func parseTimeout(text string) (time.Duration, error) {
	if strings.Trim(text, "0123456789") == "" {
		text += "ms"
	}
	return time.ParseDuration(text)
}

// most is the largest answer in one piece, in bytes.
func (r *request) most() int {
	if r.shape == LoadBalancer {
		return maxBalanced
	}
	return maxAnswer
}

// to is the request for a handler.
func (r *request) to(ctx context.Context) *http.Request {
	u := r.url
	in := &http.Request{
		Method: r.method, URL: &u, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: r.header, Host: r.host,
		Body: http.NoBody, ContentLength: int64(len(r.body)), RequestURI: u.RequestURI(), RemoteAddr: net.JoinHostPort(r.remote, "0"),
	}
	if len(r.body) > 0 {
		in.Body = readCloser{bytes.NewReader(r.body)}
	}
	// All these doors speak TLS with their callers; balancers say whether they did.
	if r.shape != LoadBalancer || r.header.Get("X-Forwarded-Proto") == "https" {
		in.TLS = &tls.ConnectionState{HandshakeComplete: true, ServerName: r.host}
	}
	return in.WithContext(ctx)
}

// readCloser is a body in memory.
type readCloser struct{ *bytes.Reader }

// Close implements io.Closer.
func (readCloser) Close() error { return nil }
