// Package roundtripper puts a forebay.Client in front of any SDK that takes an
// http.Client: cache, coalescing, limits, breaker, retries, budgets and fallbacks apply to its calls, and
// nothing of the program changes but the client's Transport.
//
// A Transport recognises chat completions and embeddings in OpenAI's format, and Bedrock
// Runtime's Converse, ConverseStream, InvokeModel and InvokeModelWithResponseStream, by
// method and path. What it does not recognise goes to the base transport untouched, and so does
// a body that is not well formed or larger than 10 MiB.
//
// The client decides where a recognised call goes. A target of intercept.Provider sends the
// original through the base transport, to its own address and with its own
// credentials; other targets may stand beside it. A call that is signed for AWS can only be
// sent as it was signed.
//
// Callers with different credentials, and calls to different hosts, never share an answer, unless Config.Tenant says
// that they may. Streams are streams; errors are HTTP answers in the form of the call's API.
// Set the SDK's own retries to none: one layer retries.
package roundtripper

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/integration/intercept"
	"github.com/forebay-ai/forebay/llm"
)

// maxBody is the largest body that is read, in bytes: that of package gateway.
const maxBody = 10 << 20

// Config says how calls are made. The zero value is ready.
type Config struct {
	// Base sends what goes to its own address. Nil means http.DefaultTransport.
	Base http.RoundTripper
	// Tenant says whose call it is: tenants share no answers, budgets or turns. It may be
	// called concurrently and must not read the body. Nil means one for each credential.
	Tenant func(*http.Request) string
	// Operation names the configured operation of a call. Nil means the default one.
	Operation func(*http.Request) string
	// Priority is the band of all calls.
	Priority llm.Priority
}

// Transport is an http.RoundTripper in front of a client. Make it with New; it may be used
// concurrently, and starts no goroutine.
type Transport struct {
	client *forebay.Client
	cfg    Config
}

// New makes a Transport. The client is the caller's to run and to close.
func New(client *forebay.Client, cfg Config) *Transport {
	if cfg.Base == nil {
		cfg.Base = http.DefaultTransport
	}
	if cfg.Tenant == nil {
		cfg.Tenant = credential
	}
	if cfg.Operation == nil {
		cfg.Operation = func(*http.Request) string { return "" }
	}
	return &Transport{client: client, cfg: cfg}
}

// RoundTrip implements http.RoundTripper. The error is of the base transport, or of a
// body that cannot be read; everything else is an answer.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if !intercept.Recognised(r) || r.ContentLength > maxBody {
		return t.cfg.Base.RoundTrip(r)
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		_ = r.Body.Close()
		return nil, err
	}
	req := &llm.Request{
		ID: id(), Tenant: t.cfg.Tenant(r), Operation: t.cfg.Operation(r), Priority: t.cfg.Priority,
		TraceParent: r.Header.Get("Traceparent"), CallerTrace: r.Header.Get("Traceparent"),
		Cache: llm.CacheDirectives{Namespace: place(r)},
	}
	if len(body) > maxBody || !intercept.Read(req, r, body) {
		whole := r.Clone(r.Context())
		whole.Body = rest{io.MultiReader(bytes.NewReader(body), r.Body), r.Body}
		return t.cfg.Base.RoundTrip(whole)
	}
	_ = r.Body.Close()
	answer := intercept.Do(r.Context(), t.client, intercept.Call{Request: req, Send: t.send(r, req.Model)})
	answer.Request = r
	return answer, nil
}

// place is where a call goes, without what names Bedrock's model and action: those are in
// the request itself. Deployments, versions and accounts stand in paths and queries.
func place(r *http.Request) string {
	path := r.URL.EscapedPath()
	if base, _, ok := strings.Cut(path, "/model/"); ok {
		path = base
	}
	return r.URL.Scheme + "://" + r.URL.Host + path + "?" + r.URL.RawQuery
}

// rest is a body whose beginning was read.
type rest struct {
	io.Reader
	io.Closer
}

// send sends r once more, with this body.
func (t *Transport) send(r *http.Request, asked string) intercept.Send {
	return func(ctx context.Context, model string, body []byte) (*http.Response, error) {
		out := r.Clone(ctx)
		if model != asked {
			var err error
			if body, err = otherModel(r, model, body); err != nil {
				return nil, err
			}
		}
		if strings.HasSuffix(r.URL.Path, "/chat/completions") || strings.HasSuffix(r.URL.Path, "/embeddings") {
			out.Header.Del("Accept-Encoding") // the base transport asks for what it undoes; AWS signs the header
		}
		out.Body, out.ContentLength, out.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
		out.Header.Set("Content-Length", strconv.Itoa(len(body)))
		out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
		return t.cfg.Base.RoundTrip(out)
	}
}

// otherModel is the body for another model than the one that was asked for.
func otherModel(r *http.Request, model string, body []byte) ([]byte, error) {
	if strings.Contains(r.URL.Path, "/model/") {
		return nil, &llm.Error{
			Kind: llm.ForebayUnavailable, Message: "the call is signed for its own model and cannot be sent to another one",
			Fix: "Leave the model of targets that send the original empty.",
		}
	}
	return openai.SetModel(body, model)
}

// credential stands for who is calling: a hash of what identifies him to the server. Of
// a signature for AWS it is the access key's id; everything else of it differs from call to call.
func credential(r *http.Request) string {
	h := sha256.New()
	for _, name := range []string{"Authorization", "Api-Key", "X-Api-Key", "Openai-Organization", "Openai-Project"} {
		value := r.Header.Get(name)
		if _, scope, signed := strings.Cut(value, "Credential="); signed && strings.HasPrefix(value, "AWS4-") {
			value, _, _ = strings.Cut(scope, "/")
		}
		h.Write(strconv.AppendInt(nil, int64(len(value)), 10))
		h.Write([]byte(":" + value))
	}
	for _, name := range slices.Sorted(maps.Keys(r.Header)) { // whatever else may say who calls
		lower := strings.ToLower(name)
		if name == "X-Amz-Security-Token" || name == "Idempotency-Key" || !slices.ContainsFunc([]string{"auth", "key", "token", "secret", "credential", "cookie"}, func(word string) bool { return strings.Contains(lower, word) }) || lower == "authorization" {
			continue
		}
		for _, value := range r.Header[name] {
			h.Write(strconv.AppendInt(nil, int64(len(name)+len(value)), 10))
			h.Write([]byte(":" + name + "=" + value))
		}
	}
	return "credential-" + hex.EncodeToString(h.Sum(nil)[:8])
}

// id is a request's id: unique, and no secret.
func id() string {
	var b [16]byte
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return "req_" + hex.EncodeToString(b[:])
}
