package replay_test

import (
	"maps"
	"math"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay/internal/replay"
	"github.com/forebay-ai/forebay/llm"
)

// sent runs cfg against a gateway that answers at once and returns what it sent.
func sent(t *testing.T, change func(*replay.Config)) (calls []seen) {
	synctest.Test(t, func(t *testing.T) {
		g, cfg, stop := serve(t, ok)
		defer stop()
		for i := range 1000 {
			cfg.Trace = append(cfg.Trace, replay.Arrival{At: time.Duration(i) * time.Second, PromptTokens: 2 + i%40, OutputTokens: i % 7})
		}
		change(&cfg)
		mustRun(t, t.Context(), cfg)
		calls = g.calls()
	})
	return calls
}

func distinct(calls []seen) int {
	prompts := map[string]bool{}
	for _, c := range calls {
		prompts[c.body.prompt()] = true
	}
	return len(prompts)
}

func TestCallsSayWhatTheTraceSays(t *testing.T) {
	calls := sent(t, func(c *replay.Config) { c.Key, c.Operation = "sk-1", "vc-analysis" })
	for i, c := range calls {
		b := c.body
		if len(b.prompt()) != 4*(2+i%40) || b.MaxTokens != max(1, i%7) || b.Model != "m" || b.Messages[0].Role != "user" || b.Stream || b.Options != nil {
			t.Fatalf("call %d: %s", i, c.raw)
		}
		for name, want := range map[string]string{
			"Authorization": "Bearer sk-1", "X-Forebay-Operation": "vc-analysis", "Content-Type": "application/json", "X-Forebay-User": "",
		} {
			if got := c.header.Get(name); got != want {
				t.Fatalf("call %d: %s %q, want %q", i, name, got, want)
			}
		}
	}
	if n := distinct(calls); n != 1000 {
		t.Errorf("%d distinct prompts of 1,000 without repeats", n)
	}
}

func TestRepeatsAreExact(t *testing.T) {
	set := func(seed uint64) func(*replay.Config) {
		return func(c *replay.Config) { c.Repeat, c.Users, c.Seed = 0.3, 5, seed }
	}
	calls := sent(t, set(7))
	if n := distinct(calls); math.Abs(float64(n)-700) > 50 {
		t.Errorf("%d distinct prompts, want about 700 of 1,000", n)
	}
	first, users := map[string]seen{}, map[string]bool{}
	for i, c := range calls {
		user := c.header.Get("X-Forebay-User")
		users[user] = true
		if f, ok := first[c.body.prompt()]; !ok {
			first[c.body.prompt()] = c
		} else if f.raw != c.raw || f.header.Get("X-Forebay-User") != user {
			t.Fatalf("call %d repeats a prompt but not the whole call:\n%s\n%s", i, f.raw, c.raw)
		}
	}
	if len(users) != 5 {
		t.Errorf("%d users, want 5", len(users))
	}
	for i, c := range sent(t, set(7)) {
		if c.raw != calls[i].raw {
			t.Fatalf("call %d differs with the same seed", i)
		}
	}
	for _, c := range sent(t, set(8)) {
		if f, ok := first[c.body.prompt()]; ok && len(f.body.prompt()) > 16 {
			t.Fatalf("another seed sends the same prompt %q", f.body.prompt())
		}
	}
	if n := distinct(sent(t, func(c *replay.Config) { c.Repeat = 1 })); n != 1 {
		t.Errorf("%d distinct prompts where all repeat", n)
	}
}

func TestShares(t *testing.T) {
	calls := sent(t, func(c *replay.Config) { c.Stream = 0.25 })
	streams, bands := 0, map[string]int{}
	for _, c := range calls {
		if c.body.Stream {
			streams++
			if c.body.Options == nil || !c.body.Options.IncludeUsage {
				t.Fatalf("a stream without usage: %s", c.raw)
			}
		}
		bands[c.header.Get("X-Forebay-Priority")]++
	}
	if math.Abs(float64(streams)-250) > 50 {
		t.Errorf("%d streams, want about 250", streams)
	}
	for band, want := range map[string]int{"low": 200, "normal": 600, "high": 150, "critical": 50} {
		if math.Abs(float64(bands[band]-want)) > 50 {
			t.Errorf("%d calls of band %s, want about %d", bands[band], band, want)
		}
	}
	only := map[string]int{}
	for _, c := range sent(t, func(c *replay.Config) { c.Priorities = map[llm.Priority]float64{llm.Low: 0.1, llm.High: 0.2} }) {
		only[c.header.Get("X-Forebay-Priority")]++
	}
	if len(only) != 2 || only["low"] < 270 || only["low"] > 400 {
		t.Errorf("bands %v, want a third low and the rest high", maps.Collect(maps.All(only)))
	}
}

// Prompts share text exactly as far as they share blocks.
func TestBlocksAreSharedPrefixes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, cfg, stop := serve(t, func(w http.ResponseWriter, r *http.Request) { ok(w, r) })
		defer stop()
		cfg.Trace = []replay.Arrival{
			{At: 0, PromptTokens: 1100, OutputTokens: 1, Blocks: []int64{5, 6, 7}},
			{At: 1e9, PromptTokens: 1300, OutputTokens: 1, Blocks: []int64{5, 6, 8}},
			{At: 2e9, PromptTokens: 1100, OutputTokens: 1, Blocks: []int64{5, 6, 7}},
			{At: 3e9, PromptTokens: 1100, OutputTokens: 1, Blocks: []int64{5}},      // too few blocks for its size
			{At: 4e9, PromptTokens: 100, OutputTokens: 1, Blocks: []int64{5, 6, 7}}, // too many
		}
		mustRun(t, t.Context(), cfg)
		var p []string
		for i, c := range g.calls() {
			p = append(p, c.body.prompt())
			if len(p[i]) != 4*cfg.Trace[i].PromptTokens {
				t.Errorf("prompt %d has %d bytes", i, len(p[i]))
			}
		}
		const block = 512 * 4
		if p[0] != p[2] {
			t.Error("the same blocks give different prompts")
		}
		if p[0][:2*block] != p[1][:2*block] || p[0][2*block:2*block+40] == p[1][2*block:2*block+40] {
			t.Error("prompts 0 and 1 must share two blocks and no more")
		}
		if p[0][:block] != p[3][:block] || p[0][block:block+40] == p[3][block:block+40] {
			t.Error("prompts 0 and 3 must share one block and no more")
		}
		if !strings.HasPrefix(p[0], p[4][:len(p[4])-1]) { // its last byte is the full stop
			t.Error("a prompt shorter than its blocks must be their beginning")
		}
	})
}
