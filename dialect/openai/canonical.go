package openai

import (
	"github.com/go-json-experiment/json/jsontext"

	"github.com/forebay-ai/forebay/dialect/internal/scan"
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

// Canonical appends the canonical form of req.Body to dst: the members that do not
// change the answer left out (there is a table of them with reasons; at the top level
// only), members sorted, white space gone, strings and fractions in their shortest
// spelling. Numbers count as doubles, but integers without fraction and exponent keep
// their digits. Unless verbatim is set, what people write in a chat is normalised too
// (normal.go says what and why). The body of a Function is any JSON value, of which
// nothing is left out. A body that is not strict JSON is an *llm.Error of kind
// CallerInvalidRequest; dst is then returned as it was.
func (Dialect) Canonical(dst []byte, req *llm.Request, verbatim bool) ([]byte, error) {
	return appendCanonical(dst, req, verbatim, nil)
}

// Omissions says what Canonical leaves out of req.Body, in the order of the body:
// members that do not change the answer, and what the normalisation of texts took or
// composed. The errors are those of Canonical.
func (Dialect) Omissions(req *llm.Request, verbatim bool) ([]llm.Omission, error) {
	notes := []llm.Omission{}
	if _, err := appendCanonical(nil, req, verbatim, &notes); err != nil {
		return nil, err
	}
	return notes, nil
}

// appendCanonical appends the canonical form. Where notes is not nil, what was left
// out is added to it.
func appendCanonical(dst []byte, req *llm.Request, verbatim bool, notes *[]llm.Omission) ([]byte, error) {
	start := len(dst)
	src := req.Body
	if req.Endpoint != llm.Function {
		k := keeper{
			Cursor: scan.Cursor{Text: req.Body, Max: MaxDepth}, dst: dst,
			normal: !verbatim && req.Endpoint == llm.Chat, notes: notes,
		}
		if !k.object() {
			return dst, explain(req.Body)
		}
		dst = k.dst[:start]
		if k.changed { // else the copy is of no use
			src = k.dst[start:]
		}
	}
	// Source and destination overlap; jsontext builds the result in its own buffer.
	form, err := jsontext.AppendFormat(dst, src, canonicalOptions...)
	if err != nil {
		return dst, explain(req.Body)
	}
	return form, nil
}

// keeper copies a body without what makes no difference. What it copies has the
// caller's spelling still, and is checked by jsontext afterwards.
type keeper struct {
	scan.Cursor
	dst     []byte
	copied  int  // what of Text is to be kept before it is in dst
	changed bool // dst says something else than Text
	normal  bool // the texts of messages are normalised
	notes   *[]llm.Omission

	scratch, composed []byte // memory for one text
}

// object copies the body and reports that it is JSON.
func (k *keeper) object() bool {
	k.dst = append(k.dst, '{')
	empty := true
	for ok := k.Open('{'); ok; ok = k.More('}') {
		k.Peek()
		start := k.At
		name := k.Name()
		if reason, drop := ignored[string(name)]; drop {
			k.Skip()
			k.changed = true
			if k.notes != nil {
				k.note("/"+string(name), reason)
			}
			continue
		}
		if !empty {
			k.dst = append(k.dst, ',')
		}
		empty = false
		k.copied = start
		if k.normal && string(name) == "messages" {
			k.messages()
		} else {
			k.Skip()
		}
		k.copyTo(k.At)
	}
	k.dst = append(k.dst, '}')
	return k.Whole()
}

// copyTo copies what stands before Text[end] and was not copied.
func (k *keeper) copyTo(end int) {
	k.dst = append(k.dst, k.Text[k.copied:end]...)
	k.copied = end
}

func (k *keeper) note(path, reason string) {
	*k.notes = append(*k.notes, llm.Omission{Path: path, Reason: reason})
}
