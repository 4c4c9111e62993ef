package bedrock

import (
	"bytes"
	"slices"
	"strconv"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/text/unicode/norm"

	"github.com/forebay-ai/forebay/dialect/internal/scan"
)

// Canonical compares what people write as package openai's does, and for the reasons
// that stand there: the texts of the user's messages and of system in Unicode NFC and
// without outer white space, and nothing else. What the model said, what tools told it,
// names, schemas, stop sequences and documents are compared as they are.
//
// Where two texts of one content follow one another, the white space between them is not
// an outer one; a cache point between them is nothing that the model sees. A text that is
// to be guarded (guardContent) is compared as it is.

// What Omissions says of a text.
const (
	reasonTrimmed = "trimmed outer white space"
	reasonNFC     = "composed to Unicode NFC"
)

// text is where a text of a content stands.
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
			role := readString(&k.Cursor)
			written = string(role) == "user" || string(role) == "system"
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

// system passes the system prompt.
func (k *keeper) system() {
	var few [4]text
	texts, _ := appendTexts(few[:0], &k.Cursor)
	for i := range texts {
		k.text(-1, &texts[i])
	}
}

// What a part of a content is to the texts beside it.
type partKind uint8

const (
	otherPart  partKind = iota
	textPart            // a text that is normalised
	boundPart           // a text that is not
	hiddenPart          // nothing that the model sees
)

// appendTexts passes a content and appends where its texts stand: the string that it is,
// or the text of each part that is a text. It counts the parts of every kind but cache
// points; a string has one.
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
	before := otherPart
	for place, ok := 0, c.Open('['); ok; place, ok = place+1, c.More(']') {
		t, kind := readPart(c)
		if kind == hiddenPart {
			continue
		}
		parts++
		if kind != otherPart && before == textPart {
			texts[len(texts)-1].right = false
		}
		if kind == textPart {
			t.part, t.left, t.right = place, before == otherPart, true
			texts = append(texts, t)
		}
		before = kind
	}
	return texts, parts
}

// readPart passes a part of a content: Converse's and Nova's, whose member says what it
// is, or Anthropic's, whose type does.
func readPart(c *scan.Cursor) (t text, kind partKind) {
	if c.Peek() != '{' {
		c.Skip()
		return t, otherPart
	}
	typed := ""
	for ok := c.Open('{'); ok; ok = c.More('}') {
		switch string(c.Name()) {
		case "type":
			typed = string(readString(c))
		case "text":
			if c.Peek() == '"' {
				t.start = c.At
				c.Quoted()
				t.end = c.At
			} else {
				c.Skip()
			}
		case "guardContent":
			kind = boundPart
			c.Skip()
		case "cachePoint":
			kind = hiddenPart
			c.Skip()
		default:
			c.Skip()
		}
	}
	if t.end > 0 && (typed == "" || typed == "text") {
		return t, textPart
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
	// All escapes but \u stand for ASCII, with which nothing composes.
	return !bytes.Contains(inner, []byte(`\u`)) && norm.NFC.IsNormal(inner)
}

// endsInEscape says that the last two bytes look like an escape.
func endsInEscape(inner []byte) bool {
	return len(inner) > 1 && inner[len(inner)-2] == '\\'
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

// joinerRune is U+034F, which package norm puts into runs of more than 30 combining
// characters, so that its buffer is bounded (Unicode's stream-safe format).
var joinerRune = []byte("\u034f")

// compose returns valid UTF-8 in NFC: b itself where it is in NFC already. A text
// into which norm would put a joiner is left as it is, because another text may
// hold that joiner by itself, and the two would become one.
func (k *keeper) compose(b []byte) []byte {
	if norm.NFC.IsNormal(b) {
		return b
	}
	k.composed = norm.NFC.Append(k.composed[:0], b...)
	if bytes.Count(k.composed, joinerRune) != bytes.Count(b, joinerRune) {
		return b
	}
	return k.composed
}
