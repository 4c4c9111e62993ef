package cache_test

import (
	"context"
	"fmt"
	"time"

	"github.com/forebay-ai/forebay/cache"
)

// The way of a call: look up, make the call, store the complete answer.
func Example() {
	answers, err := cache.New(cache.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer answers.Close(context.Background())
	ctx, scope := context.Background(), cache.DefaultScope()

	ask := func(user, canonical string) {
		id := cache.Identity{Dialect: "openai", Endpoint: "chat", Model: "gpt-4o-mini", Tenant: "acme", User: user}
		key, digest := cache.KeyAndDigest(id, scope, []byte(canonical))
		labels := cache.Labels{Tenant: id.Tenant, User: id.User, Model: id.Model}
		since := answers.Generation() // before anything is asked for
		found := answers.Find(ctx, cache.Query{
			Key: key, Digest: digest, Tenant: id.Tenant, User: id.User, Labels: labels, Now: time.Now(),
		})
		if found.Outcome == cache.Hit {
			fmt.Printf("%s: %s (cached)\n", user, found.Entry.Body)
			return
		}
		now := time.Now()
		answers.Put(&cache.Entry{
			Key: key, Digest: digest, Tenant: id.Tenant, User: id.User, Labels: labels, Since: since,
			Body: []byte("Hello, " + user), Stored: now, Expires: answers.Expiry(now, time.Hour),
		}, now)
		fmt.Printf("%s: Hello, %s (%s)\n", user, user, found.Reason)
	}
	ask("ada", `{"messages":["hi"]}`)
	ask("ada", `{"messages":["hi"]}`)
	ask("bob", `{"messages":["hi"]}`)
	_, err = answers.Invalidate(ctx, cache.Scope{Tenant: "acme", User: "ada"})
	ask("ada", `{"messages":["hi"]}`)
	fmt.Println(err)
	// Output:
	// ada: Hello, ada (never_seen)
	// ada: Hello, ada (cached)
	// bob: Hello, bob (scope)
	// ada: Hello, ada (invalidated)
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
