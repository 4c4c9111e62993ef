package dashboard_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// FuzzRequest sends whatever anybody may send: it is answered, and only the right key
// begins a session.
func FuzzRequest(f *testing.F) {
	for _, seed := range []struct{ method, path, body, header string }{
		{"GET", "/ui/", "", "gzip;q=0.5, *"},
		{"POST", "/ui/login", `{"key":"` + secret + `"}`, ""},
		{"POST", "/ui/login", `{"key":"wrong"}`, "deflate"},
		{"POST", "/ui/login", `{"key":`, ""},
		{"POST", "/ui/logout", "", ""},
		{"HEAD", "/ui/assets/", "", ";;,q=="},
		{"DELETE", "/ui/session", "", ""},
		{"GET", "/ui/../ui/", "", ""},
	} {
		f.Add(seed.method, seed.path, seed.body, seed.header)
	}
	f.Fuzz(func(t *testing.T, method, path, body, header string) {
		h := newHandler(t, nil)
		r, err := http.NewRequest("GET", "http://gateway.example/", strings.NewReader(body))
		if err != nil {
			t.Skip()
		}
		r.Method, r.URL.Path, r.RemoteAddr, r.Host = method, path, header, header
		for _, name := range []string{"Accept-Encoding", "If-None-Match", "Cookie", "X-Forwarded-For", "X-Forwarded-Proto", "Origin"} {
			r.Header.Set(name, header)
		}
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Header().Get("Content-Security-Policy") == "" {
			t.Error("an answer without the policy")
		}
		for _, c := range w.Result().Cookies() {
			if c.MaxAge > 0 && !strings.Contains(body, secret) {
				t.Errorf("a session without the key: %s", c)
			}
		}
	})
}
