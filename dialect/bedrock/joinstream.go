package bedrock

import (
	"slices"
	"strings"

	"github.com/forebay-ai/forebay/dialect/internal/edge"
	"github.com/forebay-ai/forebay/dialect/internal/scan"
)

// joinStream turns the messages of a stream into a whole body.
func joinStream(answer []byte, invoke bool) ([]byte, error) {
	j := joiner{blocks: map[int64]*joined{}, invoke: invoke}
	for rest := answer; len(rest) > 0 && !j.found.ended; {
		e, n, err := NextEvent(rest)
		if err != nil || n == 0 || e.Exception || !j.found.event(e, invoke) || j.found.failed {
			return nil, edge.Unreadable("events")
		}
		rest = rest[n:]
		j.add(e)
	}
	if !j.found.ended {
		return nil, edge.Unreadable("events")
	}
	var whole *scan.Node
	ok := true
	switch j.found.form {
	case converseForm, novaForm:
		whole, ok = j.converse()
	case anthropicForm:
		whole, ok = j.anthropic()
	case titanForm:
		whole = j.titan()
	default:
		return nil, noCounterpart("a stream of this model")
	}
	if !ok {
		return nil, noCounterpart("a block of the answer")
	}
	return whole.Append(make([]byte, 0, len(answer)/2)), nil
}

// joiner gathers the events of one answer.
type joiner struct {
	found  findings
	invoke bool

	start, stop, last *scan.Node // messageStart, messageStop and metadata, or Anthropic's like
	blocks            map[int64]*joined
}

// joined is what came of one block.
type joined struct {
	begin  *scan.Node   // what the block began with; nil where nothing came before the pieces
	deltas []*scan.Node // its pieces
}

// add takes in one event, which was read before.
func (j *joiner) add(e Event) {
	if !j.invoke {
		j.named(e.Type, scan.Parse(e.Payload, maxAnswerDepth))
		return
	}
	if e.Type != "chunk" {
		return
	}
	n := scan.Parse(slices.Clone(j.found.decoded), maxAnswerDepth) // that memory is used again
	switch j.found.form {
	case anthropicForm:
		j.typed(n)
	case titanForm:
		j.outputText(n)
	case novaForm:
		for i, name := range n.Names {
			if strings.HasPrefix(name, own) {
				j.beside(name, n.Members[i])
			} else {
				j.named(name, n.Members[i])
			}
		}
	}
}

// beside keeps a member that Bedrock has added. Its count of the tokens stands in the
// header of a whole answer.
func (j *joiner) beside(name string, value *scan.Node) {
	if name == metricsName {
		return
	}
	if j.last == nil {
		j.last = scan.Object()
	}
	j.last.Set(name, value)
}

// named takes in one of Converse's events.
func (j *joiner) named(name string, n *scan.Node) {
	index, _ := n.Get("contentBlockIndex").Number()
	switch name {
	case "messageStart":
		j.start = n.Without("p")
	case "contentBlockStart":
		j.block(index).begin = n.Get("start")
	case "contentBlockDelta":
		if delta := n.Get("delta"); delta != nil {
			b := j.block(index)
			b.deltas = append(b.deltas, delta)
		}
	case "messageStop":
		j.stop = n.Without("p")
	case "metadata":
		if j.last == nil {
			j.last = scan.Object()
		}
		for i, member := range n.Names {
			if member != "p" {
				j.last.Set(member, n.Members[i])
			}
		}
	}
}

func (j *joiner) block(index int64) *joined {
	b := j.blocks[index]
	if b == nil {
		b = &joined{}
		j.blocks[index] = b
	}
	return b
}

// inOrder are the blocks in the order of their indexes.
func (j *joiner) inOrder() []*joined {
	order := make([]int64, 0, len(j.blocks))
	for index := range j.blocks {
		order = append(order, index)
	}
	slices.Sort(order)
	all := make([]*joined, len(order))
	for i, index := range order {
		all[i] = j.blocks[index]
	}
	return all
}

// extend appends a piece of a text to those before it; its first piece is copied.
func extend(have, piece *scan.Node) *scan.Node {
	piece = orString(piece)
	if have == nil || have.Kind != '"' {
		have = scan.Quoted("")
	}
	have.Extend(piece)
	return have
}
