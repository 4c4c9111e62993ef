package sdktest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
)

const (
	// apiKey is the key that the tests of openai-go itself send.
	apiKey = "My API Key"
	// operatorKey may read measurements.
	operatorKey = "operator-0123456789abcdef"
)

// setup is what a test wants to stand between its client and the model.
type setup struct {
	// provider is flags of the simulated provider.
	provider []string
	// config is more configuration of the gateway, as YAML without indentation. It
	// may not repeat the keys that gateway writes.
	config string
	// target is more settings of the provider sim, each with a comma in front.
	target string
	// models replaces the models. Empty means that the provider is asked for whatever
	// is named.
	models string
	// scopes and bands are the key's. Empty means all that tests need.
	scopes, bands string
	// via, if not nil, wraps the provider's URL: the gateway is given the result.
	via func(url string) string
	// bedrock, if not nil, is what stands behind the gateway instead of the simulated
	// provider; tokens has it called with a bearer token instead of signatures.
	bedrock *bedrockServer
	tokens  bool
}

// rig is a gateway with a simulated provider behind it, both processes of their own, or
// with a server that speaks as Bedrock does.
type rig struct {
	gateway, provider *process
	bedrock           *bedrockServer // nil where there is a provider
}

// newRig starts what s describes.
func newRig(t *testing.T, s setup) *rig {
	t.Helper()
	r := &rig{bedrock: s.bedrock}
	provider, targets := "", `  "*": {targets: [{provider: sim}]}`
	var environ []string
	if s.bedrock != nil {
		provider, environ = s.bedrock.provider(s)
		targets = `  "*": {targets: [{provider: bedrock}]}`
	} else {
		r.provider = start(t, append([]string{"simulate-provider", "--listen", "127.0.0.1:0"}, s.provider...)...)
		base := r.provider.url
		if s.via != nil {
			base = s.via(base)
		}
		provider = fmt.Sprintf(`sim: {type: openai, base_url: "%s/v1"%s}`, base, s.target)
	}
	config := fmt.Sprintf(`log: {format: text}
keys:
  - {name: sdk, secret: %q, tenant: t1, scopes: %s, bands: %s}
  - {name: operator, secret: %q, tenant: t1, scopes: [call, metrics], bands: [low, normal, high, critical]}
  - {name: pair, access_key_id: %s, secret: %q, tenant: t1, bands: [low, normal, high, critical]}
  - {name: figures, access_key_id: %s, secret: %q, tenant: t1, scopes: [metrics]}
providers:
  %s
models:
%s
%s
`, apiKey, or(s.scopes, "[call, stored]"), or(s.bands, "[low, normal, high, critical]"), operatorKey,
		pairID, pairSecret, figuresID, figuresSecret, provider, or(s.models, targets), s.config)
	file := filepath.Join(t.TempDir(), "forebay.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	r.gateway = startIn(t, environ, "serve", "--config", file, "--listen", "127.0.0.1:0", "--drain", "2s")
	eventually(t, 5*time.Second, "the gateway is ready", func() bool {
		res, err := http.Get(r.gateway.url + "/readyz")
		if err != nil {
			return false
		}
		return res.Body.Close() == nil && res.StatusCode == http.StatusOK
	})
	return r
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// client is the unmodified SDK in front of the gateway. Its connections are closed
// when t ends.
func (r *rig) client(t *testing.T, more ...option.RequestOption) *openai.Client {
	return newClient(t, r.gateway.url, more...)
}

// direct is the same SDK in front of the provider itself: what it gets is what
// the gateway has to deliver.
func (r *rig) direct(t *testing.T) *openai.Client { return newClient(t, r.provider.url) }

func newClient(t *testing.T, url string, more ...option.RequestOption) *openai.Client {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	client := openai.NewClient(append([]option.RequestOption{
		option.WithBaseURL(url + "/v1"), option.WithAPIKey(apiKey), option.WithUnsafeAllowHTTP(),
		option.WithHTTPClient(&http.Client{Transport: transport}),
	}, more...)...)
	return &client
}

// faults replaces what goes wrong at the provider; none mends it.
func (r *rig) faults(t *testing.T, faults ...string) {
	t.Helper()
	if faults == nil {
		faults = []string{}
	}
	r.control(t, http.MethodPut, "/simulated/faults", faults, nil)
}

// callLog is the provider's own account of the calls that it got.
type callLog struct {
	Total        int            `json:"total"`
	Outcomes     map[string]int `json:"outcomes"`
	InFlight     int            `json:"in_flight"`
	MostInFlight int            `json:"most_in_flight"`
	Calls        []struct {
		RequestID    string  `json:"request_id"`
		Model        string  `json:"model"`
		Path         string  `json:"path"`
		Stream       bool    `json:"stream"`
		Status       int     `json:"status"`
		Outcome      string  `json:"outcome"`
		Milliseconds float64 `json:"duration_ms"`
		Chunks       int     `json:"chunks"`
	} `json:"calls"`
}

// calls reads the provider's log.
func (r *rig) calls(t *testing.T) callLog {
	t.Helper()
	var log callLog
	r.control(t, http.MethodGet, "/simulated/calls", nil, &log)
	return log
}

// forget empties the provider's log.
func (r *rig) forget(t *testing.T) {
	t.Helper()
	r.control(t, http.MethodDelete, "/simulated/calls", nil, nil)
}

// control uses the provider's routes that are not OpenAI's.
func (r *rig) control(t *testing.T, method, path string, in, out any) {
	t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, r.provider.url+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	answer := fetch(t, req)
	if out == nil {
		return
	}
	if err := json.Unmarshal(answer, out); err != nil {
		t.Fatalf("%s %s: %v in %s", method, path, err, answer)
	}
}

// metric reads one measurement of the gateway that has no labels.
func (r *rig) metric(t *testing.T, name string) float64 {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.gateway.url+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+operatorKey)
	for line := range strings.Lines(string(fetch(t, req))) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			value, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			if err != nil {
				t.Fatal(err)
			}
			return value
		}
	}
	t.Fatalf("/metrics has no %s", name)
	return 0
}

// control and metrics use a connection for each request, so that the connections
// that the tests count are those of the SDK.
func fetch(t *testing.T, req *http.Request) []byte {
	t.Helper()
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: status %d, %v: %s", req.Method, req.URL, res.StatusCode, err, body)
	}
	return body
}

// eventually waits until ok holds.
func eventually(t *testing.T, bound time.Duration, what string, ok func() bool) {
	t.Helper()
	for begin := time.Now(); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Since(begin) > bound {
			t.Fatalf("not within %v: %s", bound, what)
		}
	}
}
