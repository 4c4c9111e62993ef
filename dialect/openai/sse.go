package openai

import "bytes"

// Server-sent events as the WHATWG specification has them: lines end with LF, CR
// or CRLF, an event ends with an empty line, several data lines join with LF.

var (
	doneMark = []byte("[DONE]")
	byteMark = []byte("\xef\xbb\xbf") // one may stand at the very start of a stream
)

func isDone(data []byte) bool { return bytes.Equal(data, doneMark) }

// lineWindow is how far lineEnd looks for an LF before it looks for a CR: a stream
// of bare CRs without any LF must not be searched to its end for each line.
const lineWindow = 512

// lineEnd finds the end of the line that goes on at b[from:]: where its text ends
// and where the next line begins. A CR at the very end of b is an end only if
// last says that nothing follows, because an LF may belong to it.
func lineEnd(b []byte, from int, last bool) (text, next int, ok bool) {
	for ; from < len(b); from += lineWindow {
		window := b[from:min(from+lineWindow, len(b))]
		lf := bytes.IndexByte(window, '\n')
		if lf >= 0 {
			window = window[:lf]
		}
		if cr := bytes.IndexByte(window, '\r'); cr >= 0 {
			return carriageReturn(b, from+cr, last)
		}
		if lf >= 0 {
			return from + lf, from + lf + 1, true
		}
	}
	return len(b), len(b), false
}

// carriageReturn decides about the CR at b[at].
func carriageReturn(b []byte, at int, last bool) (text, next int, ok bool) {
	if at+1 < len(b) {
		if b[at+1] == '\n' {
			return at, at + 2, true
		}
		return at, at + 1, true
	}
	return at, at + 1, last
}

// cutEvent cuts the first event, its empty line included, from b. Where no empty
// line comes, the event is all of b.
func cutEvent(b []byte) (event, rest []byte) {
	for at := 0; at < len(b); {
		text, next, ok := lineEnd(b, at, true)
		if !ok {
			break
		}
		if text == at {
			return b[:next], b[next:]
		}
		at = next
	}
	return b, nil
}

// eventData returns the data of one event and whether the event is of type
// "error". joined is memory to use for data of several lines, and is returned for
// the next time. Data that is nothing but space counts as none: some servers keep
// connections alive with it.
func eventData(event, joined []byte) (data, memory []byte, isError bool) {
	event = bytes.TrimPrefix(event, byteMark)
	memory = joined
	lines := 0
	for at := 0; at < len(event); {
		text, next, ok := lineEnd(event, at, true)
		if !ok {
			text, next = len(event), len(event)
		}
		line := event[at:text]
		at = next
		if value, ok := fieldValue(line, "data"); ok {
			switch lines++; lines {
			case 1:
				data = value
			case 2:
				memory = append(append(append(memory[:0], data...), '\n'), value...)
				data = memory
			default:
				memory = append(append(memory, '\n'), value...)
				data = memory
			}
		} else if value, ok := fieldValue(line, "event"); ok {
			isError = string(value) == "error"
		}
	}
	return bytes.Trim(data, " \t\n"), memory, isError
}

// fieldValue returns the value of a line of the form "name: value" or "name".
func fieldValue(line []byte, name string) ([]byte, bool) {
	if len(line) < len(name) || string(line[:len(name)]) != name {
		return nil, false
	}
	rest := line[len(name):]
	if len(rest) == 0 {
		return rest, true
	}
	if rest[0] != ':' {
		return nil, false
	}
	if rest = rest[1:]; len(rest) > 0 && rest[0] == ' ' {
		rest = rest[1:]
	}
	return rest, true
}
