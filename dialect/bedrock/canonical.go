package bedrock

import (
	"github.com/forebay-ai/forebay/dialect/internal/canonical"
	"github.com/forebay-ai/forebay/dialect/internal/edge"
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

// converseRules and invokeRules are how bodies are compared: what people write as package
// openai compares it. A cache point between two texts is nothing that the model sees; a
// text that is to be guarded is compared as it is.
var (
	converseRules = rulesOf(ignoredConverse)
	invokeRules   = rulesOf(ignoredInvoke)
)

// rulesOf are the rules for Converse's bodies, Nova's, and Anthropic's, whose names do not
// contradict each other.
func rulesOf(ignored map[string]string) *canonical.Rules {
	return &canonical.Rules{
		Ignored: ignored, Written: []string{"user", "system"}, System: true, Untyped: true,
		Parts: map[string]canonical.Part{"guardContent": canonical.Verbatim, "cachePoint": canonical.Hidden},
		Plain: isPlain, MaxDepth: MaxDepth,
	}
}

// Canonical appends the canonical form of req.Body to dst: the members that do not change
// the answer left out (there is a table of them with reasons; at the top level only),
// members sorted, white space gone, strings and fractions in their shortest spelling.
// Unless verbatim is set, what people write is normalised too: the texts of the user's
// messages and of system in Unicode NFC and without outer white space. Whether the answer
// is streamed, and the model, are not in the body and not in the form. A body that is not
// strict JSON is an *llm.Error of kind CallerInvalidRequest; dst is then returned as it was.
func (Converse) Canonical(dst []byte, req *llm.Request, verbatim bool) ([]byte, error) {
	return appendCanonical(dst, req, verbatim, converseRules)
}

// Canonical is Converse's for the models' own bodies. Texts to embed, and prompts that
// are one text (Titan's inputText, Llama's prompt), are compared as they are.
func (Invoke) Canonical(dst []byte, req *llm.Request, verbatim bool) ([]byte, error) {
	return appendCanonical(dst, req, verbatim, invokeRules)
}

func appendCanonical(dst []byte, req *llm.Request, verbatim bool, rules *canonical.Rules) ([]byte, error) {
	form, ok := rules.Append(dst, req, verbatim, nil)
	if !ok {
		return dst, edge.Explain(req.Body)
	}
	return form, nil
}

// Omissions says what Canonical leaves out of req.Body, in the order of the body:
// members that do not change the answer, and what the normalisation of texts took or
// composed. The errors are those of Canonical.
func (Converse) Omissions(req *llm.Request, verbatim bool) ([]llm.Omission, error) {
	return omissions(req, verbatim, converseRules)
}

// Omissions says what Canonical leaves out of req.Body, as Converse's does.
func (Invoke) Omissions(req *llm.Request, verbatim bool) ([]llm.Omission, error) {
	return omissions(req, verbatim, invokeRules)
}

func omissions(req *llm.Request, verbatim bool, rules *canonical.Rules) ([]llm.Omission, error) {
	notes := []llm.Omission{}
	if _, ok := rules.Append(nil, req, verbatim, &notes); !ok {
		return nil, edge.Explain(req.Body)
	}
	return notes, nil
}

// LastTurn returns the text of the last message, whose role must be user, and the
// canonical form with an empty text in its place. The content has that text as its only
// part, cache points apart. ok is false for everything else that llm.TurnSplitter names:
// tools, an answer that must follow a schema, members of the last message other than role
// and content, and an empty text.
func (Converse) LastTurn(req *llm.Request) (said string, rest []byte, ok bool) {
	return converseRules.LastTurn(req)
}

// LastTurn is Converse's for bodies of messages, Anthropic's and Nova's. A prompt that is
// one text has no turns.
func (Invoke) LastTurn(req *llm.Request) (said string, rest []byte, ok bool) {
	return invokeRules.LastTurn(req)
}

// isPlain passes a member and reports that the answer is text with it.
func isPlain(name []byte, c *scan.Cursor) bool {
	switch string(name) {
	case "toolConfig", "tools", "tool_choice", "output_format", "response_format", "promptVariables":
		return !c.Filled()
	case "outputConfig", "output_config":
		return freeFormat(c)
	}
	c.Skip()
	return true
}

// freeFormat passes the configuration of the output and reports that it demands no form.
func freeFormat(c *scan.Cursor) bool {
	if c.Peek() != '{' {
		return c.Null()
	}
	free := true
	for ok := c.Open('{'); ok; ok = c.More('}') {
		if name := string(c.Name()); name == "textFormat" || name == "format" {
			free = !c.Filled() && free
		} else {
			c.Skip()
		}
	}
	return free
}
