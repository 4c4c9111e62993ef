package canonical

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strconv"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/text/unicode/norm"

	"github.com/forebay-ai/forebay/dialect/internal/scan"
)

// Two people who ask the same type it differently: with a line break at the end or
// without, with an ü of one code point (most keyboards) or of two (macOS file names,
// some input methods). The texts of messages that people write, and of the system prompt,
// are compared in Unicode NFC and without outer white space (unicode.IsSpace), and nothing
// else is:
//
//   - Letters keep their case and white space between words stays: "US" is not "us",
//     and indented code is not code without indentation.
//   - The compatibility forms (NFKC) stay apart: "x²" is not "x2".
//   - What the model said or was told by tools is compared as it is. A prefill that
//     ends in a space is continued in another way than one that does not.
//   - Names, tools, schemas, stop sequences and every other string are compared as
//     they are: a provider compares them byte by byte itself.
//   - Inputs of embeddings are compared as they are: each byte changes the vector.
//
// Where two texts of one content follow one another, the white space between them is
// not an outer one: how a provider joins them is its own affair. A text that is all
// white space becomes an empty text; no message and no part goes away, because their
// number alone may change the answer.

// What the notes say of a text.
const (
	reasonTrimmed = "trimmed outer white space"
	reasonNFC     = "composed to Unicode NFC"
)

// text is where a text of a message's content stands.
type text struct {
	start, end  int  // of the string in the body, quotes included
	part        int  // place in the content's array; -1 for a content that is a string
	left, right bool // the white space at this end is an outer one
}

// appendTexts passes a content and appends where its texts stand: the string that it is,
// or the text of each part that is a text. It counts the parts of every kind but Hidden;
// a string has one.
func (r *Rules) appendTexts(texts []text, c *scan.Cursor) (all []text, parts int) {
	switch c.Peek() {
	case '"':
		start := c.At
		c.Quoted()
		return append(texts, text{start: start, end: c.At, part: -1, left: true, right: true}), 1
	case '[':
		texts = texts[:0]
	default:
		c.Skip()
		return texts, 0
	}
	before := Other
	for place, ok := 0, c.Open('['); ok; place, ok = place+1, c.More(']') {
		t, kind := r.readPart(c)
		if kind == Hidden {
			continue
		}
		parts++
		if kind != Other && before == written {
			texts[len(texts)-1].right = false
		}
		if kind == written {
			t.part, t.left, t.right = place, before == Other, true
			texts = append(texts, t)
		}
		before = kind
	}
	return texts, parts
}

// readPart passes a part of a content.
func (r *Rules) readPart(c *scan.Cursor) (t text, kind Part) {
	if c.Peek() != '{' {
		c.Skip()
		return t, Other
	}
	isText := r.Untyped
	for ok := c.Open('{'); ok; ok = c.More('}') {
		switch name := c.Name(); string(name) {
		case "type":
			isText = string(c.Chars()) == "text"
		case "text":
			if c.Peek() == '"' {
				t.start = c.At
				c.Quoted()
				t.end = c.At
			} else {
				c.Skip()
			}
		default:
			kind = max(kind, r.Parts[string(name)])
			c.Skip()
		}
	}
	if t.end > 0 && isText {
		return t, written
	}
	return text{}, kind
}

// text copies the body up to the end of t, which stands in the message at index or (-1)
// in the system prompt, and t normalised. It does nothing where that makes no difference,
// which is nearly everywhere.
func (k *keeper) text(index int, t *text) {
	if k.Bad || settled(k.Text[t.start+1:t.end-1], t) {
		return
	}
	var err error
	k.scratch, err = jsontext.AppendUnquote(slices.Grow(k.scratch[:0], t.end-t.start), k.Text[t.start:t.end])
	if err != nil {
		return // jsontext refuses the body in the end
	}
	trimmed := trim(k.scratch, t)
	composed := k.compose(trimmed)
	wasTrimmed, wasComposed := len(trimmed) < len(k.scratch), !bytes.Equal(trimmed, composed)
	if !wasTrimmed && !wasComposed {
		return
	}
	k.copyTo(t.start)
	k.dst, _ = jsontext.AppendQuote(k.dst, composed)
	k.copied, k.changed = t.end, true
	if k.notes == nil {
		return
	}
	path := "/system"
	if index >= 0 {
		path = "/messages/" + strconv.Itoa(index) + "/content"
	}
	if t.part >= 0 {
		path += "/" + strconv.Itoa(t.part) + "/text"
	}
	if wasTrimmed {
		k.note(path, reasonTrimmed)
	}
	if wasComposed {
		k.note(path, reasonNFC)
	}
}

// settled says at a glance that normalising what stands between a text's quotes
// changes nothing. It may say no in vain: at an end, any escape may be white space.
func settled(inner []byte, t *text) bool {
	if len(inner) == 0 {
		return true
	}
	if first, _ := utf8.DecodeRune(inner); t.left && (first == '\\' || unicode.IsSpace(first)) {
		return false
	}
	if last, _ := utf8.DecodeLastRune(inner); t.right && (endsInEscape(inner) || unicode.IsSpace(last)) {
		return false
	}
	// All other escapes stand for ASCII, and what follows one composes with its letter
	// sooner than with what it stands for: the spelling is in NFC only if the text is.
	return !bytes.Contains(inner, escapedRune) && isComposed(inner)
}

var escapedRune = []byte(`\u`)

// endsInEscape says that the last two bytes look like an escape.
func endsInEscape(inner []byte) bool {
	return len(inner) > 1 && inner[len(inner)-2] == '\\'
}

// isComposed says that b is in NFC. Package norm is asked only for what has characters
// from U+0300 on, whose first byte is 0xCC or more; those before it always are.
func isComposed(b []byte) bool {
	rest := b
	for len(rest) >= 8 { // ASCII, 8 bytes at a time
		if binary.LittleEndian.Uint64(rest)&0x8080808080808080 != 0 && slices.Max(rest[:8]) >= 0xCC {
			return norm.NFC.IsNormal(b)
		}
		rest = rest[8:]
	}
	return len(rest) == 0 || slices.Max(rest) < 0xCC || norm.NFC.IsNormal(b)
}

// trim takes the outer white space off.
func trim(b []byte, t *text) []byte {
	if t.left {
		b = bytes.TrimLeftFunc(b, unicode.IsSpace)
	}
	if t.right {
		b = bytes.TrimRightFunc(b, unicode.IsSpace)
	}
	return b
}

// joiner is U+034F, which package norm puts into runs of more than 30 combining
// characters, so that its buffer is bounded (Unicode's stream-safe format).
var joiner = []byte("\u034f")

// compose returns valid UTF-8 in NFC: b itself where it is in NFC already. A text
// into which norm would put a joiner is left as it is, because another text may
// hold that joiner by itself, and the two would become one.
func (k *keeper) compose(b []byte) []byte {
	if isComposed(b) {
		return b
	}
	k.composed = norm.NFC.Append(k.composed[:0], b...)
	if bytes.Count(k.composed, joiner) != bytes.Count(b, joiner) {
		return b
	}
	return k.composed
}
