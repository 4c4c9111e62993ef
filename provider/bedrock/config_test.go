package bedrock_test

import (
	"testing"

	"github.com/forebay-ai/forebay/provider/bedrock"
)

func TestConfig(t *testing.T) {
	good := bedrock.Config{Region: "eu-central-1"}
	for want, change := range map[string]func(*bedrock.Config){
		"region: missing":                            func(c *bedrock.Config) { c.Region = "" },
		`region: "EU Central" is not`:                func(c *bedrock.Config) { c.Region = "EU Central" },
		`region: "eu.evil.example/" is not`:          func(c *bedrock.Config) { c.Region = "eu.evil.example/" },
		`endpoint: "ftp://x": only http`:             func(c *bedrock.Config) { c.Endpoint = "ftp://x" },
		"endpoint: must not hold a user":             func(c *bedrock.Config) { c.Endpoint = "https://u:hunter2secret@x" },
		"endpoint: must not have a query":            func(c *bedrock.Config) { c.Endpoint = "https://x?y" },
		"endpoint: not a URL":                        func(c *bedrock.Config) { c.Endpoint = "https://%zz" },
		"api_key: holds a character":                 func(c *bedrock.Config) { c.APIKey = "key\n" },
		"api_key: stands beside credentials":         func(c *bedrock.Config) { c.APIKey, c.Credentials = apiKey, who() },
		"profile: stands beside credentials":         func(c *bedrock.Config) { c.Profile, c.Credentials = "p", who() },
		`on_unsupported: "ignore" is neither`:        func(c *bedrock.Config) { c.OnUnsupported = "ignore" },
		"connect_timeout: -1ns is below zero":        func(c *bedrock.Config) { c.ConnectTimeout = -1 },
		"first_byte_timeout: -2ns is below zero":     func(c *bedrock.Config) { c.FirstByteTimeout = -2 },
		"max_conns: -1 is below zero":                func(c *bedrock.Config) { c.MaxConns = -1 },
		"idle_timeout: -2ns is below zero\nmax_body": func(c *bedrock.Config) { c.IdleTimeout, c.MaxBody = -2, -1 },
	} {
		cfg := good
		change(&cfg)
		_, err := bedrock.New(cfg)
		if err == nil || !contains(err.Error(), want) || contains(err.Error(), "hunter2secret") {
			t.Errorf("%v, want %q", err, want)
		}
	}
	cfg := good
	cfg.Region, cfg.OnUnsupported, cfg.MaxStream = "", "x", -1
	_, err := bedrock.New(cfg)
	for _, want := range []string{"region", "on_unsupported", "max_stream_bytes"} {
		if err == nil || !contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
	}
}
