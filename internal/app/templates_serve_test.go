package app_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/forebay-ai/forebay/internal/app"
)

// TestServedTextsReload changes a text under a gateway whose provider is gone: calls
// are answered with it, by its new version.
func TestServedTextsReload(t *testing.T) {
	path := filepath.Join(t.TempDir(), "op.de.txt")
	save := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	save("---\nversion: 1\n---\nzuerst")
	text := fmt.Sprintf("listen: 127.0.0.1:0\nproviders: {gone: {type: openai, base_url: 'http://127.0.0.1:1/v1'}}\nmodels: {\"*\": {targets: [{provider: gone}]}}\n"+
		"operations: {op: {model: m, fallback: [template, error]}}\npersonas: {default: {locale: de-DE}}\nretry: {max: 0}\ntemplates_dir: %q\n", filepath.Dir(path))
	s := start(t, app.Options{File: configured(t, text, nil)})
	ask := func() (string, string) {
		t.Helper()
		status, body, header := s.call(wholeBody, "x-forebay-operation", "op")
		if status != http.StatusOK {
			t.Fatalf("%d: %s", status, body)
		}
		return body, header.Get("X-Forebay-Template")
	}
	if body, mark := ask(); !strings.Contains(body, "zuerst") || mark != "op/de@1" {
		t.Fatalf("%s, marked %q", body, mark)
	}
	save("---\nversion: 2\n---\ndanach {{support_id}}")
	eventually(t, "the new text", func() bool {
		body, mark := ask()
		return strings.Contains(body, "danach") && mark == "op/de@2"
	})
	s.stop()
	if err := s.wait(); err != nil {
		t.Error(err)
	}
}
