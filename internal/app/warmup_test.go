package app_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/forebay-ai/forebay/internal/app"
)

// TestWarmupAtTheStart fetches what a file asks for, and nothing where there is no
// cache that could keep it.
func TestWarmupAtTheStart(t *testing.T) {
	for enabled, want := range map[bool]string{true: "the cache is warm", false: "the cache was not warmed up"} {
		upstream := newEcho(t)
		path := filepath.Join(t.TempDir(), "warmup.jsonl")
		if err := os.WriteFile(path, []byte(`{"model":"m","messages":[{"role":"user","content":"one"}]}`), 0o600); err != nil {
			t.Fatal(err)
		}
		var log lines
		text := fmt.Sprintf("listen: 127.0.0.1:0\nproviders: {echo: {type: openai, base_url: %q}}\nmodels: {\"*\": {targets: [{provider: echo}]}}\n"+
			"cache: {enabled: %v, warmup: %q}\n", upstream.URL, enabled, path)
		s := start(t, app.Options{File: configured(t, text, nil), Logger: log.logger()})
		eventually(t, want, func() bool { return strings.Contains(log.String(), want) })
		s.stop()
		if err := s.wait(); err != nil {
			t.Error(err)
		}
		if n := upstream.calls.Load(); (n > 0) != enabled {
			t.Errorf("cache enabled %v: %d calls", enabled, n)
		}
	}
}
