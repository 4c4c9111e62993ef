package dashboard_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay/dashboard"
	"github.com/forebay-ai/forebay/llm"
)

func TestLogin(t *testing.T) {
	h := newHandler(t, nil)
	for _, test := range []struct {
		name, key string
		change    func(*http.Request)
		want      int
	}{
		{"the key", secret, nil, http.StatusNoContent},
		{"a wrong key", "wrong-wrong-wrong", nil, http.StatusUnauthorized},
		{"no key", "", nil, http.StatusBadRequest},
		{"a form of another site", secret, func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, http.StatusUnsupportedMediaType},
		{"another site", secret, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }, http.StatusForbidden},
		{"another origin", secret, func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }, http.StatusForbidden},
		{"the same origin", secret, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-origin") }, http.StatusNoContent},
		{"too much", strings.Repeat("x", 5000), nil, http.StatusRequestEntityTooLarge},
	} {
		answer := login(h, test.key, "192.0.2.1:1", test.change)
		if answer.StatusCode != test.want || (len(answer.Cookies()) == 1) != (test.want == http.StatusNoContent) {
			t.Errorf("%s: %s with %d cookies", test.name, answer.Status, len(answer.Cookies()))
		}
		if answer.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: the answer may be kept", test.name)
		}
	}
	if answer := get(h, "/ui/login", nil); answer.StatusCode != http.StatusMethodNotAllowed || answer.Header.Get("Allow") != http.MethodPost {
		t.Errorf("GET: %s", answer.Status)
	}
	open := newHandler(t, func(c *dashboard.Config) { c.Authenticate = nil })
	if answer := login(open, secret, "192.0.2.1:1", nil); answer.StatusCode != http.StatusNotFound {
		t.Errorf("an open gateway: %s", answer.Status)
	}
}

func TestCookie(t *testing.T) {
	h := newHandler(t, func(c *dashboard.Config) { c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} })
	for _, test := range []struct {
		name, address, proto, host string
		tls                        bool
		want                       string
		secure                     bool
	}{
		{"plain", "192.0.2.1:1", "", "gateway.example", false, "forebay-session", false},
		{"a port of its own", "192.0.2.1:1", "", "gateway.example:8080", false, "forebay-session-8080", false},
		{"a port that is none", "192.0.2.1:1", "", "gateway.example:8;x=1", false, "forebay-session-81", false},
		{"TLS", "192.0.2.1:1", "", "gateway.example", true, "__Host-forebay-session", true},
		{"TLS at a proxy", "10.1.2.3:1", "https", "gateway.example", false, "__Host-forebay-session", true},
		{"anybody's word", "192.0.2.1:1", "https", "gateway.example", false, "forebay-session", false},
		{"the last proxy counts", "10.1.2.3:1", "https, http", "gateway.example", false, "forebay-session", false},
	} {
		answer := login(h, secret, test.address, func(r *http.Request) {
			r.Host = test.host
			if test.proto != "" {
				r.Header.Set("X-Forwarded-Proto", test.proto)
			}
			if test.tls {
				r.TLS = &tls.ConnectionState{}
			}
		})
		if len(answer.Cookies()) != 1 {
			t.Errorf("%s: %s", test.name, answer.Status)
			continue
		}
		c := answer.Cookies()[0]
		if c.Name != test.want || c.Secure != test.secure || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Domain != "" || c.MaxAge != 12*3600 || len(c.Value) != 43 {
			t.Errorf("%s: %s", test.name, c)
		}
	}
}

func TestAuthorize(t *testing.T) {
	h := newHandler(t, nil)
	cookie, csrf := session(t, h)
	other := &http.Cookie{Name: cookie.Name, Value: strings.Repeat("A", 43)}
	for _, test := range []struct {
		name    string
		request *http.Request
		site    string
		grant   bool
		kind    llm.Kind
	}{
		{"reading", request(http.MethodGet, cookie, ""), "", true, ""},
		{"reading from another site's page, which no browser sends the cookie to", request(http.MethodGet, nil, ""), "cross-site", false, ""},
		{"no cookie", request(http.MethodPost, nil, csrf), "", false, ""},
		{"a cookie of nobody", request(http.MethodGet, other, ""), "", false, llm.CallerUnauthenticated},
		{"a change with the token", request(http.MethodPost, cookie, csrf), "same-origin", true, ""},
		{"a deletion with the token", request(http.MethodDelete, cookie, csrf), "", true, ""},
		{"a change without", request(http.MethodPost, cookie, ""), "same-origin", false, llm.CallerForbidden},
		{"a change with another token", request(http.MethodPost, cookie, csrf[1:]+"A"), "same-origin", false, llm.CallerForbidden},
		{"a change from another site", request(http.MethodPost, cookie, csrf), "cross-site", false, llm.CallerForbidden},
		{"a change from a sister site", request(http.MethodPost, cookie, csrf), "same-site", false, llm.CallerForbidden},
	} {
		if test.site != "" {
			test.request.Header.Set("Sec-Fetch-Site", test.site)
		}
		grant, err := h.Authorize(test.request)
		if (grant != nil) != test.grant || llm.KindOf(err) != test.kind {
			t.Errorf("%s: grant %v, %v", test.name, grant, err)
		}
		if _, _, ok := h.Session(test.request); ok != test.grant {
			t.Errorf("%s: Session says %t", test.name, ok)
		}
	}
}

func TestReadOnly(t *testing.T) {
	h := newHandler(t, func(c *dashboard.Config) { c.ReadOnly = true })
	cookie, csrf := session(t, h)
	if _, err := h.Authorize(request(http.MethodGet, cookie, "")); err != nil {
		t.Errorf("reading: %v", err)
	}
	_, err := h.Authorize(request(http.MethodPost, cookie, csrf))
	if e := llm.AsError(err); err == nil || e.Kind != llm.CallerForbidden || e.Limit != "dashboard.read_only" {
		t.Errorf("a change: %v", err)
	}
	if answer := logout(h, cookie, csrf); answer.StatusCode != http.StatusNoContent {
		t.Errorf("logout: %s", answer.Status)
	}
}

func logout(h http.Handler, cookie *http.Cookie, csrf string) *http.Response {
	r := httptest.NewRequest(http.MethodPost, "/ui/logout", nil)
	r.AddCookie(cookie)
	r.Header.Set(dashboard.CSRFHeader, csrf)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func TestLogout(t *testing.T) {
	h := newHandler(t, nil)
	cookie, csrf := session(t, h)
	if answer := logout(h, cookie, "wrong"); answer.StatusCode != http.StatusForbidden {
		t.Errorf("without the token: %s", answer.Status)
	}
	answer := logout(h, cookie, csrf)
	if answer.StatusCode != http.StatusNoContent || len(answer.Cookies()) != 1 || answer.Cookies()[0].MaxAge != -1 {
		t.Errorf("%s, %v", answer.Status, answer.Cookies())
	}
	if _, err := h.Authorize(request(http.MethodGet, cookie, "")); llm.KindOf(err) != llm.CallerUnauthenticated {
		t.Errorf("the session goes on: %v", err)
	}
	if answer := logout(h, cookie, ""); answer.StatusCode != http.StatusNoContent {
		t.Errorf("twice: %s", answer.Status)
	}
}

func TestLoginGivesANewID(t *testing.T) {
	h := newHandler(t, nil)
	old, _ := session(t, h)
	answer := login(h, secret, "192.0.2.1:1", func(r *http.Request) { r.AddCookie(old) })
	if c := answer.Cookies()[0]; c.Value == old.Value {
		t.Error("the id of before")
	}
	if _, err := h.Authorize(request(http.MethodGet, old, "")); llm.KindOf(err) != llm.CallerUnauthenticated {
		t.Errorf("the session of before goes on: %v", err)
	}
}

func TestSessionRoute(t *testing.T) {
	h := newHandler(t, nil)
	cookie, _ := session(t, h)
	open := newHandler(t, func(c *dashboard.Config) { c.Authenticate = nil })
	for _, test := range []struct {
		name   string
		h      http.Handler
		cookie *http.Cookie
		want   string
	}{
		{"logged in", h, cookie, `{"login":false}`}, {"not logged in", h, nil, `{"login":true}`}, {"open", open, nil, `{"login":false}`},
	} {
		answer := get(test.h, "/ui/session", func(r *http.Request) {
			if test.cookie != nil {
				r.AddCookie(test.cookie)
			}
		})
		if body, _ := io.ReadAll(answer.Body); string(body) != test.want {
			t.Errorf("%s: %s", test.name, body)
		}
	}
}

func TestSessionsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHandler(t, nil)
		alive := func(c *http.Cookie) bool {
			_, err := h.Authorize(request(http.MethodGet, c, ""))
			return err == nil
		}
		idle, _ := session(t, h)
		time.Sleep(time.Hour - 1)
		if !alive(idle) {
			t.Error("it ended before the hour was over")
		}
		time.Sleep(time.Hour)
		if alive(idle) {
			t.Error("it goes on after an hour without use")
		}
		used, _ := session(t, h)
		for range 12 * 4 {
			if !alive(used) {
				t.Fatal("it ended though it was used")
			}
			time.Sleep(15 * time.Minute)
		}
		if alive(used) {
			t.Error("it goes on after 12 hours")
		}
	})
}

func TestKeyThatEnds(t *testing.T) {
	k := &keys{}
	h := newHandler(t, func(c *dashboard.Config) { c.Grant = k.grant })
	cookie, _ := session(t, h)
	k.mu.Lock()
	k.ended = true
	k.mu.Unlock()
	if _, err := h.Authorize(request(http.MethodGet, cookie, "")); llm.KindOf(err) != llm.CallerUnauthenticated {
		t.Errorf("the session of a key that has ended: %v", err)
	}
	k.mu.Lock()
	k.ended = false
	k.mu.Unlock()
	if _, err := h.Authorize(request(http.MethodGet, cookie, "")); err == nil {
		t.Error("the session came back with the key")
	}
}

func TestSessionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHandler(t, func(c *dashboard.Config) { c.MaxSessions = 20 })
		alive := func(c *http.Cookie) bool {
			_, err := h.Authorize(request(http.MethodGet, c, ""))
			return err == nil
		}
		begin := func(key string) *http.Cookie {
			time.Sleep(time.Second)
			return login(h, key, "192.0.2.1:1", nil).Cookies()[0]
		}
		// A key has a tenth: the third session ends the one that was not used for longest.
		a, b := begin(secret), begin(secret)
		time.Sleep(time.Second)
		alive(a)
		c := begin(secret)
		if !alive(a) || alive(b) || !alive(c) {
			t.Errorf("of one key: %t %t %t", alive(a), alive(b), alive(c))
		}
		for i := range 18 {
			begin(fmt.Sprintf("%s-%d", secret, i))
		}
		if !alive(a) || !alive(c) {
			t.Error("ended though there was room")
		}
		begin(secret + "-one-more")
		if alive(begin(secret+"-x")) != true || !alive(a) || !alive(c) {
			t.Error("those that were used last have ended")
		}
	})
}

func TestTriesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHandler(t, nil)
		wrong := func(address string) int { return login(h, "wrong-wrong-wrong", address, nil).StatusCode }
		for i := range 10 {
			if got := wrong("192.0.2.1:1"); got != http.StatusUnauthorized {
				t.Fatalf("try %d: %d", i+1, got)
			}
		}
		answer := login(h, secret, "192.0.2.1:9", nil)
		if answer.StatusCode != http.StatusTooManyRequests || answer.Header.Get("Retry-After") != "6" {
			t.Errorf("the right key after ten wrong ones: %s, Retry-After %s", answer.Status, answer.Header.Get("Retry-After"))
		}
		if got := wrong("192.0.2.2:1"); got != http.StatusUnauthorized {
			t.Errorf("another address: %d", got)
		}
		time.Sleep(6 * time.Second)
		if got := login(h, secret, "192.0.2.1:1", nil).StatusCode; got != http.StatusNoContent {
			t.Errorf("after the wait: %d", got)
		}
		for i := range 50 { // logins that succeed cost nothing
			if got := login(h, secret, "192.0.2.7:1", nil).StatusCode; got != http.StatusNoContent {
				t.Fatalf("login %d: %d", i+1, got)
			}
		}
		many := 0
		for i := range 1000 {
			if wrong(fmt.Sprintf("198.51.%d.%d:1", i/250, i%250)) == http.StatusUnauthorized {
				many++
			}
		}
		if many > 200 {
			t.Errorf("%d tries of many addresses at once", many)
		}
	})
}

func TestAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHandler(t, func(c *dashboard.Config) { c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} })
		exhaust := func(address, forwarded string) (n int) {
			for n = range 50 {
				if login(h, "wrong-wrong-wrong", address, func(r *http.Request) { r.Header.Set("X-Forwarded-For", forwarded) }).StatusCode != http.StatusUnauthorized {
					break
				}
			}
			return n
		}
		if n := exhaust("[2001:db8::1]:1", ""); n != 10 {
			t.Errorf("%d tries", n)
		}
		if n := exhaust("[2001:db8::2]:1", ""); n != 0 {
			t.Errorf("%d more tries from the same /64", n)
		}
		if n := exhaust("10.0.0.1:1", "6.6.6.6, 203.0.113.5"); n != 10 {
			t.Errorf("%d tries behind the proxy", n)
		}
		if n := exhaust("10.0.0.1:1", "7.7.7.7, 203.0.113.5"); n != 0 {
			t.Errorf("%d more tries by an address that was made up", n)
		}
		if n := exhaust("192.0.2.9:1", "1.2.3.4"); n != 10 {
			t.Errorf("%d tries", n)
		}
		if n := exhaust("192.0.2.9:1", "1.2.3.5"); n != 0 {
			t.Errorf("%d more tries by a header of nobody that is trusted", n)
		}
	})
}

func TestSecretsAreNotLogged(t *testing.T) {
	var log strings.Builder
	h := newHandler(t, func(c *dashboard.Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	cookie, csrf := session(t, h)
	login(h, "wrong-wrong-wrong", "192.0.2.1:1", nil)
	logout(h, cookie, csrf)
	for _, s := range []string{secret, "wrong-wrong-wrong", cookie.Value, csrf} {
		if strings.Contains(log.String(), s) {
			t.Errorf("the log has %q", s)
		}
	}
	if !strings.Contains(log.String(), "operator") {
		t.Error("the log does not say who logged in")
	}
}

func TestConfigFaults(t *testing.T) {
	_, err := dashboard.New(dashboard.Config{Lifetime: -1, Idle: -1, MaxSessions: -1, TrustedProxies: []netip.Prefix{{}}})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"Lifetime", "Idle", "MaxSessions", "TrustedProxies"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not named: %v", want, err)
		}
	}
}
