package bedrock

import (
	"strconv"

	"github.com/forebay-ai/forebay/dialect/internal/scan"
	"github.com/forebay-ai/forebay/llm"
)

const (
	// MaxDepth is how deep objects and arrays of a request may be nested, as in package
	// openai: the schemas of tools are the deepest part, and stand two levels lower here.
	MaxDepth = 64
	// maxAnswerDepth bounds the nesting of what providers send; documents of tools and
	// traces of guardrails are about 20 deep.
	maxAnswerDepth = 256
)

// strict checks that body is one well-formed JSON object: no duplicate names, valid
// UTF-8, paired surrogates, nothing behind it. The cursor that it returns stands at the
// object's start.
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

// readString passes a value and returns the text of a string; nil for everything else.
func readString(c *scan.Cursor) []byte {
	if c.Peek() != '"' {
		c.Skip()
		return nil
	}
	inner, escaped := c.Quoted()
	if escaped {
		return scan.Unescape(inner)
	}
	return inner
}
