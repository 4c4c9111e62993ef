package dashboard

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/forebay-ai/forebay/access"
	"github.com/forebay-ai/forebay/llm"
)

// CSRFHeader is the header in which changes by a session carry its token.
const CSRFHeader = "X-Forebay-Csrf"

// The cookie's names. The prefix __Host- makes a browser take it over TLS only, from this
// host and for all of its paths. A port is added, because browsers keep one jar for all
// ports of a host.
const (
	cookieName   = "forebay-session"
	securePrefix = "__Host-"
)

// maxLogin bounds the body of a login in bytes.
const maxLogin = 4096

// login serves POST /ui/login.
func (h *Handler) login(w http.ResponseWriter, r *http.Request) error {
	if h.cfg.Authenticate == nil {
		return &llm.Error{Kind: llm.CallerNotFound, Message: "this gateway is open: nobody logs in", Fix: "Open the dashboard; configure keys to have sessions."}
	}
	secret, err := readKey(w, r)
	if err != nil {
		return err
	}
	address, now := h.address(r), time.Now()
	if wait, ok := h.guard.take(address, now); !ok {
		h.cfg.Logger.LogAttrs(r.Context(), slog.LevelWarn, "dashboard: too many failed logins", slog.String("address", address))
		return &llm.Error{
			Kind: llm.PolicyRateLimited, Message: "too many logins have failed", RetryAfter: wait, Fix: "Wait, then try again with the right key.",
		}
	}
	grant, err := h.cfg.Authenticate(r.Context(), secret)
	if err != nil {
		h.cfg.Logger.LogAttrs(r.Context(), slog.LevelWarn, "dashboard: login refused", slog.String("address", address))
		return refused(err)
	}
	h.guard.back(address)
	if c := h.cookie(r); c != "" {
		h.sessions.end(c) // a login gives a new id, always
	}
	http.SetCookie(w, h.newCookie(r, h.sessions.begin(grant, now), int(h.cfg.Lifetime.Seconds())))
	h.cfg.Logger.LogAttrs(r.Context(), slog.LevelInfo, "dashboard: login", slog.String("key", grant.Name), slog.String("address", address))
	return nil
}

// readKey takes the key out of {"key":"..."}.
func readKey(w http.ResponseWriter, r *http.Request) (string, error) {
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
		return "", &llm.Error{Kind: llm.CallerUnsupportedMedia, Message: "the body is not application/json", Fix: `Send {"key":"..."}.`}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxLogin))
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return "", &llm.Error{Kind: llm.CallerTooLarge, Message: "the body is too large", Fix: `Send {"key":"..."} and no more.`}
		}
		return "", &llm.Error{Kind: llm.CallerInvalidRequest, Message: "the body did not arrive", Err: err}
	}
	var in struct {
		Key string `json:"key"`
	}
	if err := json.Unmarshal(body, &in); err != nil || in.Key == "" {
		return "", &llm.Error{Kind: llm.CallerInvalidRequest, Message: "the body has no key", Param: "key", Fix: `Send {"key":"..."}.`}
	}
	return in.Key, nil
}

// refused is the answer to a login that failed. A key that is wrong and one that has
// expired look the same from outside.
func refused(err error) error {
	if e := llm.AsError(err); e.Kind != llm.CallerUnauthenticated {
		return e
	}
	return &llm.Error{
		Kind: llm.CallerUnauthenticated, Message: "this is no key of this gateway, or it has expired", Err: err,
		Fix: "Check that all of it was pasted, and that the gateway's configuration has it.",
	}
}

// logout serves POST /ui/logout. A session that is over already needs no token.
func (h *Handler) logout(w http.ResponseWriter, r *http.Request) error {
	id := h.cookie(r)
	if s, ok := h.sessions.find(id, time.Now()); ok {
		if err := tokenFits(r, s.csrf); err != nil {
			return err
		}
		h.sessions.end(id)
		h.cfg.Logger.LogAttrs(r.Context(), slog.LevelInfo, "dashboard: logout", slog.String("key", s.grant.Name))
	}
	http.SetCookie(w, h.newCookie(r, "", -1))
	return nil
}

// Session returns the grant of the request's session and the token that its changes have
// to carry. ok is false where there is no session, where it is over, and for a change that
// Authorize refuses.
func (h *Handler) Session(r *http.Request) (grant *access.Grant, csrf string, ok bool) {
	grant, s, err := h.authorize(r)
	return grant, s.csrf, err == nil && grant != nil
}

// Authorize returns the grant of the request's session, on which the request may be
// carried out as far as the grant's scopes go. Both results are nil where the request has
// no cookie of a session. The error is an *llm.Error: CallerUnauthenticated where the
// session is over; CallerForbidden for a change (every method but GET and HEAD) that has
// not the session's token in the header x-forebay-csrf, that comes from another origin,
// or where Config.ReadOnly is set.
func (h *Handler) Authorize(r *http.Request) (*access.Grant, error) {
	grant, _, err := h.authorize(r)
	return grant, err
}

func (h *Handler) authorize(r *http.Request) (*access.Grant, session, error) {
	id := h.cookie(r)
	if id == "" || h.cfg.Authenticate == nil {
		return nil, session{}, nil
	}
	s, ok := h.sessions.find(id, time.Now())
	if !ok {
		return nil, s, errOver
	}
	grant := s.grant
	if h.cfg.Grant != nil {
		if grant, ok = h.cfg.Grant(s.grant.Name); !ok || grant == nil {
			h.sessions.end(id)
			return nil, s, errOver
		}
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return grant, s, nil
	}
	if err := h.sameOrigin(r); err != nil {
		return nil, s, err
	}
	if err := tokenFits(r, s.csrf); err != nil {
		return nil, s, err
	}
	if h.cfg.ReadOnly {
		return nil, s, &llm.Error{
			Kind: llm.CallerForbidden, Message: "the dashboard changes nothing here", Limit: "dashboard.read_only", Value: "true",
			Fix: "Use the command line or the API with a key.",
		}
	}
	return grant, s, nil
}

var errOver = &llm.Error{Kind: llm.CallerUnauthenticated, Message: "the session is over", Fix: "Log in again."}

// tokenFits refuses a change that does not carry the session's token.
func tokenFits(r *http.Request, csrf string) error {
	if subtle.ConstantTimeCompare([]byte(r.Header.Get(CSRFHeader)), []byte(csrf)) == 1 {
		return nil
	}
	return &llm.Error{
		Kind: llm.CallerForbidden, Message: "the header x-forebay-csrf does not have the session's token",
		Fix: "Reload the page. Programs send a key instead of a cookie.",
	}
}

// cookie is the id of the request's session; empty for none.
func (h *Handler) cookie(r *http.Request) string {
	c, err := r.Cookie(h.cookieName(r))
	if err != nil {
		return ""
	}
	return c.Value
}

func (h *Handler) cookieName(r *http.Request) string {
	name := cookieName
	if _, port, err := net.SplitHostPort(r.Host); err == nil && port != "" {
		name += "-" + strings.Map(digit, port)
	}
	if h.secure(r) {
		name = securePrefix + name
	}
	return name
}

// digit drops what is no digit: a Host header may say anything.
func digit(c rune) rune {
	if c < '0' || c > '9' {
		return -1
	}
	return c
}

// newCookie carries an id for maxAge seconds; -1 removes it.
func (h *Handler) newCookie(r *http.Request, id string, maxAge int) *http.Cookie {
	return &http.Cookie{
		Name: h.cookieName(r), Value: id, Path: "/", MaxAge: maxAge,
		HttpOnly: true, Secure: h.secure(r), SameSite: http.SameSiteStrictMode,
	}
}

// secure says whether the browser's connection has TLS, as far as is known here.
func (h *Handler) secure(r *http.Request) bool {
	return r.TLS != nil || h.fromProxy(r) && strings.EqualFold(last(r.Header.Values("X-Forwarded-Proto")), "https")
}

// fromProxy says whether the request comes from a proxy whose word counts.
func (h *Handler) fromProxy(r *http.Request) bool {
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	for _, p := range h.cfg.TrustedProxies {
		if p.Contains(a.Addr().Unmap()) {
			return true
		}
	}
	return false
}

// address is who tries to log in. Of IPv6 it is the /64, which is what one household has.
func (h *Handler) address(r *http.Request) string {
	text := r.RemoteAddr
	if host, _, err := net.SplitHostPort(text); err == nil {
		text = host
	}
	if h.fromProxy(r) {
		// The last one is what the proxy itself has seen; those before it anybody may have written.
		if forwarded := last(r.Header.Values("X-Forwarded-For")); forwarded != "" {
			text = forwarded
		}
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		return "unknown"
	}
	a = a.Unmap().WithZone("")
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.String()
		}
	}
	return a.String()
}

// last is the last element of a list header.
func last(values []string) string {
	all := strings.Join(values, ",")
	return strings.TrimSpace(all[strings.LastIndexByte(all, ',')+1:])
}
