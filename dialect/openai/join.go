package openai

import (
	"slices"
	"strconv"

	"github.com/forebay-ai/forebay/dialect/internal/edge"
	"github.com/forebay-ai/forebay/dialect/internal/scan"
)

// joinEvents turns the events of a stream into a whole body.
func joinEvents(answer []byte) ([]byte, error) {
	whole := scan.Object()
	choices := map[int64]*scan.Node{}
	var joined []byte
	done, events := false, 0
	for rest := answer; len(rest) > 0 && !done; {
		var event, data []byte
		event, rest = cutEvent(rest)
		data, joined, _ = eventData(event, joined)
		if done = isDone(data); done || len(data) == 0 {
			continue
		}
		n := scan.Parse(slices.Clone(data), maxAnswerDepth) // joined is used again
		if n == nil || n.Kind != '{' || !n.Get("error").Empty() {
			return nil, edge.Unreadable("events")
		}
		joinEvent(whole, choices, n)
		events++
	}
	if !done || events == 0 {
		return nil, edge.Unreadable("events")
	}
	list := scan.Array()
	order := make([]int64, 0, len(choices))
	for index := range choices {
		order = append(order, index)
	}
	slices.Sort(order)
	for _, index := range order {
		list.Members = append(list.Members, finishChoice(index, choices[index]))
	}
	usage := whole.Get("usage")
	whole = whole.Without("object", "usage", "obfuscation")
	whole.Put("object", scan.Quoted("chat.completion"))
	whole.Set("choices", list)
	if !usage.Empty() {
		whole.Set("usage", usage)
	}
	return whole.Append(make([]byte, 0, len(answer)/2)), nil
}

// joinEvent adds one event to what came before. At the top level the last value that
// says something counts; choices are joined by their index.
func joinEvent(whole *scan.Node, choices map[int64]*scan.Node, event *scan.Node) {
	for i, name := range event.Names {
		value := event.Members[i]
		if name == "choices" {
			for _, choice := range value.Elements() {
				joinChoice(choices, choice)
			}
		} else if whole.Get(name) == nil || !value.Empty() {
			whole.Set(name, value)
		}
	}
}

// joinChoice adds one piece of a choice. The deltas are joined, and so are logprobs;
// of everything else the last value that says something counts.
func joinChoice(choices map[int64]*scan.Node, piece *scan.Node) {
	if piece.Kind != '{' {
		return
	}
	index, _ := piece.Get("index").Number()
	choice := choices[index]
	if choice == nil {
		choice = scan.Object()
		choices[index] = choice
	}
	for i, name := range piece.Names {
		value := piece.Members[i]
		have := choice.Get(name)
		switch {
		case name == "index":
		case have != nil && (name == "delta" || name == "logprobs"):
			choice.Set(name, join(name, have, value))
		case have == nil || !value.Empty():
			choice.Set(name, value)
		}
	}
}

// join joins a piece to what came before it under the same name: strings and arrays
// behind one another, objects member by member, tool calls by their index. Names and
// ids come whole, in the first piece or in every one, so the first counts; of other
// scalars the last one does.
func join(name string, have, piece *scan.Node) *scan.Node {
	switch {
	case piece.Empty():
		return have
	case have.Empty() || have.Kind != piece.Kind:
		return piece
	case have.Kind == '{':
		for i, member := range piece.Names {
			if before := have.Get(member); before != nil {
				have.Set(member, join(member, before, piece.Members[i]))
			} else {
				have.Set(member, piece.Members[i])
			}
		}
		return have
	case have.Kind == '[':
		return joinList(have, piece)
	case have.Kind == '"':
		switch name {
		case "role", "id", "type", "name":
			return have
		}
		have.Extend(piece)
		return have
	}
	return piece
}

// joinList joins arrays: elements with an index (tool calls) with those of the same
// index, others behind one another.
func joinList(have, piece *scan.Node) *scan.Node {
next:
	for _, element := range piece.Members {
		if index := element.Get("index"); index != nil {
			for i, before := range have.Members {
				if at := before.Get("index"); at != nil && string(at.Text) == string(index.Text) {
					have.Members[i] = join("", before, element)
					continue next
				}
			}
		}
		have.Members = append(have.Members, element)
	}
	return have
}

// finishChoice makes a whole choice of the joined pieces.
func finishChoice(index int64, pieces *scan.Node) *scan.Node {
	message := pieces.Get("delta")
	if message == nil || message.Kind != '{' {
		message = scan.Object()
	}
	if message.Get("content") == nil {
		message.Put("content", scan.Literal("null"))
	}
	if message.Get("role").Empty() {
		message = message.Without("role")
		message.Put("role", scan.Quoted("assistant"))
	}
	for _, call := range message.Get("tool_calls").Elements() {
		if call.Kind == '{' {
			*call = *call.Without("index")
		}
	}
	choice := scan.Object()
	choice.Set("index", scan.Literal(strconv.FormatInt(index, 10)))
	choice.Set("message", message)
	for i, name := range pieces.Names {
		if name != "delta" {
			choice.Set(name, pieces.Members[i])
		}
	}
	return choice
}
