package bedrock

import (
	"encoding/base64"

	"github.com/forebay-ai/forebay/dialect/internal/edge"
	"github.com/forebay-ai/forebay/dialect/internal/scan"
	"github.com/forebay-ai/forebay/llm"
)

// Reshape turns answer into the form that req asks for. stream says which form answer
// has: the messages of a stream, or a whole body.
//
//   - events to a whole body: the pieces of each block are joined by its index;
//   - a whole body to events: each block comes in as few pieces as its kind allows, then
//     messageStop and metadata.
//
// Members that this package does not know survive: those of the whole body stand in
// metadata, where they come from in the other direction. Padding (p) does not. A block
// without a counterpart (a member that ConverseStream has no delta for), and a call whose
// input was cut so that it is no JSON, is an *llm.Error of kind ForebayInternal; Covers
// says so before. An answer that has the right form already is returned as it is.
func (Converse) Reshape(req *llm.Request, answer []byte, stream bool) ([]byte, error) {
	switch {
	case req.Endpoint != llm.Chat || stream == req.Stream:
		return answer, nil
	case stream:
		return joinStream(answer, false)
	}
	whole := scan.Parse(answer, maxAnswerDepth)
	if whole == nil || whole.Kind != '{' {
		return nil, edge.Unreadable("body")
	}
	return splitConverse(whole, appendNamed)
}

// Covers says that answer has a counterpart in the form that req asks for.
func (d Converse) Covers(req *llm.Request, answer []byte, stream bool) bool {
	return covers(d, req, answer, stream)
}

// Reshape turns answer into the form that req asks for, as Converse's does, for the
// bodies of Anthropic (message_start … message_stop), Nova (Converse's events within
// chunks) and Titan (outputText). Nova begins a block with every piece of a text; they
// become one. Of all other families' answers no pair of forms is known, and theirs are
// an *llm.Error of kind ForebayInternal unless they have the right form already.
func (Invoke) Reshape(req *llm.Request, answer []byte, stream bool) ([]byte, error) {
	switch {
	case req.Endpoint != llm.Chat || stream == req.Stream:
		return answer, nil
	case stream:
		return joinStream(answer, true)
	}
	whole := scan.Parse(answer, maxAnswerDepth)
	if whole == nil || whole.Kind != '{' {
		return nil, edge.Unreadable("body")
	}
	switch {
	case whole.Get("output") != nil:
		return splitConverse(whole, appendNova)
	case whole.Get("content") != nil && whole.Get("type").String() == "message":
		return splitAnthropic(whole), nil
	case len(whole.Get("results").Elements()) == 1:
		return splitTitan(whole), nil
	}
	return nil, noCounterpart("an answer of this model")
}

// Covers says that answer has a counterpart in the form that req asks for.
func (d Invoke) Covers(req *llm.Request, answer []byte, stream bool) bool {
	return covers(d, req, answer, stream)
}

// covers asks the conversion itself: what has a counterpart is its to know, and a form
// that differs is the rare case.
func covers(d llm.Dialect, req *llm.Request, answer []byte, stream bool) bool {
	if req.Endpoint != llm.Chat || stream == req.Stream {
		return true
	}
	_, err := d.Reshape(req, answer, stream)
	return err == nil
}

func noCounterpart(what string) *llm.Error {
	return llm.Errorf(llm.ForebayInternal, "%s has no counterpart in the other form", what)
}

// appendNamed appends one of Converse's events.
func appendNamed(dst []byte, name string, payload *scan.Node) []byte {
	return AppendEvent(dst, name, payload.Append(nil))
}

// appendChunk appends a chunk with the JSON of a model's own event.
func appendChunk(dst []byte, event *scan.Node) []byte {
	payload := base64.StdEncoding.AppendEncode([]byte(`{"bytes":"`), event.Append(nil))
	return AppendEvent(dst, "chunk", append(payload, `"}`...))
}

// object makes an object of names and values in turn.
func object(members ...any) *scan.Node {
	n := scan.Object()
	for i := 0; i+1 < len(members); i += 2 {
		name, _ := members[i].(string)
		value, _ := members[i+1].(*scan.Node)
		n.Names, n.Members = append(n.Names, name), append(n.Members, value)
	}
	return n
}

// textNode makes a string of text.
func textNode(text string) *scan.Node {
	quoted := scan.AppendString(nil, text)
	return &scan.Node{Kind: '"', Text: quoted[1 : len(quoted)-1]}
}

// jsonNode makes a string of a value's JSON.
func jsonNode(value *scan.Node) *scan.Node { return textNode(string(value.Append(nil))) }

// orString is n where it is a string, else an empty one.
func orString(n *scan.Node) *scan.Node {
	if n == nil || n.Kind != '"' {
		return scan.Quoted("")
	}
	return n
}
