package openai

import (
	"github.com/forebay-ai/forebay/dialect/internal/canonical"
	"github.com/forebay-ai/forebay/dialect/internal/edge"
	"github.com/forebay-ai/forebay/dialect/internal/scan"
	"github.com/forebay-ai/forebay/llm"
)

var (
	_ llm.Omitter      = Dialect{}
	_ llm.TurnSplitter = Dialect{}
)

// ignored is the deny-list of Canonical: top-level members of a chat or embeddings
// request that do not change what the model answers, each with its reason. Whatever
// is not in this table makes a difference, members that OpenAI has not invented yet
// included: a needless miss costs one call, a wrong hit gives a wrong answer.
var ignored = map[string]string{
	"stream":                 "form only: Reshape turns one form into the other",
	"stream_options":         "form only: usage event and padding against traffic analysis",
	"user":                   "names the end user; the cache's scope separates users",
	"safety_identifier":      "names the end user, in the place of user",
	"metadata":               "tags for the caller's own reports",
	"store":                  "whether the provider keeps a copy for its dashboard",
	"prompt_cache_key":       "routes calls to a warm prompt cache; the answer does not depend on it",
	"prompt_cache_retention": "how long the provider's prompt cache keeps the prompt",
	"service_tier":           "speed and price of the call, not the model or what it says",
	"cache":                  "LiteLLM's directives: they are read into CacheDirectives, whose namespace is part of the key",
}

// rules are how bodies are compared. What the model said or was told by tools is compared
// as it is, and so are the inputs of embeddings.
var rules = canonical.Rules{
	Ignored: ignored, Written: []string{"user", "system", "developer"},
	Beside: []string{"name"}, Plain: isPlain, MaxDepth: MaxDepth,
}

// Canonical appends the canonical form of req.Body to dst: the members that do not
// change the answer left out (there is a table of them with reasons; at the top level
// only), members sorted, white space gone, strings and fractions in their shortest
// spelling. Numbers count as doubles, but integers without fraction and exponent keep
// their digits. Unless verbatim is set, what people write in a chat is normalised too:
// Unicode NFC, and no outer white space. The body of a Function is any JSON value, of
// which nothing is left out. A body that is not strict JSON is an *llm.Error of kind
// CallerInvalidRequest; dst is then returned as it was.
func (Dialect) Canonical(dst []byte, req *llm.Request, verbatim bool) ([]byte, error) {
	form, ok := rules.Append(dst, req, verbatim, nil)
	if !ok {
		return dst, edge.Explain(req.Body)
	}
	return form, nil
}

// Omissions says what Canonical leaves out of req.Body, in the order of the body:
// members that do not change the answer, and what the normalisation of texts took or
// composed. The errors are those of Canonical.
func (Dialect) Omissions(req *llm.Request, verbatim bool) ([]llm.Omission, error) {
	notes := []llm.Omission{}
	if _, ok := rules.Append(nil, req, verbatim, &notes); !ok {
		return nil, edge.Explain(req.Body)
	}
	return notes, nil
}

// LastTurn returns the text of the last message, whose role must be user, and the
// canonical form with an empty text in its place. The content is that text or has it
// as its only part. ok is false for everything else that llm.TurnSplitter names: tools
// and functions, a response_format other than text and json_object, n other than 1,
// members of the last message other than role, content and name, and an empty text.
func (Dialect) LastTurn(req *llm.Request) (said string, rest []byte, ok bool) {
	return rules.LastTurn(req)
}

// isPlain passes a member and reports that the answer is text with it, and one.
func isPlain(name []byte, c *scan.Cursor) bool {
	switch string(name) {
	case "tools", "functions", "tool_choice", "function_call":
		return isOne(c.Value(), "null", "[]")
	case "n":
		return isOne(c.Value(), "null", "1")
	case "response_format":
		return freeFormat(c)
	}
	c.Skip()
	return true
}

func isOne(value []byte, this, that string) bool {
	return string(value) == this || string(value) == that
}

// freeFormat passes a response_format and reports that it demands no schema.
func freeFormat(c *scan.Cursor) bool {
	if c.Peek() != '{' {
		return c.Null()
	}
	free := false
	for ok := c.Open('{'); ok; ok = c.More('}') {
		if string(c.Name()) == "type" {
			free = isOne(c.Chars(), "text", "json_object")
		} else {
			c.Skip()
		}
	}
	return free
}
