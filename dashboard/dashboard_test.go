package dashboard_test

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/forebay-ai/forebay/access"
	"github.com/forebay-ai/forebay/dashboard"
	"github.com/forebay-ai/forebay/llm"
)

const secret = "the-operators-secret-key"

// keys are what a gateway would ask: one key, which may end.
type keys struct {
	mu    sync.Mutex // guards ended
	ended bool
}

func (k *keys) authenticate(_ context.Context, s string) (*access.Grant, error) {
	if strings.HasPrefix(s, secret) {
		return &access.Grant{Name: "operator" + strings.TrimPrefix(s, secret), Tenant: "default", Scopes: []string{access.Admin}}, nil
	}
	return nil, &llm.Error{Kind: llm.CallerUnauthenticated, Message: "the key is not known"}
}

func (k *keys) grant(name string) (*access.Grant, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return &access.Grant{Name: name, Scopes: []string{access.Admin}}, !k.ended
}

func newHandler(t *testing.T, change func(*dashboard.Config)) *dashboard.Handler {
	t.Helper()
	k := &keys{}
	cfg := dashboard.Config{Authenticate: k.authenticate, Grant: k.grant}
	if change != nil {
		change(&cfg)
	}
	h, err := dashboard.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func get(h http.Handler, path string, change func(*http.Request)) *http.Response {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

// login sends a key from address and returns the answer.
func login(h http.Handler, key, address string, change func(*http.Request)) *http.Response {
	body, _ := json.Marshal(map[string]string{"key": key})
	r := httptest.NewRequest(http.MethodPost, "/ui/login", strings.NewReader(string(body)))
	r.Header.Set("Content-Type", "application/json")
	r.RemoteAddr = address
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

// session logs in and returns the cookie and the token for changes.
func session(t *testing.T, h *dashboard.Handler) (*http.Cookie, string) {
	t.Helper()
	answer := login(h, secret, "192.0.2.1:1", nil)
	if answer.StatusCode != http.StatusNoContent || len(answer.Cookies()) != 1 {
		t.Fatalf("login: %s with %d cookies", answer.Status, len(answer.Cookies()))
	}
	cookie := answer.Cookies()[0]
	_, csrf, ok := h.Session(request(http.MethodGet, cookie, ""))
	if !ok || csrf == "" {
		t.Fatalf("no session after the login")
	}
	return cookie, csrf
}

func request(method string, cookie *http.Cookie, csrf string) *http.Request {
	r := httptest.NewRequest(method, "/v1/breakers", nil)
	if cookie != nil {
		r.AddCookie(cookie)
	}
	if csrf != "" {
		r.Header.Set(dashboard.CSRFHeader, csrf)
	}
	return r
}

func TestPage(t *testing.T) {
	h := newHandler(t, nil)
	answer := get(h, "/ui/", nil)
	page, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s, %v", answer.Status, err)
	}
	if strings.Contains(string(page), "<script>") || strings.Contains(string(page), "style=") || strings.Contains(string(page), "//") {
		t.Errorf("the page has something inline, or of another host:\n%s", page)
	}
	links := regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(string(page), -1)
	if len(links) != 4 {
		t.Fatalf("the page names %d files", len(links))
	}
	for _, link := range links {
		if strings.HasPrefix(link[1], "/") {
			t.Errorf("%s is no relative address: it breaks under a prefix", link[1])
		}
		a := get(h, "/ui/"+link[1], func(r *http.Request) { r.Header.Set("Accept-Encoding", "br, gzip") })
		if a.StatusCode != http.StatusOK || a.Header.Get("Content-Encoding") != "gzip" || !strings.Contains(a.Header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %s, %v", link[1], a.Status, a.Header)
		}
		zipped, err := gzip.NewReader(a.Body)
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(zipped)
		if err != nil {
			t.Fatal(err)
		}
		plain, _ := io.ReadAll(get(h, "/ui/"+link[1], nil).Body)
		if string(plain) != string(content) {
			t.Errorf("%s: compressed and plain are different", link[1])
		}
	}
}

func TestEveryAnswerHasThePolicy(t *testing.T) {
	h := newHandler(t, nil)
	for _, path := range []string{"/ui", "/ui/", "/ui/login", "/ui/logout", "/ui/session", "/ui/none", "/ui/assets/licenses.txt"} {
		head := get(h, path, nil).Header
		policy := head.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "object-src 'none'", "form-action 'self'"} {
			if !strings.Contains(policy, want) {
				t.Errorf("%s: the policy lacks %s", path, want)
			}
		}
		if strings.Contains(policy, "unsafe") || head.Get("X-Content-Type-Options") != "nosniff" || head.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s: %v", path, head)
		}
	}
}

func TestCaching(t *testing.T) {
	h := newHandler(t, nil)
	first := get(h, "/ui/", nil)
	tag := first.Header.Get("Etag")
	for _, test := range []struct {
		name, header string
		gzip         bool
		want         int
	}{
		{"the same", tag, false, http.StatusNotModified},
		{"in a list, weak", `"other", W/` + tag, false, http.StatusNotModified},
		{"any", "*", false, http.StatusNotModified},
		{"another", `"other"`, false, http.StatusOK},
		{"the tag of the other coding", tag, true, http.StatusOK},
	} {
		answer := get(h, "/ui/", func(r *http.Request) {
			r.Header.Set("If-None-Match", test.header)
			if test.gzip {
				r.Header.Set("Accept-Encoding", "gzip")
			}
		})
		if answer.StatusCode != test.want || answer.Header.Get("Cache-Control") != "no-cache" || answer.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%s: %s, %v", test.name, answer.Status, answer.Header)
		}
	}
	for header, want := range map[string]string{"": "", "gzip": "gzip", "gzip;q=0": "", "*": "gzip", "*;q=1, gzip;q=0": "", "br;q=1.0, GZIP ; q=0.5": "gzip", "gzip;q=x": "", "identity": ""} {
		if got := get(h, "/ui/", func(r *http.Request) { r.Header.Set("Accept-Encoding", header) }).Header.Get("Content-Encoding"); got != want {
			t.Errorf("Accept-Encoding %q gives %q", header, got)
		}
	}
}

func TestSize(t *testing.T) {
	h := newHandler(t, nil)
	page, _ := io.ReadAll(get(h, "/ui/", nil).Body)
	var sum int64
	for _, link := range regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(string(page), -1) {
		answer := get(h, "/ui/"+link[1], func(r *http.Request) { r.Header.Set("Accept-Encoding", "gzip") })
		n, err := io.Copy(io.Discard, answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	// A first visit has to stay below 200 KB with its data; see the browser's tests.
	if sum <= 0 || sum > 120_000 {
		t.Errorf("the page's files are %d bytes compressed", sum)
	}
}

func TestRedirectKeepsThePrefix(t *testing.T) {
	answer := get(newHandler(t, nil), "/ui", nil)
	if answer.StatusCode != http.StatusPermanentRedirect || answer.Header.Get("Location") != "ui/" {
		t.Errorf("%s to %q", answer.Status, answer.Header.Get("Location"))
	}
}
