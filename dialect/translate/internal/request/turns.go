// Package request translates requests: chat completions of OpenAI into bodies of Bedrock's
// Converse, and the other way. It has the tables of their members. Package translate has
// the answers, and is what others import.
package request

import "github.com/forebay-ai/forebay/dialect/translate/internal/jsonbody"

// turns writes Converse's messages: consecutive blocks of one role are one turn, and a
// turn without blocks is not written.
type turns struct {
	dst  []byte
	role string // of the turn that is open; empty for none
}

// begin opens the place for a block of role, and returns what the block's object is to
// be appended to; the caller stores it back in dst.
func (t *turns) begin(role string) []byte {
	if t.role == role {
		return jsonbody.Comma(t.dst)
	}
	t.close()
	if len(t.dst) > 0 {
		t.dst = append(t.dst, ',')
	}
	t.role = role
	t.dst = append(append(append(t.dst, `{"role":"`...), role...), `","content":[`...)
	return t.dst
}

func (t *turns) close() {
	if t.role != "" {
		t.dst = append(t.dst, "]}"...)
		t.role = ""
	}
}
