package cache_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/llm"
)

// The whole way of a call: look up, share a miss, store the complete answer.
func Example() {
	answers, err := cache.New(cache.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer answers.Close()
	flights := cache.NewFlights(cache.FlightsConfig{})
	ctx, scope := context.Background(), cache.DefaultScope()

	ask := func(user, canonical string) {
		id := cache.Identity{Dialect: "openai", Endpoint: "chat", Model: "gpt-4o-mini", Tenant: "acme", User: user}
		key, owner := cache.KeyOf(id, scope, []byte(canonical)), cache.Owner(scope, id.Tenant)
		if e, outcome := answers.Get(key, owner, time.Now()); outcome == cache.Hit {
			fmt.Printf("%s: %s (cached)\n", user, e.Body)
			return
		}
		share, err := flights.Do(ctx, key, llm.Normal, func(context.Context) (llm.Stream, error) {
			if e, outcome := answers.Get(key, owner, time.Now()); outcome == cache.Hit {
				return &slice{chunks: []llm.Chunk{{Raw: e.Body}}}, nil // stored a moment ago
			}
			now := time.Now()
			answer := &cache.Entry{
				Key: key, Tenant: owner, Body: []byte("Hello, " + user), Stored: now, Expires: answers.Expiry(now, time.Hour),
			}
			return &storing{cache: answers, entry: answer, now: now}, nil // stores it before io.EOF
		})
		if err != nil {
			fmt.Println(err)
			return
		}
		res, err := llm.Collect(share)
		fmt.Printf("%s: %s (%v)\n", user, res.Body, err)
	}
	ask("ada", `{"messages":["hi"]}`)
	ask("ada", `{"messages":["hi"]}`)
	ask("bob", `{"messages":["hi"]}`)
	fmt.Println(flights.Close(ctx))
	// Output:
	// ada: Hello, ada (<nil>)
	// ada: Hello, ada (cached)
	// bob: Hello, bob (<nil>)
	// <nil>
}

func ExampleKeyOf() {
	ada := cache.Identity{Operation: "vc-analysis", Model: "haiku", Tenant: "acme", User: "ada"}
	bob := ada
	bob.User = "bob"
	canonical := []byte(`{"messages":["hi"]}`)

	perUser, perTenant := cache.DefaultScope(), []cache.Dimension{cache.Tenant}
	fmt.Println(cache.KeyOf(ada, perUser, canonical) == cache.KeyOf(bob, perUser, canonical))
	fmt.Println(cache.KeyOf(ada, perTenant, canonical) == cache.KeyOf(bob, perTenant, canonical))
	// Output:
	// false
	// true
}

func ExampleFlights_Do() {
	flights := cache.NewFlights(cache.FlightsConfig{})
	s, err := flights.Do(context.Background(), cache.Key{}, llm.Normal, func(context.Context) (llm.Stream, error) {
		return &slice{chunks: []llm.Chunk{text("Hello, "), text("world")}}, nil
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	for {
		c, err := s.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%s", c.Raw)
	}
	// Output: Hello, world
}
