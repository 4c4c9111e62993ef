package browser_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/uitest/internal/browser"
)

const sample = `<!doctype html><html lang="en"><title>Sample</title><link rel="icon" href="data:,">
<main><h1>Sample</h1><button id="b" onclick="document.title='Clicked'">Press</button><input id="i" aria-label="Name" value="old">
<img id="bad" src="data:,"></main>
<script>console.error("an error", 7); setTimeout(() => { throw new Error("thrown") }, 0); fetch("/data")</script></html>`

// TestPage drives a page whose faults are known, and finds each of them.
func TestPage(t *testing.T) {
	path, err := browser.Find()
	if err != nil {
		t.Skip(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/data" {
			_, _ = w.Write([]byte("data"))
			return
		}
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte(sample))
	}))
	defer server.Close()
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	b, err := browser.Start(path)
	if err != nil {
		t.Fatal(err)
	}
	pid := b.PID()
	p, err := b.Open(browser.View{Theme: "dark", Width: 800, Height: 600})
	if err != nil {
		t.Fatal(err)
	}
	drive(t, p, server.URL)
	p.Close()
	if err := b.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if _, err := os.Stat(filepath.Join("/proc", strconv.Itoa(pid))); err == nil {
		t.Errorf("the browser's process %d is still there", pid)
	}
	if left, _ := filepath.Glob(filepath.Join(temp, "*runner*")); len(left) > 0 {
		t.Errorf("profiles are left: %v", left)
	}
}

func drive(t *testing.T, p *browser.Page, url string) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(p.Go(url))
	must(p.Click("#b"))
	must(p.Until("document.title === 'Clicked'", time.Second))
	must(p.Fill("#i", "new"))
	if v, err := browser.Eval[string](p, "document.querySelector('#i').value"); err != nil || v != "new" {
		t.Errorf("filled %q, %v", v, err)
	}
	if dark, err := browser.Eval[bool](p, "matchMedia('(prefers-color-scheme: dark)').matches"); err != nil || !dark {
		t.Errorf("the page is not asked for its dark theme: %v", err)
	}
	if !p.Quiet(100*time.Millisecond, 5*time.Second) {
		t.Error("the network is not quiet")
	}
	faults := strings.Join(p.Faults(), "\n")
	for _, want := range []string{"an error 7", "thrown"} {
		if !strings.Contains(faults, want) {
			t.Errorf("faults lack %q:\n%s", want, faults)
		}
	}
	var fetched []string
	for _, q := range p.Requests() {
		fetched = append(fetched, strings.TrimPrefix(q.URL, url))
	}
	if got := strings.Join(fetched, " "); !strings.Contains(got, "/data") || p.Bytes() < int64(len(sample)) {
		t.Errorf("fetched %s with %d bytes", got, p.Bytes())
	}
	if png, err := p.Shot(true); err != nil || len(png) < 1000 {
		t.Errorf("a picture of %d bytes, %v", len(png), err)
	}
}
