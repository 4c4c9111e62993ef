package route_test

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/forebay-ai/forebay/route"
	"github.com/google/go-cmp/cmp"
)

func TestNewReportsEverything(t *testing.T) {
	_, err := route.New("quickest", []route.Target{
		{Name: "a", Residency: "EU", Weight: -1},
		{Name: "a", Weight: math.NaN(), ContextWindow: -5},
		{Residency: strings.Repeat("x", 33), Weight: 1e7},
		{Name: "d", MicroUSDPerMTok: -1, Residency: "de_de", Weight: 1e-9},
		{Name: "e", Weight: math.Inf(1), Residency: "eu\n"},
		{},
	})
	if err == nil {
		t.Fatal("no error")
	}
	weight, label := "; use a number from 0.000001 to 1000000, or 0 for 1", "; use 1 to 32 lower-case letters, digits and hyphens, such as eu or eu-de"
	name := `is not possible; use a name that no other target of the model has`
	want := []string{
		`strategy: "quickest" is not known; use ordered, weighted, fastest or cheapest`,
		`targets[0].weight: -1 is not possible` + weight,
		`targets[0].residency: "EU" is not a residency` + label,
		`targets[1]: "a" is targets[0] already; use each target once in a model`,
		`targets[1].weight: NaN is not possible` + weight,
		`targets[1].context_window: -5 is not possible; use a number of tokens, or 0 where it is not known`,
		`targets[2].name: "" ` + name,
		`targets[2].weight: 1e+07 is not possible` + weight,
		`targets[2].residency: "` + strings.Repeat("x", 33) + `" is not a residency` + label,
		`targets[3].weight: 1e-09 is not possible` + weight,
		`targets[3].price: -1 is not possible; use a price from 0, in millionths of a dollar for a million tokens`,
		`targets[3].residency: "de_de" is not a residency` + label,
		`targets[4].weight: +Inf is not possible` + weight,
		`targets[4].residency: "eu\n" is not a residency` + label,
		`targets[5].name: "" ` + name,
	}
	if d := cmp.Diff(want, strings.Split(err.Error(), "\n")); d != "" {
		t.Errorf("faults (-want +got):\n%s", d)
	}
}

func TestNewBoundsTheTargets(t *testing.T) {
	for n, want := range map[int]string{
		0:                    "targets: there is none; use at least one",
		1:                    "",
		route.MaxTargets:     "",
		route.MaxTargets + 1: "targets: 65 are too many; use at most 64",
	} {
		got := ""
		if _, err := route.New("", plain(n)); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%d targets: %q, want %q", n, got, want)
		}
	}
}

func TestNewKeepsItsOwnTargets(t *testing.T) {
	targets := plain(2)
	r := router(t, "", targets...)
	targets[0].Residency = "us"
	r.Targets()[1].Residency = "us"
	if got := r.Plan(nil, route.Need{Residency: "eu"}, well); !cmp.Equal(got, []int{0, 1}) {
		t.Errorf("plan %v: the router's targets were changed from outside", got)
	}
	if r.Strategy() != route.Ordered {
		t.Errorf("strategy %q, want ordered for the empty one", r.Strategy())
	}
}

func TestCheckResidency(t *testing.T) {
	for label, ok := range map[string]bool{
		"eu": true, "eu-de": true, "a": true, "0": true, "de2-x": true, strings.Repeat("e", 32): true,
		"": false, strings.Repeat("e", 33): false, "EU": false, "eu de": false, "eu_de": false, "é": false, "eu.de": false, "eu\x00": false,
	} {
		if err := route.CheckResidency(label); (err == nil) != ok {
			t.Errorf("%s: %v", strconv.Quote(label), err)
		}
	}
	if err := route.CheckResidency(strings.Repeat("\xff", 1<<20)); len(err.Error()) > 500 {
		t.Errorf("an error of %d bytes for a long label", len(err.Error()))
	}
}

func TestAllowed(t *testing.T) {
	for _, c := range []struct {
		need, target string
		want         bool
	}{
		{"", "", true},
		{"", "us", true},
		{"eu", "eu", true},
		{"eu", "eu-de", true},
		{"eu", "eu-de-fra", true},
		{"eu-de", "eu-de-fra", true},
		{"eu-de", "eu", false},
		{"eu-de", "eu-fr", false},
		{"eu", "", false},
		{"eu", "us", false},
		{"eu", "eur", false},
		{"eu", "euro-de", false},
		{"eu", "us-eu", false},
		{"EU", "eu", false},
		{"e", "eu", false},
		{"-", "eu", false},
	} {
		if got := route.Allowed(c.need, c.target); got != c.want {
			t.Errorf("Allowed(%q, %q) = %t", c.need, c.target, got)
		}
	}
}

// A residency that is asked for comes from a header: whatever it is, only a target
// that carries it, or a part of it, is allowed.
func FuzzAllowed(f *testing.F) {
	f.Add("eu", "eu-de")
	f.Add("", "")
	f.Add("eu-", "eu--")
	f.Fuzz(func(t *testing.T, need, target string) {
		want := need == "" || need == target || strings.HasPrefix(target, need+"-")
		if got := route.Allowed(need, target); got != want {
			t.Errorf("Allowed(%q, %q) = %t", need, target, got)
		}
		if err := route.CheckResidency(need); err != nil && len(err.Error()) > 500 {
			t.Errorf("an error of %d bytes", len(err.Error()))
		}
	})
}

func TestExclusions(t *testing.T) {
	r := router(t, "", []route.Target{
		{Name: "eu-small", Residency: "eu-de", ContextWindow: 8_000},
		{Name: "eu-large", Residency: "eu", ContextWindow: 200_000},
		{Name: "us", Residency: "us", ContextWindow: 1_000_000},
		{Name: "anywhere"},
	}...)
	for _, c := range []struct {
		name     string
		need     route.Need
		excluded string // as JSON; empty: does not matter
	}{
		{"anything", route.Need{}, `null`},
		{"as long as the window", route.Need{Tokens: 8_000}, `null`},
		{
			"residency",
			route.Need{Residency: "eu"},
			`[{"target":"us","reason":"residency","why":"the request has to stay in \"eu\", and the target is marked \"us\""},` +
				`{"target":"anywhere","reason":"residency","why":"the request has to stay in \"eu\", and the target has no residency"}]`,
		},
		{
			"length",
			route.Need{Tokens: 8_001},
			`[{"target":"eu-small","reason":"window","why":"the request needs up to 8001 tokens, and the target's context window has 8000"}]`,
		},
		{
			"larger than one that was too small",
			route.Need{Residency: "eu", Window: 8_000},
			`[{"target":"eu-small","reason":"window","why":"the request was too long for a context window of 8000 tokens, and the target's has 8000"},` +
				`{"target":"us","reason":"residency","why":"the request has to stay in \"eu\", and the target is marked \"us\""},` +
				`{"target":"anywhere","reason":"residency","why":"the request has to stay in \"eu\", and the target has no residency"}]`,
		},
		{
			"larger than all",
			route.Need{Window: 1_000_000},
			`[{"target":"eu-small","reason":"window","why":"the request was too long for a context window of 1000000 tokens, and the target's has 8000"},` +
				`{"target":"eu-large","reason":"window","why":"the request was too long for a context window of 1000000 tokens, and the target's has 200000"},` +
				`{"target":"us","reason":"window","why":"the request was too long for a context window of 1000000 tokens, and the target's has 1000000"},` +
				`{"target":"anywhere","reason":"window","why":"the request was too long for a context window of 1000000 tokens, and the target's is not known"}]`,
		},
		{
			"longer than any that may",
			route.Need{Residency: "eu", Tokens: 200_001},
			"",
		},
		{
			"nowhere",
			route.Need{Residency: "ch", Tokens: 5_000_000},
			"",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			excluded := r.Exclusions(c.need)
			if got, err := json.Marshal(excluded); err != nil || c.excluded != "" && string(got) != c.excluded {
				t.Errorf("excluded %s, %v\nwant %s", got, err, c.excluded)
			}
			if plan := r.Plan(nil, c.need, well); len(plan)+len(excluded) != 4 {
				t.Errorf("%d planned and %d excluded of 4 targets", len(plan), len(excluded))
			}
		})
	}
}

// well is the state of targets against which nothing is to be said.
func well(int) route.State { return route.State{Share: 1} }
