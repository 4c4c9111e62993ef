package middleware_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/integration/middleware"
	"github.com/forebay-ai/forebay/monitor"
)

func TestShed(t *testing.T) {
	inside, leave := make(chan struct{}), make(chan struct{})
	h := middleware.Shed(middleware.Limit{MaxConcurrent: 1, RetryAfter: 1500 * time.Millisecond}, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		inside <- struct{}{}
		<-leave
	}))
	var wg sync.WaitGroup
	wg.Go(func() { h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)) })
	<-inside
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if w.Code != 503 || w.Header().Get("Retry-After") != "2" || !strings.Contains(w.Body.String(), "policy_overloaded") {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	close(leave)
	wg.Wait()
	wg.Go(func() { <-inside })
	w = httptest.NewRecorder()
	if h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil)); w.Code != 200 {
		t.Errorf("after it: %d", w.Code)
	}
	wg.Wait()
}

func TestCosts(t *testing.T) {
	server := httptest.NewServer(middleware.Costs(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/free" {
			middleware.Book(r.Context(), 1_250_000)
		}
		if r.URL.Path == "/late" {
			w.(http.Flusher).Flush()
			middleware.Book(r.Context(), 7)
		}
		_, _ = io.WriteString(w, "ok")
	})))
	defer server.Close()
	for path, want := range map[string][3]string{"/": {"1.25", "1", ""}, "/late": {"1.25", "1", "1.250007"}, "/free": {}} {
		res, err := http.Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		if got := [3]string{res.Header.Get("X-Forebay-Cost-Usd"), res.Header.Get("X-Forebay-Calls"), res.Trailer.Get("X-Forebay-Cost-Usd")}; got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	middleware.Book(t.Context(), 1) // no request: nothing happens
}

func ExampleTrack() {
	m, err := monitor.New(monitor.Config{Functions: []string{"checkout"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	h := middleware.Track(m, "checkout", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	page := httptest.NewRecorder()
	m.Handler().ServeHTTP(page, httptest.NewRequest("GET", "/metrics", nil))
	for line := range strings.Lines(page.Body.String()) {
		if strings.HasPrefix(line, "forebay_function_duration_seconds_count") {
			fmt.Print(line)
		}
	}
	// Output: forebay_function_duration_seconds_count{function="checkout",status="4xx"} 1
}
