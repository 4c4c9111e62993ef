package config_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/forebay-ai/forebay/config"
	converse "github.com/forebay-ai/forebay/dialect/bedrock"
	chat "github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/llm"
)

// Where a target on Bedrock runs follows from its provider's region and its model's
// profile, unless the file says it; and its price from the list.
func TestTargetsOnBedrock(t *testing.T) {
	f := read(t, config.Sources{Content: []byte(`
providers:
  frankfurt: {type: bedrock, region: eu-central-1, profile: work}
  london: {type: bedrock, region: eu-west-2}
models:
  m:
    targets:
      - {provider: frankfurt, model: "eu.anthropic.claude-haiku-4-5-20251001-v1:0"}
      - {provider: frankfurt, model: "global.anthropic.claude-haiku-4-5-20251001-v1:0"}
      - {provider: london, model: "amazon.nova-lite-v1:0"}
      - {provider: frankfurt, model: "amazon.nova-lite-v1:0", region: eu-west-1, residency: eu-de}
`)})
	cfg := build(t, f)
	for i, want := range []struct{ region, residency string }{{"eu-central-1", "eu"}, {"eu-central-1", ""}, {"eu-west-2", ""}, {"eu-west-1", "eu-de"}} {
		got := cfg.Models["m"].Targets[i]
		if got.Region != want.region || got.Residency != want.residency {
			t.Errorf("target %d: region %q, residency %q, want %+v", i, got.Region, got.Residency, want)
		}
		if got.Tariff == nil {
			t.Errorf("target %d has no price", i)
		}
	}
}

// The key of the environment goes to providers that say nothing of how they are called.
func TestBedrockKeyOfTheEnvironment(t *testing.T) {
	text := `
providers:
  plain: {type: bedrock, region: eu-central-1}
  keyed: {type: bedrock, region: eu-central-1, api_key: of-the-file-0123456789}
  profiled: {type: bedrock, region: eu-central-1, profile: work}
  other: {type: openai, base_url: "http://127.0.0.1:1/v1"}
models:
  "*": {targets: [{provider: plain}]}
`
	f, err := config.Read(config.Sources{Content: []byte(text), Environ: []string{"AWS_BEARER_TOKEN_BEDROCK=bedrock-api-key-0123456789"}})
	if err != nil {
		t.Fatal(err)
	}
	origins := map[string]string{}
	for _, v := range f.Origins() {
		if strings.HasSuffix(v.Key, ".api_key") {
			origins[v.Key] = v.Origin
			if v.Value != "***" {
				t.Errorf("%s is shown as %s", v.Key, v.Value)
			}
		}
	}
	if len(origins) != 2 || origins["providers.plain.api_key"] != "environment AWS_BEARER_TOKEN_BEDROCK" || strings.Contains(origins["providers.keyed.api_key"], "environment") {
		t.Errorf("keys from %v", origins)
	}
}

func TestBedrockFaults(t *testing.T) {
	for text, want := range map[string]string{
		"{type: bedrock}": "providers.p has no region",
		"{type: bedrock, region: eu-central-1, base_url: \"http://x/v1\"}": "providers.p.base_url is for providers of type openai",
		"{type: bedrock, region: eu-central-1, headers: {a: b}}":           "providers.p.headers.a is for providers of type openai",
		"{type: openai, base_url: \"http://x/v1\", region: eu-central-1}":  "providers.p.region is for providers of type bedrock",
		"{type: simulated, max_conns: 3}":                                  "providers.p.max_conns is for providers of type openai or bedrock",
		"{type: bedrock, region: eu-central-1, on_unsupported: ignore}":    "on_unsupported",
		"{type: bedrock, region: EU}":                                      "is not the name of an AWS region",
		"{type: bedrock, region: eu-central-1, endpoint: \"ftp://x\"}":     "providers.p.endpoint",
		"{type: bedrock, region: eu-central-1, api_key: k, profile: work}": "api_key: stands beside",
		"{type: anthropic}": "are not in this version",
	} {
		_, err := config.Read(config.Sources{Content: []byte("providers: {p: " + text + "}\nmodels: {\"*\": {targets: [{provider: p}]}}\n"), Environ: []string{}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// A caller of either format reaches a provider of either one.
func TestProvidersAnswerBothFormats(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		body := `{"output":{"message":{"role":"assistant","content":[{"text":"from Bedrock"}]}},"stopReason":"end_turn","usage":{"inputTokens":1,"outputTokens":2,"totalTokens":3}}`
		if strings.HasPrefix(r.URL.Path, "/v1/") {
			body = `{"id":"x","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"from OpenAI"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}`
		}
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(srv.Close)
	f := read(t, config.Sources{Content: []byte(`
providers:
  bedrock: {type: bedrock, region: eu-central-1, endpoint: "` + srv.URL + `", api_key: bedrock-api-key-0123456789}
  openai: {type: openai, base_url: "` + srv.URL + `/v1"}
models: {"*": {targets: [{provider: bedrock}, {provider: openai}]}}
`)})
	cfg := build(t, f)
	for name, text := range map[string]string{"bedrock": "from Bedrock", "openai": "from OpenAI"} {
		for _, req := range []*llm.Request{
			{Endpoint: llm.Chat, Model: "amazon.nova-lite-v1:0", Dialect: converse.Converse{}, Body: []byte(`{"messages":[{"role":"user","content":[{"text":"hi"}]}]}`)},
			{Endpoint: llm.Chat, Model: "amazon.nova-lite-v1:0", Dialect: chat.Dialect{}, Body: []byte(`{"model":"amazon.nova-lite-v1:0","messages":[{"role":"user","content":"hi"}]}`)},
		} {
			s, err := cfg.Providers[name].Call(t.Context(), req.Model, req)
			if err != nil {
				t.Errorf("%s, %s: %v", name, req.Dialect.Name(), err)
				continue
			}
			res, err := llm.Collect(s)
			own := map[string]string{converse.NameConverse: `"stopReason"`, chat.Name: `"finish_reason"`}[req.Dialect.Name()]
			if err != nil || !strings.Contains(string(res.Body), text) || !strings.Contains(string(res.Body), own) || res.Usage.Output != 2 {
				t.Errorf("%s, %s: %s, %v", name, req.Dialect.Name(), res.Body, err)
			}
		}
	}
	for name, p := range cfg.Providers {
		if _, lists := p.(llm.ModelLister); lists != (name == "openai") {
			t.Errorf("%s lists models: %v", name, lists)
		}
		if c, ok := p.(interface{ Close() error }); !ok || c.Close() != nil {
			t.Errorf("%s cannot be closed", name)
		}
	}
}
