package openai

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
// some input methods). Canonical compares the texts of messages whose role is user,
// system or developer in Unicode NFC and without outer white space (unicode.IsSpace),
// and nothing else:
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

// What Omissions says of a text.
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
	written := false
	for ok := k.Open('{'); ok; ok = k.More('}') {
		switch string(k.Name()) {
		case "role":
			written = isWritten(readString(&k.Cursor))
		case "content":
			texts, _ = appendTexts(texts, &k.Cursor)
		default:
			k.Skip()
		}
	}
	if !written {
		return
	}
	for i := range texts {
		k.text(index, &texts[i])
	}
}

// isWritten says that messages of this role are written by people, whose white space
// and code points are an accident.
func isWritten(role []byte) bool {
	switch string(role) {
	case "user", "system", "developer":
		return true
	}
	return false
}

// readString passes a value and returns the text of a string; nil for everything else.
func readString(c *scan.Cursor) []byte {
	if c.Peek() != '"' {
		c.Skip()
		return nil
	}
	inner, escaped := c.Quoted()
	if escaped {
		return scan.Unescape(inner)
	}
	return inner
}

// appendTexts passes a content and appends where its texts stand: the string that it
// is, or the text of each part of type text. It counts the parts of every type; a
// string has one.
func appendTexts(texts []text, c *scan.Cursor) (all []text, parts int) {
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
	before := false // the part before this one is a text
	for ok := c.Open('['); ok; ok = c.More(']') {
		t, isText := readPart(c)
		if isText {
			t.part, t.left, t.right = parts, !before, true
			if before {
				texts[len(texts)-1].right = false
			}
			texts = append(texts, t)
		}
		before = isText
		parts++
	}
	return texts, parts
}

// readPart passes a part of a content and reports whether it is a text.
func readPart(c *scan.Cursor) (t text, isText bool) {
	if c.Peek() != '{' {
		c.Skip()
		return t, false
	}
	for ok := c.Open('{'); ok; ok = c.More('}') {
		switch string(c.Name()) {
		case "type":
			isText = string(readString(c)) == "text"
		case "text":
			if c.Peek() == '"' {
				t.start = c.At
				c.Quoted()
				t.end = c.At
			} else {
				c.Skip()
			}
		default:
			c.Skip()
		}
	}
	return t, isText && t.end > 0
}

// text copies the body up to the end of t, and t normalised. It does nothing where
// that makes no difference, which is nearly everywhere.
func (k *keeper) text(message int, t *text) {
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
	path := "/messages/" + strconv.Itoa(message) + "/content"
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
