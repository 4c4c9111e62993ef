package route_test

import (
	"fmt"
	"time"

	"github.com/forebay-ai/forebay/route"
)

func ExampleRouter_Plan() {
	targets := []route.Target{
		{Name: "bedrock-fra/claude", Region: "bedrock/eu-central-1", Residency: "eu-de"},
		{Name: "bedrock-dub/claude", Region: "bedrock/eu-west-1", Residency: "eu-ie"},
		{Name: "anthropic/claude", Residency: "us"},
	}
	r, err := route.New(route.Ordered, targets)
	if err != nil {
		fmt.Println(err)
		return
	}
	// Frankfurt has asked for patience; Dublin is well.
	state := func(i int) route.State {
		if i == 0 {
			return route.State{Wait: 3 * time.Second}
		}
		return route.State{}
	}
	for _, i := range r.Plan(nil, route.Need{Residency: "eu"}, state) {
		fmt.Println(targets[i].Name)
	}
	// Output:
	// bedrock-dub/claude
	// bedrock-fra/claude
}

func ExampleRouter_Exclusions() {
	r, err := route.New(route.Ordered, []route.Target{
		{Name: "bedrock-fra/claude", Residency: "eu-de", ContextWindow: 200_000},
		{Name: "openai/gpt", Residency: "us", ContextWindow: 1_000_000},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, e := range r.Exclusions(route.Need{Residency: "eu", Tokens: 250_000}) {
		fmt.Printf("%s: %s: %s\n", e.Name, e.Reason, e.Why)
	}
	// Output:
	// bedrock-fra/claude: window: the request needs up to 250000 tokens, and the target's context window has 200000
	// openai/gpt: residency: the request has to stay in "eu", and the target is marked "us"
}

func ExampleRegions() {
	var g route.Regions
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	g.Set(now, "bedrock/eu-central-1", "claude", false)
	g.Set(now, "bedrock/eu-central-1", "nova", true)
	g.Set(now, "bedrock/eu-central-1", "titan", true)
	fmt.Println(g.Down("bedrock/eu-central-1"))
	// Output: true
}
