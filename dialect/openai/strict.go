package openai

import (
	"strconv"

	"github.com/forebay-ai/forebay/dialect/internal/scan"
	"github.com/forebay-ai/forebay/llm"
)

// MaxDepth is how deep objects and arrays of a request may be nested. Requests of
// the recorded SDKs are at most 12 deep (JSON schemas of tools are the deepest part).
const MaxDepth = 64

// strict checks that body is one well-formed JSON object: no duplicate names, valid
// UTF-8, paired surrogates, nothing behind it, no more than MaxDepth levels. The
// cursor that it returns stands at the object's start.
func strict(body []byte) (scan.Cursor, error) {
	c, fault := scan.Strict(body, MaxDepth)
	if fault != nil {
		return c, refusal(fault)
	}
	return c, nil
}

// explain says what is wrong with a body that is no strict JSON object.
func explain(body []byte) *llm.Error { return refusal(scan.Explain(body, MaxDepth)) }

func refusal(f *scan.Fault) *llm.Error {
	e := &llm.Error{
		Kind: llm.CallerInvalidRequest, Message: "the request body " + f.Message,
		Param: f.Param, Fix: f.Fix,
	}
	if f.Deep {
		e.Limit, e.Value = "json_depth", strconv.Itoa(MaxDepth)
	}
	return e
}
