package openai

import (
	"github.com/go-json-experiment/json/jsontext"

	"github.com/forebay-ai/forebay/llm"
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

// canonicalOptions are those of jsontext.Value.Canonicalize (RFC 8785) but for
// integers, which keep their digits: RFC 8785 takes numbers for doubles, and two
// neighbouring large seeds would share a key.
var canonicalOptions = []jsontext.Options{
	jsontext.CanonicalizeRawInts(false),
	jsontext.CanonicalizeRawFloats(true),
	jsontext.ReorderRawObjects(true),
}

// Canonical appends the canonical form of body to dst: the members that do not change
// the answer left out (there is a table of them with reasons; at the top level only),
// members sorted, white space gone, strings and fractions in their shortest spelling.
// The body of a Function is any JSON value, of which nothing is left out. A body that
// is not strict JSON is an *llm.Error of kind CallerInvalidRequest; dst is then
// returned as it was.
func (Dialect) Canonical(dst []byte, endpoint llm.Endpoint, body []byte) ([]byte, error) {
	start := len(dst)
	src := body
	if endpoint != llm.Function {
		kept, dropped, ok := appendKept(dst, body)
		if !ok {
			if at := tooDeep(body); at >= 0 {
				return dst, depthError(body, at)
			}
			return dst, explain(body)
		}
		if dropped { // else the copy is of no use
			src = kept[start:]
		}
		dst = kept[:start]
	}
	// Source and destination overlap; jsontext builds the result in its own buffer.
	form, err := jsontext.AppendFormat(dst, src, canonicalOptions...)
	if err != nil {
		return dst, explain(body)
	}
	return form, nil
}

// appendKept appends body without the ignored members.
func appendKept(dst, body []byte) (kept []byte, dropped, ok bool) {
	c := cursor{b: body, max: MaxDepth}
	dst = append(dst, '{')
	empty := true
	for ok := c.open('{'); ok; ok = c.more('}') {
		c.peek()
		start := c.i
		_, drop := ignored[string(c.name())]
		c.skip()
		if drop {
			dropped = true
			continue
		}
		if !empty {
			dst = append(dst, ',')
		}
		empty = false
		dst = append(dst, body[start:c.i]...)
	}
	return append(dst, '}'), dropped, c.whole()
}
