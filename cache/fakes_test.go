package cache_test

import (
	"context"
	"testing"

	"github.com/forebay-ai/forebay/cache"
)

var identity = cache.Identity{
	Dialect: "openai", Endpoint: "chat", Operation: "vc-analysis", Family: "openai", Model: "gpt-4o-mini",
	PromptVersion: "3", Tenant: "acme", User: "user-123", Persona: "Der Profi",
}

// open makes a cache that the test closes.
func open(tb testing.TB, cfg cache.Config) *cache.Cache {
	tb.Helper()
	c, err := cache.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { shut(tb, c) })
	return c
}

// shut closes a cache, all of whose entries must have been written.
func shut(tb testing.TB, c *cache.Cache) {
	tb.Helper()
	if err := c.Close(context.Background()); err != nil {
		tb.Error(err)
	}
}
