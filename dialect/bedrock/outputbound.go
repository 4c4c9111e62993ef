package bedrock

import (
	"slices"
	"strconv"

	"github.com/forebay-ai/forebay/dialect/internal/edge"
	"github.com/forebay-ai/forebay/dialect/internal/scan"
	"github.com/forebay-ai/forebay/llm"
)

// bound is a member that bounds an answer, in tokens: within an object, or at the top.
type bound struct{ object, name string }

// converseBounds has Converse's one.
var converseBounds = []bound{{"inferenceConfig", "maxTokens"}}

// invokeBounds are those of the models' own bodies.
var invokeBounds = []bound{
	{"", "max_tokens"},            // Anthropic, Mistral, Cohere, and those who copied OpenAI
	{"", "max_completion_tokens"}, // OpenAI's open models
	{"", "max_tokens_to_sample"},  // Claude 2
	{"", "max_gen_len"},           // Llama
	{"", "maxTokens"},             // AI21
	{"inferenceConfig", "maxTokens"},
	{"inferenceConfig", "max_new_tokens"}, // what Nova called it first
	{"textGenerationConfig", "maxTokenCount"},
}

// ownBound is the member that a family's bodies are bounded with where they say nothing.
var ownBound = map[string]bound{
	"anthropic":         {"", "max_tokens"},
	"mistral":           {"", "max_tokens"},
	"cohere":            {"", "max_tokens"},
	"openai":            {"", "max_completion_tokens"},
	"meta":              {"", "max_gen_len"},
	"amazon.nova":       {"inferenceConfig", "maxTokens"},
	"amazon.titan-text": {"textGenerationConfig", "maxTokenCount"},
}

// MaxOutput reads inferenceConfig.maxTokens. It is 0 for bodies that set none, or one
// that is no positive number, and for what is not JSON.
func (Converse) MaxOutput(req *llm.Request) int { return maxOutput(req, converseBounds) }

// MaxOutput reads the bound that the model's own form has, the smallest where a body has
// several. It is 0 for bodies that set none, for embeddings, and for what is not JSON.
func (Invoke) MaxOutput(req *llm.Request) int { return maxOutput(req, invokeBounds) }

func maxOutput(req *llm.Request, bounds []bound) (least int) {
	if req.Endpoint != llm.Chat {
		return 0
	}
	c := scan.Cursor{Text: req.Body, Max: MaxDepth}
	found := func(object, name string) {
		if !slices.Contains(bounds, bound{object, name}) {
			c.Skip()
		} else if n := tokens(c.Count()); n > 0 && (least == 0 || n < least) {
			least = n
		}
	}
	for ok := c.Open('{'); ok; ok = c.More('}') {
		name := string(c.Name())
		if !slices.ContainsFunc(bounds, func(b bound) bool { return b.object == name }) || c.Peek() != '{' {
			found("", name)
			continue
		}
		for ok := c.Open('{'); ok; ok = c.More('}') {
			found(name, string(c.Name()))
		}
	}
	if !c.Whole() {
		return 0
	}
	return least
}

// Simplify lowers inferenceConfig.maxTokens to maxOutput, or sets it. The model stands in
// the path and not in the body: that the call asks another is for the caller to see to.
// All other bytes stay as they are. The errors are those of ParseConverse for a body that
// is no strict JSON object.
func (Converse) Simplify(req *llm.Request, _ string, maxOutput int) ([]byte, error) {
	return simplify(req, maxOutput, converseBounds, converseBounds[0])
}

// Simplify lowers the bound that the body has, or sets the one that the model's family
// knows; where the family is not known, the body stays as it is. A model of another
// family has another form: that is an *llm.Error of kind CallerInvalidRequest.
func (Invoke) Simplify(req *llm.Request, model string, maxOutput int) ([]byte, error) {
	if model != "" && Family(model) != Family(req.Model) {
		return nil, &llm.Error{
			Kind: llm.CallerInvalidRequest, Message: "the body of InvokeModel is in the form of its own model's family",
			Fix: "Name a smaller model of the same family, or call Converse.",
		}
	}
	return simplify(req, maxOutput, invokeBounds, ownBound[Family(req.Model)])
}

func simplify(req *llm.Request, most int, bounds []bound, own bound) ([]byte, error) {
	if _, err := edge.Strict(req.Body); err != nil {
		return nil, err
	}
	if most <= 0 || req.Endpoint != llm.Chat {
		return slices.Clone(req.Body), nil
	}
	root := scan.Parse(req.Body, MaxDepth)
	if root == nil {
		return nil, edge.Explain(req.Body)
	}
	var edits []scan.Edit
	number := strconv.Itoa(most)
	set := false
	for _, b := range bounds {
		m, ok := find(req.Body, b)
		if !ok {
			continue
		}
		set = true
		value := scan.Cursor{Text: req.Body[m.value:m.end], Max: MaxDepth}
		if n := value.Count(); n <= 0 || n > int64(most) {
			edits = append(edits, scan.Edit{From: m.value, To: m.end, Text: number})
		}
	}
	if !set && own.name != "" {
		edits = append(edits, insert(req.Body, own, number))
	}
	return scan.Splice(req.Body, edits), nil
}
