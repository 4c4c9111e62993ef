package openai

import (
	"math"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/forebay-ai/forebay/dialect/internal/scan"
	"github.com/forebay-ai/forebay/llm"
)

var _ llm.OutputBounder = Dialect{}

// bounds are the members that bound an answer, in tokens. Where a body has several, the
// first one counts: OpenAI's own, what it was called before, and what its newer
// endpoint calls it.
var bounds = [...]string{"max_completion_tokens", "max_tokens", "max_output_tokens"}

// MaxOutput reads the bound of one choice from max_completion_tokens, max_tokens or
// max_output_tokens, in this order. It is 0 for bodies that set none, or one that is no
// positive number, for embeddings, and for what is not JSON. It allocates nothing.
func (Dialect) MaxOutput(req *llm.Request) int {
	if req.Endpoint == llm.Embeddings {
		return 0
	}
	var found [len(bounds)]int64
	c := scan.Cursor{Text: req.Body, Max: MaxDepth}
	for ok := c.Open('{'); ok; ok = c.More('}') {
		if i := slices.Index(bounds[:], string(c.Name())); i >= 0 {
			found[i] = c.Count()
		} else {
			c.Skip()
		}
	}
	if !c.Whole() {
		return 0
	}
	for _, n := range found {
		if n > 0 {
			return int(min(n, math.MaxInt32)) // no model writes two thousand million tokens
		}
	}
	return 0
}

// Simplify sets model, where it is not empty, and lowers each bound that the body sets
// above maxOutput, or that is no bound (null, 0). Where the body sets none it gets
// max_completion_tokens, which OpenAI's models all take; embeddings have no bound. All
// other bytes stay as they are. The errors are those of SetModel.
func (Dialect) Simplify(req *llm.Request, model string, maxOutput int) ([]byte, error) {
	var edits []scan.Edit
	if model != "" {
		m, err := findMember(req.Body, "model")
		if err != nil {
			return nil, err
		}
		if m.name == m.end {
			return nil, missing("model", "Name the model that shall answer.")
		}
		quoted, _ := jsontext.AppendQuote(nil, model) // as in SetModel
		edits = append(edits, scan.Edit{From: m.value, To: m.end, Text: string(quoted)})
	}
	if maxOutput > 0 && req.Endpoint != llm.Embeddings {
		lower, err := lowerBounds(req.Body, maxOutput)
		if err != nil {
			return nil, err
		}
		edits = append(edits, lower...)
	}
	if len(edits) == 0 {
		if _, err := findMember(req.Body, "model"); err != nil { // it is no object, then
			return nil, err
		}
	}
	return scan.Splice(req.Body, edits), nil
}

// lowerBounds says how to bound the answer to most tokens.
func lowerBounds(body []byte, most int) ([]scan.Edit, error) {
	number := strconv.Itoa(most)
	var edits []scan.Edit
	set := false
	for _, name := range bounds {
		m, err := findMember(body, name)
		if err != nil {
			return nil, err
		}
		if m.name == m.end {
			continue
		}
		set = true
		value := scan.Cursor{Text: body[m.value:m.end], Max: MaxDepth}
		if n := value.Count(); n <= 0 || n > int64(most) {
			edits = append(edits, scan.Edit{From: m.value, To: m.end, Text: number})
		}
	}
	if !set {
		c := scan.Cursor{Text: body, Max: MaxDepth}
		inside := c.Open('{')
		text := `"` + bounds[0] + `":` + number
		if c.Depth == 0 { // {} is behind its brace already
			return []scan.Edit{{From: c.At - 1, To: c.At - 1, Text: text}}, nil
		}
		if inside {
			text += ","
		}
		edits = append(edits, scan.Edit{From: c.At, To: c.At, Text: text})
	}
	return edits, nil
}
