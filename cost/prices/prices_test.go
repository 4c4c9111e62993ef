package prices_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/forebay-ai/forebay/cost"
	"github.com/forebay-ai/forebay/cost/prices"
	"github.com/forebay-ai/forebay/llm"
)

func day(t testing.TB, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.DateOnly, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func ExampleTable_Lookup() {
	table := prices.Embedded()
	tariff, source, ok := table.Lookup(prices.Bedrock, "eu.anthropic.claude-haiku-4-5-20251001-v1:0", "eu-central-1")
	if !ok {
		fmt.Println("no price")
		return
	}
	u := llm.Usage{Input: 1500, Output: 300}
	at := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	fmt.Println(tariff.MicroUSD(u, at), "micro-dollars, from", source.Table, "of", source.Date)
	// Output: 3300 micro-dollars, from genai-prices of 2026-08-21
}

// Prices that people know, or that are on the providers' pages, told by hand: the table is
// generated, this is not.
func TestKnownPrices(t *testing.T) {
	table := prices.Embedded()
	november, august := "2026-11-01", "2026-08-01"
	for _, tt := range []struct {
		provider, model, region, at string
		prompt                      int64
		want                        cost.Price
	}{
		{"openai", "gpt-4o-mini", "", november, 1, cost.Price{Input: 150_000, Output: 600_000, CacheRead: 75_000, CacheWrite: 150_000}},
		{"openai", "gpt-4o-mini-2024-07-18", "", november, 1, cost.Price{Input: 150_000, Output: 600_000, CacheRead: 75_000, CacheWrite: 150_000}},
		{"openai", "gpt-4o-2024-05-13", "", november, 1, cost.Price{Input: 5_000_000, Output: 15_000_000, CacheRead: 5_000_000, CacheWrite: 5_000_000}},
		{"openai", "gpt-5.4", "", november, 272_000, cost.Price{Input: 2_500_000, Output: 15_000_000, CacheRead: 250_000, CacheWrite: 2_500_000}},
		{"openai", "gpt-5.4", "", november, 272_001, cost.Price{Input: 5_000_000, Output: 22_500_000, CacheRead: 500_000, CacheWrite: 5_000_000}},
		{"openai", "gpt-5.6-luna", "", "2026-07-29", 1, cost.Price{Input: 1_000_000, Output: 6_000_000, CacheRead: 100_000, CacheWrite: 1_250_000}},
		{"openai", "gpt-5.6-luna", "", "2026-07-30", 1, cost.Price{Input: 200_000, Output: 1_200_000, CacheRead: 20_000, CacheWrite: 250_000}},
		{"openai", "text-embedding-3-small", "", november, 1, cost.Price{Input: 20_000, CacheRead: 20_000, CacheWrite: 20_000}},
		{"anthropic", "claude-haiku-4-5-20251001", "", november, 1, cost.Price{Input: 1_000_000, Output: 5_000_000, CacheRead: 100_000, CacheWrite: 1_250_000, CacheWriteHour: 2_000_000}},
		{"anthropic", "claude-sonnet-4-5", "", november, 200_001, cost.Price{Input: 6_000_000, Output: 22_500_000, CacheRead: 600_000, CacheWrite: 7_500_000, CacheWriteHour: 12_000_000}},
		{"anthropic", "claude-sonnet-5", "", august, 1, cost.Price{Input: 2_000_000, Output: 10_000_000, CacheRead: 200_000, CacheWrite: 2_500_000, CacheWriteHour: 4_000_000}},
		{"anthropic", "claude-sonnet-5", "", november, 1, cost.Price{Input: 3_000_000, Output: 15_000_000, CacheRead: 300_000, CacheWrite: 3_750_000, CacheWriteHour: 6_000_000}},
		{"anthropic", "claude-haiku-5-5", "", november, 100_001, cost.Price{Input: 500_000, Output: 2_500_000, CacheRead: 50_000, CacheWrite: 625_000, CacheWriteHour: 1_000_000}},
		{"anthropic", "claude-sonnet-5-5", "", "2026-10-07", 1, cost.Price{Input: 2_000_000, Output: 10_000_000, CacheRead: 100_000, CacheWrite: 2_500_000, CacheWriteHour: 4_000_000}},
		{"bedrock", "global.anthropic.claude-haiku-4-5-20251001-v1:0", "eu-central-1", november, 1, cost.Price{Input: 1_000_000, Output: 5_000_000, CacheRead: 100_000, CacheWrite: 1_250_000, CacheWriteHour: 2_000_000}},
		{"bedrock", "apac.anthropic.claude-haiku-4-5-20251001-v1:0", "ap-south-1", november, 1, cost.Price{Input: 1_100_000, Output: 5_500_000, CacheRead: 110_000, CacheWrite: 1_375_000, CacheWriteHour: 2_200_000}},
		{"bedrock", "anthropic.claude-3-haiku-20240307-v1:0", "us-east-1", november, 1, cost.Price{Input: 250_000, Output: 1_250_000, CacheRead: 25_000, CacheWrite: 312_500, CacheWriteHour: 500_000}},
		{"bedrock", "us-gov.anthropic.claude-sonnet-5", "us-gov-west-1", november, 1, cost.Price{Input: 3_600_000, Output: 18_000_000, CacheRead: 360_000, CacheWrite: 4_500_000, CacheWriteHour: 7_200_000}},
		{"bedrock", "amazon.nova-lite-v1:0", "us-east-1", november, 1, cost.Price{Input: 60_000, Output: 240_000, CacheRead: 15_000, CacheWrite: 60_000}},
		{"bedrock", "amazon.nova-micro-v1:0:128k", "us-east-1", november, 1, cost.Price{Input: 35_000, Output: 140_000, CacheRead: 8_750, CacheWrite: 35_000}},
		{"bedrock", "eu.amazon.nova-lite-v1:0", "eu-central-1", november, 1, cost.Price{Input: 78_000, Output: 312_000, CacheRead: 19_500, CacheWrite: 78_000}},
		{"bedrock", "amazon.titan-embed-text-v2:0", "eu-central-1", november, 1, cost.Price{Input: 20_000, CacheRead: 20_000, CacheWrite: 20_000}},
		{"bedrock", "amazon.titan-embed-text-v1", "", november, 1, cost.Price{Input: 100_000, CacheRead: 100_000, CacheWrite: 100_000}},
		{"bedrock", "us.meta.llama3-2-11b-instruct-v1:0", "us-east-1", november, 1, cost.Price{Input: 160_000, Output: 160_000, CacheRead: 160_000, CacheWrite: 160_000}},
		{"bedrock", "mistral.mistral-large-2402-v1:0", "eu-west-3", november, 1, cost.Price{Input: 5_200_000, Output: 15_600_000, CacheRead: 5_200_000, CacheWrite: 5_200_000}},
	} {
		tariff, _, ok := table.Lookup(tt.provider, tt.model, tt.region)
		if !ok {
			t.Errorf("%s %s: no price", tt.provider, tt.model)
			continue
		}
		if got := tariff.PriceAt(day(t, tt.at), tt.prompt); got != tt.want {
			t.Errorf("%s %s in %q on %s: %+v, want %+v", tt.provider, tt.model, tt.region, tt.at, got, tt.want)
		}
	}
}

func TestTiersOfTheTable(t *testing.T) {
	table, at := prices.Embedded(), day(t, "2026-11-01")
	u := llm.Usage{Input: 1_000_000, Output: 100_000}
	for _, tt := range []struct {
		provider, model string
		tier            cost.Tier
		want            int64
	}{
		{"openai", "gpt-4o", cost.Batch, 1_250_000 + 500_000},
		{"openai", "gpt-4o", cost.Priority, 4_250_000 + 1_700_000},
		{"openai", "gpt-5-mini", cost.Flex, 125_000 + 100_000},
		{"anthropic", "claude-haiku-4-5", cost.Batch, 500_000 + 250_000},
		{"bedrock", "amazon.nova-pro-v1:0", cost.Batch, 400_000 + 160_000},
	} {
		tariff, _, ok := table.Lookup(tt.provider, tt.model, "")
		if !ok || !tariff.Has(tt.tier) {
			t.Errorf("%s has no tier %s", tt.model, tt.tier)
			continue
		}
		if got := tariff.CallMicroUSD(cost.Call{Usage: u, Tier: tt.tier, At: at}); got != tt.want {
			t.Errorf("%s %s: %d, want %d", tt.model, tt.tier, got, tt.want)
		}
	}
}

func TestSources(t *testing.T) {
	table := prices.Embedded()
	for _, tt := range []struct {
		provider, model, region string
		want                    prices.Source
	}{
		{"openai", "gpt-4o", "", prices.Source{Table: "genai-prices", Date: "2026-08-21", Model: "gpt-4o"}},
		{"openai", "gpt-4o-2024-11-20", "", prices.Source{Table: "genai-prices", Date: "2026-08-21", Model: "gpt-4o", Note: "gpt-4o-2024-11-20 has no price of its own: this is the price of gpt-4o"}},
		{"openai", "gpt-4.1-2031-01-01", "", prices.Source{Table: "genai-prices", Date: "2026-08-21", Model: "gpt-4.1", Note: "gpt-4.1-2031-01-01 has no price of its own: this is the price of gpt-4.1"}},
		{"bedrock", "arn:aws:bedrock:eu-central-1:123456789012:inference-profile/eu.amazon.nova-pro-v1:0", "", prices.Source{Table: "litellm", Date: "2026-08-06", Model: "amazon.nova-pro", Scope: "eu"}},
		{"bedrock", "arn:aws:bedrock:eu-west-2::foundation-model/amazon.nova-pro-v1:0", "", prices.Source{Table: "portkey", Date: "2026-08-21", Model: "amazon.nova-pro", Scope: "eu-west-2"}},
		{"bedrock", "jp.amazon.nova-pro-v1:0", "eu-west-2", prices.Source{Table: "portkey", Date: "2026-08-21", Model: "amazon.nova-pro", Scope: "eu-west-2", Note: "the profile jp has no price of its own: this is the price of eu-west-2"}},
		{"bedrock", "jp.amazon.nova-pro-v1:0", "", prices.Source{Table: "genai-prices", Date: "2026-08-21", Model: "amazon.nova-pro", Note: "the profile jp has no price of its own: this is the price of everywhere"}},
		{"bedrock", "eu.anthropic.claude-sonnet-5-5-20261007-v1:0", "", prices.Source{Table: "amendments", Date: "2026-11-12", Model: "anthropic.claude-sonnet-5-5", Note: "anthropic.claude-sonnet-5-5-20261007 has no price of its own: this is the price of anthropic.claude-sonnet-5-5; the profile eu has no price of its own: this is the price of everywhere"}},
	} {
		_, got, ok := table.Lookup(tt.provider, tt.model, tt.region)
		if !ok || got != tt.want {
			t.Errorf("%s %s %s: %+v, %v, want %+v", tt.provider, tt.model, tt.region, got, ok, tt.want)
		}
	}
	for _, unknown := range [][2]string{
		{"openai", "gpt-99"},
		{"openai", ""},
		{"", "gpt-4o"},
		{"anthropic", "gpt-4o"},
		{"openai", "ft:gpt-4o-2024-08-06:acme"},
		{"bedrock", "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123"},
		{"bedrock", "arn:"},
		{"bedrock", "eu."},
		{"openai", "gpt-image-1"},
	} {
		if tariff, source, ok := table.Lookup(unknown[0], unknown[1], ""); ok {
			t.Errorf("%q costs %+v (%+v)", unknown, tariff, source)
		}
	}
	if _, _, ok := (&prices.Table{}).Lookup("openai", "gpt-4o", ""); ok {
		t.Error("the empty table has prices")
	}
}

// The models that have to be covered are there, for every profile.
func TestCoverage(t *testing.T) {
	table := prices.Embedded()
	counts := map[string]int{}
	for _, e := range table.Entries() {
		counts[e.Provider]++
	}
	if counts["openai"] < 60 || counts["anthropic"] < 20 || counts["bedrock"] < 300 {
		t.Errorf("rows: %v", counts)
	}
	for _, id := range []string{
		"amazon.nova-micro-v1:0", "amazon.nova-lite-v1:0", "amazon.nova-pro-v1:0", "amazon.nova-premier-v1:0", "amazon.nova-2-lite-v1:0",
		"amazon.titan-embed-text-v1", "amazon.titan-embed-text-v2:0", "meta.llama3-3-70b-instruct-v1:0", "meta.llama4-scout-17b-instruct-v1:0",
		"mistral.mistral-large-3-675b-instruct", "mistral.ministral-3-8b-instruct", "anthropic.claude-opus-5", "anthropic.claude-sonnet-4-6",
	} {
		for _, profile := range []string{"", "us.", "eu.", "apac.", "global."} {
			if _, _, ok := table.Lookup(prices.Bedrock, profile+id, ""); !ok {
				t.Errorf("%s has no price", profile+id)
			}
		}
	}
}

// Every row is in order: dates, bands, whole amounts, nothing negative, nothing absurd.
func TestTableIsInOrder(t *testing.T) {
	table := prices.Embedded()
	entries := table.Entries()
	if len(entries) == 0 {
		t.Fatal("the embedded table cannot be read")
	}
	known := append(slices.Collect(func(yield func(string) bool) {
		for name := range table.Dates() {
			if !yield(name) {
				return
			}
		}
	}), "")
	for _, e := range entries {
		name := strings.TrimSpace(e.Provider + " " + e.Model + " " + e.Scope)
		if err := e.Tariff.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !slices.Contains(known, e.Table) || e.Table == "" {
			t.Errorf("%s: from the unknown table %q", name, e.Table)
		}
		if !e.Tariff.Steps[0].From.IsZero() {
			t.Errorf("%s: the first prices begin on %s", name, e.Tariff.Steps[0].From)
		}
		for _, tier := range cost.Tiers() {
			for _, s := range e.Tariff.For(tier).Steps {
				for i, b := range s.Bands {
					checkPrice(t, name, b.Price)
					if i > 0 && b.Input < s.Bands[i-1].Input {
						t.Errorf("%s: longer prompts are cheaper", name)
					}
				}
			}
		}
	}
}

// checkPrice knows what no list price is: above a thousand dollars, or with a cache that
// costs more to read than the prompt itself, or twice as much to write.
func checkPrice(t *testing.T, name string, p cost.Price) {
	t.Helper()
	const most = 1_000_000_000
	if p.Input <= 0 || p.Input > most || p.Output < 0 || p.Output > most {
		t.Errorf("%s: %+v", name, p)
	}
	if p.CacheRead > p.Input || p.CacheWrite > 2*p.Input || p.CacheWriteHour > 2*p.Input+1 {
		t.Errorf("%s: the cache is dearer than no cache: %+v", name, p)
	}
}

// The tiers batch and flex are never dearer than the standard, and priority never cheaper.
func TestTiersAreInOrder(t *testing.T) {
	entries := prices.Embedded().Entries()
	rapid.Check(t, func(t *rapid.T) {
		e := rapid.SampledFrom(entries).Draw(t, "row")
		at := time.Unix(rapid.Int64Range(1_700_000_000, 1_900_000_000).Draw(t, "at"), 0)
		n := rapid.Int64Range(0, 400_000)
		c := cost.Call{Usage: llm.Usage{Input: n.Draw(t, "in"), Output: n.Draw(t, "out"), CacheRead: n.Draw(t, "read"), CacheWrite: n.Draw(t, "write")}, At: at}
		c.HourWrites = n.Draw(t, "hour")
		usual := e.Tariff.CallMicroUSD(c)
		if usual < 0 {
			t.Fatal(usual)
		}
		for _, tier := range []cost.Tier{cost.Batch, cost.Flex, cost.Priority} {
			if !e.Tariff.Has(tier) {
				continue
			}
			c.Tier = tier
			got := e.Tariff.CallMicroUSD(c)
			if tier == cost.Priority && got < usual || tier != cost.Priority && got > usual {
				t.Fatalf("%s %s: %d, standard %d", e.Model, tier, got, usual)
			}
		}
	})
}

// Whoever asks for a row's own name gets that row.
func TestEveryRowIsFound(t *testing.T) {
	table := prices.Embedded()
	for _, e := range table.Entries() {
		id, region := e.Model, ""
		if strings.Contains(e.Scope, "-") && e.Scope != "us-gov" {
			region = e.Scope
		} else if e.Scope != "" {
			id = e.Scope + "." + id
		}
		_, got, ok := table.Lookup(e.Provider, id, region)
		if !ok || got.Model != e.Model || got.Scope != e.Scope || got.Note != "" {
			t.Errorf("%s %s: %+v, %v", id, region, got, ok)
		}
	}
}

func FuzzLookup(f *testing.F) {
	for _, id := range []string{"gpt-4o", "eu.anthropic.claude-haiku-4-5-20251001-v1:0", "arn:aws:bedrock:a:b:c/d", "-v1", "x-latest", "us.", ":0"} {
		f.Add("bedrock", id, "eu-central-1")
		f.Add("openai", id, "")
	}
	table := prices.Embedded()
	f.Fuzz(func(t *testing.T, provider, model, region string) {
		tariff, _, ok := table.Lookup(provider, model, region)
		if ok && tariff.Validate() != nil {
			t.Fatal(provider, model, region)
		}
	})
}

func BenchmarkLookup(b *testing.B) {
	table := prices.Embedded()
	b.ReportAllocs()
	for b.Loop() {
		if _, _, ok := table.Lookup(prices.Bedrock, "eu.anthropic.claude-haiku-4-5-20251001-v1:0", "eu-central-1"); !ok {
			b.Fatal("no price")
		}
	}
}

func BenchmarkEmbedded(b *testing.B) {
	for b.Loop() {
		prices.Embedded()
	}
}
