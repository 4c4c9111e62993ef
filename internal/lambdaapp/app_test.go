package lambdaapp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/internal/lambdaapp"
	"github.com/forebay-ai/forebay/monitor"
)

const answer = `{"id":"1","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12}}`

// model is a server of OpenAI's protocol.
func model(t testing.TB) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, answer)
	}))
	t.Cleanup(server.Close)
	return server.URL + "/v1"
}

func open(t testing.TB, file string, o lambdaapp.Options) (*lambdaapp.App, *bytes.Buffer, error) {
	t.Helper()
	path, log := filepath.Join(t.TempDir(), "forebay.yaml"), &bytes.Buffer{}
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	o.Environ, o.Log = append(o.Environ, "FOREBAY_CONFIG="+path), log
	app, err := lambdaapp.Open(t.Context(), o)
	if app != nil {
		t.Cleanup(func() {
			if err := app.Close(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	return app, log, err
}

func invoke(t testing.TB, app *lambdaapp.App, event string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	a, err := app.Function().Invoke(ctx, []byte(event))
	if err != nil {
		return "", err
	}
	defer a.Close()
	text, err := io.ReadAll(a)
	return string(text), err
}

// What was measured goes out at the end of each invocation, the cold start with it, and
// pings are in none of it.
func TestFlush(t *testing.T) {
	var m *monitor.Monitor
	flushes, fail := 0, error(nil)
	app, log, err := open(t, fmt.Sprintf(`
keys: [{name: web, secret: secret-of-web}]
providers: {up: {type: openai, base_url: %q}}
models: {m: {targets: [{provider: up, model: m}]}}
operations: {ask: {model: m}}
`, model(t)), lambdaapp.Options{
		Started: time.Now().Add(-time.Second),
		Export: func(got *monitor.Monitor) (func(context.Context) error, error) {
			m = got
			return func(context.Context) error { flushes++; return fail }, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := invoke(t, app, `{"warmup":true}`); err != nil || flushes != 0 {
		t.Errorf("a ping: %v, %d flushes", err, flushes)
	}
	fail = errors.New("no room")
	text, err := invoke(t, app, `{"operation":"ask","payload":{"q":1}}`) // the only key is that of direct invocations
	if err != nil || !strings.HasPrefix(text, `{"statusCode":200`) || flushes != 1 || !strings.Contains(log.String(), "no room") {
		t.Errorf("%v, %d flushes: %s\n%s", err, flushes, text, log)
	}
	page := httptest.NewRecorder()
	m.Handler().ServeHTTP(page, httptest.NewRequest("GET", "/metrics", nil))
	for _, want := range []string{"forebay_custom_lambda_init_seconds_count 1", `forebay_requests_total{`} {
		if !strings.Contains(page.Body.String(), want) {
			t.Errorf("no %s in the metrics", want)
		}
	}
	if !strings.Contains(log.String(), `"init_ms":1`) {
		t.Error(log)
	}
}

// Without keys only those are served whom AWS let pass, and direct invocations.
func TestNoKeys(t *testing.T) {
	file := fmt.Sprintf("providers: {up: {type: openai, base_url: %q}}\nmodels: {m: {targets: [{provider: up, model: m}]}}\noperations: {ask: {model: m}}\n", model(t))
	event := `{"version":"2.0","rawPath":"/v1/models","headers":{},"requestContext":{"domainName":"a.lambda-url.eu-central-1.on.aws","http":{"method":"GET"}}}`
	for environ, want := range map[string]string{"": `"statusCode":403`, "FOREBAY_LAMBDA_PUBLIC=true": `"statusCode":200`} {
		app, _, err := open(t, file, lambdaapp.Options{Environ: []string{environ}})
		if err != nil {
			t.Fatal(err)
		}
		if text, err := invoke(t, app, event); err != nil || !strings.Contains(text, want) {
			t.Errorf("%q: %v %s", environ, err, text)
		}
		if text, err := invoke(t, app, `{"operation":"ask","payload":{}}`); err != nil || !strings.Contains(text, `"statusCode":200`) {
			t.Errorf("%q: directly: %v %s", environ, err, text)
		}
	}
}

// All that is wrong is told, and nothing is left open.
func TestOpenFails(t *testing.T) {
	for _, c := range []struct{ file, environ, say string }{
		{"queue: {max: many}", "", "queue.max"},
		{"providers: {up: {type: simulated}}\nmodels: {m: {targets: [{provider: up, model: m}]}}", "FOREBAY_LAMBDA_KEY=web", "FOREBAY_LAMBDA_KEY"},
		{"", "FOREBAY_LAMBDA_STREAM=yes", "FOREBAY_LAMBDA_STREAM"},
	} {
		if _, _, err := open(t, c.file, lambdaapp.Options{Environ: []string{c.environ}}); err == nil || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
