package bedrock

import (
	"github.com/forebay-ai/forebay/dialect/internal/scan"
	"github.com/forebay-ai/forebay/llm"
)

// Compose makes an answer of Converse that says text, whole or as events, with a usage of
// zero. For an endpoint other than Chat there is no such answer, and Compose returns nil.
func (d Converse) Compose(req *llm.Request, text string) []byte {
	if req.Endpoint != llm.Chat {
		return nil
	}
	return composed(d, req, converseAnswer(text, "metrics", object("latencyMs", number(0))))
}

// Compose makes an answer of InvokeModel that says text, in the form of the model's
// family: Anthropic's, Nova's or Titan's. Where the id does not tell the family, the
// request's body does. For another family, or an endpoint other than Chat, it returns nil.
func (d Invoke) Compose(req *llm.Request, text string) []byte {
	if req.Endpoint != llm.Chat {
		return nil
	}
	switch requestForm(req.Model, req.Body) {
	case anthropicForm:
		return composed(d, req, object(
			"id", textNode("msg_bdrk_"+req.ID), "type", scan.Quoted("message"), "role", scan.Quoted("assistant"),
			"model", textNode(req.Model), "content", scan.Array(object("type", scan.Quoted("text"), "text", textNode(text))),
			"stop_reason", scan.Quoted("end_turn"), "stop_sequence", scan.Literal("null"),
			"usage", object("input_tokens", number(0), "output_tokens", number(0)),
		))
	case novaForm:
		return composed(d, req, converseAnswer(text))
	case titanForm:
		return composed(d, req, object("inputTextTokenCount", number(0), "results", scan.Array(object(
			"tokenCount", number(0), "outputText", textNode(text), "completionReason", scan.Quoted("FINISH"),
		))))
	}
	return nil
}

// converseAnswer is a whole answer of Converse's, with more members behind its own.
func converseAnswer(text string, more ...any) *scan.Node {
	return object(append([]any{
		"output", object("message", object("role", scan.Quoted("assistant"), "content", scan.Array(object("text", textNode(text))))),
		"stopReason", scan.Quoted("end_turn"),
		"usage", object("inputTokens", number(0), "outputTokens", number(0), "totalTokens", number(0)),
	}, more...)...)
}

// composed gives a whole answer the form that req asks for.
func composed(d llm.Dialect, req *llm.Request, whole *scan.Node) []byte {
	answer, err := d.Reshape(req, whole.Append(nil), false)
	if err != nil { // no block of ours is without a counterpart
		return nil
	}
	return answer
}

// requestForm is the form of a request's body: that of the model's family or, where the
// id does not tell, the one that its members show.
func requestForm(model string, body []byte) form {
	switch Family(model) {
	case "anthropic":
		return anthropicForm
	case "amazon.nova":
		return novaForm
	case "amazon.titan-text":
		return titanForm
	case "":
	default:
		return otherForm
	}
	n := scan.Parse(body, MaxDepth)
	switch {
	case n.Get("anthropic_version") != nil:
		return anthropicForm
	case n.Get("schemaVersion") != nil || n.Get("inferenceConfig") != nil:
		return novaForm
	case n.Get("inputText") != nil:
		return titanForm
	}
	return otherForm
}
