package openai

import (
	"bytes"
	"strings"
)

// shortestMasked is the length from which a key is looked for in what models write. A
// stand-in such as "ollama" or "dummy-key" may well be a word of an answer.
const shortestMasked = 16

// keysIn lists the configured credentials that must not come back in an answer.
func keysIn(cfg *Config) []string {
	values := []string{cfg.APIKey.Reveal()}
	for name, value := range cfg.Headers {
		if holdsKey(name) {
			values = append(values, value.Reveal())
		}
	}
	var keys []string
	for _, value := range values {
		for _, scheme := range [...]string{"Bearer ", "Basic "} {
			value = strings.TrimPrefix(value, scheme)
		}
		if len(value) >= shortestMasked {
			keys = append(keys, value)
		}
	}
	return keys
}

// holdsKey says whether a header is one for credentials. Others (an organisation, a
// title, a version) may be in an answer by right.
func holdsKey(name string) bool {
	name = strings.ToLower(name)
	for _, word := range [...]string{"auth", "key", "token", "secret", "cookie", "credential", "password"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

// mask takes our own keys out of an answer as it is read, wherever the reads cut it. A
// back end that repeats the headers it got would hand them to every caller.
type mask struct {
	keys []string
	held []byte // the beginning of what may become a key; it was read and not passed on
}

// room is how many bytes a buffer must have at least for what is held and one more.
func (m *mask) room() int { return len(m.held) + 1 }

// begin puts what is held at the beginning of b, as far as there is room, and returns
// how much it put there.
func (m *mask) begin(b []byte) int {
	n := copy(b, m.held)
	m.held = m.held[:copy(m.held, m.held[n:])]
	return n
}

// end blackens the keys in b, holds back what may be the beginning of one unless
// nothing follows, and returns how much of b is left to pass on.
func (m *mask) end(b []byte, last bool) int {
	keep := len(b)
	for _, key := range m.keys {
		for rest := b; ; {
			i := bytes.Index(rest, []byte(key))
			if i < 0 {
				break
			}
			blacken(rest[i : i+len(key)])
			rest = rest[i+len(key):]
		}
		if !last {
			keep = min(keep, len(b)-beginning(b, key))
		}
	}
	m.held = append(m.held, b[keep:]...)
	return keep
}

func blacken(b []byte) {
	for i := range b {
		b[i] = '*'
	}
}

// beginning is the length of the longest end of b that key begins with.
func beginning(b []byte, key string) int {
	if len(b) == 0 || strings.IndexByte(key, b[len(b)-1]) < 0 {
		return 0
	}
	for n := min(len(key)-1, len(b)); n > 0; n-- {
		if string(b[len(b)-n:]) == key[:n] {
			return n
		}
	}
	return 0
}
