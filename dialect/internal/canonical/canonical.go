// Package canonical makes the canonical form of a request's body, by which requests are
// compared: the members that do not change the answer left out, members sorted, white
// space gone, strings and fractions in their shortest spelling, and what people write
// normalised (text.go says what and why). The dialects say, as Rules, what their bodies
// consist of. It is not their parser: what is wrong with a body, they say themselves.
package canonical

import (
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/forebay-ai/forebay/dialect/internal/scan"
	"github.com/forebay-ai/forebay/llm"
)

// Rules is what a dialect says of the bodies of its requests. A conversation is the
// top-level member messages: objects with a role and a content, which is a string or an
// array of parts.
type Rules struct {
	// Ignored are top-level members that do not change what the model answers, each with
	// its reason.
	Ignored map[string]string
	// Written are the roles whose messages people write: white space and code points of
	// these are an accident.
	Written []string
	// System says that the top-level member system is a content that people write.
	System bool
	// Untyped says that a part of a content is a text also without "type":"text".
	Untyped bool
	// Parts are members that tell what a part is that is no text. All others are Other.
	Parts map[string]Part
	// Beside are members of a conversation's last message that may stand beside its role
	// and content without being a part of what the user said.
	Beside []string
	// Plain passes the value of a top-level member other than messages and reports that it
	// lets the answer be one text: no tools, no schema. LastTurn asks it.
	Plain func(name []byte, value *scan.Cursor) bool
	// MaxDepth is how deep objects and arrays may be nested.
	MaxDepth int
}

// Part is what a part of a content is to the texts beside it.
type Part uint8

// The kinds of parts.
const (
	// Other ends a text: the white space before and behind it is an outer one.
	Other Part = iota
	// Hidden is nothing that the model sees, such as a cache point.
	Hidden
	// Verbatim is a text that is compared as it is, such as one that is to be guarded. A part
	// that is both is seen.
	Verbatim
	written // a text that is normalised
)

// options are those of jsontext.Value.Canonicalize (RFC 8785) but for integers, which
// keep their digits: RFC 8785 takes numbers for doubles, and two neighbouring large seeds
// would share a key.
var options = []jsontext.Options{
	jsontext.CanonicalizeRawInts(false),
	jsontext.CanonicalizeRawFloats(true),
	jsontext.ReorderRawObjects(true),
}

// Append appends the canonical form of req.Body to dst. Texts of a chat are normalised
// unless verbatim is set. Numbers count as doubles, but integers without fraction and
// exponent keep their digits. The body of a Function is any JSON value, of which nothing
// is left out. Where notes is not nil, what was left out is added to it, in the order of
// the body. ok is false for a body that is not strict JSON, and dst then as it was.
func (r *Rules) Append(dst []byte, req *llm.Request, verbatim bool, notes *[]llm.Omission) (form []byte, ok bool) {
	start := len(dst)
	src := req.Body
	if req.Endpoint != llm.Function {
		k := keeper{
			Cursor: scan.Cursor{Text: req.Body, Max: r.MaxDepth}, rules: r, dst: dst,
			normal: !verbatim && req.Endpoint == llm.Chat, notes: notes,
		}
		if !k.object() {
			return dst, false
		}
		dst = k.dst[:start]
		if k.changed { // else the copy is of no use
			src = k.dst[start:]
		}
	}
	// Source and destination overlap; jsontext builds the result in its own buffer.
	form, err := jsontext.AppendFormat(dst, src, options...)
	if err != nil {
		return dst, false
	}
	return form, true
}

// keeper copies a body without what makes no difference. What it copies has the
// caller's spelling still, and is checked by jsontext afterwards.
type keeper struct {
	scan.Cursor
	rules   *Rules
	dst     []byte
	copied  int  // what of Text is to be kept before it is in dst
	changed bool // dst says something else than Text
	normal  bool // the texts of messages are normalised
	notes   *[]llm.Omission

	scratch, composed []byte // memory for one text
}

// object copies the body and reports that it is JSON.
func (k *keeper) object() bool {
	k.dst = append(k.dst, '{')
	empty := true
	for ok := k.Open('{'); ok; ok = k.More('}') {
		k.Peek()
		start := k.At
		name := k.Name()
		if reason, drop := k.rules.Ignored[string(name)]; drop {
			k.Skip()
			k.changed = true
			if k.notes != nil {
				k.note("/"+string(name), reason)
			}
			continue
		}
		if !empty {
			k.dst = append(k.dst, ',')
		}
		empty = false
		k.copied = start
		switch {
		case k.normal && string(name) == "messages":
			k.messages()
		case k.normal && k.rules.System && string(name) == "system":
			k.system()
		default:
			k.Skip()
		}
		k.copyTo(k.At)
	}
	k.dst = append(k.dst, '}')
	return k.Whole()
}

// copyTo copies what stands before Text[end] and was not copied.
func (k *keeper) copyTo(end int) {
	k.dst = append(k.dst, k.Text[k.copied:end]...)
	k.copied = end
}

func (k *keeper) note(path, reason string) {
	*k.notes = append(*k.notes, llm.Omission{Path: path, Reason: reason})
}

// messages passes the conversation.
func (k *keeper) messages() {
	if k.Peek() != '[' {
		k.Skip()
		return
	}
	index := 0
	for ok := k.Open('['); ok; ok = k.More(']') {
		if k.Peek() == '{' {
			k.message(index)
		} else {
			k.Skip()
		}
		index++
	}
}

// message passes one message. Its role may stand behind its content.
func (k *keeper) message(index int) {
	var few [4]text
	texts := few[:0]
	byPeople := false
	for ok := k.Open('{'); ok; ok = k.More('}') {
		switch string(k.Name()) {
		case "role":
			byPeople = slices.Contains(k.rules.Written, string(k.Chars()))
		case "content":
			texts, _ = k.rules.appendTexts(texts, &k.Cursor)
		default:
			k.Skip()
		}
	}
	if !byPeople {
		return
	}
	for i := range texts {
		k.text(index, &texts[i])
	}
}

// system passes the system prompt.
func (k *keeper) system() {
	var few [4]text
	texts, _ := k.rules.appendTexts(few[:0], &k.Cursor)
	for i := range texts {
		k.text(-1, &texts[i])
	}
}
