package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/access"
	"github.com/forebay-ai/forebay/access/sigv4"
	"github.com/forebay-ai/forebay/gateway/form"
	"github.com/forebay-ai/forebay/gateway/wire"
	"github.com/forebay-ai/forebay/llm"
)

// Gateway serves a forebay.Client over HTTP. Make it with New; it never changes
// and may be used concurrently. It starts no goroutine.
type Gateway struct {
	cfg       Config
	caller    caller
	catalog   catalog
	condition condition
	operated  operated
	cache     forebay.CacheControl
	submitter submitter
	jobs      durable      // nil where there are no durable jobs
	metrics   http.Handler // nil where there are none
	ring      *access.Ring // nil where the gateway is open
	replays   *sigv4.Replays
	anyone    *access.Grant // of every caller where the gateway is open; else nil
	table     *table
	log       *slog.Logger

	detachAfter time.Duration // how old a stream is when it is detached
}

// New checks cfg and makes a Gateway. It reports every fault at once and starts
// nothing.
func New(cfg Config) (*Gateway, error) {
	g, err := build(cfg)
	if cfg.Client == nil {
		err = errors.Join(errors.New("gateway: Client is missing"), err)
	}
	if err != nil {
		return nil, err
	}
	g.caller, g.catalog, g.condition = library{cfg.Client}, cfg.Client, cfg.Client
	g.submitter, g.operated = library{cfg.Client}, cfg.Client
	if queue := cfg.Client.Jobs(); queue != nil { // a nil *jobs.Queue would be a durable that is not nil
		g.jobs = queue
	}
	g.cache = cfg.Client.Cache()
	g.metrics = cfg.Client.Monitor().Handler()
	return g, nil
}

// build makes a Gateway that has no client yet.
func build(cfg Config) (*Gateway, error) {
	cfg = cfg.withDefaults()
	g := &Gateway{cfg: cfg, table: newTable(append(routes(), endpointRoutes(cfg.Endpoints)...)), log: cfg.Logger, detachAfter: detachAfter}
	ring, err := access.NewRing(cfg.Keys)
	if err = errors.Join(cfg.validate(), err); err != nil {
		return nil, err
	}
	if cfg.Open {
		g.anyone = access.Anonymous()
	} else {
		g.ring = ring
	}
	g.cfg.Keys = nil // the secrets are not kept here
	g.replays = sigv4.NewReplays(cfg.RepeatedSignatures, 0)
	return g, nil
}

// ServeHTTP answers one request. After a stream that failed it panics with
// http.ErrAbortHandler, which makes net/http break the connection.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w, done := wire.Guard(w, r, g.cfg.WriteTimeout)
	defer done()
	x := &visit{gateway: g, w: w, r: r, start: time.Now(), style: openAI}
	if r.ProtoMajor == 1 {
		x.conn = wire.Of(r.Context())
	}
	defer x.leave()
	defer x.closeRest()
	x.identify()
	if len(r.TransferEncoding) > 0 {
		// net/http takes a body with both a length and a transfer coding for chunked,
		// as RFC 9112 allows, and hides that there were both. A proxy in front may
		// have seen it otherwise, so nothing that follows on this connection is
		// taken for a request (RFC 9112, section 6.1).
		x.set("Connection", "close")
	}
	if r.ContentLength != 0 {
		// Also where the body is not read: net/http reads the rest of it to keep the
		// connection, and has no bound in time for that.
		x.readUntil(x.start.Add(g.cfg.BodyTimeout))
	}
	err := g.serve(x)
	if err == nil && x.more {
		err = x.relay()
	}
	if x.detached {
		return
	}
	if err != nil {
		x.fail(err)
		x.linger()
	}
}

// closeRest ends a stream that was passed on, whether it was read to its end or not.
func (x *visit) closeRest() {
	if x.rest != nil && !x.detached {
		_ = x.rest.Close()
	}
}

// leave ends a visit; it is deferred. A connection whose answer was cut has to break.
func (x *visit) leave() {
	p := recover()
	if x.detached {
		return // it is another goroutine's now
	}
	x.windUp(p)
	if x.cut || p == http.ErrAbortHandler {
		panic(http.ErrAbortHandler)
	}
}

// windUp records a visit, which ended with the panic p or without one.
func (x *visit) windUp(p any) {
	x.panicked(p)
	x.record()
	if x.release != nil {
		x.release()
		x.ended()
	}
}

// serve finds the route, checks that the caller may use it, and lets it answer.
func (g *Gateway) serve(x *visit) error {
	if err := g.table.find(x); err != nil {
		return err
	}
	x.style = x.route.style
	if err := g.authorize(x); err != nil {
		return err
	}
	return x.route.handle(g, x)
}

// authorize sets the visit's grant, or refuses the caller.
func (g *Gateway) authorize(x *visit) error {
	scope := x.route.Scope
	if scope == scopePublic || x.route.Pattern == pathMetrics && g.cfg.PublicMetrics {
		return nil
	}
	if g.anyone != nil {
		x.grant = g.anyone
		if err := refuseForeignPage(x.r, scope != access.Call); err != nil {
			return err
		}
	} else {
		found, err := g.find(x, x.start)
		if err != nil {
			return err
		}
		x.grant = found
	}
	if scope == ScopeAny {
		return nil
	}
	return x.require(scope)
}

// find is the grant of the key that the request has, or of its session.
func (g *Gateway) find(x *visit, now time.Time) (*access.Grant, error) {
	if x.style == aws {
		return g.findAWS(x, now)
	}
	if g.cfg.Session != nil && !access.HasKey(x.r.Header) {
		if grant, err := g.cfg.Session(x.r); grant != nil || err != nil {
			return grant, err
		}
	}
	grant, err := g.ring.Find(x.r.Header, now)
	if err != nil {
		return nil, err
	}
	return grant, nil
}

// require refuses a caller whose key does not have scope.
func (x *visit) require(scope string) error {
	if x.grant.Allows(scope) {
		return nil
	}
	return &llm.Error{
		Kind: llm.CallerForbidden, Message: fmt.Sprintf("the key %q does not grant the scope %s", x.grant.Name, scope),
		Limit: "keys." + x.grant.Name + ".scopes", Value: fmt.Sprint(x.grant.Scopes),
		Fix: "Use a key that has the scope " + scope + ".",
	}
}

// record writes the request's line to the log: who, what and how long, never what
// was said.
func (x *visit) record() {
	level := slog.LevelDebug
	if x.gateway.cfg.LogRequests {
		level = slog.LevelInfo
	}
	ctx := context.Background()
	if !x.gateway.log.Enabled(ctx, level) {
		return
	}
	pattern, tenant, key := "", "", ""
	if x.route != nil {
		pattern = x.route.Pattern
	}
	if x.grant != nil {
		tenant, key = x.grant.Tenant, x.grant.Name
	}
	x.gateway.log.LogAttrs(ctx, level, "request",
		slog.String("request_id", x.id), slog.String("method", form.Printable(x.r.Method, 32)), slog.String("route", pattern),
		slog.Int("status", x.status), slog.Duration("duration", time.Since(x.start)), slog.Int64("bytes", x.bytes),
		slog.Bool("cut", x.cut), slog.String("tenant", tenant), slog.String("key", key),
		slog.String("operation", x.meta.Operation), slog.String("error_type", string(x.kind)))
}

// Server returns an http.Server for the gateway with its bounds in time and size
// set. Serve it on a listener of Listen or WrapListener. It speaks HTTP/1.1, and HTTP/2
// with clients that begin with it (prior knowledge): the AWS SDK for JavaScript does, for
// Bedrock. Who gives it another handler has that one bounded by Bounded.
func (g *Gateway) Server() *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:                      g,
		ReadHeaderTimeout:            g.cfg.HeaderTimeout,
		IdleTimeout:                  g.cfg.IdleTimeout,
		MaxHeaderBytes:               g.cfg.MaxHeader,
		DisableGeneralOptionsHandler: true, // OPTIONS * gets the table's answer too
		Protocols:                    protocols,
		HTTP2:                        &http.HTTP2Config{MaxConcurrentStreams: maxStreams, SendPingTimeout: pingAfter, PingTimeout: pingAfter},
		ConnContext:                  wire.Context,
		ErrorLog:                     slog.NewLogLogger(g.log.Handler(), slog.LevelDebug),
	}
}

// The bounds of an HTTP/2 connection beside those that Config has. 250 streams are what
// net/http's clients open at most by default; a client with more calls at once opens
// another connection. 15 s of silence, and 15 s more without an answer to a ping, are
// what takes a dead peer for dead.
const (
	maxStreams = 250
	pingAfter  = 15 * time.Second
)

// Bounded is h with the gateway's bound in time on each write to a client, for handlers
// beside the gateway on a Server of its.
func (g *Gateway) Bounded(h http.Handler) http.Handler { return wire.Streams(h, g.cfg.WriteTimeout) }

// Listen opens a TCP listener for Server. It refuses an address that is not
// loopback where the gateway is open.
func (g *Gateway) Listen(addr string) (*wire.Listener, error) {
	resolved, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("gateway: listen on %s: %w", addr, err)
	}
	if g.anyone != nil && !resolved.IP.IsLoopback() {
		return nil, fmt.Errorf("gateway: without keys it listens on loopback only, not on %q: "+
			"configure keys, or listen on 127.0.0.1:%d", addr, resolved.Port)
	}
	l, err := net.ListenTCP("tcp", resolved)
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	return g.WrapListener(l), nil
}
