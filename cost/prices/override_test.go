package prices_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay/cost"
	"github.com/forebay-ai/forebay/cost/prices"
)

func parse(t *testing.T, text string) *prices.Override {
	t.Helper()
	o, err := prices.ParseOverride("prices.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestParseOverride(t *testing.T) {
	o := parse(t, `
prices:
  - provider: bedrock
    model: eu.anthropic.claude-haiku-4-5-20251001-v1:0
    steps:
      - {input: 1.10, output: "5.50", cache_read: 0.11, cache_write: 1.375, cache_write_1h: 2.20}
      - from: 2026-12-01
        bands:
          - {up_to: 200000, input: 1, output: 5}
          - {input: 2.000001, output: 7.5}
    flex: [{input: 0.5, output: 2}]
  - {provider: local, model: llama3.2, input: 0, output: 0}
rates:
  - {currency: INR, from: 2026-11-01, per_usd: 92.10}
  - {currency: INR, per_usd: 90, source: RBI}
`)
	want := []prices.Entry{
		{Provider: "bedrock", Model: "anthropic.claude-haiku-4-5-20251001", Scope: "eu", Table: "prices.yaml", Tariff: cost.Tariff{
			Steps: []cost.Step{
				{Bands: []cost.Band{{Price: cost.Price{Input: 1_100_000, Output: 5_500_000, CacheRead: 110_000, CacheWrite: 1_375_000, CacheWriteHour: 2_200_000}}}},
				{From: day(t, "2026-12-01"), Bands: []cost.Band{
					{UpTo: 200_000, Price: cost.Price{Input: 1_000_000, Output: 5_000_000, CacheRead: 1_000_000, CacheWrite: 1_000_000}},
					{Price: cost.Price{Input: 2_000_001, Output: 7_500_000, CacheRead: 2_000_001, CacheWrite: 2_000_001}},
				}},
			},
			Variants: map[cost.Tier][]cost.Step{cost.Flex: {{Bands: []cost.Band{{Price: cost.Price{Input: 500_000, Output: 2_000_000, CacheRead: 500_000, CacheWrite: 500_000}}}}}},
		}},
		{Provider: "local", Model: "llama3.2", Table: "prices.yaml", Tariff: cost.Fixed(cost.Price{})},
	}
	if diff := cmp.Diff(want, o.Entries()); diff != "" {
		t.Error(diff)
	}
	r, ok := o.Rates().At("INR", day(t, "2026-11-02"))
	if !ok || r.Micro != 92_100_000 || r.Source != "prices.yaml" {
		t.Errorf("%+v", r)
	}
	if r, _ := o.Rates().At("INR", day(t, "2026-10-02")); r.Micro != 90_000_000 || r.Source != "RBI" {
		t.Errorf("%+v", r)
	}
	same := parse(t, `{"prices": [{"provider": "local", "model": "llama3.2", "input": 0, "output": 0.0}]}`)
	if diff := cmp.Diff(want[1:], same.Entries()); diff != "" {
		t.Error(diff)
	}
	for _, empty := range []string{"", "\n# nothing\n", "{}", "prices: []"} {
		if o := parse(t, empty); len(o.Entries()) != 0 {
			t.Errorf("%q has rows", empty)
		}
	}
}

func TestWith(t *testing.T) {
	table := prices.Embedded().With(parse(t, `
prices:
  - {provider: openai, model: gpt-4o, input: 2, output: 8}
  - {provider: bedrock, model: 'amazon.nova-pro-v1:0', input: 0.7, output: 3}
  - {provider: bedrock, model: amazon.nova-lite-v1:0, region: eu-central-1, input: 0.05, output: 0.2}
  - {provider: local, model: llama3.2, input: 0, output: 0}
`))
	at := day(t, "2026-11-01")
	for _, tt := range []struct {
		provider, model, region string
		input                   int64
		table                   string
	}{
		{"openai", "gpt-4o", "", 2_000_000, "prices.yaml"},
		{"openai", "gpt-4o-2024-08-06", "", 2_000_000, "prices.yaml"}, // of the family
		{"openai", "gpt-4o-2024-05-13", "", 5_000_000, "litellm"},     // has a price of its own
		{"openai", "gpt-4o-mini", "", 150_000, "genai-prices"},        // untouched
		{"bedrock", "amazon.nova-pro-v1:0", "", 700_000, "prices.yaml"},
		{"bedrock", "eu.amazon.nova-pro-v1:0", "eu-central-1", 700_000, "prices.yaml"}, // every area is replaced
		{"bedrock", "amazon.nova-lite-v1:0", "eu-central-1", 50_000, "prices.yaml"},
		{"bedrock", "amazon.nova-lite-v1:0", "us-east-1", 60_000, "genai-prices"},
		{"local", "llama3.2", "", 0, "prices.yaml"},
	} {
		tariff, source, ok := table.Lookup(tt.provider, tt.model, tt.region)
		if !ok || tariff.PriceAt(at, 1).Input != tt.input || source.Table != tt.table {
			t.Errorf("%s %s %s: %+v from %+v", tt.provider, tt.model, tt.region, tariff, source)
		}
	}
	one, _, _ := table.Lookup("openai", "gpt-4o-mini", "")
	other, _, _ := table.With(parse(t, "")).Lookup("openai", "gpt-4o-mini-2024-07-18", "")
	if one != other {
		t.Error("one row has two pointers")
	}
	before, _, _ := prices.Embedded().Lookup("openai", "gpt-4o", "")
	if before.PriceAt(at, 1).Input != 2_500_000 {
		t.Error("With changed the table it was called on")
	}
	if _, _, ok := (&prices.Table{}).With(parse(t, "prices: [{provider: local, model: m, input: 1}]")).Lookup("local", "m", ""); !ok {
		t.Error("an override of the empty table is lost")
	}
}

func TestOverrideFaults(t *testing.T) {
	_, err := prices.ParseOverride("prices.yaml", []byte(`
prices:
  - {provider: Open AI, model: m, input: 1, output: 1}
  - {provider: openai, input: 1}
  - {provider: openai, model: a}
  - {provider: openai, model: b, input: -1, output: x}
  - {provider: openai, model: c, output: 1}
  - {provider: openai, model: d, input: 0.0000001}
  - {provider: openai, model: e, input: 1, steps: [{input: 1}]}
  - {provider: openai, model: f, steps: [{input: 1}, {input: 2}]}
  - {provider: openai, model: g, steps: [{input: 1}, {from: tomorrow, input: 2}]}
  - {provider: openai, model: h, steps: [{bands: [{up_to: 10, input: 1}]}]}
  - {provider: openai, model: i, steps: [{input: 1, bands: [{input: 1}]}]}
  - {provider: openai, model: j, input: 1, batch: [{from: 2026-01-02, input: 1}, {from: 2026-01-01, input: 1}]}
  - {provider: openai, model: k, input: 1}
  - {provider: openai, model: k, input: 2}
  - {provider: bedrock, model: eu.amazon.nova-pro-v1:0, region: us, input: 1}
  - {provider: bedrock, model: amazon.nova-pro-v1:0, region: "EU West", input: 1}
rates:
  - {currency: INR, per_usd: 0, from: 32.13.2026}
  - {currency: EUR}
`))
	if err == nil {
		t.Fatal("no fault")
	}
	for _, want := range []string{
		`prices[0]: provider "Open AI"`, "prices[1]: model is missing", "prices[2]: it has no prices", "prices[3].steps[0].bands[0].input: amount \"-1\" is negative",
		`prices[3].steps[0].bands[0].output: amount "x" is not a decimal`, "prices[4].steps[0].bands[0].input: it is missing", "finer than a micro-dollar",
		"prices[6]: prices stand either here or in steps", "prices[7].steps[1]: from is missing", `prices[8].steps[1]: from "tomorrow" is not a date`,
		"prices[9]: standard, step 1, band 1: the last band has no bound", "prices[10].steps[0]: prices stand either here or in bands",
		"prices[11]: batch, step 2: it begins on 2026-01-01, not after", "prices[13]: it is for the same model and region as prices[12]",
		`prices[14]: region "us": the model's id names "eu"`, `prices[15]: region "EU West" is neither`, `rates[0]: from "32.13.2026" is not a date`, "rates[1].per_usd: it is missing",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no fault about %q in\n%v", want, err)
		}
	}
	for text, want := range map[string]string{
		"rates: [{currency: inr, per_usd: 1}]":             "is not a currency",
		"prices: [{provider: openai, modle: x, input: 1}]": "modle",
		"price: []":      "price",
		"prices: {a: b}": "prices.yaml",
		"prices: [{provider: openai, model: x, input: [1]}]":                   "a number or a text",
		"prices: [" + strings.Repeat("{provider: a, model: b}, ", 5_001) + "]": "more than 5000",
		"# " + strings.Repeat("x", 1<<20):                                      "bytes",
	} {
		if _, err := prices.ParseOverride("prices.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "prices.yaml: ") {
			t.Errorf("%.60q: %v", text, err)
		}
	}
}

func TestSplit(t *testing.T) {
	for _, tt := range []struct {
		provider, id string
		want         prices.Name
	}{
		{"openai", "eu.amazon.nova-pro-v1:0", prices.Name{Model: "eu.amazon.nova-pro-v1:0"}},
		{"bedrock", "eu.amazon.nova-pro-v1:0", prices.Name{Model: "amazon.nova-pro", Profile: "eu"}},
		{"bedrock", "us-gov.anthropic.claude-sonnet-5-v1", prices.Name{Model: "anthropic.claude-sonnet-5", Profile: "us-gov"}},
		{"bedrock", "amazon.titan-embed-text-v2:0:8k", prices.Name{Model: "amazon.titan-embed-text-v2"}},
		{"bedrock", "anthropic.claude-v2:1", prices.Name{Model: "anthropic.claude-v2"}},
		{"bedrock", "anthropic.claude-instant-v1", prices.Name{Model: "anthropic.claude-instant-v1"}},
		{"bedrock", "anthropic.claude-3-5-sonnet-20241022-v2:0", prices.Name{Model: "anthropic.claude-3-5-sonnet-20241022"}},
		{"bedrock", "mistral.mistral-7b-instruct-v0:2", prices.Name{Model: "mistral.mistral-7b-instruct-v0"}},
		{"bedrock", "arn:aws-us-gov:bedrock:us-gov-west-1:1:inference-profile/us-gov.amazon.nova-pro-v1:0", prices.Name{Model: "amazon.nova-pro", Profile: "us-gov", Region: "us-gov-west-1"}},
		{"bedrock", "us.", prices.Name{Model: "us."}},
		{"bedrock", "", prices.Name{}},
	} {
		if got := prices.Split(tt.provider, tt.id); got != tt.want {
			t.Errorf("%s %s: %+v, want %+v", tt.provider, tt.id, got, tt.want)
		}
	}
}

// Whatever is accepted is in order, and reads no other way a second time.
func FuzzParseOverride(f *testing.F) {
	page, err := os.ReadFile("gen/amendments.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{
		string(page), "", "prices: [{provider: a, model: b, input: 1e3}]", `{"rates":[{"currency":"INR","per_usd":"83"}]}`,
		"prices: &a [*a]", "prices: [{provider: a, model: b, steps: [{bands: []}]}]", "prices: null", "- a", "prices: [{provider: a, model: b, input: .5, batch: [{}]}]",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		o, err := prices.ParseOverride("f", []byte(text))
		if err != nil {
			return
		}
		for _, e := range o.Entries() {
			if err := e.Tariff.Validate(); err != nil || e.Model == "" || e.Provider == "" {
				t.Fatalf("%+v: %v", e, err)
			}
		}
		for _, r := range o.Rates().All() {
			if _, err := o.Rates().Convert(1, r.Currency, time.Now()); err != nil || r.Micro <= 0 {
				t.Fatalf("%+v: %v", r, err)
			}
		}
	})
}
