package openai

import (
	"slices"
	"strconv"
)

// joinEvents turns the events of a stream into a whole body.
func joinEvents(answer []byte) ([]byte, error) {
	whole := object()
	choices := map[int64]*node{}
	var joined []byte
	done, events := false, 0
	for rest := answer; len(rest) > 0 && !done; {
		var event, data []byte
		event, rest = cutEvent(rest)
		data, joined, _ = eventData(event, joined)
		if done = isDone(data); done || len(data) == 0 {
			continue
		}
		n := parse(slices.Clone(data)) // joined is used again
		if n == nil || n.kind != '{' || !n.get("error").empty() {
			return nil, unreadable("events")
		}
		joinEvent(whole, choices, n)
		events++
	}
	if !done || events == 0 {
		return nil, unreadable("events")
	}
	list := array()
	order := make([]int64, 0, len(choices))
	for index := range choices {
		order = append(order, index)
	}
	slices.Sort(order)
	for _, index := range order {
		list.members = append(list.members, finishChoice(index, choices[index]))
	}
	usage := whole.get("usage")
	whole = whole.without("object", "usage", "obfuscation")
	whole.put("object", quoted("chat.completion"))
	whole.set("choices", list)
	if !usage.empty() {
		whole.set("usage", usage)
	}
	return whole.append(make([]byte, 0, len(answer)/2)), nil
}

// joinEvent adds one event to what came before. At the top level the last value that
// says something counts; choices are joined by their index.
func joinEvent(whole *node, choices map[int64]*node, event *node) {
	for i, name := range event.names {
		value := event.members[i]
		if name == "choices" {
			for _, choice := range value.elements() {
				joinChoice(choices, choice)
			}
		} else if whole.get(name) == nil || !value.empty() {
			whole.set(name, value)
		}
	}
}

// joinChoice adds one piece of a choice. The deltas are joined, and so are logprobs;
// of everything else the last value that says something counts.
func joinChoice(choices map[int64]*node, piece *node) {
	if piece.kind != '{' {
		return
	}
	index, _ := piece.get("index").number()
	choice := choices[index]
	if choice == nil {
		choice = object()
		choices[index] = choice
	}
	for i, name := range piece.names {
		value := piece.members[i]
		have := choice.get(name)
		switch {
		case name == "index":
		case have != nil && (name == "delta" || name == "logprobs"):
			choice.set(name, join(name, have, value))
		case have == nil || !value.empty():
			choice.set(name, value)
		}
	}
}

// join joins a piece to what came before it under the same name: strings and arrays
// behind one another, objects member by member, tool calls by their index. Names and
// ids come whole, in the first piece or in every one, so the first counts; of other
// scalars the last one does.
func join(name string, have, piece *node) *node {
	switch {
	case piece.empty():
		return have
	case have.empty() || have.kind != piece.kind:
		return piece
	case have.kind == '{':
		for i, member := range piece.names {
			if before := have.get(member); before != nil {
				have.set(member, join(member, before, piece.members[i]))
			} else {
				have.set(member, piece.members[i])
			}
		}
		return have
	case have.kind == '[':
		return joinList(have, piece)
	case have.kind == '"':
		switch name {
		case "role", "id", "type", "name":
			return have
		}
		// What stands between the quotes can be put together as it is; halves of a
		// surrogate pair in two pieces become one again.
		if !have.owned { // it is followed by the rest of its event
			have.text, have.owned = slices.Clip(have.text), true
		}
		have.text = append(have.text, piece.text...)
		return have
	}
	return piece
}

// joinList joins arrays: elements with an index (tool calls) with those of the same
// index, others behind one another.
func joinList(have, piece *node) *node {
next:
	for _, element := range piece.members {
		if index := element.get("index"); index != nil {
			for i, before := range have.members {
				if at := before.get("index"); at != nil && string(at.text) == string(index.text) {
					have.members[i] = join("", before, element)
					continue next
				}
			}
		}
		have.members = append(have.members, element)
	}
	return have
}

// finishChoice makes a whole choice of the joined pieces.
func finishChoice(index int64, pieces *node) *node {
	message := pieces.get("delta")
	if message == nil || message.kind != '{' {
		message = object()
	}
	if message.get("content") == nil {
		message.put("content", literal("null"))
	}
	if message.get("role").empty() {
		message = message.without("role")
		message.put("role", quoted("assistant"))
	}
	for _, call := range message.get("tool_calls").elements() {
		if call.kind == '{' {
			*call = *call.without("index")
		}
	}
	choice := object()
	choice.set("index", literal(strconv.FormatInt(index, 10)))
	choice.set("message", message)
	for i, name := range pieces.names {
		if name != "delta" {
			choice.set(name, pieces.members[i])
		}
	}
	return choice
}
