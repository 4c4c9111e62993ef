package bedrock

import (
	"github.com/go-json-experiment/json/jsontext"

	"github.com/forebay-ai/forebay/dialect/internal/scan"
	"github.com/forebay-ai/forebay/llm"
)

// ignoredConverse is the deny-list of Converse.Canonical: top-level members that do not
// change what the model answers, each with its reason. Whatever is not in the table makes
// a difference, members that AWS has not invented yet included: a needless miss costs one
// call, a wrong hit gives a wrong answer. So guardrailConfig stays (it changes the text,
// and its trace the answer), and additionalModelResponseFieldPaths (it adds members).
// Cache points stay too: they stand among what is asked, where a caller always puts them.
var ignoredConverse = map[string]string{
	"requestMetadata":   "tags for the caller's own invocation logs",
	"serviceTier":       "speed and price of the call, not the model or what it says",
	"performanceConfig": "speed of the call: the same model on other machines",
}

// ignoredInvoke is that of Invoke.Canonical, for all models' bodies together.
var ignoredInvoke = map[string]string{
	"metadata":     "Anthropic's: names the end user; the cache's scope separates users",
	"service_tier": "speed and price of the call, not the model or what it says",
}

// canonicalOptions are those of jsontext.Value.Canonicalize (RFC 8785) but for
// integers, which keep their digits, as in package openai.
var canonicalOptions = []jsontext.Options{
	jsontext.CanonicalizeRawInts(false),
	jsontext.CanonicalizeRawFloats(true),
	jsontext.ReorderRawObjects(true),
}

// Canonical appends the canonical form of req.Body to dst: the members that do not change
// the answer left out (there is a table of them with reasons; at the top level only),
// members sorted, white space gone, strings and fractions in their shortest spelling.
// Unless verbatim is set, what people write is normalised too (normal.go says what and
// why). Whether the answer is streamed, and the model, are not in the body and not in the
// form. A body that is not strict JSON is an *llm.Error of kind CallerInvalidRequest; dst
// is then returned as it was.
func (Converse) Canonical(dst []byte, req *llm.Request, verbatim bool) ([]byte, error) {
	return appendCanonical(dst, req, verbatim, ignoredConverse, nil)
}

// Canonical is Converse's for the models' own bodies. Texts to embed, and prompts that
// are one text (Titan's inputText, Llama's prompt), are compared as they are.
func (Invoke) Canonical(dst []byte, req *llm.Request, verbatim bool) ([]byte, error) {
	return appendCanonical(dst, req, verbatim, ignoredInvoke, nil)
}

// Omissions says what Canonical leaves out of req.Body, in the order of the body:
// members that do not change the answer, and what the normalisation of texts took or
// composed. The errors are those of Canonical.
func (Converse) Omissions(req *llm.Request, verbatim bool) ([]llm.Omission, error) {
	return omissions(req, verbatim, ignoredConverse)
}

// Omissions says what Canonical leaves out of req.Body, as Converse's does.
func (Invoke) Omissions(req *llm.Request, verbatim bool) ([]llm.Omission, error) {
	return omissions(req, verbatim, ignoredInvoke)
}

func omissions(req *llm.Request, verbatim bool, ignored map[string]string) ([]llm.Omission, error) {
	notes := []llm.Omission{}
	if _, err := appendCanonical(nil, req, verbatim, ignored, &notes); err != nil {
		return nil, err
	}
	return notes, nil
}

// appendCanonical appends the canonical form. Where notes is not nil, what was left
// out is added to it.
func appendCanonical(dst []byte, req *llm.Request, verbatim bool, ignored map[string]string, notes *[]llm.Omission) ([]byte, error) {
	start := len(dst)
	src := req.Body
	if req.Endpoint != llm.Function {
		k := keeper{
			Cursor: scan.Cursor{Text: req.Body, Max: MaxDepth}, dst: dst, ignored: ignored,
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
	ignored map[string]string
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
		if reason, drop := k.ignored[string(name)]; drop {
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
		switch {
		case k.normal && string(name) == "messages":
			k.messages()
		case k.normal && string(name) == "system":
			k.system()
		default:
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
