package redisgate_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/forebay-ai/forebay/bench/internal/redisfake"
	"github.com/forebay-ai/forebay/bench/internal/redisgate"
	"github.com/forebay-ai/forebay/bench/internal/subject"
)

// startUpstream answers with the body that it got, and counts.
func startUpstream(t *testing.T, served *atomic.Int64) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		served.Add(1)
		body, _ := io.ReadAll(r.Body)
		if strings.Contains(string(body), "fail") {
			w.WriteHeader(http.StatusTooManyRequests)
		}
		_, _ = io.WriteString(w, r.URL.Path+": "+string(body))
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// startStore runs Redis where it is installed, and a fake where it is not.
func startStore(t *testing.T) string {
	t.Helper()
	addr, err := subject.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	child, err := redisgate.StartRedis(addr, t.TempDir())
	if err == nil {
		t.Cleanup(child.Stop)
		return addr
	}
	if _, missing := exec.LookPath("redis-server"); missing == nil || !errors.Is(err, redisgate.ErrNoRedis) {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() { _ = new(redisfake.Server).Serve(ln) }() // ends with the listener
	return addr
}

func TestAnswersComeFromRedisTheSecondTime(t *testing.T) {
	var served atomic.Int64
	g := redisgate.New(startStore(t), startUpstream(t, &served))
	t.Cleanup(func() { _ = g.Close() })
	if err := g.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(g)
	t.Cleanup(front.Close)
	ask := func(body string) (status int, cache, text string) {
		t.Helper()
		res, err := http.Post(front.URL+"/v1/chat", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, res.Header.Get("Cache-Status"), string(b)
	}
	for i, want := range []string{"redis; fwd=uri-miss", "redis; hit", "redis; hit"} {
		if status, cache, text := ask("one"); status != 200 || cache != want || text != "/v1/chat: one" {
			t.Errorf("call %d: %d, %s, %q", i, status, cache, text)
		}
	}
	if _, cache, text := ask("two"); cache != "redis; fwd=uri-miss" || text != "/v1/chat: two" || served.Load() != 2 {
		t.Errorf("another body: %s, %q, %d served", cache, text, served.Load())
	}
	for range 2 { // a failure is not stored
		if status, _, _ := ask("fail"); status != http.StatusBadGateway {
			t.Errorf("a failed upstream: %d", status)
		}
	}
	if served.Load() != 4 {
		t.Errorf("%d served", served.Load())
	}
}

func TestWithoutRedis(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, err := redisgate.StartRedis("127.0.0.1:1", t.TempDir()); !errors.Is(err, redisgate.ErrNoRedis) {
		t.Errorf("%v", err)
	}
	if err := redisgate.Child(nil); err == nil {
		t.Error("a child without addresses")
	}
}
