package config_test

import (
	"strings"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/config"
	"github.com/forebay-ai/forebay/llm"
)

// Calls are priced by the list where a target has no price, also those of models that
// callers name.
func TestListPrices(t *testing.T) {
	million := llm.Usage{Input: 1_000_000}
	for _, x := range []struct {
		name, text, model string
		priced            bool
	}{
		{"a model that the caller names", "providers: {o: {type: openai, base_url: 'https://api.openai.com/v1'}}\nmodels: {'*': {targets: [{provider: o}]}}\n", "gpt-4.1-mini", true},
		{"a model of the file", "providers: {o: {type: openai, base_url: 'https://api.openai.com/v1'}}\nmodels: {m: {targets: [{provider: o, model: gpt-4.1-mini}]}}\n", "gpt-4.1-mini", true},
		{"switched off", "cost: {list_prices: false}\nproviders: {o: {type: openai, base_url: 'https://api.openai.com/v1'}}\nmodels: {'*': {targets: [{provider: o}]}}\n", "gpt-4.1-mini", false},
		{"somebody else's server", "providers: {o: {type: openai, base_url: 'http://127.0.0.1:1/v1'}}\nmodels: {'*': {targets: [{provider: o}]}}\n", "gpt-4.1-mini", false},
	} {
		cfg := build(t, read(t, config.Sources{Path: "f.yaml", Content: []byte(x.text)}))
		for _, m := range cfg.Models {
			if got := m.Targets[0].MicroUSD(x.model, million, time.Now()); got > 0 != x.priced {
				t.Errorf("%s: a million tokens cost %d", x.name, got)
			}
		}
	}
}

// What would have no effect, or stop the start, is a fault.
func TestWatchFaults(t *testing.T) {
	for text, want := range map[string]string{
		"cost: {enabled: false}\nbudgets: {all: {usd: 1}}\n":                                                          "need the books",
		"budgets: {all: {kind: hard}}\n":                                                                              "usd",
		"monitor: {custom: {Lessons: {kind: counter}}}\n":                                                             "Lessons",
		"alarms: {definitions: {slow: {metric: duratoin, stat: p95, window: 5m, op: '>', threshold: 1, message: x}}}": "duration",
		"alarms: {notifiers: {s: {type: slack}}}\n":                                                                   "alarms.notifiers.s",
		"dashboard: {trusted_proxies: [here]}\n":                                                                      "trusted_proxies",
	} {
		_, err := config.Read(config.Sources{Path: "f.yaml", Environ: []string{}, Content: []byte("providers: {p: {type: simulated}}\nmodels: {m: {targets: [{provider: p}]}}\n" + text)})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s gives %v", text, err)
		}
	}
}
