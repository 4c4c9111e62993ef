package exchange

import (
	"bytes"
	"errors"
	"strings"

	"github.com/forebay-ai/forebay/llm"
)

const (
	// shortestKey is the length from which a configured value counts as a secret in
	// texts: short values are settings, and removing them would maul the text. The
	// shortest keys in use have 16 characters.
	shortestKey = 8
	// shortestMasked is the length from which a key is looked for in what models write. A
	// stand-in such as "ollama" or "dummy-key" may well be a word of an answer.
	shortestMasked = 16
)

// Secrets are values that were sent to a back end and must not come back. The zero value
// has none. They may be shared by calls; nobody changes them.
type Secrets struct {
	inErrors []string // not in an error
	keys     []string // not in an answer either
}

// Hide makes Secrets of keys, which are taken out of errors and answers, and of other
// values, which are taken out of errors alone because an answer may have them by right.
// What is too short to be a key is left out.
func Hide(keys, others []llm.Secret) *Secrets {
	s := &Secrets{}
	add := func(secret llm.Secret, key bool) {
		value := strings.TrimPrefix(strings.TrimPrefix(secret.Reveal(), "Bearer "), "Basic ")
		if len(value) >= shortestKey {
			s.inErrors = append(s.inErrors, value)
		}
		if key && len(value) >= shortestMasked {
			s.keys = append(s.keys, value)
		}
	}
	for _, secret := range keys {
		add(secret, true)
	}
	for _, secret := range others {
		add(secret, false)
	}
	return s
}

// clean takes the secrets out of an error.
func (s *Secrets) clean(e *llm.Error) {
	for _, secret := range s.inErrors {
		for _, text := range []*string{&e.Message, &e.Code, &e.Param, &e.Fix} {
			*text = strings.ReplaceAll(*text, secret, "***")
		}
		if e.Err != nil && strings.Contains(e.Err.Error(), secret) {
			e.Err = errors.New(strings.ReplaceAll(e.Err.Error(), secret, "***"))
		}
	}
}

// Scrub takes the secrets out of a text that is no model's. It returns the text itself
// where it has none.
func (s *Secrets) Scrub(text []byte) []byte {
	for _, secret := range s.inErrors {
		if bytes.Contains(text, []byte(secret)) {
			text = bytes.ReplaceAll(text, []byte(secret), []byte("***"))
		}
	}
	return text
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
