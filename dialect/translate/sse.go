package translate

import "bytes"

// cutEvent cuts the first server-sent event from b and returns its data, several lines
// joined. Lines end with LF, CR or CRLF, an event ends with an empty line or with b.
func cutEvent(b []byte) (data, rest []byte) {
	lines := 0
	for len(b) > 0 {
		line := b
		if end := bytes.IndexAny(b, "\r\n"); end >= 0 {
			next := end + 1
			if b[end] == '\r' && next < len(b) && b[next] == '\n' {
				next++
			}
			line, b = b[:end], b[next:]
		} else {
			b = nil
		}
		if len(line) == 0 {
			break
		}
		text, ok := bytes.CutPrefix(line, []byte("data:"))
		if !ok {
			continue
		}
		text = bytes.TrimPrefix(text, []byte(" "))
		if lines++; lines == 1 {
			data = text
		} else {
			data = append(append(bytes.Clone(data), '\n'), text...)
		}
	}
	return bytes.TrimSpace(data), b
}
