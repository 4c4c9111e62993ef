package dashboard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/forebay-ai/forebay/access"
	"github.com/forebay-ai/forebay/llm"
)

// Config is what a Handler is made of. The zero value serves the page for an open gateway,
// which has no keys and therefore no sessions.
type Config struct {
	// Authenticate finds the grant of a key's secret; its error is an *llm.Error. It is
	// called concurrently. Nil means that the gateway is open: nobody logs in.
	Authenticate func(ctx context.Context, secret string) (*access.Grant, error)
	// Grant finds the grant of the key of this name, as long as the key may be used. It is
	// asked at every use of a session, concurrently, so a key that has expired or is gone
	// ends its sessions. Nil means that a session keeps the grant of its
	// login to its end.
	Grant func(name string) (*access.Grant, bool)
	// ReadOnly refuses every change through a session, whatever its key may do. Keys that
	// are sent as such are not concerned.
	ReadOnly bool
	// TrustedProxies are those whose X-Forwarded-Proto and X-Forwarded-For are believed.
	// None means that nobody's are.
	TrustedProxies []netip.Prefix
	// Lifetime is how long a session lasts at most, Idle how long without being used.
	// Zero means 12 h and 1 h.
	Lifetime, Idle time.Duration
	// MaxSessions bounds sessions; beyond it the one that was not used for longest ends.
	// Zero means 1,000. A single key has a tenth of them at most, and at least one.
	MaxSessions int
	// Logger is told of logins and of what was refused. Nil means silence.
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.Lifetime == 0 {
		c.Lifetime = 12 * time.Hour
	}
	if c.Idle == 0 {
		c.Idle = time.Hour
	}
	if c.MaxSessions == 0 {
		c.MaxSessions = 1000
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func (c Config) check() error {
	var faults []error
	if c.Lifetime < 0 {
		faults = append(faults, fmt.Errorf("dashboard: Lifetime is %s: it is 0 for 12 h, or more", c.Lifetime))
	}
	if c.Idle < 0 {
		faults = append(faults, fmt.Errorf("dashboard: Idle is %s: it is 0 for 1 h, or more", c.Idle))
	}
	if c.MaxSessions < 0 {
		faults = append(faults, fmt.Errorf("dashboard: MaxSessions is %d: it is 0 for 1,000, or more", c.MaxSessions))
	}
	for _, p := range c.TrustedProxies {
		if !p.IsValid() {
			faults = append(faults, errors.New("dashboard: TrustedProxies has an invalid prefix"))
		}
	}
	return errors.Join(faults...)
}

// Handler serves /ui and what is below it. Make it with New. It may be used concurrently
// and starts no goroutine.
type Handler struct {
	cfg      Config
	assets   map[string]*asset // by their names below /ui/
	sessions *sessions
	guard    *guard
	origin   *http.CrossOriginProtection
}

// New checks cfg and makes a Handler. The error lists every fault.
func New(cfg Config) (*Handler, error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	assets, err := readAssets()
	if err != nil {
		return nil, err
	}
	return &Handler{
		cfg: cfg, assets: assets, guard: newGuard(), origin: http.NewCrossOriginProtection(),
		sessions: newSessions(cfg.Lifetime, cfg.Idle, cfg.MaxSessions),
	}, nil
}

// policy is the page's Content Security Policy. Nothing inline and no other host; styles
// that scripts set through the CSSOM are not concerned by it.
const policy = "default-src 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'; form-action 'self'"

// ServeHTTP answers requests for /ui and below. A handler in front may have stripped a
// prefix from the path.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	head := w.Header()
	head.Set("Content-Security-Policy", policy)
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Referrer-Policy", "no-referrer")
	head.Set("X-Frame-Options", "DENY") // for browsers that do not know frame-ancestors
	head.Set("Cross-Origin-Opener-Policy", "same-origin")
	head.Set("Cross-Origin-Resource-Policy", "same-origin")
	head.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
	switch path := r.URL.Path; path {
	case "/ui":
		// Relative, since nobody here knows what stands in front of /ui.
		head.Set("Location", "ui/")
		w.WriteHeader(http.StatusPermanentRedirect)
	case "/ui/session":
		h.session(w, r)
	case "/ui/login":
		h.answer(w, r, h.login)
	case "/ui/logout":
		h.answer(w, r, h.logout)
	default:
		name, ok := strings.CutPrefix(path, "/ui/")
		if a := h.assets[name]; ok && a != nil {
			a.serve(w, r)
			return
		}
		h.fail(w, &llm.Error{Kind: llm.CallerNotFound, Message: "nothing is served here", Fix: "The dashboard is at /ui/."})
	}
}

// session says whether the page has to ask for a key: it would rather know than be refused,
// which browsers write down as an error.
func (h *Handler) session(w http.ResponseWriter, r *http.Request) {
	head := w.Header()
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		head.Set("Allow", "GET, HEAD")
		h.fail(w, &llm.Error{Kind: llm.CallerMethodNotAllowed, Message: "this is for GET alone", Fix: "Use GET."})
		return
	}
	_, _, ok := h.Session(r)
	head.Set("Content-Type", "application/json")
	head.Set("Cache-Control", "no-store")
	_, _ = fmt.Fprintf(w, `{"login":%t}`, h.cfg.Authenticate != nil && !ok) // as in fail
}

// answer runs one of the two routes that change something.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request, handle func(http.ResponseWriter, *http.Request) error) {
	w.Header().Set("Cache-Control", "no-store")
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		h.fail(w, &llm.Error{Kind: llm.CallerMethodNotAllowed, Message: "this is for POST alone", Fix: "Use POST."})
		return
	}
	if err := h.sameOrigin(r); err != nil {
		h.fail(w, err)
		return
	}
	if err := handle(w, r); err != nil {
		h.fail(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// sameOrigin refuses what another site's page has sent.
func (h *Handler) sameOrigin(r *http.Request) error {
	if err := h.origin.Check(r); err != nil {
		return &llm.Error{
			Kind: llm.CallerForbidden, Message: "the request comes from another origin", Err: err,
			Fix: "Use the dashboard at the address that it was opened at.",
		}
	}
	return nil
}

// problem is an error in the form of RFC 9457, as the gateway writes it.
type problem struct {
	Success      bool     `json:"success"`
	Type         string   `json:"type"`
	Status       int      `json:"status"`
	Title        string   `json:"title"`
	Detail       string   `json:"detail"`
	ErrorType    llm.Kind `json:"error_type"`
	Limit        string   `json:"limit,omitempty"`
	Value        string   `json:"value,omitempty"`
	Fix          string   `json:"fix,omitempty"`
	RetryAfterMS int64    `json:"retry_after_ms,omitempty"`
}

// fail answers with err.
func (h *Handler) fail(w http.ResponseWriter, err error) {
	e := llm.AsError(err)
	status := e.HTTPStatus()
	body, encodeErr := json.Marshal(problem{
		Type: "urn:forebay:error:" + string(e.Kind), Status: status, Title: http.StatusText(status), Detail: e.Text(), ErrorType: e.Kind,
		Limit: e.Limit, Value: e.Value, Fix: e.Fix, RetryAfterMS: e.RetryAfter.Milliseconds(),
	})
	if encodeErr != nil {
		body = nil // cannot be: it is strings and numbers
	}
	head := w.Header()
	head.Set("Content-Type", "application/problem+json")
	head.Set("Cache-Control", "no-store")
	if e.RetryAfter > 0 {
		head.Set("Retry-After", strconv.FormatInt(int64((e.RetryAfter+time.Second-1)/time.Second), 10))
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may be gone; nobody is left to tell
}
