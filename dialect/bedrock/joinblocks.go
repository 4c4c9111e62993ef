package bedrock

import (
	"encoding/base64"
	"strconv"

	"github.com/forebay-ai/forebay/dialect/internal/scan"
)

// converse makes the whole answer of Converse, or of Nova.
func (j *joiner) converse() (*scan.Node, bool) {
	content := scan.Array()
	for _, b := range j.inOrder() {
		block, ok := b.block()
		if !ok {
			return nil, false
		}
		if block == nil {
			continue // began and ended, and said nothing
		}
		if last := len(content.Members) - 1; j.invoke && last >= 0 && block.Get("text") != nil && content.Members[last].Get("text") != nil {
			content.Members[last].Get("text").Extend(block.Get("text")) // each piece is a block of its own
			continue
		}
		content.Members = append(content.Members, block)
	}
	message := scan.Object()
	if j.start != nil && j.start.Kind == '{' {
		message = j.start
	}
	message.Put("role", scan.Quoted("assistant"))
	message.Set("content", content)
	whole := object("output", object("message", message))
	for _, part := range [...]*scan.Node{j.stop, j.last} {
		if part == nil || part.Kind != '{' {
			continue
		}
		for i, name := range part.Names {
			whole.Set(name, part.Members[i])
		}
	}
	if usage := whole.Get("usage"); usage != nil && usage.Get("outputTokens") != nil && usage.Get("totalTokens") == nil {
		usage.Set("totalTokens", number(j.found.used().Total())) // Nova's streams leave it out, whole answers have it
	}
	return whole, true
}

// block makes a block of Converse's of its pieces: nil where it has none.
func (b *joined) block() (*scan.Node, bool) {
	switch {
	case b.begin.Get("toolUse") != nil:
		return b.toolUse()
	case b.begin.Get("image") != nil:
		return b.attached("image", "source")
	case b.begin.Get("toolResult") != nil:
		return b.attached("toolResult", "content")
	case b.begin != nil && len(b.begin.Names) > 0:
		return nil, false // a beginning that nobody knows yet
	}
	var g gathered
	for _, delta := range b.deltas {
		for i, name := range delta.Names {
			if !g.add(name, delta.Members[i]) {
				return nil, false
			}
		}
	}
	return g.block()
}

// gathered is what the pieces of a block say that begins without a word.
type gathered struct {
	said, thought, signature *scan.Node
	redacted, citations      []*scan.Node
}

// add takes in a piece; false for one that nobody knows yet.
func (g *gathered) add(name string, value *scan.Node) bool {
	switch name {
	case "text":
		g.said = extend(g.said, value)
	case "citation":
		g.citations = append(g.citations, value)
	case "reasoningContent":
		if piece := value.Get("text"); piece != nil {
			g.thought = extend(g.thought, piece)
		}
		if piece := value.Get("signature"); piece != nil {
			g.signature = extend(g.signature, piece)
		}
		if piece := value.Get("redactedContent"); piece != nil {
			g.redacted = append(g.redacted, piece)
		}
	default:
		return false
	}
	return true
}

// block makes the block: nil where nothing was said, false where it is of two kinds.
func (g *gathered) block() (*scan.Node, bool) {
	text, thought, redacted := g.said != nil || len(g.citations) > 0, g.thought != nil || g.signature != nil, len(g.redacted) > 0
	switch {
	case text && thought || text && redacted || thought && redacted:
		return nil, false
	case redacted:
		all, ok := joinBytes(g.redacted)
		return object("reasoningContent", object("redactedContent", all)), ok
	case thought:
		return object("reasoningContent", object("reasoningText", reasoningText(g.thought, g.signature))), true
	case len(g.citations) > 0:
		return object("citationsContent", object("content", scan.Array(object("text", orString(g.said))), "citations", scan.Array(g.citations...))), true
	case text:
		return object("text", g.said), true
	}
	return nil, true
}

func reasoningText(thought, signature *scan.Node) *scan.Node {
	n := object("text", orString(thought))
	if signature != nil {
		n.Set("signature", signature)
	}
	return n
}

// toolUse makes a call, whose input comes as pieces of JSON. A call without any has none.
func (b *joined) toolUse() (*scan.Node, bool) {
	var input *scan.Node
	for _, delta := range b.deltas {
		input = extend(input, delta.Get("toolUse").Get("input"))
	}
	value, ok := inputOf(input)
	if !ok {
		return nil, false
	}
	call := b.begin.Get("toolUse").Without("input")
	call.Set("input", value)
	return object("toolUse", call), true
}

// inputOf reads the joined pieces of a call's input; ok is false where they are no JSON,
// because the answer was cut off within them.
func inputOf(pieces *scan.Node) (*scan.Node, bool) {
	said := pieces.String()
	if said == "" {
		return scan.Object(), true
	}
	n := scan.Parse([]byte(said), maxAnswerDepth)
	return n, n != nil
}

// attached makes a block whose pieces are values under one member: lists follow one
// another, of anything else there is one piece.
func (b *joined) attached(kind, member string) (*scan.Node, bool) {
	block := b.begin.Get(kind).Without()
	var all *scan.Node
	var bytes []*scan.Node
	for _, delta := range b.deltas {
		value := delta.Get(kind)
		if member == "source" {
			value = value.Get(member)
		}
		if piece := value.Get("bytes"); piece != nil {
			bytes = append(bytes, piece)
		}
		switch {
		case value == nil:
			return nil, false
		case all == nil:
			all = value
		case all.Kind == '[' && value.Kind == '[':
			all.Members = append(all.Members, value.Members...)
		case all.Get("bytes") != nil && value.Get("bytes") != nil: // they are joined below
		default:
			return nil, false
		}
	}
	if all == nil {
		return nil, false
	}
	if len(bytes) > 0 {
		joined, ok := joinBytes(bytes)
		if !ok {
			return nil, false
		}
		all.Set("bytes", joined)
	}
	block.Set(member, all)
	return object(kind, block), true
}

// joinBytes joins pieces of bytes, each in base64: they cannot be put behind one another
// as they are, since a piece may end in padding. A single one stays as it is.
func joinBytes(pieces []*scan.Node) (*scan.Node, bool) {
	if len(pieces) == 1 {
		return pieces[0], true
	}
	var all []byte
	for _, piece := range pieces {
		var err error
		if all, err = base64.StdEncoding.AppendDecode(all, []byte(piece.String())); err != nil {
			return nil, false
		}
	}
	return scan.Quoted(base64.StdEncoding.EncodeToString(all)), true
}

// typed takes in one of Anthropic's events.
func (j *joiner) typed(n *scan.Node) {
	index, _ := n.Get("index").Number()
	for i, name := range n.Names {
		if len(name) > len(own) && name[:len(own)] == own {
			j.beside(name, n.Members[i])
		}
	}
	switch n.Get("type").String() {
	case "message_start":
		j.start = n.Get("message")
	case "content_block_start":
		j.block(index).begin = n.Get("content_block")
	case "content_block_delta":
		if delta := n.Get("delta"); delta != nil {
			b := j.block(index)
			b.deltas = append(b.deltas, delta)
		}
	case "message_delta":
		if j.stop == nil {
			j.stop = scan.Object()
		}
		for _, part := range [...]*scan.Node{n.Get("delta"), object("usage", n.Get("usage"))} {
			j.overlay(part)
		}
	}
}

// overlay keeps what a message_delta says.
func (j *joiner) overlay(part *scan.Node) {
	if part == nil || part.Kind != '{' {
		return
	}
	for i, name := range part.Names {
		if value := part.Members[i]; value != nil {
			j.stop.Set(name, value)
		}
	}
}

// anthropic makes Anthropic's whole answer.
func (j *joiner) anthropic() (*scan.Node, bool) {
	whole := scan.Object()
	if j.start != nil && j.start.Kind == '{' {
		whole = j.start.Without()
	}
	content := scan.Array()
	for _, b := range j.inOrder() {
		block, ok := b.anthropicBlock()
		if !ok {
			return nil, false
		}
		content.Members = append(content.Members, block)
	}
	whole.Set("content", content)
	for _, part := range [...]*scan.Node{j.stop, j.last} {
		if part == nil {
			continue
		}
		for i, name := range part.Names {
			value := part.Members[i]
			if before := whole.Get(name); name == "usage" && before != nil && before.Kind == '{' {
				value = merged(before, value)
			}
			whole.Set(name, value)
		}
	}
	return whole, true
}

// merged is an object with another's members set, but for those that say null.
func merged(before, after *scan.Node) *scan.Node {
	n := before.Without()
	if after.Kind == '{' {
		for i, name := range after.Names {
			if !after.Members[i].Is("null") {
				n.Set(name, after.Members[i])
			}
		}
	}
	return n
}

// anthropicBlock makes a block of Anthropic's of its pieces.
func (b *joined) anthropicBlock() (*scan.Node, bool) {
	if b.begin == nil || b.begin.Kind != '{' {
		return nil, false
	}
	block := b.begin.Without()
	var input *scan.Node
	for _, delta := range b.deltas {
		switch delta.Get("type").String() {
		case "text_delta":
			block.Set("text", extend(block.Get("text"), delta.Get("text")))
		case "thinking_delta":
			block.Set("thinking", extend(block.Get("thinking"), delta.Get("thinking")))
		case "signature_delta":
			block.Set("signature", extend(block.Get("signature"), delta.Get("signature")))
		case "input_json_delta":
			input = extend(input, delta.Get("partial_json"))
		case "citations_delta":
			if delta.Get("citation") == nil {
				return nil, false
			}
			citations := scan.Array(block.Get("citations").Elements()...)
			citations.Members = append(citations.Members, delta.Get("citation"))
			block.Set("citations", citations)
		default:
			return nil, false
		}
	}
	if input != nil && input.String() != "" {
		value, ok := inputOf(input)
		if !ok {
			return nil, false
		}
		block.Set("input", value)
	}
	return block, true
}

// outputText takes in one of Titan's chunks.
func (j *joiner) outputText(n *scan.Node) {
	if j.start == nil {
		j.start = scan.Object()
	}
	for i, name := range n.Names {
		value := n.Members[i]
		switch {
		case name == metricsName || name == "index":
		case name == "outputText":
			j.start.Set(name, extend(j.start.Get(name), value))
		case !value.Is("null"):
			j.start.Set(name, value)
		}
	}
}

// titan makes Titan's whole answer.
func (j *joiner) titan() *scan.Node {
	used := j.found.used()
	result := object("tokenCount", number(used.Output), "outputText", orString(j.start.Get("outputText")))
	if count := j.start.Get("totalOutputTextTokenCount"); count != nil {
		result.Set("tokenCount", count)
	}
	if reason := j.start.Get("completionReason"); reason != nil {
		result.Set("completionReason", reason)
	}
	whole := j.start.Without("outputText", "totalOutputTextTokenCount", "completionReason")
	whole.Put("inputTextTokenCount", scan.Literal(strconv.FormatInt(used.Input, 10)))
	whole.Set("results", scan.Array(result))
	return whole
}
