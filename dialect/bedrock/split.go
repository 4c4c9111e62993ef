package bedrock

import (
	"strconv"
	"strings"

	"github.com/forebay-ai/forebay/dialect/internal/edge"
	"github.com/forebay-ai/forebay/dialect/internal/scan"
)

// own is what begins the names of the members that Bedrock adds to the models' own bodies.
const own = "amazon-bedrock-"

// metricsName is the member with which Bedrock's last chunk tells what it counted.
const metricsName = own + "invocationMetrics"

// appendEventFunc appends an event of Converse's in the framing of the operation.
type appendEventFunc func(dst []byte, name string, payload *scan.Node) []byte

// appendNova appends one of Converse's events as Nova's chunks hold it. What Bedrock adds
// stands beside the last one.
func appendNova(dst []byte, name string, payload *scan.Node) []byte {
	if name != "metadata" {
		return appendChunk(dst, object(name, payload))
	}
	event := object(name, nil)
	rest := scan.Object()
	for i, member := range payload.Names {
		if strings.HasPrefix(member, own) {
			event.Set(member, payload.Members[i])
		} else {
			rest.Set(member, payload.Members[i])
		}
	}
	event.Set(name, rest)
	if event.Get(metricsName) == nil {
		event.Set(metricsName, metricsOf(payload.Get("usage")))
	}
	return appendChunk(dst, event)
}

// metricsOf makes Bedrock's count of a model's report.
func metricsOf(usage *scan.Node) *scan.Node {
	f := findings{}
	if usage != nil && usage.Kind == '{' {
		c := scan.Cursor{Text: usage.Append(nil), Max: maxAnswerDepth}
		f.readUsage(&c)
	}
	n := object("inputTokenCount", number(f.usage.Input), "outputTokenCount", number(f.usage.Output))
	if f.usage.CacheRead+f.usage.CacheWrite > 0 {
		n.Set("cacheReadInputTokenCount", number(f.usage.CacheRead))
		n.Set("cacheWriteInputTokenCount", number(f.usage.CacheWrite))
	}
	return n
}

func number(n int64) *scan.Node { return scan.Literal(strconv.FormatInt(n, 10)) }

// splitConverse turns a whole answer of Converse, or of Nova, into events.
func splitConverse(whole *scan.Node, appendEvent appendEventFunc) ([]byte, error) {
	message := whole.Get("output").Get("message")
	if message == nil || message.Kind != '{' {
		return nil, edge.Unreadable("body")
	}
	start := message.Without("content")
	start.Put("role", scan.Quoted("assistant"))
	dst := appendEvent(nil, "messageStart", start)
	for i, block := range message.Get("content").Elements() {
		pieces, ok := splitBlock(block)
		if !ok {
			return nil, noCounterpart("a block of the answer")
		}
		index := number(int64(i))
		if pieces.start != nil {
			dst = appendEvent(dst, "contentBlockStart", object("contentBlockIndex", index, "start", pieces.start))
		}
		for _, delta := range pieces.deltas {
			dst = appendEvent(dst, "contentBlockDelta", object("contentBlockIndex", index, "delta", delta))
		}
		dst = appendEvent(dst, "contentBlockStop", object("contentBlockIndex", index))
	}
	reason := whole.Get("stopReason")
	if reason == nil {
		reason = scan.Quoted("end_turn")
	}
	stop := object("stopReason", reason)
	if fields := whole.Get("additionalModelResponseFields"); fields != nil {
		stop.Set("additionalModelResponseFields", fields)
	}
	dst = appendEvent(dst, "messageStop", stop)
	return appendEvent(dst, "metadata", whole.Without("output", "stopReason", "additionalModelResponseFields")), nil
}

// pieces are what a block of a whole answer becomes.
type pieces struct {
	start  *scan.Node // nil where the block begins with its first piece
	deltas []*scan.Node
}

func (p *pieces) add(name string, value *scan.Node) {
	p.deltas = append(p.deltas, object(name, value))
}

// splitBlock turns a block of Converse's into its pieces; ok is false where there is no
// counterpart.
func splitBlock(block *scan.Node) (p pieces, ok bool) {
	if block == nil || block.Kind != '{' || len(block.Names) != 1 {
		return p, false
	}
	value := block.Members[0]
	switch name := block.Names[0]; name {
	case "text":
		p.add(name, value)
		return p, value.Kind == '"'
	case "toolUse":
		input := value.Get("input")
		if value.Kind != '{' || input == nil {
			return p, false
		}
		p.start = object(name, value.Without("input"))
		p.add(name, object("input", jsonNode(input)))
	case "reasoningContent":
		return splitReasoning(value)
	case "citationsContent":
		return splitCitations(value)
	case "image":
		if value.Get("source") == nil {
			return p, false
		}
		p.start = object(name, value.Without("source", "error"))
		p.add(name, object("source", value.Get("source")))
	case "toolResult":
		if value.Get("content") == nil {
			return p, false
		}
		p.start = object(name, value.Without("content"))
		p.add(name, value.Get("content"))
	default:
		return p, false
	}
	return p, true
}

// splitReasoning turns a thought into pieces: its text and its signature, or what of it
// nobody may read.
func splitReasoning(value *scan.Node) (p pieces, ok bool) {
	if value.Kind != '{' || len(value.Names) != 1 {
		return p, false
	}
	if redacted := value.Get("redactedContent"); redacted != nil {
		p.add("reasoningContent", value)
		return p, true
	}
	said := value.Get("reasoningText")
	if said == nil || said.Kind != '{' {
		return p, false
	}
	for i, name := range said.Names {
		if name != "text" && name != "signature" || said.Members[i].Kind != '"' {
			return p, false
		}
	}
	for _, name := range [...]string{"text", "signature"} {
		if part := said.Get(name); part != nil {
			p.add("reasoningContent", object(name, part))
		}
	}
	return p, len(p.deltas) > 0
}

// splitCitations turns a text with its sources into pieces.
func splitCitations(value *scan.Node) (p pieces, ok bool) {
	if value.Kind != '{' {
		return p, false
	}
	for _, part := range value.Get("content").Elements() {
		said := part.Get("text")
		if said == nil || len(part.Names) != 1 {
			return p, false
		}
		p.add("text", said)
	}
	for _, citation := range value.Get("citations").Elements() {
		p.add("citation", citation)
	}
	return p, len(p.deltas) > 0 && len(value.Get("citations").Elements()) > 0 && len(value.Without("content", "citations").Names) == 0
}

// splitAnthropic turns Anthropic's whole answer into chunks.
func splitAnthropic(whole *scan.Node) []byte {
	usage := whole.Get("usage")
	if usage == nil || usage.Kind != '{' {
		usage = scan.Object()
	}
	message, last := scan.Object(), object("type", scan.Quoted("message_stop"))
	for i, name := range whole.Names {
		switch {
		case strings.HasPrefix(name, own):
			last.Set(name, whole.Members[i])
		case name == "content":
			message.Set(name, scan.Array())
		case name == "stop_reason", name == "stop_sequence":
			message.Set(name, scan.Literal("null"))
		default:
			message.Set(name, whole.Members[i])
		}
	}
	if last.Get(metricsName) == nil {
		last.Set(metricsName, metricsOf(usage))
	}
	dst := appendChunk(nil, object("type", scan.Quoted("message_start"), "message", message))
	for i, block := range whole.Get("content").Elements() {
		dst = appendAnthropicBlock(dst, number(int64(i)), block)
	}
	delta := scan.Object()
	for _, name := range [...]string{"stop_reason", "stop_sequence"} {
		value := whole.Get(name)
		if value == nil {
			value = scan.Literal("null")
		}
		delta.Set(name, value)
	}
	dst = appendChunk(dst, object("type", scan.Quoted("message_delta"), "delta", delta, "usage", usage))
	return appendChunk(dst, last)
}

// appendAnthropicBlock appends the events of one block: its beginning without what comes
// in pieces, the pieces, and its end. A block whose kind has no pieces comes whole.
func appendAnthropicBlock(dst []byte, index, block *scan.Node) []byte {
	begin := block
	var deltas []*scan.Node
	piece := func(kind, name string, value *scan.Node) {
		deltas = append(deltas, object("type", scan.Quoted(kind), name, value))
	}
	if block.Kind == '{' {
		begin = block.Without()
	}
	switch block.Get("type").String() {
	case "text":
		begin.Set("text", scan.Quoted(""))
		piece("text_delta", "text", orString(block.Get("text")))
		if citations := block.Get("citations"); len(citations.Elements()) > 0 {
			begin.Set("citations", scan.Array())
			for _, c := range citations.Elements() {
				piece("citations_delta", "citation", c)
			}
		}
	case "tool_use", "server_tool_use":
		if input := block.Get("input"); input != nil {
			begin.Set("input", scan.Object())
			piece("input_json_delta", "partial_json", jsonNode(input))
		}
	case "thinking":
		begin.Set("thinking", scan.Quoted(""))
		begin.Set("signature", scan.Quoted(""))
		piece("thinking_delta", "thinking", orString(block.Get("thinking")))
		piece("signature_delta", "signature", orString(block.Get("signature")))
	}
	dst = appendChunk(dst, object("type", scan.Quoted("content_block_start"), "index", index, "content_block", begin))
	for _, delta := range deltas {
		dst = appendChunk(dst, object("type", scan.Quoted("content_block_delta"), "index", index, "delta", delta))
	}
	return appendChunk(dst, object("type", scan.Quoted("content_block_stop"), "index", index))
}

// splitTitan turns Titan's whole answer, of one result, into one chunk.
func splitTitan(whole *scan.Node) []byte {
	result := whole.Get("results").Elements()[0]
	event := whole.Without("results")
	if result.Kind == '{' {
		for i, name := range result.Names {
			if name == "tokenCount" {
				name = "totalOutputTextTokenCount"
			}
			event.Set(name, result.Members[i])
		}
	}
	event.Set("index", scan.Literal("0"))
	if event.Get(metricsName) == nil {
		event.Set(metricsName, object("inputTokenCount", number(countOf(event, "inputTextTokenCount")),
			"outputTokenCount", number(countOf(event, "totalOutputTextTokenCount"))))
	}
	return appendChunk(nil, event)
}

func countOf(n *scan.Node, name string) int64 {
	count, _ := n.Get(name).Number()
	return max(count, 0)
}
