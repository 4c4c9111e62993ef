package openai

import (
	"strings"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/provider/internal/exchange"
)

// secrets are the key and all configured headers. Those that are for credentials are not
// to come back in an answer either.
func (c *Config) secrets() *exchange.Secrets {
	keys, others := []llm.Secret{c.APIKey}, []llm.Secret(nil)
	for name, value := range c.Headers {
		if holdsKey(name) {
			keys = append(keys, value)
		} else {
			others = append(others, value)
		}
	}
	return exchange.Hide(keys, others)
}

// holdsKey says whether a header is one for credentials. Others (an organisation, a
// title, a version) may be in an answer by right.
func holdsKey(name string) bool {
	name = strings.ToLower(name)
	for _, word := range [...]string{"auth", "key", "token", "secret", "cookie", "credential", "password"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}
