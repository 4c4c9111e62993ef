// Package request translates requests: chat completions of OpenAI into bodies of Bedrock's
// Converse, and the other way. It has the tables of their members. Package translate has
// the answers, and is what others import.
package request

import "github.com/forebay-ai/forebay/dialect/translate/internal/jsonbody"

// placeholder is a text of the user's that is written where Bedrock refuses requests
// without one. It takes no blank texts.
const placeholder = `{"text":"."}`

// turns writes Converse's messages: consecutive blocks of one role are one turn, and a
// turn without blocks is not written. Bedrock wants the user to begin, and a text beside
// documents: where there is none, placeholder stands for it.
type turns struct {
	dst      []byte
	role     string // of the turn that is open; empty for none
	text     bool   // the turn has a text
	document bool   // the turn has a document
}

// begin opens the place for a block of role, and returns what the block's object is to
// be appended to; the caller stores it back in dst.
func (t *turns) begin(role string) []byte {
	if t.role == role {
		return jsonbody.Comma(t.dst)
	}
	t.close()
	switch {
	case len(t.dst) > 0:
		t.dst = append(t.dst, ',')
	case role == roleAssistant: // a greeting, or what is left of a longer conversation
		t.dst = append(append(append(t.dst, `{"role":"user","content":[`...), placeholder...), "]},"...)
	}
	t.role, t.text, t.document = role, false, false
	t.dst = append(append(append(t.dst, `{"role":"`...), role...), `","content":[`...)
	return t.dst
}

func (t *turns) close() {
	if t.role != "" {
		if t.document && !t.text {
			t.dst = append(append(t.dst, ','), placeholder...)
		}
		t.dst = append(t.dst, "]}"...)
		t.role = ""
	}
}
